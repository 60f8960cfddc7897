"""Blobs: who may see which, and how one comes into a repository."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import bindparam
from sqlmodel import col, select

from tidegate.digest import Digest
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts.errors import BlobUnknown
from tidegate_registry.artifacts.events import BlobStored
from tidegate_registry.artifacts.names import namespace_of
from tidegate_registry.artifacts.tables import (
    DIGEST,
    NAME,
    BlobLinkRow,
    BlobRow,
    ManifestEdgeRow,
    ManifestRow,
    RepositoryRow,
)
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import Actor
from tidegate_registry.db import Tx, insert_new, insert_once
from tidegate_registry.keeping import claims
from tidegate_registry.storage.blobs import BlobKey

if TYPE_CHECKING:
    from datetime import datetime

    from sqlmodel.sql.expression import Select

    from tidegate_registry.access.principal import Principal
    from tidegate_registry.services import Services

MAX_MOUNT_SOURCES = 50  # repositories of one namespace that are looked at for a blob they share


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob that the caller may see. `size` in bytes. `released`: so may whoever may pull there, for ever."""

    key: BlobKey
    size: int
    released: bool


def find_blob(app: Services, who: Principal, repository: str, digest: Digest) -> Blob:
    """Find a blob of `repository` for reading. Raises LoginNeeded, AccessDenied, BlobUnknown.

    Signers of the agent see every blob that was pushed there; others only what a released manifest names, and what
    they may not see is answered like what does not exist.
    """
    app.access.demand(who, Permission.ARTIFACT_PULL, repository)
    quarantined_too = app.access.may(who, Permission.QUARANTINE_READ, repository)
    with app.db.read() as tx:
        found = _look(tx, repository, digest)
    if found is None or not (found.released or (found.linked and quarantined_too)):
        raise BlobUnknown("there is no such blob here", found=str(digest))
    return Blob(BlobKey(namespace_of(repository), digest), found.size, found.released)


@dataclass(frozen=True, slots=True)
class NewBlob:
    """A blob that the store holds and `who` has shown to have. `source`: where it was read from, if not sent."""

    digest: Digest
    size: int
    source: str | None = None


def link_blobs(app: Services, who: Principal, repository: str, blobs: Sequence[NewBlob]) -> None:
    """Record, in one transaction, that `blobs` are content of `repository` now; those that were already, stay.

    Whoever calls has claimed them before looking whether they are there (`keeping.claims`).
    Raises BlobBeingRemoved, ClaimLapsed.
    """
    if blobs:
        with app.db.begin() as tx:
            record_blobs(tx, app, who, repository, blobs)


def record_blobs(tx: Tx, app: Services, who: Principal, repository: str, blobs: Sequence[NewBlob]) -> None:
    """Do what `link_blobs` does within `tx`."""
    now, namespace, digests = app.clock(), namespace_of(repository), {blob.digest for blob in blobs}
    claims.confirm(tx, repository, digests, now=now)
    query = select(BlobLinkRow.digest).where(BlobLinkRow.repository == repository, col(BlobLinkRow.digest).in_(digests))
    there = set(tx.exec(query))
    missing = {blob.digest: blob for blob in blobs if blob.digest not in there}
    if not missing:
        return
    ensure_repository(tx, repository, now)
    new = [
        BlobRow(namespace=namespace, digest=each.digest, size=each.size, created_at=now) for each in missing.values()
    ]
    insert_new(tx, new, "digest")
    links = [BlobLinkRow(repository=repository, digest=digest, namespace=namespace) for digest in missing]
    linked = insert_new(tx, links, "digest")
    for blob in missing.values():
        if blob.digest in linked:
            event = BlobStored(
                at=now,
                actor=Actor.of(who),
                repository=repository,
                digest=blob.digest,
                size=blob.size,
                source=blob.source,
            )
            audit.append(tx, event, entropy=app.entropy)


