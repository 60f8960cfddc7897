"""The database by itself: manifests hash to their names, name what is there, and releases reach all they need."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from sqlalchemy.orm import aliased
from sqlmodel import col, exists, select

from tidegate.digest import Digest
from tidegate.errors import TidegateError
from tidegate.formats.jcs import canonical_bytes
from tidegate.formats.manifest import Manifest
from tidegate.formats.mediatypes import NON_DISTRIBUTABLE
from tidegate_registry.artifacts.members import MANIFEST_TYPES
from tidegate_registry.artifacts.names import namespace_of
from tidegate_registry.artifacts.store import as_referrer
from tidegate_registry.artifacts.tables import (
    BlobLinkRow,
    BlobRow,
    ManifestEdgeRow,
    ManifestRow,
    ReleaseRow,
    RepositoryRow,
)
from tidegate_registry.evidence.tables import EvidenceRow
from tidegate_registry.keeping.fsck.entries import check_entries
from tidegate_registry.keeping.fsck.findings import Finding, Problem
from tidegate_registry.storage.blobs import BlobKey

if TYPE_CHECKING:
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

MANIFESTS = 10  # read at once: each may have 4 MiB
CHILDREN = 500  # looked up at once


def check_records(app: Services) -> Iterator[Finding]:
    """Check every row that says something about another, or about bytes in the database."""
    for row, edges in _manifests(app):
        if any(True for _ in _check_manifest(app, row, edges)):  # read again: it may have been removed meanwhile
            for again, named in _reread(app, row):
                yield from _check_manifest(app, again, named)
    yield from _check_releases(app)
    yield from _check_evidence(app)
    yield from _check_links(app)
    yield from check_entries(app)


def derived(manifest: Manifest) -> dict[str, object]:
    """Give what a manifest's row repeats of its bytes."""
    return {
        "media_type": manifest.media_type,
        "artifact_type": manifest.effective_artifact_type,
        "subject": manifest.subject.digest if manifest.subject else None,
        "descriptor": canonical_bytes(as_referrer(manifest).as_json()),
    }


def _manifests(app: Services) -> Iterator[tuple[ManifestRow, set[str]]]:
    last = ("", "")
    while True:
        after = (ManifestRow.repository > last[0]) | (
            (ManifestRow.repository == last[0]) & (ManifestRow.digest > last[1])
        )
        query = select(ManifestRow).where(after).order_by(col(ManifestRow.repository), col(ManifestRow.digest))
        with app.db.read() as tx:
            rows = tx.exec(query.limit(MANIFESTS)).all()
            edges = [_edges(tx, row) for row in rows]
        yield from zip(rows, edges, strict=True)
        if len(rows) < MANIFESTS:
            return
        last = (rows[-1].repository, rows[-1].digest)


def _reread(app: Services, row: ManifestRow) -> Iterator[tuple[ManifestRow, set[str]]]:
    """Give the row as it is now, if it is there still: under its agent's lock, which whoever removes it holds."""
    with app.db.scratch() as tx:
        locked = select(RepositoryRow.name).where(RepositoryRow.name == row.repository)
        tx.exec(locked.with_for_update(read=True)).all()
        found = tx.get(ManifestRow, (row.repository, row.digest))
        edges = _edges(tx, row)
    if found is not None:
        yield found, edges


def _edges(tx: Tx, row: ManifestRow) -> set[str]:
    query = select(ManifestEdgeRow.child).where(
        ManifestEdgeRow.repository == row.repository, ManifestEdgeRow.parent == row.digest
    )
    return set(tx.exec(query).all())


def _check_manifest(app: Services, row: ManifestRow, edges: set[str]) -> Iterator[Finding]:
    where, digest = row.repository, Digest(row.digest)
    if not digest.matches(row.raw):
        yield Finding(Problem.MANIFEST_BYTES, where, digest, Digest.of(row.raw, digest.algorithm), digest)
        return
    try:
        manifest = Manifest.parse(row.raw, algorithm=digest.algorithm)
    except TidegateError as error:  # it was accepted, so it was parsed once
        yield Finding(Problem.MANIFEST_ROW, where, digest, str(error), "a manifest")
        return
    wrong = [name for name, value in derived(manifest).items() if getattr(row, name) != value]
    if wrong:
        yield Finding(Problem.MANIFEST_ROW, where, digest, ", ".join(wrong), "what its bytes say")
    named = {item.digest for item in (*manifest.blobs, *manifest.manifests)}
    for child in sorted(named - edges):
        yield Finding(Problem.EDGE_MISSING, where, digest, "", child)
    for unknown in sorted(edges - named):
        yield Finding(Problem.EDGE_UNKNOWN, where, digest, unknown)
    yield from _check_children(app, where, manifest, released=row.released)


