"""The result of an evaluation suite over a release. Spec page: docs/spec/evaluation.md.

Rates are never believed: they are computed here from the outcomes of the cases, and a claim that differs is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final

from tidegate.digest import Digest
from tidegate.errors import StatementInvalid
from tidegate.formats.jcs import JsonObject, canonical_bytes
from tidegate.formats.moment import moment_text
from tidegate.formats.pins import pinned_by
from tidegate.formats.predicates.members import Members
from tidegate.formats.predicates.rates import pass_power, wilson_bounds

MAX_CASES: Final = 10_000  # they go into each record of a decision that read them
MAX_CASE_CHARACTERS: Final = 200
MAX_REPEATS: Final = 100
MAX_METRICS: Final = 100
MAX_UNIT_CHARACTERS: Final = 32
CLAIM_TOLERANCE: Final = 1e-6
COMPUTED: Final = frozenset({"passrate", "passratelower", "passrateupper", "passhat", "passhatk", "passk"})
METRIC_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")  # what a condition can write after a dot


@dataclass(frozen=True, slots=True)
class Judge:
    """The model that judged the answers. `pin`: what names its weights, where its id does not."""

    provider: str
    model: str
    pin: str | None = None

    @property
    def is_pinned(self) -> bool:
        """Whether it cannot have become another model under the same name."""
        return self.pin is not None or pinned_by(self.model) is not None

    def as_json(self) -> JsonObject:
        """Give the members that are set."""
        result: JsonObject = {"provider": self.provider, "model": self.model}
        return result | ({} if self.pin is None else {"pin": self.pin})


@dataclass(frozen=True, slots=True)
class Metric:
    """A number over `n` observations, in `unit`."""

    value: float
    n: int
    unit: str

    def as_json(self) -> JsonObject:
        """Give all members."""
        return {"value": self.value, "n": self.n, "unit": self.unit}


@dataclass(frozen=True)
class EvaluationPredicate:
    """What came of running every case of `suite` over `dataset` with `harness`, `repeats` times each.

    `outcomes`: by case, how many of its runs passed; None when only their digest was given. `claimed`: rates as the
    signer wrote them, which equal the computed ones.
    """

    suite: str
    dataset: Digest
    harness: Digest
    repeats: int
    outcomes: Mapping[str, int] | None = None
    outcomes_digest: Digest | None = None
    judge: Judge | None = None
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    claimed: Mapping[str, float] = field(default_factory=dict)
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @classmethod
    def parse(cls, predicate: JsonObject) -> EvaluationPredicate:
        """Read the predicate; unknown members are refused.

        Raises StatementInvalid: code "evaluation-malformed", or "evaluation-mismatch" when a claimed rate or digest is
        not what the outcomes give.
        """
        members = Members(predicate, "evaluation-malformed", "the evaluation cannot be read").closed(
            "suite",
            "dataset",
            "harness",
            "judge",
            "repeats",
            "outcomes",
            "outcomesDigest",
            "metrics",
            "claimed",
            "startedAt",
            "finishedAt",
        )
        repeats = members.count("repeats", least=1, most=MAX_REPEATS)
        found = cls(
            suite=members.name("suite"),
            dataset=members.digest("dataset"),
            harness=members.digest("harness"),
            repeats=repeats,
            outcomes=_outcomes(members, repeats) if members.has("outcomes") else None,
            outcomes_digest=members.digest_or_none("outcomesDigest"),
            judge=_judge(members.object("judge")) if members.has("judge") else None,
            metrics=_metrics(members.object("metrics")) if members.has("metrics") else {},
            claimed=_claims(members.object("claimed")) if members.has("claimed") else {},
            started_at=members.moment_or_none("startedAt"),
            finished_at=members.moment_or_none("finishedAt"),
        )
        if found.outcomes is None and found.outcomes_digest is None:
            raise members.refusal("neither outcomes nor outcomesDigest is there")
        found._check_claims()
        return found

    @cached_property
    def rates(self) -> Mapping[str, float]:
        """The rates that the outcomes give, by name; empty without outcomes."""
        if self.outcomes is None:
            return {}
        rate = sum(self.outcomes.values()) / (len(self.outcomes) * self.repeats)
        # runs of one case hang together; as one observation a case the bounds are at worst too wide
        lower, upper = wilson_bounds(rate, len(self.outcomes))
        power = pass_power(self.outcomes.values(), self.repeats)
        return {"passRate": rate, "passRateLower": lower, "passRateUpper": upper, "passHatK": power[-1]}

    def as_json(self) -> JsonObject:
        """Give the members that are set."""
        result: JsonObject = {
            "suite": self.suite,
            "dataset": str(self.dataset),
            "harness": str(self.harness),
            "repeats": self.repeats,
        }
        if self.outcomes is not None:
            result["outcomes"] = dict(self.outcomes)
        if self.outcomes_digest is not None:
            result["outcomesDigest"] = str(self.outcomes_digest)
        return result | self._context() | ({"claimed": dict(self.claimed)} if self.claimed else {})

    def view(self) -> JsonObject:
        """Give what policies read: rates, counts and bounds as computed here. Without outcomes there are none."""
        result: JsonObject = {
            "suite": self.suite,
            "dataset": str(self.dataset),
            "harness": str(self.harness),
            "repeats": self.repeats,
        }
        if self.outcomes is not None:
            passes = self.outcomes.values()
            power = pass_power(passes, self.repeats)
            result |= {
                "cases": len(passes),
                "runs": len(passes) * self.repeats,
                "passedRuns": sum(passes),
                "passed": sum(passed == self.repeats for passed in passes),
                "passHat": {str(k): share for k, share in enumerate(power, start=1)},
                "outcomes": [
                    {"id": case, "passes": passed, "of": self.repeats} for case, passed in sorted(self.outcomes.items())
                ],
            }
        result |= {**self.rates, **self._context()}
        if self.judge is not None:
            result["judge"] = f"{self.judge.provider}/{self.judge.model}"
            result["judgePinned"] = self.judge.is_pinned
            result |= {} if self.judge.pin is None else {"judgePin": self.judge.pin}
        return result

    def _context(self) -> JsonObject:
        result: JsonObject = {"metrics": {name: metric.as_json() for name, metric in self.metrics.items()}}
        if self.judge is not None:
            result["judge"] = self.judge.as_json()
        if self.started_at is not None:
            result["startedAt"] = moment_text(self.started_at)
        if self.finished_at is not None:
            result["finishedAt"] = moment_text(self.finished_at)
        return result

    def _check_claims(self) -> None:
        if self.outcomes is None:
            if self.claimed:
                raise StatementInvalid(
                    "the evaluation claims rates that nobody can compute without the outcomes",
                    code="evaluation-mismatch",
                    found=", ".join(self.claimed),
                    hint="give outcomes, or leave the rates out",
                )
            return
        if self.outcomes_digest is not None and self.outcomes_digest != outcomes_digest(self.outcomes):
            raise StatementInvalid(
                "the evaluation's outcomes are not those of its digest",
                code="evaluation-mismatch",
                found=self.outcomes_digest,
                expected=outcomes_digest(self.outcomes),
            )
        different = [name for name, value in self.claimed.items() if abs(value - self.rates[name]) > CLAIM_TOLERANCE]
        if different:
            raise StatementInvalid(
                "the evaluation claims other rates than its outcomes give",
                code="evaluation-mismatch",
                found="; ".join(f"{name} {self.claimed[name]}" for name in different),
                expected="; ".join(f"{name} {self.rates[name]}" for name in different),
                hint="leave the rates out: they are computed from the outcomes",
            )


def outcomes_digest(outcomes: Mapping[str, int]) -> Digest:
    """Give the sha256 of the outcomes as canonical JSON (RFC 8785)."""
    return Digest.of(canonical_bytes(dict(outcomes)))


def _outcomes(members: Members, repeats: int) -> Mapping[str, int]:
    outcomes = members.object("outcomes")
    if not 0 < len(outcomes.values) <= MAX_CASES:
        raise members.refusal(f"outcomes must hold 1 to {MAX_CASES:,} cases", f"{len(outcomes.values)} cases")
    for case in outcomes.values:
        if not 0 < len(case) <= MAX_CASE_CHARACTERS or not case.isprintable():
            raise members.refusal(f"a case is called by 1 to {MAX_CASE_CHARACTERS} printable characters", case)
    return {case: outcomes.count(case, most=repeats) for case in outcomes.values}


def _judge(members: Members) -> Judge:
    members.closed("provider", "model", "pin")
    return Judge(members.name("provider"), members.name("model"), members.name("pin") if members.has("pin") else None)


def _metrics(members: Members) -> Mapping[str, Metric]:
    if len(members.values) > MAX_METRICS:
        raise members.refusal(f"there are more than {MAX_METRICS} metrics", len(members.values))
    metrics = {}
    for name in members.values:
        if not METRIC_NAME.fullmatch(name):
            raise members.refusal("a metric's name is letters, digits and _", name)
        if name.replace("_", "").lower() in COMPUTED:  # or a condition that reads it there would believe it
            raise members.refusal("a rate that is computed from the outcomes is no metric", name, "another name")
        inside = members.object(name).closed("value", "n", "unit")
        metrics[name] = Metric(
            inside.number("value"), inside.count("n", least=1), inside.text("unit", MAX_UNIT_CHARACTERS)
        )
    return metrics


def _claims(members: Members) -> Mapping[str, float]:
    names = ("passRate", "passRateLower", "passRateUpper", "passHatK")
    members.closed(*names)
    return {name: members.number(name) for name in names if members.has(name)}