def mount_blob(app: Services, who: Principal, repository: str, digest: Digest, source: str | None) -> bool:
    """Make a blob of another repository one of `repository`, if `who` may read it there; say whether that was done.

    `source` None: any repository of the same namespace will do. Across namespaces the bytes are copied.
    Raises LoginNeeded or AccessDenied where `who` may not send blobs to `repository`, BlobBeingRemoved.
    """
    app.access.demand(who, Permission.BLOB_PUSH, repository)
    if source and _readable(app, who, source, digest) is None:
        return False  # before anything is written under a name that the caller made up
    claims.claim(app, repository, [digest])
    if source and namespace_of(source) != namespace_of(repository):
        claims.claim(app, source, [digest])
    found = _readable(app, who, source, digest) if source else readable_elsewhere(app, who, repository, digest)
    if found is None:
        return False
    target = BlobKey(namespace_of(repository), digest)
    if namespace_of(found.repository) != target.namespace:
        app.blobs.copy(BlobKey(namespace_of(found.repository), digest), target)
    link_blobs(app, who, repository, [NewBlob(digest, found.size, found.repository)])
    return True


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A blob that the caller may read in another repository. `size` in bytes."""

    repository: str
    size: int


def readable_elsewhere(app: Services, who: Principal, repository: str, digest: Digest) -> Elsewhere | None:
    """Find a repository of the same namespace where `who` may read the blob; None if there is none."""
    query = select(BlobLinkRow.repository).where(
        BlobLinkRow.namespace == namespace_of(repository), BlobLinkRow.digest == digest
    )
    with app.db.read() as tx:
        candidates = tx.exec(query.order_by(BlobLinkRow.repository).limit(MAX_MOUNT_SOURCES)).all()
    readable = (_readable(app, who, candidate, digest) for candidate in candidates)
    return next((found for found in readable if found is not None), None)


def shared_digests(app: Services, repository: str, digests: set[Digest]) -> set[Digest]:
    """Give those of `digests` that other repositories of the namespace have, whoever may read them."""
    namespace = namespace_of(repository)
    query = select(BlobRow.digest).where(BlobRow.namespace == namespace, col(BlobRow.digest).in_(digests))
    with app.db.read() as tx:
        return {Digest(found) for found in tx.exec(query)}


def linked_sizes(tx: Tx, repository: str, digests: set[Digest]) -> dict[str, int]:
    """Give the sizes of those of `digests` that were pushed to `repository`."""
    query = (
        select(BlobRow.digest, BlobRow.size)
        .join(
            BlobLinkRow, (col(BlobLinkRow.namespace) == BlobRow.namespace) & (col(BlobLinkRow.digest) == BlobRow.digest)
        )
        .where(BlobLinkRow.repository == repository, col(BlobLinkRow.digest).in_(digests))
    )
    return dict(tx.exec(query).all())


def ensure_repository(tx: Tx, repository: str, now: datetime) -> None:
    """Make the row of `repository` unless it is there."""
    insert_once(tx, RepositoryRow(name=repository, created_at=now))


def _readable(app: Services, who: Principal, repository: str, digest: Digest) -> Elsewhere | None:
    if not app.access.may(who, Permission.ARTIFACT_PULL, repository):
        return None
    quarantined_too = app.access.may(who, Permission.QUARANTINE_READ, repository)
    with app.db.read() as tx:
        found = _look(tx, repository, digest)
    if found is None or not (found.linked if quarantined_too else found.released):
        return None
    return Elsewhere(repository, found.size)


class _Found(NamedTuple):
    size: int
    released: bool
    linked: bool


@lru_cache(maxsize=1)
def _look_statement() -> Select[int, bool, bool]:
    """Make the question of `_look` once: to write it down takes longer than to ask it, and each request asks."""
    repository, digest = bindparam("repository", type_=NAME), bindparam("digest", type_=DIGEST)
    link = select(BlobLinkRow.digest).where(BlobLinkRow.repository == repository, BlobLinkRow.digest == digest)
    released = (
        select(ManifestRow.digest)
        .join(
            ManifestEdgeRow,
            (col(ManifestEdgeRow.repository) == ManifestRow.repository)
            & (col(ManifestEdgeRow.parent) == ManifestRow.digest),
        )
        .where(
            ManifestEdgeRow.repository == repository,
            ManifestEdgeRow.child == digest,
            col(ManifestRow.released).is_(True),
        )
    )
    return select(BlobRow.size, released.exists(), link.exists()).where(
        BlobRow.namespace == bindparam("namespace", type_=NAME), BlobRow.digest == digest
    )


def _look(tx: Tx, repository: str, digest: Digest) -> _Found | None:
    """Say how long a blob of the namespace is, and if a release of `repository` names it, or it was pushed there."""
    asked = {"repository": repository, "namespace": namespace_of(repository), "digest": digest}
    row = tx.exec(_look_statement(), params=asked).first()
    return None if row is None else _Found(row[0], bool(row[1]), bool(row[2]))
