"""Releases written again from the entries that admitted them, with the manifests that are kept beside the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlmodel import col, delete, select

from tidegate.digest import Digest
from tidegate.errors import TidegateError
from tidegate.formats.entry import parse_entry
from tidegate.formats.jcs import canonical_bytes, parse_object
from tidegate.formats.manifest import MAX_MANIFEST_BYTES, Manifest
from tidegate.policy.inputs_json import caller_json
from tidegate.policy.record import MAX_RECORD_BYTES
from tidegate.verify.admission_record import parse_admission_record
from tidegate_registry.artifacts import naming
from tidegate_registry.artifacts.blobs import ensure_repository
from tidegate_registry.artifacts.events import BlobStored, ReleaseAdmitted, WorkingTagMoved
from tidegate_registry.artifacts.names import namespace_of, sort_key
from tidegate_registry.artifacts.pending import drop_named
from tidegate_registry.artifacts.store import release_closure, write_manifest
from tidegate_registry.artifacts.tables import BlobLinkRow, BlobRow, ManifestRow, ReleaseRow, WorkingTagRow
from tidegate_registry.audit.tables import AuditEventRow
from tidegate_registry.db import insert_once
from tidegate_registry.storage.blobs import BlobKey

if TYPE_CHECKING:
    from datetime import datetime

    from tidegate_registry.audit.redo import Redoing, RedoTable


def restore_manifest(doing: Redoing, repository: str, digest: Digest, *, released: bool) -> str | None:
    """Write a manifest that is kept beside the log, and what the store has of what it names. Says what is lacking."""
    if doing.tx.get(ManifestRow, (repository, digest)) is not None:
        return None
    raw = doing.fetch(digest, MAX_MANIFEST_BYTES)
    if raw is None:
        return f"{repository}@{digest}: the manifest is not beside the log"
    try:
        manifest = Manifest.parse(raw, algorithm=digest.algorithm)
    except TidegateError as error:  # its digest is right: it was stored so
        return f"{repository}@{digest}: {error}"
    ensure_repository(doing.tx, repository, doing.entry.at)
    for item in manifest.blobs:
        _restore_blob(doing, repository, item.digest, doing.entry.at)
    write_manifest(doing.tx, repository, manifest, now=doing.entry.at, released=released)
    return None


def _admitted(doing: Redoing) -> str | None:
    said = doing.event(ReleaseAdmitted)
    name, digest = f"{said.repository}:{said.version}", Digest.parse(said.digest)
    known = naming.find_release(doing.tx, said.repository, said.version)
    if known is not None:
        return None if known.digest == digest else f"{name} names {known.digest} here, and {digest} in the log"
    lacking = restore_manifest(doing, said.repository, digest, released=True)
    if lacking is not None:
        return lacking
    facts = _facts(doing, said)
    if facts is None:
        return f"{name}: what its admission remembered is not beside the log"
    doing.tx.add(
        ReleaseRow(
            repository=said.repository,
            version=said.version,
            sort_key=sort_key(said.version),
            digest=digest,
            number=naming.count_releases(doing.tx, said.repository) + 1,
            facts=facts,
            event_id=doing.entry.id,
            admitted_at=said.at,
        )
    )
    doing.tx.flush()
    release_closure(doing.tx, said.repository, digest)
    drop_named(doing.tx, said.repository, said.version, digest)
    return None


def _facts(doing: Redoing, said: ReleaseAdmitted) -> bytes | None:
    """Give what the release's row remembers: the entry has it, but for who published it, which the record has."""
    facts = doing.entry.data.get("facts")
    if said.facts_object is not None:
        raw = doing.fetch(Digest.parse(said.facts_object), naming.MAX_FACTS_BYTES)
        facts = None if raw is None else parse_object(raw, limit=naming.MAX_FACTS_BYTES, what="the facts of a release")
    record = None if said.decision is None else _record(doing, said.decision)
    if not isinstance(facts, dict) or record is None:
        return None
    return canonical_bytes({**facts, naming.AUTHOR: caller_json(parse_admission_record(record).caller)})


def _record(doing: Redoing, decision: str) -> bytes | None:
    row = doing.tx.exec(select(AuditEventRow.body).where(AuditEventRow.id == decision)).first()
    named = None if row is None else parse_entry(row).data.get("record")
    return doing.fetch(Digest.parse(named), MAX_RECORD_BYTES) if isinstance(named, str) else None


def _stored(doing: Redoing) -> str | None:
    said = doing.event(BlobStored)
    ensure_repository(doing.tx, said.repository, said.at)
    digest = Digest.parse(said.digest)
    if _restore_blob(doing, said.repository, digest, said.at):
        namespace = namespace_of(said.repository)
        insert_once(doing.tx, BlobLinkRow(repository=said.repository, digest=digest, namespace=namespace))
    return None  # one that is not there was collected since


def _tagged(doing: Redoing) -> str | None:
    said = doing.event(WorkingTagMoved)
    if doing.tx.get(ManifestRow, (said.repository, said.digest)) is None:
        return f"working tag {said.repository}:{said.tag}: the manifest {said.digest} was in quarantine; push it again"
    doing.tx.exec(
        delete(WorkingTagRow).where(
            col(WorkingTagRow.repository) == said.repository, col(WorkingTagRow.tag) == said.tag
        )
    )
    doing.tx.add(
        WorkingTagRow(
            repository=said.repository,
            tag=said.tag,
            sort_key=sort_key(said.tag),
            digest=said.digest,
            moved_at=said.at,
        )
    )
    doing.tx.flush()
    return None


def _restore_blob(doing: Redoing, repository: str, digest: Digest, now: datetime) -> bool:
    """Write the row of a blob that the store has; say whether it has it."""
    namespace = namespace_of(repository)
    if doing.tx.get(BlobRow, (namespace, digest)) is not None:
        return True
    stored = doing.app.blobs.stat(BlobKey(namespace, digest))
    if stored is None:
        return False
    insert_once(doing.tx, BlobRow(namespace=namespace, digest=digest, size=stored.size, created_at=now))
    return True


REDO: Final[RedoTable] = {BlobStored.type: _stored, ReleaseAdmitted.type: _admitted, WorkingTagMoved.type: _tagged}
