"""Numbered steps: one small function each, listed in tables, run in order. The numbers are those of docs/spec/log.md.

A step looks at one thing and raises a LogRefused that carries its number. What a step learns it leaves on its subject,
and what a later step needs and nobody left there makes that later step fail. So the tables can be taken apart in a
test, one entry replaced by a function that does nothing, to see that some test notices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Subject = TypeVar("Subject")


@dataclass(frozen=True, slots=True)
class LogStep(Generic[Subject]):
    """One numbered check. `title` completes the sentence "checked: …"."""

    number: str
    title: str
    check: Callable[[Subject], None]


def run_steps(steps: Sequence[LogStep[Subject]], subject: Subject) -> None:
    """Run `steps` in order on `subject`. Raises what the first one that fails raises: a LogRefused."""
    for step in steps:
        step.check(subject)
