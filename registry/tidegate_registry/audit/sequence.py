"""Which entry has which index in the log, and how far the log has come: what the integrator notes, in SQL.

Indices are given in the order of positions, without a gap, in a transaction of their own that is durable before any
file of the log is written: after a crash, the next leader builds the same files from the same order. On PostgreSQL a
lower position may be committed after a higher one; it then gets a later index, and is not lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlmodel import col, select

from tidegate_registry.audit.leader import Lease, fence
from tidegate_registry.audit.problems import RESTORE, LogAhead, LogForked
from tidegate_registry.audit.tables import AuditEventRow
from tidegate_registry.db import Db, Tx

LOG = "log"  # the one row of log_state, and the name of the integrator's lease
READ_ROWS = 256  # at most 16 MiB
MAX_READ_BYTES = 16 << 20  # of entries in memory together, besides one more read


@dataclass(frozen=True, slots=True)
class LogState:
    """How far the log has come, as the database says. See LogStateRow."""

    assigned: int = 0
    published: int = 0
    root: bytes | None = None
    halted: str | None = None


def load_state(tx: Tx) -> LogState:
    """Read the state; that of an empty log where there is none yet."""
    row = tx.connection().execute(
        text("SELECT assigned, published, root, halted FROM log_state WHERE name = :log"), {"log": LOG}
    )
    found = row.one_or_none()
    return LogState() if found is None else LogState(*found)


def oldest_unpublished(tx: Tx, state: LogState) -> datetime | None:
    """Give the time of the oldest entry that no noted checkpoint covers, None where there is none; in one look-up."""
    row = AuditEventRow
    waiting = select(row.at).where(row.idx == state.published)
    if state.assigned == state.published:
        waiting = select(row.at).where(col(row.idx).is_(None)).order_by(col(row.position))
    return tx.exec(waiting.limit(1)).first()


def count_indexed(tx: Tx) -> int:
    """Give how many entries the log has as the rows themselves say: the greatest index, and one."""
    greatest: int | None = tx.connection().execute(text("SELECT max(idx) FROM audit_event")).scalar_one()
    return 0 if greatest is None else greatest + 1


def assign(db: Db, lease: Lease, *, limit: int, at_least: int) -> int:
    """Give the next indices to at most `limit` committed entries that have none; give how many have one now.

    `at_least`: how many the caller has seen with one. Raises LeadershipLost, LogAhead where the database knows fewer.
    """
    with db.bookkeeping() as tx:
        fence(tx, lease)
        state = load_state(tx)
        if state.assigned < at_least:  # the database fell back while we led: a dump was put in, or a replica lagged
            raise LogAhead.by(at_least, state.assigned)
        count = tx.connection().execute(text(_ASSIGN), {"first": state.assigned - 1, "limit": limit}).rowcount
        if count:
            _write(tx, lease, assigned=state.assigned + count)
    return state.assigned + count


def note_published(db: Db, lease: Lease, size: int, root: bytes) -> None:
    """Note that a checkpoint of `size` entries with `root` is public, and the log goes on. Raises LeadershipLost."""
    with db.bookkeeping() as tx:
        fence(tx, lease)
        if size >= load_state(tx).published:
            _write(tx, lease, published=size, root=root, halted=None)


def note_found(db: Db, lease: Lease, size: int, root: bytes) -> None:
    """Note the same of a checkpoint that was found; that the log goes on is not known before the next is published."""
    with db.bookkeeping() as tx:
        fence(tx, lease)
        _write(tx, lease, published=size, root=root)


def note_restored(tx: Tx, lease: Lease, *, published: int, root: bytes, assigned: int | None = None) -> None:
    """Note where the log stands after a restore, and that it may go on. `assigned` None: as it was.

    With `assigned`, entries that have an index from there on have none any more. The caller has called `fence`.
    """
    if assigned is None:
        _write(tx, lease, published=published, root=root, halted=None)
        return
    tx.connection().execute(text("UPDATE audit_event SET idx = NULL WHERE idx >= :size"), {"size": assigned})
    _write(tx, lease, assigned=assigned, published=published, root=root, halted=None)


def note_halted(db: Db, lease: Lease, code: str) -> None:
    """Note for every replica that the log does not go on, and why. Raises LeadershipLost."""
    with db.bookkeeping() as tx:
        fence(tx, lease)
        _write(tx, lease, halted=code)


def load_entries(db: Db, span: range) -> Sequence[bytes]:
    """Read the entries of `span`, in their order; those after the first MAX_READ_BYTES are left for the next time.

    Raises LogForked where one has no row.
    """
    query = text("SELECT idx, body FROM audit_event WHERE idx >= :start AND idx < :stop ORDER BY idx")
    entries: list[bytes] = []
    size = 0
    with db.read() as tx:
        while len(entries) < len(span) and size < MAX_READ_BYTES:
            start = span.start + len(entries)
            stop = min(span.stop, start + READ_ROWS)
            rows = tx.connection().execute(query, {"start": start, "stop": stop}).all()
            found = [index for index, _ in rows]
            if found != list(range(start, stop)):
                missing = next(index for index in range(start, stop) if index not in found)
                raise LogForked(
                    "the database lacks an entry that has an index",
                    found=f"no entry {missing}",
                    expected=f"entries {span.start} to {span.stop - 1}",
                    hint=RESTORE,
                )
            entries += [bytes(body) for _, body in rows]
            size += sum(len(body) for _, body in rows)
    return entries


# begins with UPDATE: of a statement that begins otherwise, Python's sqlite3 does not count the rows
def bytes_of(body: bytes | memoryview | str) -> bytes:
    """Give the bytes of an entry's column; SQLite keeps text there, too, if somebody puts it in."""
    return body.encode() if isinstance(body, str) else bytes(body)


_ASSIGN = """
UPDATE audit_event SET idx = :first + numbered.number FROM (
    SELECT position, row_number() OVER (ORDER BY position) AS number
    FROM (SELECT position FROM audit_event WHERE idx IS NULL ORDER BY position LIMIT :limit) AS pending
) AS numbered WHERE audit_event.position = numbered.position
"""


def _write(tx: Tx, lease: Lease, **values: int | bytes | str | None) -> None:
    """Set columns of the one row, which is made with the others empty where there is none."""
    sets = ", ".join(f"{name} = :{name}" for name in ("epoch", *values))
    tx.connection().execute(
        text(
            "INSERT INTO log_state (name, assigned, published, epoch) VALUES (:log, 0, 0, :epoch) "
            "ON CONFLICT (name) DO NOTHING"
        ),
        {"log": LOG, "epoch": lease.epoch},
    )
    tx.connection().execute(
        text(f"UPDATE log_state SET {sets} WHERE name = :log"),  # noqa: S608 # names of columns, ours
        {"log": LOG, "epoch": lease.epoch, **values},
    )
