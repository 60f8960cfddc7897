"""Manifest rows: written once with what they reach, and set free from quarantine together with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, func, select, update

from tidegate.digest import Digest
from tidegate.formats.jcs import canonical_bytes
from tidegate.formats.manifest import Descriptor
from tidegate.formats.mediatypes import NON_DISTRIBUTABLE
from tidegate_registry.artifacts.names import namespace_of
from tidegate_registry.artifacts.tables import BlobLinkRow, BlobRow, ManifestEdgeRow, ManifestRow
from tidegate_registry.db import insert_once
from tidegate_registry.evidence.tables import EvidenceRow
from tidegate_registry.keeping import claims, quota

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tidegate.formats.manifest import Manifest
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services


def insert_manifest(
    tx: Tx,
    app: Services,
    repository: str,
    manifest: Manifest,
    *,
    now: datetime,
    released: bool = False,
    verified: bool = False,
) -> bool:
    """Write the manifest's row and edges unless they are there; say whether they were written.

    `verified`: it attaches evidence that was verified, so it is readable at once if its subject is. Whatever else
    claims a subject stays in quarantine: the claim is its author's alone. Call `naming.lock_agent` first, and
    `keeping.claims.claim` before looking whether what it names is there. Raises BlobBeingRemoved, ClaimLapsed,
    QuotaExceeded.
    """
    if tx.get(ManifestRow, (repository, manifest.digest)) is not None:
        return False
    children = {item.digest for item in (*manifest.blobs, *manifest.manifests)}
    claims.confirm(tx, repository, children, now=now)
    quota.charge(tx, app, repository, len(manifest.raw))
    free = released or (verified and _is_about_a_release(tx, repository, manifest))
    write_manifest(tx, repository, manifest, now=now, released=free)
    return True


def write_manifest(tx: Tx, repository: str, manifest: Manifest, *, now: datetime, released: bool) -> None:
    """Write row, edges and links of a manifest that is not there, whatever it names."""
    children = {item.digest for item in (*manifest.blobs, *manifest.manifests)}
    namespace = namespace_of(repository)
    tx.add(
        ManifestRow(
            repository=repository,
            digest=manifest.digest,
            media_type=manifest.media_type,
            artifact_type=manifest.effective_artifact_type,
            subject=manifest.subject.digest if manifest.subject else None,
            descriptor=canonical_bytes(as_referrer(manifest).as_json()),
            raw=manifest.raw,
            released=released,
            created_at=now,
        )
    )
    tx.flush()
    tx.add_all(ManifestEdgeRow(repository=repository, parent=manifest.digest, child=child) for child in children)
    # nobody has looked whether the author has, or may read, what need not be here
    looked_at = {item.digest for item in manifest.blobs if item.media_type not in NON_DISTRIBUTABLE}
    present = _present_blobs(tx, namespace, looked_at)
    for digest in present:
        insert_once(tx, BlobLinkRow(repository=repository, digest=digest, namespace=namespace))
    tx.flush()


def release_closure(tx: Tx, repository: str, digest: Digest) -> None:
    """Set free what a newly named manifest reaches: itself, members of an index, and their evidence."""
    frontier: set[str] = {digest}
    seen: set[str] = set()
    while frontier:
        seen |= frontier
        tx.exec(
            update(ManifestRow)
            .where(col(ManifestRow.repository) == repository, col(ManifestRow.digest).in_(frontier))
            .values(released=True)
        )
        members = (
            select(ManifestEdgeRow.child)
            .join(
                ManifestRow,
                (col(ManifestRow.repository) == ManifestEdgeRow.repository)
                & (col(ManifestRow.digest) == ManifestEdgeRow.child),
            )
            .where(ManifestEdgeRow.repository == repository, col(ManifestEdgeRow.parent).in_(frontier))
        )
        found = set(tx.exec(members).all()) - seen
        _release_referrers(tx, repository, frontier)
        frontier = found


def count_referrers(tx: Tx, repository: str, subject: Digest) -> int:
    """Count what refers to `subject`, in quarantine or not."""
    query = select(func.count()).where(ManifestRow.repository == repository, ManifestRow.subject == subject)
    return tx.exec(query).one()


def known_manifests(tx: Tx, repository: str, digests: set[Digest]) -> dict[str, int]:
    """Give the sizes in bytes of those of `digests` that are manifests of `repository`."""
    if not digests:
        return {}
    query = select(ManifestRow.digest, func.length(ManifestRow.raw)).where(
        ManifestRow.repository == repository, col(ManifestRow.digest).in_(digests)
    )
    return dict(tx.exec(query).all())


def _release_referrers(tx: Tx, repository: str, subjects: Iterable[str]) -> None:
    """Follow verified evidence, and evidence about evidence; whatever else refers to a release stays in quarantine."""
    frontier = set(subjects)
    while frontier:
        query = (
            select(EvidenceRow.manifest)
            .join(
                ManifestRow,
                (col(ManifestRow.repository) == EvidenceRow.repository)
                & (col(ManifestRow.digest) == EvidenceRow.manifest),
            )
            .where(
                EvidenceRow.repository == repository,
                col(EvidenceRow.subject).in_(frontier),
                col(ManifestRow.released).is_(False),
            )
        )
        frontier = set(tx.exec(query).all())
        if frontier:
            tx.exec(
                update(ManifestRow)
                .where(col(ManifestRow.repository) == repository, col(ManifestRow.digest).in_(frontier))
                .values(released=True)
            )


def _is_about_a_release(tx: Tx, repository: str, manifest: Manifest) -> bool:
    if manifest.subject is None:
        return False
    subject = tx.get(ManifestRow, (repository, manifest.subject.digest))
    return subject is not None and subject.released


def as_referrer(manifest: Manifest) -> Descriptor:
    """Give the descriptor under which a referrers list shows the manifest: its artifact type, its annotations."""
    return Descriptor(
        manifest.media_type,
        manifest.digest,
        len(manifest.raw),
        manifest.effective_artifact_type,
        manifest.annotations,
    )


def _present_blobs(tx: Tx, namespace: str, digests: set[Digest]) -> set[Digest]:
    query = select(BlobRow.digest).where(BlobRow.namespace == namespace, col(BlobRow.digest).in_(digests))
    return {Digest(found) for found in tx.exec(query)}
