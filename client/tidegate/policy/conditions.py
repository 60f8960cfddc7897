"""From a requirement to the program of its `when`."""

from __future__ import annotations

from tidegate.policy.cel.program import Program, compile_when
from tidegate.policy.requirements import Requirement


def compile_condition(requirement: Requirement) -> tuple[Program | None, str | None]:
    """Give the program of a requirement's `when`, or why this machine has none; both None without a `when`.

    Raises WhenInvalid.
    """
    if requirement.when is None or requirement.attestation is None:
        return None, None
    program = compile_when(
        requirement.when, requirement.attestation.type, with_baseline=requirement.baseline is not None
    )
    return (program, None) if program.unavailable is None else (None, program.unavailable.message)
