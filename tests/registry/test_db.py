"""Writers take turns without sleeping, and each transaction is as lasting as it must be."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import sqlalchemy
from sqlalchemy import event

from tests.registry.world import T0
from tidegate_registry.artifacts.tables import UploadRow
from tidegate_registry.db import Db, NestedTransaction, Tx

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection

WRITERS, EACH = 8, 20


@pytest.fixture
def db(database_url: str) -> Iterator[Db]:
    db = Db(database_url)
    db.create_all()
    with db.scratch() as tx:
        tx.add(UploadRow(id="u", repository="a/b", owner="o", continued_at=T0))
    yield db
    db.close()


def test_writers_of_one_process_wait_for_each_other_and_not_for_sqlite(db: Db) -> None:
    if db.is_sqlite:
        db.close()  # the connections made before

        @event.listens_for(db.engine, "connect")
        def _impatient(connection: DBAPIConnection, _: object) -> None:
            connection.cursor().execute("PRAGMA busy_timeout = 0")

    def write(_: int) -> None:
        for _turn in range(EACH):
            with db.scratch(durable=False) as tx:
                row = tx.get_one(UploadRow, "u", with_for_update=True)
                row.size += 1

    with concurrent.futures.ThreadPoolExecutor(WRITERS) as pool:
        assert len(list(pool.map(write, range(WRITERS)))) == WRITERS
    with db.read() as tx:
        assert tx.get_one(UploadRow, "u").size == WRITERS * EACH


def test_only_what_may_be_lost_does_not_wait_for_the_disk(db: Db) -> None:
    def waits(tx: Tx) -> bool:
        asked = "PRAGMA synchronous" if db.is_sqlite else "SHOW synchronous_commit"
        return str(tx.connection().execute(sqlalchemy.text(asked)).scalar_one()) in ("2", "on")

    for _ in range(2):  # over the same connection
        with db.scratch(durable=False) as tx:
            assert waits(tx) is not db.is_sqlite
        with db.scratch() as tx:
            assert waits(tx)
        with db.begin() as tx:
            assert waits(tx)


def test_a_thread_that_would_wait_for_itself_is_told_at_once(db: Db) -> None:
    if not db.is_sqlite:
        pytest.skip("PostgreSQL has many writers")
    with db.scratch() as tx:
        with pytest.raises(NestedTransaction), db.scratch():
            raise AssertionError("not reached")
        tx.get_one(UploadRow, "u").size = 7
    with db.scratch() as tx:
        assert tx.get_one(UploadRow, "u").size == 7
