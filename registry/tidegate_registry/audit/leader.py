"""Leases: of all replicas, one does a piece of work that must be done by one, such as integrating the log.

A lease is a row. Its holder renews it each second, and whoever finds it expired takes it with a new epoch. The time is
the database's own, so that replicas need not agree about clocks. A holder that was paused may still believe that it
leads; so every transaction that only a leader may make calls `fence` first, which fails where the epoch is another.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import text

from tidegate.errors import Conflict
from tidegate_registry.db import Db, Tx

LEASE_SECONDS = 4.0  # a leader that died is missed after that
RENEW_SECONDS = 1.0
TAKE_SECONDS = 0.5  # between two looks of those who wait; with LEASE_SECONDS, a new leader is there within 5 s
MAX_HOST_CHARACTERS = 96

_NOW = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    "postgresql": "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)",
}


class LeadershipLost(Conflict):
    """Another replica leads now: what this one was about to write is not written."""

    code = "leadership-lost"


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to do the work `name`. `epoch` grows with each change of holder and is never given twice."""

    name: str
    holder: str
    epoch: int


def make_holder(entropy: Callable[[int], bytes]) -> str:
    """Name this process as no other one is, readable for the operator: host, process, 8 random digits."""
    return f"{socket.gethostname()[:MAX_HOST_CHARACTERS]}:{os.getpid()}:{entropy(4).hex()}"


def acquire(db: Db, name: str, holder: str) -> Lease | None:
    """Take the lease `name` if nobody holds it; None: somebody does.

    One that expires later than any that is given now is from before the clock was set back, and counts as expired.
    """
    with db.bookkeeping(durable=False) as tx:
        epoch = _execute(
            tx,
            "INSERT INTO leadership (name, holder, epoch, expires_at) VALUES (:name, :holder, 1, {now} + :lease) "
            "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, epoch = leadership.epoch + 1, "
            "expires_at = excluded.expires_at WHERE leadership.expires_at <= {now} "
            "OR leadership.expires_at > {now} + :lease RETURNING epoch",
            name=name,
            holder=holder,
            lease=int(LEASE_SECONDS * 1000),
        )
    return None if epoch is None else Lease(name, holder, epoch)


def renew(db: Db, lease: Lease) -> bool:
    """Keep the lease for LEASE_SECONDS from now; False: another one has it."""
    with db.bookkeeping(durable=False) as tx:
        epoch = _execute(
            tx,
            "UPDATE leadership SET expires_at = {now} + :lease WHERE name = :name AND epoch = :epoch RETURNING epoch",
            name=lease.name,
            epoch=lease.epoch,
            lease=int(LEASE_SECONDS * 1000),
        )
    return epoch is not None


def release(db: Db, lease: Lease) -> None:
    """Give the lease back, so that the next one need not wait for its end; nothing if another one has it."""
    with db.bookkeeping(durable=False) as tx:
        _execute(
            tx,
            "UPDATE leadership SET expires_at = 0 WHERE name = :name AND epoch = :epoch RETURNING epoch",
            name=lease.name,
            epoch=lease.epoch,
        )


def fence(tx: Tx, lease: Lease) -> None:
    """Hold the lease until `tx` ends: nobody takes it over before. Raises LeadershipLost if somebody has."""
    lock = "" if _dialect(tx) == "sqlite" else " FOR UPDATE"  # SQLite's one writer is whoever began
    row = tx.connection().execute(text(f"SELECT epoch FROM leadership WHERE name = :name{lock}"), {"name": lease.name})  # noqa: S608 # a constant
    epoch = row.scalar_one_or_none()
    if epoch != lease.epoch:
        raise LeadershipLost(
            f"another replica leads the work {lease.name!r}", found=f"epoch {epoch}", expected=f"epoch {lease.epoch}"
        )


def _execute(tx: Tx, statement: str, **values: object) -> int | None:
    """Change `leadership` and give the epoch of the row that was changed; None: none was.

    `{now}` in `statement` is the database's time in milliseconds since 1970.
    """
    result = tx.connection().execute(text(statement.replace("{now}", _NOW[_dialect(tx)])), values)
    epoch: int | None = result.scalar_one_or_none()
    return epoch


def _dialect(tx: Tx) -> str:
    return tx.get_bind().dialect.name
