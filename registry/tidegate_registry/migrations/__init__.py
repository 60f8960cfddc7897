"""The schema over time, as alembic revisions that ship with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from tidegate.errors import Conflict

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from tidegate_registry.db import Db


class SchemaDiffers(Conflict):
    """The database's schema is not that of this version of the registry."""

    code = "schema-differs"


def upgrade(db: Db) -> None:
    """Bring the schema to this version, in one transaction. Two replicas at once: one waits for the other."""
    with db.connect() as connection:
        if not db.is_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        command.upgrade(_config(connection), "head")


def check(db: Db) -> None:
    """Raise SchemaDiffers unless the schema is that of this version."""
    with db.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    expected = ScriptDirectory.from_config(_config(None)).get_current_head()
    if found != expected:
        raise SchemaDiffers(
            "the database has another schema than this version of the registry",
            found=found or "no schema",
            expected=expected,
            hint="run `tidegate-registry migrate`; if the database is newer, run the newer registry",
        )


_LOCK = 0x7469_6465  # "tide": one advisory lock for schema changes


def _config(connection: Connection | None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    return config
