"""The seam between requirements and the engine that evaluates their `when`."""

from __future__ import annotations

from typing import Protocol

from tidegate.errors import Reason
from tidegate.policy.requirements import Requirement


class Program(Protocol):
    """A condition that was checked against the types of what it reads."""

    @property
    def reads(self) -> frozenset[str]:
        """The paths that it reads, each of which must be present in the evidence."""

    @property
    def warnings(self) -> tuple[Reason, ...]:
        """What somebody who edits the policy should know of it."""


def compile_condition(requirement: Requirement) -> tuple[Program | None, str | None]:
    """Give the program of a requirement's `when`, or why this machine has none; both None without a `when`."""
    if requirement.when is None:
        return None, None
    return None, "this machine has no engine for conditions"
