"""One leader at a time, by the database's clock; whoever was overtaken writes nothing more."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from tests.registry.world import T0
from tidegate_registry.audit.leader import LeadershipLost, Lease, acquire, fence, make_holder, release, renew
from tidegate_registry.audit.tables import AuditEventRow, LeadershipRow, LogStateRow
from tidegate_registry.db import Db, NotAudited

YEAR_MILLISECONDS = 365 * 86_400_000


@pytest.fixture
def db(database_url: str) -> Iterator[Db]:
    db = Db(database_url)
    db.create_all()
    yield db
    db.close()


def move_clock(db: Db, milliseconds: int) -> None:
    """Let the database's clock go forward by that much, as a lease sees it."""
    with db.connect() as connection:
        connection.execute(text("UPDATE leadership SET expires_at = expires_at - :by"), {"by": milliseconds})


def take(db: Db, holder: str) -> Lease:
    lease = acquire(db, "log", holder)
    assert lease is not None
    return lease


def test_of_many_who_ask_at_once_one_leads(db: Db) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        given = list(pool.map(lambda number: acquire(db, "log", f"replica {number}"), range(8)))
    assert [lease.epoch for lease in given if lease] == [1]
    assert acquire(db, "log", "late") is None
    assert take_other(db) == 1, "other work has a leader of its own"


def write_state(db: Db, lease: Lease) -> None:
    with db.bookkeeping() as tx:
        tx.add(LogStateRow(name="log", assigned=1, published=0, epoch=lease.epoch))
        tx.flush()
        fence(tx, lease)


def take_other(db: Db) -> int:
    lease = acquire(db, "other", "late")
    assert lease is not None
    return lease.epoch


def test_a_lease_that_was_not_renewed_goes_to_the_next_with_a_new_epoch(db: Db) -> None:
    first = take(db, "first")
    move_clock(db, 3_000)
    assert renew(db, first)
    move_clock(db, 3_000)
    assert acquire(db, "log", "second") is None, "it was renewed"
    move_clock(db, 2_000)
    second = take(db, "second")
    assert second.epoch == first.epoch + 1
    assert not renew(db, first)
    release(db, first)
    assert acquire(db, "log", "third") is None, "who was overtaken gives back nothing"


def test_a_lease_given_back_is_free_at_once(db: Db) -> None:
    release(db, take(db, "first"))
    assert take(db, "second").epoch == 2


def test_a_clock_that_was_set_back_keeps_nobody_from_leading(db: Db) -> None:
    first = take(db, "died")
    move_clock(db, -YEAR_MILLISECONDS)
    assert take(db, "second").epoch == first.epoch + 1


def test_who_was_overtaken_writes_nothing(db: Db) -> None:
    first = take(db, "first")
    with db.bookkeeping() as tx:
        fence(tx, first)
    move_clock(db, 5_000)
    second = take(db, "second")
    with pytest.raises(LeadershipLost) as caught:
        write_state(db, first)
    assert caught.value.reasons[0].code == "leadership-lost"
    with db.read() as tx:
        assert tx.get(LogStateRow, "log") is None
    write_state(db, second)


def test_nobody_takes_over_while_a_leader_writes(db: Db) -> None:
    first = take(db, "first")
    move_clock(db, 5_000)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        with db.bookkeeping() as tx:
            fence(tx, first)
            waiting = pool.submit(take, db, "second")
            with pytest.raises(concurrent.futures.TimeoutError):
                waiting.result(timeout=0.2)
        assert waiting.result(timeout=10).epoch == first.epoch + 1


def test_bookkeeping_writes_no_entry(db: Db) -> None:
    row = AuditEventRow(id="x", type="t", at=T0, actor="a", body=b"{}")
    with pytest.raises(NotAudited, match="audit_event"), db.bookkeeping() as tx:
        tx.add(row)
    with db.read() as tx:
        assert tx.get(AuditEventRow, 1) is None
        assert tx.get(LeadershipRow, "log") is None


def test_processes_are_told_apart() -> None:
    assert make_holder(lambda size: b"\1" * size) != make_holder(lambda size: b"\2" * size)
    assert len(make_holder(lambda size: b"\1" * size)) <= 128