def _check_children(app: Services, where: str, manifest: Manifest, *, released: bool) -> Iterator[Finding]:
    namespace = namespace_of(where)
    members = {item.digest for item in manifest.manifests if item.media_type in MANIFEST_TYPES}
    blobs = {item.digest for item in manifest.blobs}
    needed = [item for item in (*manifest.blobs, *manifest.manifests) if item.media_type not in NON_DISTRIBUTABLE]
    wanted = sorted({str(item.digest) for item in needed})
    for start in range(0, len(wanted), CHILDREN):
        some = wanted[start : start + CHILDREN]
        with app.db.read() as tx:
            stored = set(
                tx.exec(
                    select(BlobRow.digest).where(BlobRow.namespace == namespace, col(BlobRow.digest).in_(some))
                ).all()
            )
            linked = set(
                tx.exec(
                    select(BlobLinkRow.digest).where(BlobLinkRow.repository == where, col(BlobLinkRow.digest).in_(some))
                ).all()
            )
            known = set(
                tx.exec(
                    select(ManifestRow.digest).where(ManifestRow.repository == where, col(ManifestRow.digest).in_(some))
                ).all()
            )
        for child in some:
            if child in stored and child not in linked and child in blobs:
                yield Finding(Problem.LINK_MISSING, where, child, "no link", f"content of {manifest.digest}")
            if child in members and child not in known and (released or child not in stored):
                yield Finding(Problem.MEMBER_MISSING, where, child, "no manifest", f"named by {manifest.digest}")
            elif child not in stored and child not in known:
                there = app.blobs.stat(BlobKey(namespace, Digest(child))) is not None
                problem = Problem.BLOB_ROW_MISSING if there else Problem.CONTENT_MISSING
                yield Finding(problem, where, child, "an object" if there else "nothing", f"named by {manifest.digest}")


def _check_releases(app: Services) -> Iterator[Finding]:
    with app.db.read() as tx:
        rows = tx.exec(select(ReleaseRow).order_by(col(ReleaseRow.repository), col(ReleaseRow.number))).all()
        for row in rows:
            name = f"{row.repository}:{row.version}"
            if tx.get(ManifestRow, (row.repository, row.digest)) is None:
                yield Finding(Problem.RELEASE_INCOMPLETE, row.repository, row.digest, "no manifest", "", (name,))
            elif hidden := _quarantined(tx, row):
                yield Finding(Problem.RELEASE_QUARANTINED, row.repository, row.digest, ", ".join(hidden), "", (name,))


def _quarantined(tx: Tx, release: ReleaseRow) -> list[str]:
    """Give those manifests that a release reaches and that are hidden all the same."""
    found, seen, frontier = [], set(), {release.digest}
    while frontier:
        seen |= frontier
        rows = tx.exec(
            select(ManifestRow.digest, ManifestRow.released).where(
                ManifestRow.repository == release.repository, col(ManifestRow.digest).in_(frontier)
            )
        ).all()
        found += [digest for digest, released in rows if not released]
        members = select(ManifestEdgeRow.child).where(
            ManifestEdgeRow.repository == release.repository,
            col(ManifestEdgeRow.parent).in_([digest for digest, _ in rows]),
        )
        frontier = set(tx.exec(members).all()) - seen
    return sorted(found)


def _check_evidence(app: Services) -> Iterator[Finding]:
    """Check that each row of evidence is about what its referrer is about, and names a bundle that it attaches."""
    about = exists().where(
        col(ManifestRow.repository) == col(EvidenceRow.repository),
        col(ManifestRow.digest) == col(EvidenceRow.manifest),
        col(ManifestRow.subject) == col(EvidenceRow.subject),
    )
    attached = exists().where(
        col(ManifestEdgeRow.repository) == col(EvidenceRow.repository),
        col(ManifestEdgeRow.parent) == col(EvidenceRow.manifest),
        col(ManifestEdgeRow.child) == col(EvidenceRow.bundle),
    )
    subject, referrer = aliased(ManifestRow), aliased(ManifestRow)
    hidden = (
        select(EvidenceRow.repository, EvidenceRow.subject, EvidenceRow.manifest)
        .join(
            subject,
            (col(subject.repository) == EvidenceRow.repository) & (col(subject.digest) == EvidenceRow.subject),
        )
        .join(
            referrer,
            (col(referrer.repository) == EvidenceRow.repository) & (col(referrer.digest) == EvidenceRow.manifest),
        )
        .where(col(subject.released).is_(True), col(referrer.released).is_(False))
    )
    with app.db.read() as tx:
        for row in tx.exec(select(EvidenceRow).where(~about | ~attached)):
            expected = f"a referrer to {row.subject} with {row.bundle}"
            yield Finding(Problem.EVIDENCE_DIFFERS, row.repository, row.manifest, "another manifest", expected)
        for repository, about_it, manifest in tx.exec(hidden):
            yield Finding(Problem.RELEASE_QUARANTINED, repository, about_it, manifest, "evidence that all may read")


def _check_links(app: Services) -> Iterator[Finding]:
    """Check what the database itself should: a dump that was put together by hand may lack it."""
    blob = exists().where(
        col(BlobRow.namespace) == col(BlobLinkRow.namespace), col(BlobRow.digest) == col(BlobLinkRow.digest)
    )
    with app.db.read() as tx:
        links = tx.exec(select(BlobLinkRow).where(~blob)).all()
    for link in links:
        there = app.blobs.stat(BlobKey(link.namespace, Digest(link.digest))) is not None
        problem = Problem.BLOB_ROW_MISSING if there else Problem.LINK_OF_NOTHING
        yield Finding(problem, link.repository, link.digest, "a link without a row")
