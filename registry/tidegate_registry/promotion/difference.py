"""How a release differs from what a channel serves, in the kinds of change that a policy can ask about.

The comparing is `tidegate.bundle.diff`, the function that `tidegate diff` uses. Source: docs/spec/diff.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.bundle.diff.judged import difference_of, signer_class_changes
from tidegate.errors import BundleRefused, NotFound, StatementInvalid
from tidegate.policy.inputs import Difference
from tidegate_registry.admission.decide import previous_facts
from tidegate_registry.admission.diffs import diff_of
from tidegate_registry.storage.blobs import BlobMissing, StoredBytesDiffer

if TYPE_CHECKING:
    from tidegate.policy.floor import ReleaseFacts
    from tidegate_registry.artifacts.naming import Release
    from tidegate_registry.services import Services

WEIGHT = 16 << 10  # of a kept difference, in bytes: more than what is told takes


def difference_from(app: Services, serving: Release, release: Release) -> Difference:
    """Compare `release` with what a channel serves. Slow: reads the store; what was compared a moment ago is kept."""
    key, now = (release.repository, serving.digest, release.digest), app.clock()
    found = app.differences.find(key, now)
    if found is None:
        found = _compared(app, serving, release)
        app.differences.keep(key, found, now, weight=WEIGHT)
    return found


def floor_of(release: Release) -> ReleaseFacts | None:
    """Give what was remembered of who built it, where; None where that cannot be read."""
    try:
        return previous_facts(release.facts)
    except StatementInvalid:
        return None


def _compared(app: Services, serving: Release, release: Release) -> Difference:
    try:
        compared = diff_of(app, serving, release)
    except (BundleRefused, NotFound, BlobMissing, StoredBytesDiffer) as error:
        moved = signer_class_changes(floor_of(serving), floor_of(release))
        return Difference(moved, {}, f"a release cannot be read as it was admitted: {error}")
    return difference_of(compared, floor_of(serving), floor_of(release))
