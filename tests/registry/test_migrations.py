"""The schema: what migrations make is what the models say, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlmodel import SQLModel

from tidegate_registry import migrations, tables
from tidegate_registry.audit.searchdb import is_search_table
from tidegate_registry.db import Db

COMPARED = {
    "compare_type": True,
    "compare_server_default": True,
    "include_name": lambda name, kind, _: kind != "table" or not is_search_table(name),
}


@pytest.fixture
def db(database_url: str) -> Iterator[Db]:
    db = Db(database_url)
    yield db
    db.close()


def test_the_migrated_schema_is_what_the_models_say(db: Db) -> None:
    tables.load()
    migrations.upgrade(db)
    with db.connect() as connection:
        context = MigrationContext.configure(connection, opts=COMPARED)
        assert compare_metadata(context, SQLModel.metadata) == []


def test_a_column_that_names_a_row_elsewhere_is_as_wide_as_the_name_there() -> None:
    tables.load()
    links = [key for table in SQLModel.metadata.tables.values() for key in table.foreign_keys]
    assert links
    for link in links:
        assert repr(link.parent.type) == repr(link.column.type), f"{link.parent} names {link.column}"


def test_migrating_twice_is_migrating_once(db: Db) -> None:
    migrations.upgrade(db)
    migrations.upgrade(db)
    migrations.check(db)


def test_a_database_without_our_schema_is_refused_with_what_to_do(db: Db) -> None:
    with pytest.raises(migrations.SchemaDiffers) as caught:
        migrations.check(db)
    reason = caught.value.reasons[0]
    assert (reason.code, reason.found) == ("schema-differs", "no schema")
    assert reason.hint is not None
    assert "tidegate-registry migrate" in reason.hint


def test_a_newer_database_is_refused(db: Db) -> None:
    migrations.upgrade(db)
    with db.connect() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(migrations.SchemaDiffers) as caught:
        migrations.check(db)
    assert caught.value.reasons[0].found == "9999"


def test_every_room_with_tables_is_in_the_list() -> None:
    from pathlib import Path

    import tidegate_registry

    package = Path(tidegate_registry.__file__).parent
    assert {path.parent.name for path in package.glob("*/tables.py")} == set(tables.ROOMS)
