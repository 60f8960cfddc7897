"""What a decision says: each requirement with what was found, what would do, and who can supply it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tidegate.errors import Reason
from tidegate.formats.jcs import JsonObject, JsonValue


class State(StrEnum):
    """How a requirement stands. Only MET, WARNED, EXCEPTED and NOT_APPLICABLE let a promotion pass."""

    MET = "met"
    UNMET = "unmet"
    INCONCLUSIVE = "inconclusive"  # missing or too little data: never counts as met
    WARNED = "warned"  # not met, and until its day that is only a warning
    EXCEPTED = "excepted"  # not met, and somebody answers for it until a day
    NOT_APPLICABLE = "not-applicable"  # nothing changed that it is about

    @property
    def passes(self) -> bool:
        """Whether a requirement in this state holds nothing up."""
        return self is not _UNMET and self is not _INCONCLUSIVE


_UNMET, _INCONCLUSIVE = State.UNMET, State.INCONCLUSIVE  # an enum's members are slow to get, and this is asked often


@dataclass(frozen=True, slots=True)
class Finding:
    """One requirement, judged. `kind`: of the requirement, or `rule` for what the policy itself demands.

    `found`, `expected`: values in words. `who_can`: who can supply what is missing, in words. `measured`: the values
    that were looked at, as they go into the record.
    """

    id: str
    kind: str
    state: State
    message: str
    found: str | None = None
    expected: str | None = None
    hint: str | None = None
    who_can: tuple[str, ...] = ()
    measured: Mapping[str, JsonValue] = field(default_factory=dict)

    @property
    def reason(self) -> Reason:
        """The finding in the shape that refusals carry."""
        able = f"; {', '.join(self.who_can)} can supply it" if self.who_can else ""
        hint = f"{self.hint or ''}{able}".removeprefix("; ") or None
        return Reason(self.id, self.message, self.found, self.expected, hint, self.state.value)

    def as_json(self) -> JsonObject:
        """Give all members that are set, in the words of the API."""
        result: JsonObject = {"id": self.id, "kind": self.kind, "state": self.state.value, "message": self.message}
        pairs = (("found", self.found), ("expected", self.expected), ("hint", self.hint))
        result |= {name: value for name, value in pairs if value is not None}
        return result | {"whoCan": list(self.who_can), "measured": dict(self.measured)}


@dataclass(frozen=True, slots=True)
class Allowed:
    """Yes. Every finding passes."""

    findings: tuple[Finding, ...]

    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Refused:
    """No, or not yet. `missing`: what holds it up, in the order of the policy."""

    findings: tuple[Finding, ...]

    def __bool__(self) -> bool:
        return False

    @property
    def missing(self) -> tuple[Finding, ...]:
        """The findings that do not pass."""
        return tuple(finding for finding in self.findings if not finding.state.passes)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """What is missing, in the shape that refusals carry."""
        return tuple(finding.reason for finding in self.missing)


def verdict(findings: Iterable[Finding]) -> Allowed | Refused:
    """Say yes if every finding passes."""
    judged = tuple(findings)
    return Allowed(judged) if judged and all(finding.state.passes for finding in judged) else Refused(judged)
