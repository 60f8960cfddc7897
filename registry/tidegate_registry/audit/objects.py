"""What entries name by digest, put beside the log before a checkpoint covers the entry.

An object is asked for in the transaction of its entry (service.append) and lies with it in the database until it is
stored, or is a blob that the store copies. Written create-only under its digest, so any number of replicas may do it at
once, and again after a crash.

What cannot be stored, as its blob is gone or altered, or other bytes lie under its digest, is told loudly (an error in
the operator's log, and once an entry, `log.object-missing`) and tried again every minute: an operator may put the blob
back. The log itself goes on: a lost object must not keep later entries from auditors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from sqlmodel import and_, col, or_, select, update

from tidegate.digest import Digest
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import SYSTEM, Event
from tidegate_registry.audit.fields import DigestText, EventId, Namespace, Word
from tidegate_registry.audit.tables import AuditEventRow, LogObjectRow
from tidegate_registry.logs import get_logger
from tidegate_registry.storage.blobs import BlobKey, BlobMissing, LogKey, StoredBytesDiffer

if TYPE_CHECKING:
    from tidegate_registry.services import Services

log = get_logger()

ROWS = 200  # looked at together, without their bodies
AT_ONCE = (
    8  # stored at the same time: so many bodies are in memory, and a store that is far away does not hold up the log
)
AGAIN = timedelta(minutes=1)  # before what was missing is looked for again


@dataclass(frozen=True, kw_only=True)
class ObjectMissing(Event):
    """What an entry names could not be put beside the log: an auditor cannot fetch it. `problem`: the error's code."""

    type: ClassVar[str] = "log.object-missing"

    entry: EventId
    digest: DigestText
    problem: Word


@dataclass(frozen=True, slots=True)
class _Pending:
    entry: EventId
    digest: Digest
    namespace: Namespace | None


def store_objects(app: Services, *, below: int | None = None) -> int:
    """Store what entries committed so far ask for; give how many objects were stored. Blocks; in a thread.

    `below`: only what entries with a smaller index ask for, so that there is an end to it however fast others come.
    When it returns, every object of these entries is stored or was found missing. Raises StoreUnavailable or StoreFull,
    and DatabaseUnavailable: then call it again before publishing.
    """
    stored = 0
    last: tuple[str, str] | None = None
    while page := _pending(app, last, below):
        done: set[Digest] = set()
        for some in _batches(page):
            left = [found for found in some if found.digest not in done]
            done |= _store_all(app, left)
        stored += len(done)
        last = page[-1].entry, page[-1].digest
    return stored


def _batches(page: Sequence[_Pending]) -> Iterator[list[_Pending]]:
    """Give what is stored at the same time: a few, each digest once, as two entries may have two places for one."""
    some: dict[Digest, _Pending] = {}
    for found in page:
        if len(some) == AT_ONCE or found.digest in some:
            yield [*some.values()]
            some = {}
        some[found.digest] = found
    yield [*some.values()]


def _store_all(app: Services, some: Sequence[_Pending]) -> set[Digest]:
    """Store a few at the same time, and note what became of each; give those that are stored now."""
    futures = [app.store_crew.submit(_store, app, found) for found in some]
    errors = [future.exception() for future in futures]
    done = {found.digest for found, error in zip(some, errors, strict=True) if error is None}
    if done:
        _note_stored(app, done)
    for found, error in zip(some, errors, strict=True):
        if isinstance(error, (BlobMissing, StoredBytesDiffer)):
            log.error("log.object_missing", entry=found.entry, digest=found.digest, problem=error.code)
            _note_missing(app, found, error.code)
        elif error is not None:
            raise error
    return done


def _pending(app: Services, last: tuple[str, str] | None, below: int | None) -> list[_Pending]:
    """Give what is to be stored, in the order of the entries, from `last` on: some rows at a time."""
    row = LogObjectRow
    due = or_(col(row.missing_at).is_(None), col(row.missing_at) <= app.clock() - AGAIN)
    query = select(row.entry, row.digest, row.namespace).where(col(row.stored_at).is_(None), due)
    if below is not None:
        query = query.join(AuditEventRow, col(AuditEventRow.id) == row.entry).where(col(AuditEventRow.idx) < below)
    if last is not None:
        query = query.where(or_(col(row.entry) > last[0], and_(col(row.entry) == last[0], col(row.digest) > last[1])))
    with app.db.read() as tx:
        rows = tx.exec(query.order_by(col(row.entry), col(row.digest)).limit(ROWS)).all()
    return [_Pending(entry, Digest(digest), namespace) for entry, digest, namespace in rows]


def _store(app: Services, found: _Pending) -> None:
    target = LogKey.of_object(found.digest)
    if found.namespace is not None:
        app.blobs.copy(BlobKey(found.namespace, found.digest), target)
        return
    with app.db.read() as tx:
        body = tx.exec(
            select(LogObjectRow.body).where(LogObjectRow.digest == found.digest, LogObjectRow.entry == found.entry)
        ).first()
    if body is None:  # another replica has stored it since
        return
    if not found.digest.matches(body):
        raise StoredBytesDiffer("the database holds other bytes than the digest says", found=Digest.of(body))
    app.blobs.put(target, body, size=len(body), sha256=Digest.of(body))


def _note_stored(app: Services, digests: AbstractSet[Digest]) -> None:
    row = LogObjectRow
    with app.db.scratch() as tx:
        tx.exec(
            update(row)
            .where(col(row.digest).in_(sorted(digests)), col(row.stored_at).is_(None))
            .values(stored_at=app.clock(), body=None, missing_at=None)
        )


def _note_missing(app: Services, found: _Pending, problem: str) -> None:
    now, row = app.clock(), LogObjectRow
    with app.db.begin() as tx:
        told = select(row.entry).where(row.digest == found.digest, col(row.missing_at).is_not(None)).limit(1)
        is_news = tx.exec(told).first() is None
        tx.exec(
            update(row)
            .where(col(row.entry) == found.entry, col(row.digest) == found.digest, col(row.stored_at).is_(None))
            .values(missing_at=now)
        )
        if is_news:
            event = ObjectMissing(at=now, actor=SYSTEM, entry=found.entry, digest=found.digest, problem=problem)
            audit.append(tx, event, entropy=app.entropy)
