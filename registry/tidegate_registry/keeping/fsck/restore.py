"""Puts the right bytes of a digest back, from an OCI image layout or an archive of one."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sqlmodel import col, select, update

from tidegate.bundle.layout import Layout
from tidegate.digest import CHUNK_BYTES, Digest
from tidegate.errors import TidegateError
from tidegate.formats.manifest import MAX_MANIFEST_BYTES, Manifest
from tidegate_registry.artifacts import naming
from tidegate_registry.artifacts.store import insert_manifest, release_closure
from tidegate_registry.artifacts.tables import BlobLinkRow, BlobRow, ManifestEdgeRow, ManifestRow
from tidegate_registry.audit import service as audit
from tidegate_registry.db import insert_once
from tidegate_registry.keeping import claims
from tidegate_registry.keeping.events import ObjectRestored, RecordRepaired
from tidegate_registry.keeping.fsck.findings import OF_OBJECTS, Finding, Problem
from tidegate_registry.keeping.fsck.records import derived
from tidegate_registry.storage.blobs import BlobKey

if TYPE_CHECKING:
    from tidegate_registry.audit.events import Actor
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services


def restore(app: Services, actor: Actor, finding: Finding, layout: Layout) -> bool:
    """Put back what `finding` says is missing or altered, if `layout` holds it; say whether that was done.

    The layout's bytes are hashed before and the store checks them again. Raises StoreUnavailable.
    """
    if finding.problem in OF_OBJECTS | {Problem.CONTENT_MISSING}:
        return _restore_object(app, actor, finding, layout)
    if finding.problem in (Problem.MANIFEST_BYTES, Problem.MEMBER_MISSING):
        return _restore_manifest(app, actor, finding, layout)
    return False


def _restore_object(app: Services, actor: Actor, finding: Finding, layout: Layout) -> bool:
    digest = Digest(finding.digest)
    key = BlobKey(finding.namespace, digest)
    measured = _measure(layout, digest) if layout.has(digest) else None
    if measured is None:
        return False
    size, sha256 = measured
    claims.claim(app, f"{key.namespace}/", [digest])
    with layout.open_blob(digest) as body:
        app.blobs.replace(key, body, size=size, sha256=sha256)
    now = app.clock()
    event = ObjectRestored(
        at=now,
        actor=actor,
        namespace=key.namespace,
        digest=digest,
        size=size,
        was=f"{finding.problem}: {finding.found}",
        source=layout.path.name,
    )
    with app.db.begin() as tx:
        if finding.problem is Problem.CONTENT_MISSING:  # its row is gone as well
            claims.confirm(tx, finding.where, [digest], now=now)
            insert_once(tx, BlobRow(namespace=key.namespace, digest=digest, size=size, created_at=now))
            insert_once(tx, BlobLinkRow(repository=finding.where, digest=digest, namespace=key.namespace))
        row = tx.get(BlobRow, (key.namespace, digest))
        if row is not None and row.size != size:  # the digest says what is right, whatever the row said
            row.size = size
            tx.add(row)
        audit.append(tx, event, entropy=app.entropy)
    finding.done = f"restored from {layout.path.name}"
    return True


def _measure(layout: Layout, digest: Digest) -> tuple[int, Digest] | None:
    """Give size and sha256 of the layout's blob; None where it is not what its name says."""
    hashes = {name: hashlib.new(name) for name in {"sha256", digest.algorithm}}
    size = 0
    with layout.open_blob(digest) as body:
        while chunk := body.read(CHUNK_BYTES):
            size += len(chunk)
            for each in hashes.values():
                each.update(chunk)
    if hashes[digest.algorithm].hexdigest() != digest.hex:
        return None
    return size, Digest(f"sha256:{hashes['sha256'].hexdigest()}")


def _restore_manifest(app: Services, actor: Actor, finding: Finding, layout: Layout) -> bool:
    digest = Digest(finding.digest)
    if not layout.has(digest):
        return False
    try:
        manifest = Manifest.parse(layout.read_blob(digest, MAX_MANIFEST_BYTES), algorithm=digest.algorithm)
    except TidegateError:  # the layout's copy is altered, too
        return False
    done = f"restored from {layout.path.name}"
    event = RecordRepaired(
        at=app.clock(),
        actor=actor,
        repository=finding.where,
        digest=digest,
        problem=str(finding.problem),
        what=done,
    )
    claims.claim(app, finding.where, {digest, *(item.digest for item in (*manifest.blobs, *manifest.manifests))})
    with app.db.begin() as tx:
        naming.lock_agent(tx, finding.where, app.clock())
        if finding.problem is Problem.MEMBER_MISSING:
            insert_manifest(tx, app, finding.where, manifest, now=app.clock())
            if _is_of_a_release(tx, finding):
                release_closure(tx, finding.where, digest)
        tx.exec(
            update(ManifestRow)
            .where(col(ManifestRow.repository) == finding.where, col(ManifestRow.digest) == digest)
            .values(raw=manifest.raw, **derived(manifest))
        )
        audit.append(tx, event, entropy=app.entropy)
    finding.done = done
    return True


def _is_of_a_release(tx: Tx, finding: Finding) -> bool:
    query = (
        select(ManifestRow.digest)
        .join(
            ManifestEdgeRow,
            (col(ManifestEdgeRow.repository) == ManifestRow.repository)
            & (col(ManifestEdgeRow.parent) == ManifestRow.digest),
        )
        .where(
            ManifestRow.repository == finding.where,
            ManifestEdgeRow.child == finding.digest,
            col(ManifestRow.released).is_(True),
        )
    )
    return tx.exec(query).first() is not None
