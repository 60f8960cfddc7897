"""The high-water mark: an object in the bucket that says how far the audit log of the database had come.

A database that was restored from an old dump does not know what it has lost. The bucket does: releases that were
admitted since have their blobs there, and nothing names them any more. So the last entry is noted in the bucket, about
once a minute and at shutdown, and a registry does not start on a database that does not hold the noted entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import col, select

from tidegate.errors import Conflict, InvalidInput
from tidegate.formats.jcs import JsonObject, canonical_bytes, parse_object
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.tables import AuditEventRow
from tidegate_registry.keeping.events import LossAccepted
from tidegate_registry.storage.blobs import StateKey

if TYPE_CHECKING:
    from tidegate_registry.audit.events import Actor
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

MARK = StateKey("high-water.json")
MAX_MARK_BYTES = 1 << 10
MAX_REASON = 1000  # characters


class DatabaseBehind(Conflict):
    """The database does not hold an entry that was written before: it is older than the bucket, or another one's."""

    code = "database-behind"


class MarkInvalid(InvalidInput):
    """The high-water mark is not of the form that it has."""

    code = "high-water-mark-invalid"


class MarkMissing(Conflict):
    """The bucket has no mark, so nothing says that this database is the one that knows what the bucket holds."""

    code = "high-water-mark-missing"


class NothingLost(Conflict):
    """There is no loss to accept: the database holds the noted entry."""

    code = "nothing-lost"


@dataclass(frozen=True, slots=True)
class Mark:
    """An entry of the audit log. `position`: in the order of writing; not each number has an entry."""

    position: int
    entry: str


def check_not_behind(app: Services) -> None:
    """Check that the database holds the entry that the bucket notes. Raises DatabaseBehind, MarkInvalid."""
    noted = _fetch(app)
    if noted is not None:
        with app.db.read() as tx:
            _demand(tx, noted[0])


def check_is_own(app: Services) -> None:
    """Check the same, and that there is a mark: to a database that is another one's, all of a bucket is left over.

    Raises MarkMissing, DatabaseBehind, MarkInvalid.
    """
    noted = _fetch(app)
    if noted is None:
        raise MarkMissing(
            "nothing says that this database is the bucket's",
            expected=f"the high-water mark, {MARK.path}",
            hint="if database_url and bucket are right, start the registry: "
            "it writes the mark within a minute of its first entry",
        )
    with app.db.read() as tx:
        _demand(tx, noted[0])


def note_progress(app: Services) -> None:
    """Raise the mark to the last entry; a replica that lags never lowers it. Raises DatabaseBehind, MarkInvalid."""
    noted = _fetch(app)
    with app.db.read() as tx:
        last = last_entry(tx)
        if noted is not None:
            _demand(tx, noted[0])
    if last is None or (noted is not None and noted[0].position >= last.position):
        return
    app.blobs.write(MARK, _raw(last), replaces=noted[1] if noted else None)  # lost to another one: next time


def accept_loss(app: Services, actor: Actor, reason: str) -> Mark:
    """Go on with this database although entries are missing, with an entry that says so. Gives what the mark said.

    Raises NothingLost, MarkInvalid, DatabaseBehind where another process changed the mark meanwhile.
    """
    if not 0 < len(reason.strip()) <= MAX_REASON:
        raise InvalidInput(
            "accepting a loss needs a reason", code="reason-missing", expected=f"1 to {MAX_REASON} characters"
        )
    noted = _fetch(app)
    if noted is None:
        raise NothingLost("the bucket has no high-water mark", hint="nothing has to be accepted: start the registry")
    mark, etag = noted
    with app.db.begin() as tx:
        if _holds(tx, mark):
            raise NothingLost("the database holds the entry that the bucket notes", found=mark.entry)
        last = last_entry(tx)
        event = LossAccepted(
            at=app.clock(),
            actor=actor,
            marked_position=mark.position,
            marked_entry=mark.entry,
            position=last.position if last else 0,
            reason=reason.strip(),
        )
        audit.append(tx, event, entropy=app.entropy)
        tx.flush()
        last = last_entry(tx)
    if last is None or not app.blobs.write(MARK, _raw(last), replaces=etag):
        raise DatabaseBehind("another process changed the high-water mark", hint="stop all of them, and try again")
    return mark


def last_entry(tx: Tx) -> Mark | None:
    """Give the last entry of the audit log; None if there is none."""
    row = tx.exec(select(AuditEventRow).order_by(col(AuditEventRow.position).desc()).limit(1)).first()
    return None if row is None else Mark(row.position or 0, row.id)


def _demand(tx: Tx, mark: Mark) -> None:
    if _holds(tx, mark):
        return
    last = last_entry(tx)
    behind = mark.position - (last.position if last else 0)
    raise DatabaseBehind(
        "the database does not hold what it held before",
        found=f"{f'about {behind} entries are missing' if behind > 0 else 'another history'}; "
        f"the last one is {last.entry if last else 'none'}",
        expected=f"entry {mark.entry}, at position {mark.position}",
        hint="restore a newer dump; or see with `tidegate-registry fsck` what is left, and go on without the rest: "
        "`tidegate-registry accept-loss --reason TEXT`",
    )


def _holds(tx: Tx, mark: Mark) -> bool:
    return tx.exec(select(AuditEventRow.id).where(AuditEventRow.id == mark.entry)).first() is not None


def _fetch(app: Services) -> tuple[Mark, str] | None:
    """Read the mark and its ETag."""
    found = app.blobs.read(MARK, limit=MAX_MARK_BYTES)
    if found is None:
        return None
    raw, etag = found
    document = parse_object(raw, limit=MAX_MARK_BYTES, what="the high-water mark")
    position, entry = document.get("position"), document.get("entry")
    if not isinstance(position, int) or isinstance(position, bool) or not isinstance(entry, str):
        raise MarkInvalid(
            "the high-water mark in the bucket is not one",
            found=repr(document)[:200],
            expected="position and entry",
            hint=f"somebody wrote to {MARK.path}; restore it from a version or a copy of the bucket",
        )
    return Mark(position, entry), etag


def _raw(mark: Mark) -> bytes:
    document: JsonObject = {"position": mark.position, "entry": mark.entry}
    return canonical_bytes(document)
