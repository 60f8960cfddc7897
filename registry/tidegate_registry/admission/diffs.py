"""What changed between two releases: for whoever asks, and for the version step that an admission is judged by.

The comparing is `tidegate.bundle.diff`, the function that `tidegate diff` uses. Source: docs/spec/diff.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.bundle.diff.compare import diff, judge_step
from tidegate.bundle.diff.model import Bounds, BundleDiff, Side
from tidegate.bundle.diff.step import VersionStep
from tidegate.digest import Digest
from tidegate.errors import BundleRefused, NotFound, Reason
from tidegate.formats.manifest import Manifest
from tidegate_registry.admission.lists import find_release
from tidegate_registry.artifacts.catalogue import manifest_bytes
from tidegate_registry.artifacts.content import open_blob, read_config
from tidegate_registry.artifacts.errors import ManifestUnknown
from tidegate_registry.artifacts.naming import Release
from tidegate_registry.storage.blobs import BlobMissing, StoredBytesDiffer

if TYPE_CHECKING:
    from tidegate.formats.config import AgentConfig
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.services import Services

BOUNDS = Bounds(layer_bytes=8 << 20, edits=500_000)  # half a second of comparing lines, in a thread of the server


@dataclass(frozen=True, slots=True)
class Newcomer:
    """A bundle that asks to become a version. `config`: None for an opaque one."""

    repository: str
    version: str
    manifest: Manifest
    config: AgentConfig | None


def compare_releases(app: Services, who: Principal, agent: str, before: str, after: str) -> BundleDiff:
    """Compare two releases of an agent. Raises AgentUnknown, ReleaseUnknown; StoredBytesDiffer, BlobMissing."""
    releases = [find_release(app, who, agent, version) for version in (before, after)]
    try:
        return diff_of(app, *releases)
    except BundleRefused as error:  # both were admitted, so it is not the caller's mistake
        raise StoredBytesDiffer("a release is not what was admitted", found=error.reasons[0].message) from error


def diff_of(app: Services, before: Release, after: Release) -> BundleDiff:
    """Compare two releases, whoever asks. Raises BundleRefused, NotFound, StoredBytesDiffer, BlobMissing."""
    return diff(_side_of(app, before), _side_of(app, after), bounds=BOUNDS)


def step_from(app: Services, base: Release, newcomer: Newcomer) -> VersionStep | Reason | None:
    """Judge the step from release `base` to a bundle that asks to be admitted; a Reason says why it cannot be."""
    after = Side(
        newcomer.manifest,
        newcomer.config,
        open_blob(app, newcomer.repository),
        newcomer.repository,
        newcomer.version,
    )
    try:
        return judge_step(_side_of(app, base), after, bounds=BOUNDS)
    except (
        BundleRefused,
        NotFound,
        BlobMissing,
        StoredBytesDiffer,
    ) as error:  # of what is stored: admitted once, and not readable now
        return Reason(
            "step-unknown",
            f"what changed since {base.version} cannot be told",
            error.reasons[0].message,
            "the greatest release below, as it was admitted",
            "ask the operator to look for what is missing or altered in the store",
        )


def _side_of(app: Services, release: Release) -> Side:
    with app.db.read() as tx:
        raw = manifest_bytes(tx, release.repository, release.digest)
    if raw is None:
        raise ManifestUnknown("there is no such manifest here", found=release.digest)
    manifest = Manifest.parse(raw, algorithm=Digest(release.digest).algorithm)
    config = read_config(app, release.repository, manifest)
    return Side(manifest, config, open_blob(app, release.repository), release.repository, release.version)
