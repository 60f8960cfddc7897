"""A review: somebody looked at what no number decides, and says so. Spec page: docs/spec/review.md."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.evaluation import MAX_CASE_CHARACTERS, MAX_CASES
from tidegate.formats.predicates.members import Members

MAX_SCOPE_CHARACTERS: Final = 500


class ReviewVerdict(StrEnum):
    """What came of it."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Flips:
    """Cases of a suite that came out otherwise than with the release `baseline` (digest of its manifest)."""

    suite: str
    baseline: Digest
    cases: tuple[str, ...]

    def as_json(self) -> JsonObject:
        """Give all members."""
        return {"suite": self.suite, "baseline": str(self.baseline), "cases": list(self.cases)}


@dataclass(frozen=True, slots=True)
class ReviewPredicate:
    """What was looked at, the verdict, and why. `flips`, `scope` (in words), or both say what was looked at."""

    agent: str
    version: str
    digest: Digest
    verdict: ReviewVerdict
    reason: str
    flips: Flips | None = None
    scope: str | None = None

    @classmethod
    def parse(cls, predicate: JsonObject) -> ReviewPredicate:
        """Read the predicate; unknown members are refused. Raises StatementInvalid (code "review-malformed")."""
        members = Members(predicate, "review-malformed", "the review cannot be read").closed(
            "agent", "version", "digest", "verdict", "reason", "flips", "scope"
        )
        if not members.has("flips") and not members.has("scope"):
            raise members.refusal("neither flips nor scope says what was reviewed")
        return cls(
            agent=members.agent(),
            version=members.version(),
            digest=members.digest("digest"),
            verdict=ReviewVerdict(members.choice("verdict", tuple(ReviewVerdict))),
            reason=members.text("reason"),
            flips=_flips(members.object("flips")) if members.has("flips") else None,
            scope=members.text("scope", MAX_SCOPE_CHARACTERS) if members.has("scope") else None,
        )

    def as_json(self) -> JsonObject:
        """Give the members that are set."""
        result: JsonObject = {
            "agent": self.agent,
            "version": self.version,
            "digest": str(self.digest),
            "verdict": self.verdict.value,
            "reason": self.reason,
        }
        if self.flips is not None:
            result["flips"] = self.flips.as_json()
        if self.scope is not None:
            result["scope"] = self.scope
        return result

    def view(self) -> JsonObject:
        """Give what policies and decision records read: every member; `parse` reads it back."""
        return self.as_json()


def _flips(members: Members) -> Flips:
    members.closed("suite", "baseline", "cases")
    cases = members.texts("cases", MAX_CASES, MAX_CASE_CHARACTERS)
    if not cases:
        raise members.refusal("flips names no cases")
    return Flips(members.name("suite"), members.digest("baseline"), cases)
