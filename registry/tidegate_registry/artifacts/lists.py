"""Lists: tags of a repository, referrers of a manifest. Both paged, both only of what the caller may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import col, select, union_all

from tidegate.formats.jcs import JsonObject, parse_object
from tidegate.formats.manifest import MAX_MANIFEST_BYTES
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts.errors import RepositoryUnknown
from tidegate_registry.artifacts.names import Page, sort_key
from tidegate_registry.artifacts.tables import ManifestRow, ReleaseRow, WorkingTagRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tidegate.digest import Digest
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.services import Services

# OCI distribution-spec 1.1, "Listing Referrers": registries page where the index would exceed the 4 MiB of a manifest;
# far below that, as clients hold it in memory
PAGE_BYTES = 1 << 20
FETCH_ROWS = 100


@dataclass(frozen=True, slots=True)
class Tags:
    """A page of tags; `more` tells whether there is another."""

    names: Sequence[str]
    more: bool


@dataclass(frozen=True, slots=True)
class Referrers:
    """A page of referrers' descriptors; `last`: the digest after which the next page begins, None for no more."""

    descriptors: Sequence[JsonObject]
    last: str | None


def list_tags(app: Services, who: Principal, repository: str, page: Page) -> Tags:
    """List versions, and working tags too for those who may publish.

    Raises LoginNeeded, AccessDenied, RepositoryUnknown.
    """
    app.access.demand(who, Permission.ARTIFACT_PULL, repository)
    working_too = app.access.may(who, Permission.WORKING_TAG_READ, repository)
    versions = select(col(ReleaseRow.sort_key), col(ReleaseRow.version)).where(ReleaseRow.repository == repository)
    working = select(col(WorkingTagRow.sort_key), col(WorkingTagRow.tag)).where(WorkingTagRow.repository == repository)
    names = (union_all(versions, working) if working_too else versions).subquery()
    key, name = names.columns
    query = select(name).order_by(key).limit(page.size + 1)
    if page.last:
        query = query.where(key > sort_key(page.last))
    with app.db.read() as tx:
        found = list(tx.exec(query).all())
        if not found and tx.exec(select(name).limit(1)).first() is None:
            raise RepositoryUnknown("there is nothing here that you may see", found=repository)
    return Tags(found[: page.size], more=len(found) > page.size and page.size > 0)


def list_referrers(
    app: Services, who: Principal, repository: str, subject: Digest, *, artifact_type: str | None, last: str
) -> Referrers:
    """List what refers to `subject`, by digest. Never "not found": a subject that nobody pushed has no referrers.

    Raises LoginNeeded, AccessDenied.
    """
    app.access.demand(who, Permission.EVIDENCE_READ, repository)
    query = select(ManifestRow.digest, ManifestRow.descriptor).where(
        ManifestRow.repository == repository, ManifestRow.subject == subject
    )
    if not app.access.may(who, Permission.QUARANTINE_READ, repository):
        query = query.where(col(ManifestRow.released).is_(True))
    if artifact_type is not None:
        query = query.where(ManifestRow.artifact_type == artifact_type)
    descriptors: list[JsonObject] = []
    size = 0
    with app.db.read() as tx:
        while True:
            batch = tx.exec(query.where(ManifestRow.digest > last).order_by(ManifestRow.digest).limit(FETCH_ROWS)).all()
            for digest, raw in batch:
                if descriptors and size + len(raw) > PAGE_BYTES:
                    return Referrers(descriptors, last)
                descriptors.append(parse_object(raw, limit=MAX_MANIFEST_BYTES, what="a stored descriptor"))
                size += len(raw)
                last = digest
            if len(batch) < FETCH_ROWS:
                return Referrers(descriptors, None)
