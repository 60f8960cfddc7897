"""Numbered steps: one small function each, listed in one table, run in order by one loop.

The numbers are those of docs/spec/verification.md. A step looks at one thing, returns nothing, and raises
EvidenceRefused when it is not as it must be. What a step learns it leaves on the subject it was given, and what a later
step needs and nobody left there makes that later step fail. So the table can be taken apart in a test, one entry
replaced by a function that does nothing, to see that some test notices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from tidegate.errors import EvidenceRefused, TidegateError, Unreachable

Subject = TypeVar("Subject")

MAX_TEXT = 200  # of anything that came from outside and goes into a refusal


@dataclass(frozen=True, slots=True)
class Step(Generic[Subject]):
    """One numbered check. `title` completes the sentence "checked: …"."""

    number: str
    title: str
    check: Callable[[Subject], None]


def run_steps(steps: Sequence[Step[Subject]], subject: Subject) -> None:
    """Run `steps` in order on `subject`. Raises EvidenceRefused that names the step, or Unreachable.

    Any exception is a refusal: libraries let ValueError and others of their own escape on hostile input. Of those only
    the class is told (code "verification-error"), never their text.
    """
    for step in steps:
        try:
            step.check(subject)
        except (EvidenceRefused, Unreachable):  # what did not answer says nothing of the evidence
            raise
        except TidegateError as error:
            reason = error.reasons[0]
            raise EvidenceRefused(
                error.message,
                code=reason.code,
                found=bounded(reason.found),
                expected=reason.expected,
                hint=reason.hint,
                step=step.number,
            ) from error
        except Exception as error:
            raise EvidenceRefused(
                "the evidence could not be verified",
                code="verification-error",
                found=type(error).__name__,
                expected="well-formed evidence",
                step=step.number,
            ) from error


def bounded(value: object) -> str | None:
    """Give `value` as text that is safe to print: one line, printable, at most MAX_TEXT characters."""
    if value is None:
        return None
    text = "".join(character if character.isprintable() else " " for character in str(value))
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
