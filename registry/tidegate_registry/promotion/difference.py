"""How a release differs from what a channel serves, in the kinds of change that a policy can ask about.

The comparing is `tidegate.bundle.diff`, the function that `tidegate diff` uses. Source: docs/spec/diff.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tidegate.bundle.diff.model import Part
from tidegate.bundle.diff.step import Step
from tidegate.errors import BundleRefused, NotFound, StatementInvalid
from tidegate.policy.inputs import Difference
from tidegate.policy.requirements import Change
from tidegate_registry.admission.decide import previous_facts
from tidegate_registry.admission.diffs import diff_of
from tidegate_registry.storage.blobs import BlobMissing, StoredBytesDiffer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidegate.bundle.diff.model import BundleDiff
    from tidegate.formats.jcs import JsonValue
    from tidegate.policy.floor import ReleaseFacts
    from tidegate_registry.artifacts.naming import Release
    from tidegate_registry.services import Services

MAX_TOLD = 50  # changes that a decision's record names; the comparison itself can be asked for
WEIGHT = 16 << 10  # of a kept difference, in bytes: more than what is told takes
BY_PART: Final = {
    Part.MODELS: Change.MODEL_MOVED,
    Part.PROMPTS: Change.PROMPT_CHANGED,
    Part.SKILLS: Change.PROMPT_CHANGED,
}
RAISED: Final = "capability-raised"


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
    moved = _signer_class(floor_of(serving), floor_of(release))
    try:
        compared = diff_of(app, serving, release)
    except (BundleRefused, NotFound, BlobMissing, StoredBytesDiffer) as error:
        return Difference(moved, {}, f"a release cannot be read as it was admitted: {error}")
    unknown = None
    if compared.behaviour == "unknown":
        unknown = "a bundle is opaque"
    elif compared.omitted_changes:
        unknown = f"{compared.omitted_changes} changes were not looked at"
    return Difference(moved | frozenset(_changes(compared)), _told(compared), unknown)


def _changes(compared: BundleDiff) -> Iterable[Change]:
    for change in compared.changes:
        if change.part in BY_PART:
            yield BY_PART[change.part]
        if change.kind == RAISED:
            yield Change.CAPABILITY_RAISED
        if change.part is Part.INTERFACES and change.step is Step.MAJOR:
            yield Change.INTERFACE_BROKEN


def _told(compared: BundleDiff) -> dict[str, JsonValue]:
    told: list[JsonValue] = [f"{change.kind} {change.subject}".strip()[:200] for change in compared.changes[:MAX_TOLD]]
    return {
        "against": str(compared.before.digest),
        "demanded": str(compared.demanded),
        "changes": told,
        "omittedChanges": max(0, len(compared.changes) - MAX_TOLD) + compared.omitted_changes,
    }


def _signer_class(before: ReleaseFacts | None, after: ReleaseFacts | None) -> frozenset[Change]:
    """Whoever built it is of another kind: another signer, ref class, runner class or builder level. Not the commit."""
    if _class_of(before) == _class_of(after):
        return frozenset()
    return frozenset({Change.SIGNER_CLASS_CHANGED})


def _class_of(facts: ReleaseFacts | None) -> tuple[object, ...]:
    if facts is None:
        return ()
    return (facts.root, facts.issuer, facts.workflow, facts.ref_class, facts.runner_class, facts.builder_level)
