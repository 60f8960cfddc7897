"""The seam between requirements and the engine that evaluates their `when`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from tidegate.errors import Reason
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.policy.requirements import Requirement


class Outcome(Protocol):
    """Whether a condition holds."""

    @property
    def holds(self) -> bool | None:
        """None: that cannot be told."""

    @property
    def reason(self) -> Reason | None:
        """Why it cannot."""

    @property
    def measured(self) -> Mapping[str, JsonValue]:
        """The values that were read, by path."""


class Program(Protocol):
    """A condition that was checked against the types of what it reads."""

    @property
    def reads(self) -> frozenset[str]:
        """The paths that it reads, each of which must be present in the evidence."""

    @property
    def warnings(self) -> tuple[Reason, ...]:
        """What somebody who edits the policy should know of it."""

    def evaluate(
        self, predicate: JsonObject, baseline: JsonObject | None, release: JsonObject, now: datetime
    ) -> Outcome:
        """Say whether the condition holds of the view of an attestation. Raises nothing."""


def compile_condition(requirement: Requirement) -> tuple[Program | None, str | None]:
    """Give the program of a requirement's `when`, or why this machine has none; both None without a `when`."""
    if requirement.when is None:
        return None, None
    return None, "this machine has no engine for conditions"
