"""Version steps: what a change demands, what a version takes, and whether that is enough. Source: docs/spec/diff.md."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tidegate.formats.jcs import JsonObject
from tidegate.formats.reference import version_key

MAX_LINES = 20  # of the changes that demand a step: enough to see why
MAX_LINE = 300  # characters of each


class Step(StrEnum):
    """A step from one version to the next, the smallest first."""

    NONE = "none"
    PATCH = "patch"
    MINOR = "minor"
    MAJOR = "major"

    @property
    def rank(self) -> int:
        """Greater for a greater step."""
        return list(Step).index(self)


def greatest(steps: Iterable[Step]) -> Step:
    """Give the greatest of `steps`; NONE when there are none."""
    return max(steps, key=lambda step: step.rank, default=Step.NONE)


@dataclass(frozen=True, slots=True)
class VersionStep:
    """The step from version `base` to `version`, and the one that the change between them demands.

    `taken` is None where steps do not count: towards a pre-release of the same version, or backwards. `proposed`: the
    least version after `base` that would do. `lines`: the changes that demand more than was taken, else those that
    demand as much as anything does; at most MAX_LINES of them, `omitted` more.
    """

    base: str
    version: str
    taken: Step | None
    demanded: Step
    proposed: str
    lines: tuple[str, ...]
    omitted: int

    @property
    def enough(self) -> bool:
        """Whether the step is at least what the change demands."""
        return self.taken is None or self.taken.rank >= self.needed.rank

    @property
    def needed(self) -> Step:
        """The least step that does: before 1.0.0 one smaller than demanded, as a minor version may break there."""
        return _before_one(self.demanded) if _core(self.base)[0] == 0 else self.demanded

    def as_json(self) -> JsonObject:
        """Give all of it."""
        return {
            "base": self.base,
            "version": self.version,
            "taken": self.taken,
            "demanded": self.demanded,
            "needed": self.needed,
            "proposed": self.proposed,
            "enough": self.enough,
            "lines": list(self.lines),
            "omitted": self.omitted,
        }


def version_step(base: str, version: str, demands: Iterable[tuple[Step, str]]) -> VersionStep:
    """Compare the step from `base` to `version` with what `demands` (step and line, in the order to be shown) ask."""
    asked = list(demands)
    demanded = greatest(step for step, _ in asked)
    judged = VersionStep(base, version, taken_step(base, version), demanded, next_version(base, demanded), (), 0)
    if judged.enough or judged.taken is None:
        wanted = [line for step, line in asked if step is demanded and step is not Step.NONE]
    else:
        small = _core(base)[0] == 0
        taken = judged.taken.rank
        wanted = [line for step, line in asked if (_before_one(step) if small else step).rank > taken]
    lines = tuple(line if len(line) <= MAX_LINE else f"{line[:MAX_LINE]}…" for line in wanted[:MAX_LINES])
    omitted = max(0, len(wanted) - MAX_LINES)
    return VersionStep(base, version, judged.taken, demanded, judged.proposed, lines, omitted)


def taken_step(base: str, version: str) -> Step | None:
    """Give the step from `base` to `version`; None where steps do not count. Source: semver.org 2.0.0, items 9 and 11.

    A pre-release and what follows it up to the release are one step, counted from the release before them all.
    """
    if base == version:
        return Step.NONE
    if version_key(version) < version_key(base):
        return None
    one, two = _core(base), _core(version)
    if one == two:
        return None
    changed = next(index for index in range(3) if one[index] != two[index])
    return (Step.MAJOR, Step.MINOR, Step.PATCH)[changed]


def next_version(base: str, demanded: Step) -> str:
    """Give the least version after `base` that takes the demanded step; `base` itself when nothing is demanded."""
    major, minor, patch = _core(base)
    needed = _before_one(demanded) if major == 0 else demanded
    if "-" in base and needed is not Step.NONE:
        return f"{major}.{minor}.{patch}"  # what the pre-release announces counts from the release before it
    return {
        Step.MAJOR: f"{major + 1}.0.0",
        Step.MINOR: f"{major}.{minor + 1}.0",
        Step.PATCH: f"{major}.{minor}.{patch + 1}",
        Step.NONE: base,
    }[needed]


def greatest_below(version: str, among: Iterable[str]) -> str | None:
    """Give the release that a new `version` is measured by: the greatest below it that is no pre-release, or None.

    Below `1.2.4-rc.1` are `1.2.3` and `1.2.2`; a fix of an old line is measured by that line.
    """
    found = [other for other in among if "-" not in other and version_key(other) < version_key(version)]
    return max(found, key=version_key, default=None)


def _core(version: str) -> tuple[int, int, int]:
    major, minor, patch = (int(part) for part in version.partition("-")[0].split("."))
    return major, minor, patch


def _before_one(step: Step) -> Step:
    """Before 1.0.0: anything may change, and the habit is that a minor version breaks and a patch extends."""
    return {Step.MAJOR: Step.MINOR, Step.MINOR: Step.PATCH}.get(step, step)
