"""Puts right what the registry can prove by itself. Never removes an object, a manifest or a release."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, delete, update

from tidegate.digest import Digest
from tidegate.formats.manifest import Manifest
from tidegate_registry.artifacts import naming
from tidegate_registry.artifacts.store import release_closure
from tidegate_registry.artifacts.tables import BlobLinkRow, BlobRow, ManifestEdgeRow, ManifestRow
from tidegate_registry.audit import service as audit
from tidegate_registry.db import insert_once
from tidegate_registry.keeping import claims
from tidegate_registry.keeping.events import RecordRepaired
from tidegate_registry.keeping.fsck.findings import REPAIRS, Finding, Problem
from tidegate_registry.keeping.fsck.records import derived
from tidegate_registry.storage.blobs import BlobKey

if TYPE_CHECKING:
    from datetime import datetime

    from tidegate_registry.audit.events import Actor
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services


def repair(app: Services, actor: Actor, finding: Finding) -> bool:
    """Do what REPAIRS says about `finding`, in one transaction with its entry; say whether it could be done."""
    if finding.problem not in REPAIRS:
        return False
    size = None
    if finding.problem is Problem.BLOB_ROW_MISSING:
        claims.claim(app, finding.where, [finding.digest])
        size = _proven_size(app, finding)
        if size is None:
            return False
    now = app.clock()
    with app.db.begin() as tx:
        naming.lock_agent(tx, finding.where, now)
        what = _change(tx, finding, size, now)
        if what is None:
            return False
        event = RecordRepaired(
            at=now,
            actor=actor,
            repository=finding.where,
            digest=finding.digest,
            problem=str(finding.problem),
            what=what,
        )
        audit.append(tx, event, entropy=app.entropy)
    finding.done = what
    return True


def _change(tx: Tx, finding: Finding, size: int | None, now: datetime) -> str | None:
    agent, digest, namespace = finding.where, finding.digest, finding.namespace
    match finding.problem:
        case Problem.BLOB_ROW_MISSING if size is not None:
            claims.confirm(tx, agent, [digest], now=now)
            insert_once(tx, BlobRow(namespace=namespace, digest=digest, size=size, created_at=now))
            insert_once(tx, BlobLinkRow(repository=agent, digest=digest, namespace=namespace))
            return "wrote the blob's row again"
        case Problem.LINK_MISSING:
            if tx.get(BlobRow, (namespace, digest)) is None:
                return None
            insert_once(tx, BlobLinkRow(repository=agent, digest=digest, namespace=namespace))
            return "wrote the link"
        case Problem.LINK_OF_NOTHING:
            if tx.get(BlobRow, (namespace, digest)) is not None:
                return None  # sent again meanwhile
            tx.exec(delete(BlobLinkRow).where(col(BlobLinkRow.repository) == agent, col(BlobLinkRow.digest) == digest))
            return "removed the link"
        case Problem.EDGE_MISSING:
            if tx.get(ManifestRow, (agent, digest)) is None:
                return None
            insert_once(tx, ManifestEdgeRow(repository=agent, parent=digest, child=finding.expected))
            return f"wrote that it names {finding.expected}"
        case Problem.MANIFEST_ROW:
            return _derive(tx, agent, Digest(digest))
        case Problem.RELEASE_QUARANTINED:
            release_closure(tx, agent, Digest(digest))
            return "set free what it reaches"
    return None


def _derive(tx: Tx, agent: str, digest: Digest) -> str | None:
    row = tx.get(ManifestRow, (agent, digest))
    if row is None or not digest.matches(row.raw):
        return None
    values = derived(Manifest.parse(row.raw, algorithm=digest.algorithm))
    tx.exec(
        update(ManifestRow)
        .where(col(ManifestRow.repository) == agent, col(ManifestRow.digest) == digest)
        .values(**values)
    )
    return "wrote again what it repeats of its bytes"


def _proven_size(app: Services, finding: Finding) -> int | None:
    """Read the object: a row says that these bytes were checked."""
    digest = Digest(finding.digest)
    stored, _, named = app.blobs.measure(BlobKey(finding.namespace, digest), digest.algorithm)
    return stored.size if named == digest else None
