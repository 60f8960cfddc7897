"""`append`: put an event into the transaction of the change it describes. There is no other way to write an entry."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from datetime import datetime
from secrets import token_bytes

from sqlmodel import col, select

from tidegate.formats.jcs import JsonObject, canonical_bytes, parse_object
from tidegate_registry.audit.events import Event, timestamp
from tidegate_registry.audit.tables import AuditEventRow
from tidegate_registry.db import Tx, mark_audited

ENTRY_VERSION = 1
MAX_ENTRY_BYTES = 64 << 10  # C2SP tlog-tiles: the length of an entry in an entry bundle is 16 bits


def append(tx: Tx, event: Event, *, entropy: Callable[[int], bytes] = token_bytes) -> str:
    """Write `event` in `tx` and give its id, which callers put into their answer.

    The id is a UUIDv7 (RFC 9562): it sorts by the event's time. The entry is canonical JSON of id, type, version, at,
    actor and data; at most MAX_ENTRY_BYTES, so an event's lists are bounded by whoever makes it.
    """
    event_id = make_event_id(event.at, entropy)
    data = event.as_json()
    body = canonical_bytes(
        {
            "id": event_id,
            "version": ENTRY_VERSION,
            "type": event.type,
            "at": timestamp(event.at),
            "actor": {"kind": event.actor.kind, "issuer": event.actor.issuer, "name": event.actor.name},
            "data": data,
        }
    )
    if len(body) >= MAX_ENTRY_BYTES:
        raise ValueError(f"an audit entry of {len(body)} bytes does not fit a log tile")
    parse_object(body, limit=MAX_ENTRY_BYTES, what="an audit entry")  # what auditors could not read is not written
    tx.add(
        AuditEventRow(
            id=event_id, type=event.type, at=event.at, actor=event.actor.name[:600], subject=_subject(data), body=body
        )
    )
    mark_audited(tx)
    return event_id


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
    return repository if isinstance(repository, str) else None
