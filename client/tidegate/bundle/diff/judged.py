"""A comparison in the kinds of change that a policy can ask about. Pure; registry and approvers read it alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tidegate.bundle.diff.model import BundleDiff, Part
from tidegate.bundle.diff.step import Step
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.policy.floor import ReleaseFacts
from tidegate.policy.inputs import Difference
from tidegate.policy.requirements import Change

MAX_TOLD: Final = 50  # changes that a decision's record names; the comparison itself can be asked for
BY_PART: Final = {
    Part.MODELS: Change.MODEL_MOVED,
    Part.PROMPTS: Change.PROMPT_CHANGED,
    Part.SKILLS: Change.PROMPT_CHANGED,
}
RAISED: Final = "capability-raised"


def difference_of(compared: BundleDiff, before: ReleaseFacts | None, after: ReleaseFacts | None) -> Difference:
    """Say what of a comparison a policy can ask about. `before`, `after`: who built each side, None if not known.

    Opaque bundles, and changes that were left out, make it unknown: then everything counts as changed.
    """
    unknown = None
    if compared.behaviour == "unknown":
        unknown = "a bundle is opaque"
    elif compared.omitted_changes:
        unknown = f"{compared.omitted_changes} changes were not looked at"
    return Difference(signer_class_changes(before, after) | frozenset(_changes(compared)), _told(compared), unknown)


def signer_class_changes(before: ReleaseFacts | None, after: ReleaseFacts | None) -> frozenset[Change]:
    """Whoever built it is of another kind: another signer, ref class, runner class or builder level. Not the commit."""
    same = _class_of(before) == _class_of(after)
    return frozenset() if same else frozenset({Change.SIGNER_CLASS_CHANGED})


def _changes(compared: BundleDiff) -> Iterator[Change]:
    for change in compared.changes:
        if change.part in BY_PART:
            yield BY_PART[change.part]
        if change.kind == RAISED:
            yield Change.CAPABILITY_RAISED
        if change.part is Part.INTERFACES and change.step is Step.MAJOR:
            yield Change.INTERFACE_BROKEN


def _told(compared: BundleDiff) -> JsonObject:
    told: list[JsonValue] = [f"{change.kind} {change.subject}".strip()[:200] for change in compared.changes[:MAX_TOLD]]
    return {
        "against": str(compared.before.digest),
        "demanded": str(compared.demanded),
        "changes": told,
        "omittedChanges": max(0, len(compared.changes) - MAX_TOLD) + compared.omitted_changes,
    }


def _class_of(facts: ReleaseFacts | None) -> tuple[object, ...]:
    if facts is None:
        return ()
    return (facts.root, facts.issuer, facts.workflow, facts.ref_class, facts.runner_class, facts.builder_level)
