"""Rows and the entries that say how they came about, both ways: none without the other, and both say the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy
from sqlmodel import col, select

from tidegate.errors import TidegateError
from tidegate.formats.entry import MAX_ENTRY_BYTES
from tidegate.formats.jcs import JsonObject, parse_object
from tidegate_registry.artifacts.events import ReleaseAdmitted, ReleasePending
from tidegate_registry.artifacts.tables import ManifestRow, PendingTagRow, ReleaseRow
from tidegate_registry.audit.tables import AuditEventRow
from tidegate_registry.evidence.events import EvidenceVerified
from tidegate_registry.evidence.tables import EvidenceRow
from tidegate_registry.keeping.fsck.findings import Finding, Problem

if TYPE_CHECKING:
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

ROWS = 500  # read at once; an entry has up to 64 KiB


@dataclass(frozen=True, slots=True)
class _Kind:
    """A table whose rows have an entry each. `digest`: the column of what they are about; `same`: what both say."""

    table: type[ReleaseRow | EvidenceRow | PendingTagRow]
    type: str
    digest: str
    same: tuple[str, ...]


_RELEASE = _Kind(ReleaseRow, ReleaseAdmitted.type, "digest", ("repository", "version", "digest"))
_PENDING = _Kind(PendingTagRow, ReleasePending.type, "digest", ("repository", "version", "digest"))
_EVIDENCE = _Kind(
    EvidenceRow,
    EvidenceVerified.type,
    "manifest",
    ("repository", "subject", "manifest", "bundle", "payload", "predicate_type", "role", "root", "issuer", "identity"),
)


def check_entries(app: Services) -> Iterator[Finding]:
    """Compare releases, evidence and waiting tags with the audit log."""
    for kind in (_RELEASE, _EVIDENCE, _PENDING):
        yield from _check_rows(app, kind)
    for kind in (_RELEASE, _EVIDENCE):
        yield from _check_log(app, kind)


def _check_rows(app: Services, kind: _Kind) -> Iterator[Finding]:
    table = kind.table
    values = [getattr(table, name) for name in kind.same]
    query = (
        sqlalchemy.select(col(table.event_id), AuditEventRow.type, AuditEventRow.body, *values)  # type: ignore[call-overload]
        .outerjoin(AuditEventRow, col(AuditEventRow.id) == table.event_id)
        .order_by(col(table.event_id))
    )
    after = ""
    while True:
        with app.db.read() as tx:
            rows = tx.connection().execute(query.where(col(table.event_id) > after).limit(ROWS)).all()
        for event_id, type_, body, *found in rows:
            row = dict(zip(kind.same, found, strict=True))
            yield from _check_row(kind, row, event_id, _data(body) if type_ == kind.type else None)
        if len(rows) < ROWS:
            return
        after = rows[-1][0]


def _check_row(kind: _Kind, row: Mapping[str, str], event_id: str, said: JsonObject | None) -> Iterator[Finding]:
    where, digest = row["repository"], row[kind.digest]
    breaks = (f"{where}:{row['version']}",) if kind is _RELEASE else ()
    if said is None:
        name = f"{kind.type} of {row.get('version', 'evidence')}"
        yield Finding(Problem.ENTRY_MISSING, where, digest, f"no entry {event_id}", name, breaks)
        return
    for name in kind.same:
        if said.get(name) != row[name]:
            told = f"{said.get(name)}, as entry {event_id} says"
            yield Finding(Problem.ENTRY_DIFFERS, where, digest, f"{name} {row[name]}", told, breaks)


def _check_log(app: Services, kind: _Kind) -> Iterator[Finding]:
    """Find entries whose row is gone: nothing that the registry does takes one away and leaves its manifest."""
    query = (
        select(AuditEventRow)
        .where(AuditEventRow.type == kind.type, col(AuditEventRow.id).not_in(select(kind.table.event_id)))
        .order_by(col(AuditEventRow.position))
    )
    after = 0
    while True:
        with app.db.read() as tx:
            rows = tx.exec(query.where(col(AuditEventRow.position) > after).limit(ROWS)).all()
            for row in rows:
                yield from _check_entry(tx, kind, row)
        if len(rows) < ROWS:
            return
        after = rows[-1].position or 0


def _check_entry(tx: Tx, kind: _Kind, entry: AuditEventRow) -> Iterator[Finding]:
    said = _data(entry.body)
    if said is None:
        yield Finding(Problem.ENTRY_DIFFERS, entry.subject or "registry", "", f"entry {entry.id}", "a readable one")
        return
    where, digest = str(said.get("repository")), str(said.get(kind.digest))
    if kind is _EVIDENCE and not _lacks_evidence(tx, where, digest):
        return
    name = f"{where}:{said.get('version')}" if kind is _RELEASE else f"evidence about {said.get('subject')}"
    breaks = (name,) if kind is _RELEASE else ()
    yield Finding(Problem.RECORD_MISSING, where, digest, "no row", f"{name}, as entry {entry.id} says", breaks)


def _lacks_evidence(tx: Tx, repository: str, manifest: str) -> bool:
    """Whether a referrer is there without its row; one that was collected, or came again, is none of them."""
    if tx.get(ManifestRow, (repository, manifest)) is None:
        return False
    query = select(EvidenceRow.signature).where(EvidenceRow.repository == repository, EvidenceRow.manifest == manifest)
    return tx.exec(query).first() is None


def _data(body: bytes | None) -> JsonObject | None:
    try:
        data = parse_object(body or b"", limit=MAX_ENTRY_BYTES, what="an audit entry").get("data")
    except TidegateError:
        return None
    return data if isinstance(data, dict) else None
