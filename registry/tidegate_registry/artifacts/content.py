"""What a manifest names, looked at before it is stored: is it all here, is it what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from tidegate.digest import Digest
from tidegate.errors import Reason
from tidegate.formats.mediatypes import AGENT_BUNDLE, NON_DISTRIBUTABLE
from tidegate_registry.artifacts.blobs import linked_sizes, readable_elsewhere
from tidegate_registry.artifacts.errors import BlobUnknown, ManifestBlobUnknown, SizeDiffers
from tidegate_registry.artifacts.names import namespace_of
from tidegate_registry.artifacts.store import known_manifests
from tidegate_registry.storage.blobs import BlobKey, StoredBytesDiffer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidegate.formats.config import AgentConfig
    from tidegate.formats.manifest import Descriptor, Manifest
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.services import Services

MAX_REASONS = 20  # missing blobs listed in one answer


def check_references(
    app: Services, who: Principal, repository: str, manifest: Manifest, *, complete: bool = False
) -> None:
    """Check that everything the manifest names is here, and as long as it says.

    Blobs: pushed to this repository, or readable for `who` in another one of the namespace (which mounts them).
    Members of an index: manifests or blobs of this repository. A subject may be missing: the spec demands that it be
    accepted. So may non-distributable layers, unless it is to be `complete`, as a release is.
    Raises ManifestBlobUnknown or SizeDiffers with every reason.
    """
    named = (*manifest.blobs, *manifest.manifests)
    wanted = {item.digest: item for item in named if complete or item.media_type not in NON_DISTRIBUTABLE}
    digests = {item.digest for item in named}
    with app.db.read() as tx:
        sizes = linked_sizes(tx, repository, digests)
        sizes |= known_manifests(tx, repository, {item.digest for item in manifest.manifests} - sizes.keys())
    lacking = 0
    for item in manifest.blobs:
        if item.digest in sizes or item.digest not in wanted:
            continue
        if found := readable_elsewhere(app, who, repository, item.digest):
            sizes[item.digest] = found.size
        elif (lacking := lacking + 1) >= MAX_REASONS:
            break  # enough to refuse, and each look costs a transaction
    missing = [item for digest, item in wanted.items() if digest not in sizes]
    if missing:
        error = ManifestBlobUnknown(f"{len(missing)} of what the manifest names is not here")
        error.reasons = tuple(_missing(item, repository) for item in missing[:MAX_REASONS])
        raise error
    wrong = [item for item in named if sizes.get(item.digest, item.size) != item.size]
    if wrong:
        raise SizeDiffers(
            "a descriptor's size is not that of its content",
            found=f"{wrong[0].size} for {wrong[0].digest}",
            expected=sizes[wrong[0].digest],
        )


def check_content(app: Services, repository: str, manifest: Manifest) -> AgentConfig | None:
    """Recompute what an agent bundle says of itself, from its stored bytes; None for what is no agent bundle.

    Streams every layer once, unless that was done a moment ago. Raises BundleRefused with every reason.
    """
    if manifest.effective_artifact_type != AGENT_BUNDLE:
        return None
    from tidegate.bundle.content import check_bundle

    key, now = (namespace_of(repository), manifest.digest), app.clock()
    config = app.checked_bundles.find(key, now)
    if config is None:
        config = check_bundle(manifest, open_blob(app, repository))
        app.checked_bundles.keep(key, config, now, weight=manifest.blobs[0].size)
    return config


def read_config(app: Services, repository: str, manifest: Manifest) -> AgentConfig | None:
    """Read the config of what was admitted or pushed before, without its layers; None for what is no agent bundle.

    Raises BundleRefused, BlobMissing, StoredBytesDiffer.
    """
    if manifest.effective_artifact_type != AGENT_BUNDLE:
        return None
    from tidegate.bundle.structure import check_structure

    key = (namespace_of(repository), manifest.digest)
    return app.checked_bundles.find(key, app.clock()) or check_structure(manifest, open_blob(app, repository))


def open_blob(app: Services, repository: str) -> Callable[[Digest], BinaryIO]:
    """Give a function that opens blobs of the repository's namespace by digest; whoever reads hashes."""
    namespace = namespace_of(repository)
    return lambda digest: app.blobs.open(BlobKey(namespace, digest))


def read_blob(app: Services, repository: str, digest: Digest, *, limit: int) -> bytes:
    """Read a blob of at most `limit` bytes, and hash it. Raises BlobUnknown, SizeDiffers, StoredBytesDiffer."""
    with app.db.read() as tx:
        size = linked_sizes(tx, repository, {digest}).get(digest)
    if size is None:
        raise BlobUnknown("there is no such blob here", found=str(digest))
    if size > limit:
        raise SizeDiffers("that blob is too large for what it is used as", found=size, expected=f"at most {limit}")
    with app.blobs.open(BlobKey(namespace_of(repository), digest)) as body:
        raw = body.read(limit + 1)
    if not digest.matches(raw):
        raise StoredBytesDiffer("the store gave other bytes than it was given", expected=digest, found=Digest.of(raw))
    return raw


def _missing(item: Descriptor, repository: str) -> Reason:
    return Reason(
        code="manifest-blob-unknown",
        message=f"{item.media_type} of {item.size} bytes is not in {repository}",
        found="nothing under this digest",
        expected=item.digest,
        hint="push blobs before the manifest that names them, and members before their index",
    )
