"""`append`: put an event into the transaction of the change it describes. There is no other way to write an entry."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from secrets import token_bytes

import sqlalchemy
from sqlmodel import SQLModel, col, select

from tidegate.digest import Digest
from tidegate.formats.entry import MAX_ENTRY_BYTES, Entry
from tidegate.formats.jcs import JsonObject, canonical_bytes, parse_object
from tidegate_registry.audit.events import Event, timestamp
from tidegate_registry.audit.fields import MAX_LISTED
from tidegate_registry.audit.tables import AuditEventRow, LogObjectRow
from tidegate_registry.db import Tx, mark_audited
from tidegate_registry.storage.blobs import BlobKey

MAX_BODY_BYTES = 32 << 20  # of one object that waits in the database: a decision's record is the largest
MAX_ACTOR, MAX_SUBJECT = 600, 300  # characters of what the table is searched by; the entry has the whole


@dataclass(frozen=True, slots=True)
class LogObject:
    """What an entry names by `digest` and auditors must be able to fetch beside the log.

    Its bytes are `body`, or the blob `source` of the same digest, which the store copies without us reading it.
    """

    digest: Digest
    body: bytes | None = None
    source: BlobKey | None = None

    def __post_init__(self) -> None:
        if (self.body is None) == (self.source is None):
            raise ValueError("an object of the log has either its bytes or a blob to copy")
        if self.source is not None and self.source.digest != self.digest:
            raise ValueError("an object of the log is the blob of another digest")
        if self.body is not None and not (len(self.body) <= MAX_BODY_BYTES and self.digest.matches(self.body)):
            raise ValueError("an object of the log is not what its digest says, or too large to wait in the database")

    @classmethod
    def of(cls, body: bytes) -> LogObject:
        """Name bytes by their sha256."""
        return cls(Digest.of(body), body=body)


def listed(items: Sequence[str]) -> tuple[tuple[str, ...], LogObject | None]:
    """Give what an entry lists of `items`, and the object that holds all of them where they are more than that."""
    if len(items) <= MAX_LISTED:
        return tuple(items), None
    return tuple(items[:MAX_LISTED]), LogObject.of(canonical_bytes(list(items)))


def append(
    tx: Tx, event: Event, *, objects: Sequence[LogObject] = (), entropy: Callable[[int], bytes] = token_bytes
) -> str:
    """Write `event` in `tx` and give its id, which callers put into their answer.

    The id is a UUIDv7 (RFC 9562): it sorts by the event's time. The entry is canonical JSON of id, type, version, at,
    actor and data; at most MAX_ENTRY_BYTES, so what may be longer is named by digest and given as `objects`: they are
    beside the log before a checkpoint covers the entry (objects.py).
    """
    event_id = make_event_id(event.at, entropy)
    data = event.as_json()
    body = canonical_bytes(
        {
            "id": event_id,
            "version": event.entry_version,
            "type": event.type,
            "at": timestamp(event.at),
            "actor": event.actor.as_json(),
            "data": data,
        }
    )
    if len(body) > MAX_ENTRY_BYTES:
        raise ValueError(f"an audit entry of {len(body)} bytes does not fit a log tile")
    parse_object(body, limit=MAX_ENTRY_BYTES, what="an audit entry")  # what auditors could not read is not written
    _insert(tx, AuditEventRow, [_row(event, event_id, data, body)])
    _ask_for(tx, event_id, objects)
    mark_audited(tx)
    return event_id


def import_entry(tx: Tx, entry: Entry) -> None:
    """Write an entry of the published log, under its index, in the transaction that does again what it says.

    For a restore alone: the entry was appended once, by a database that is lost.
    """
    if entry.index is None:
        raise ValueError("an entry of no log cannot be imported")
    row = _row(entry, entry.id, entry.data, entry.raw)
    _insert(tx, AuditEventRow, [row | {"idx": entry.index}])
    mark_audited(tx)


def _row(what: Event | Entry, id_: str, data: JsonObject, body: bytes) -> dict[str, object]:
    return {
        "id": id_,
        "type": what.type,
        "at": what.at,
        "actor": what.actor.name[:MAX_ACTOR],
        "subject": _subject(data),
        "body": body,
    }


def _ask_for(tx: Tx, event_id: str, objects: Sequence[LogObject]) -> None:
    """Note which of `objects` are not beside the log yet.

    A row belongs to its entry, so no two transactions ever wait for each other's; two may note the same digest.
    """
    wanted = {each.digest: each for each in objects}
    if not wanted:
        return
    there = select(LogObjectRow.digest).where(
        col(LogObjectRow.digest).in_(wanted), col(LogObjectRow.stored_at).is_not(None)
    )
    for digest in tx.exec(there):
        wanted.pop(Digest(digest), None)
    rows = [
        {
            "entry": event_id,
            "digest": each.digest,
            "body": each.body,
            "namespace": each.source.namespace if each.source else None,
        }
        for each in wanted.values()
    ]
    if rows:
        _insert(tx, LogObjectRow, rows)


def _insert(tx: Tx, table: type[SQLModel], rows: Sequence[Mapping[str, object]]) -> None:
    """Insert without the ORM, which takes seven times as long: this is in every transaction that writes."""
    statement = sqlalchemy.insert(table).inline()
    tx.connection().execute(statement, list(rows) if len(rows) > 1 else rows[0])


def entries(tx: Tx, *, type_: str | None = None, after: int = 0, limit: int = 100) -> Sequence[AuditEventRow]:
    """Give up to `limit` entries whose position is above `after`, in the order in which they were written."""
    query = select(AuditEventRow).where(col(AuditEventRow.position) > after).order_by(col(AuditEventRow.position))
    return tx.exec((query if type_ is None else query.where(AuditEventRow.type == type_)).limit(limit)).all()


def make_event_id(at: datetime, entropy: Callable[[int], bytes]) -> str:
    """Make a UUIDv7 of the millisecond `at` and 74 random bits. Source: RFC 9562 section 5.7."""
    milliseconds = int(at.timestamp() * 1000)
    number = (milliseconds << 80) | int.from_bytes(entropy(10))
    number = number & ~(0xF << 76) | (0x7 << 76)
    number = number & ~(0x3 << 62) | (0x2 << 62)
    return str(uuid.UUID(int=number))


def _subject(data: JsonObject) -> str | None:
    repository = data.get("repository")
    return repository[:MAX_SUBJECT] if isinstance(repository, str) else None
