"""A shadow comparison: two releases given the same live tasks. Spec page: docs/spec/shadow-comparison.md."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.evaluation import MAX_METRICS, MAX_UNIT_CHARACTERS, METRIC_NAME
from tidegate.formats.predicates.members import Members
from tidegate.formats.predicates.rates import wilson_bounds

OUTCOMES: Final = ("both", "candidateOnly", "baselineOnly", "neither")


@dataclass(frozen=True, slots=True)
class PairedMetric:
    """The mean of a number over `n` tasks that both releases did, for each of them, in `unit`."""

    candidate: float
    baseline: float
    n: int
    unit: str

    def as_json(self) -> JsonObject:
        """Give all members."""
        return {"candidate": self.candidate, "baseline": self.baseline, "n": self.n, "unit": self.unit}


@dataclass(frozen=True, slots=True)
class ShadowPredicate:
    """How a candidate, the statement's subject, did beside `baseline` on the same tasks of one channel.

    `succeeded`: how many tasks succeeded with both, with one alone, with neither. Times are aware.
    """

    agent: str
    digest: Digest
    baseline: Digest
    channel: str
    started_at: datetime
    finished_at: datetime
    both: int
    candidate_only: int
    baseline_only: int
    neither: int
    metrics: Mapping[str, PairedMetric] = field(default_factory=dict)

    @classmethod
    def parse(cls, predicate: JsonObject) -> ShadowPredicate:
        """Read the predicate; unknown members are refused. Raises StatementInvalid (code "shadow-malformed")."""
        members = Members(predicate, "shadow-malformed", "the shadow comparison cannot be read").closed(
            "agent", "digest", "baseline", "channel", "startedAt", "finishedAt", "succeeded", "metrics"
        )
        counts = members.object("succeeded").closed(*OUTCOMES)
        found = cls(
            agent=members.agent(),
            digest=members.digest("digest"),
            baseline=members.digest("baseline"),
            channel=members.channel(),
            started_at=members.moment("startedAt"),
            finished_at=members.moment("finishedAt"),
            both=counts.count("both"),
            candidate_only=counts.count("candidateOnly"),
            baseline_only=counts.count("baselineOnly"),
            neither=counts.count("neither"),
            metrics=_metrics(members.object("metrics")) if members.has("metrics") else {},
        )
        if found.finished_at < found.started_at:
            raise members.refusal("it finished before it started", found=moment_text(found.finished_at))
        if found.tasks == 0:
            raise members.refusal("no task was done by both")
        return found

    @property
    def tasks(self) -> int:
        """How many tasks both releases were given."""
        return self.both + self.candidate_only + self.baseline_only + self.neither

    def as_json(self) -> JsonObject:
        """Give all members."""
        return {
            "agent": self.agent,
            "digest": str(self.digest),
            "baseline": str(self.baseline),
            "channel": self.channel,
            "startedAt": moment_text(self.started_at),
            "finishedAt": moment_text(self.finished_at),
            "succeeded": {
                "both": self.both,
                "candidateOnly": self.candidate_only,
                "baselineOnly": self.baseline_only,
                "neither": self.neither,
            },
            "metrics": {name: metric.as_json() for name, metric in self.metrics.items()},
        }

    def view(self) -> JsonObject:
        """Give what policies read: the members, and the rates that the counts give."""
        tasks = self.tasks
        candidate, baseline = (self.both + self.candidate_only) / tasks, (self.both + self.baseline_only) / tasks
        lower, upper = wilson_bounds(candidate, tasks)
        return self.as_json() | {
            "tasks": tasks,
            "seconds": (self.finished_at - self.started_at).total_seconds(),
            "candidateRate": candidate,
            "candidateRateLower": lower,
            "candidateRateUpper": upper,
            "baselineRate": baseline,
            "agreementRate": (self.both + self.neither) / tasks,
        }


def _metrics(members: Members) -> Mapping[str, PairedMetric]:
    if len(members.values) > MAX_METRICS:
        raise members.refusal(f"there are more than {MAX_METRICS} metrics", len(members.values))
    metrics = {}
    for name in members.values:
        if not METRIC_NAME.fullmatch(name):
            raise members.refusal("a metric's name is letters, digits and _", name)
        inside = members.object(name).closed("candidate", "baseline", "n", "unit")
        metrics[name] = PairedMetric(
            candidate=inside.number("candidate"),
            baseline=inside.number("baseline"),
            n=inside.count("n", least=1),
            unit=inside.text("unit", MAX_UNIT_CHARACTERS),
        )
    return metrics
