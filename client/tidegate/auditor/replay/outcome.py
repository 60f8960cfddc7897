"""What replaying a log comes to: each decision with whether it agrees, and what is wrong with entries besides."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from tidegate.errors import Reason
from tidegate.formats.jcs import JsonObject
from tidegate.formats.moment import moment_text

MAX_KEPT: Final = 10_000  # of results that do not agree; further ones are counted


class State(StrEnum):
    """How an entry stands after it was looked at again."""

    AGREED = "agreed"
    DIFFERING = "differing"
    NOT_REPLAYABLE = "not-replayable"


@dataclass(frozen=True, slots=True)
class Replayed:
    """One entry, looked at again. `about`: what was decided, in words. `said`: the verdict that it records.

    `reasons`: what differs, or why it cannot be replayed. `today`: what would come out otherwise under the trust of the
    auditor, or with this version's engine; that is nobody's fault.
    """

    index: int
    entry: str
    type: str
    at: datetime
    about: str
    said: str
    state: State
    reasons: tuple[Reason, ...] = ()
    today: tuple[Reason, ...] = ()

    def as_json(self) -> JsonObject:
        """Give all of it."""
        return {
            "index": self.index,
            "entry": self.entry,
            "type": self.type,
            "at": moment_text(self.at),
            "about": self.about,
            "said": self.said,
            "state": self.state.value,
            "reasons": [dict(each.as_json()) for each in self.reasons],
            "today": [dict(each.as_json()) for each in self.today],
        }


@dataclass(slots=True)
class Summary:
    """What a whole replay came to. `notable`: all that does not agree, or would be otherwise today, by index."""

    decisions: int = 0
    agreed: int = 0
    differing: int = 0
    not_replayable: int = 0
    otherwise_today: int = 0
    notable: list[Replayed] = field(default_factory=list)

    def add(self, each: Replayed, *, is_decision: bool) -> None:
        """Count one entry."""
        self.decisions += is_decision
        self.agreed += each.state is State.AGREED and is_decision
        self.differing += each.state is State.DIFFERING
        self.not_replayable += each.state is State.NOT_REPLAYABLE
        self.otherwise_today += bool(each.today)
        if (each.state is not State.AGREED or each.today) and len(self.notable) < MAX_KEPT:
            self.notable.append(each)

    def as_json(self) -> JsonObject:
        """Give the counts and what is notable."""
        return {
            "decisions": self.decisions,
            "agreed": self.agreed,
            "differing": self.differing,
            "notReplayable": self.not_replayable,
            "otherwiseToday": self.otherwise_today,
            "notable": [each.as_json() for each in sorted(self.notable, key=lambda each: each.index)],
        }


def state_of(differing: Iterable[Reason], lacking: Iterable[Reason]) -> tuple[State, tuple[Reason, ...]]:
    """Say how an entry stands: what differs counts before what could not be looked at, and both are told."""
    differing, lacking = tuple(differing), tuple(lacking)
    if differing:
        return State.DIFFERING, (*differing, *lacking)
    return (State.NOT_REPLAYABLE, lacking) if lacking else (State.AGREED, ())
