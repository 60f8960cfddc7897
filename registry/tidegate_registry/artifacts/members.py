"""A release is complete: everything that its manifest reaches through members of indexes is here.

A manifest may be pushed by digest while non-distributable layers are missing, and so may a member of an index. To name
the index is to promise all of it, so the walk is done again then. Bounded, whatever an index says.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlmodel import col, select

from tidegate.digest import Digest
from tidegate.errors import LimitExceeded, Reason
from tidegate.formats.manifest import Manifest
from tidegate.formats.mediatypes import DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST
from tidegate_registry.artifacts.content import MAX_REASONS, check_references
from tidegate_registry.artifacts.errors import ManifestBlobUnknown
from tidegate_registry.artifacts.tables import ManifestRow

if TYPE_CHECKING:
    from collections.abc import Collection

    from tidegate.formats.manifest import Descriptor
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.services import Services

MAX_MEMBERS = 500  # of one release, however deep: images for every platform of a few dozen components
MANIFEST_TYPES = frozenset({OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX})


class TooManyMembers(LimitExceeded):
    """An index reaches more manifests than a release may have."""

    code = "too-many-members"


def check_complete(app: Services, who: Principal, repository: str, manifest: Manifest) -> None:
    """Check `manifest` and every manifest that it reaches. Raises ManifestBlobUnknown, SizeDiffers, TooManyMembers."""
    frontier, seen = {manifest.digest: manifest}, {manifest.digest}
    while frontier:
        for each in frontier.values():
            check_references(app, who, repository, each, complete=True)
        members = {item.digest: item for each in frontier.values() for item in each.manifests}
        wanted = {digest: item for digest, item in members.items() if digest not in seen}
        seen |= wanted.keys()
        if len(seen) > MAX_MEMBERS:
            raise TooManyMembers(
                "the index reaches too many manifests", found=f"more than {MAX_MEMBERS}", expected=MAX_MEMBERS
            )
        frontier = _read(app, repository, wanted)
        missing = [item for digest, item in wanted.items() if digest not in frontier]
        _refuse_missing([item for item in missing if item.media_type in MANIFEST_TYPES], repository)


def _read(app: Services, repository: str, wanted: Collection[Digest]) -> dict[Digest, Manifest]:
    if not wanted:
        return {}
    query = select(ManifestRow.digest, ManifestRow.raw, ManifestRow.media_type).where(
        ManifestRow.repository == repository, col(ManifestRow.digest).in_(wanted)
    )
    with app.db.read() as tx:
        rows = tx.exec(query).all()
    found = ((Digest(digest), raw, media_type) for digest, raw, media_type in rows)
    return {
        digest: Manifest.parse(raw, content_type=media_type, algorithm=digest.algorithm)
        for digest, raw, media_type in found
    }


def _refuse_missing(missing: list[Descriptor], repository: str) -> None:
    if not missing:
        return
    error = ManifestBlobUnknown(f"{len(missing)} members of the index are not here")
    error.reasons = tuple(
        Reason(
            code="manifest-blob-unknown",
            message=f"{item.media_type} of {item.size} bytes is no manifest of {repository}",
            found="nothing, or a blob",
            expected=item.digest,
            hint="push members before their index",
        )
        for item in missing[:MAX_REASONS]
    )
    raise error
