"""Runs of cases, and the evaluation that they add up to. Spec page: docs/spec/evaluation.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import fsum
from typing import Final

from tidegate.digest import Digest
from tidegate.errors import InvalidInput
from tidegate.formats.predicates.evaluation import (
    MAX_CASES,
    MAX_REPEATS,
    EvaluationPredicate,
    Judge,
    Metric,
)

MAX_RUNS: Final = MAX_CASES * MAX_REPEATS
MAX_TOLD: Final = 5


@dataclass(frozen=True, slots=True)
class CaseRun:
    """One run of one case. `measured`: by name, a number and its unit, such as `{"latency": (2.5, "s")}`."""

    case: str
    passed: bool
    measured: Mapping[str, tuple[float, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Measured:
    """What was run with what: the members of an evaluation that no tool's file tells."""

    suite: str
    dataset: Digest
    harness: Digest
    repeats: int = 1
    judge: Judge | None = None


def evaluate(
    runs: Sequence[CaseRun], about: Measured, times: tuple[datetime | None, datetime | None] = (None, None)
) -> EvaluationPredicate:
    """Add runs up to an evaluation. `times`: when the first run began and the last ended, as far as known.

    Every case must have been run `about.repeats` times: one that was run again until it passed would count as passed.
    Raises InvalidInput (code "results-invalid" or "results-repeats"), StatementInvalid.
    """
    if not 0 < len(runs) <= MAX_RUNS:
        raise InvalidInput(
            "the results hold no runs of cases" if not runs else "the results hold too many runs",
            code="results-invalid",
            found=f"{len(runs)} runs",
            expected=f"1 to {MAX_RUNS:,}",
        )
    counted = Counter(run.case for run in runs)
    odd = [f"{case} {count} times" for case, count in sorted(counted.items()) if count != about.repeats]
    if odd:
        more = f", and {len(odd) - MAX_TOLD} more" if len(odd) > MAX_TOLD else ""
        raise InvalidInput(
            "some cases were run more or less often than was said",
            code="results-repeats",
            found=f"{', '.join(odd[:MAX_TOLD])}{more}",
            expected=f"each case {about.repeats} times",
            hint="give --repeats, and run every case equally often; two cases of one name count as one",
        )
    passes = Counter(run.case for run in runs if run.passed)
    found = EvaluationPredicate(
        suite=about.suite,
        dataset=about.dataset,
        harness=about.harness,
        repeats=about.repeats,
        judge=about.judge,
        outcomes={case: passes[case] for case in sorted(counted)},
        metrics=_means(runs),
        started_at=times[0],
        finished_at=times[1],
    )
    return EvaluationPredicate.parse(found.as_json())  # the same bounds as for everybody who reads it


def _means(runs: Iterable[CaseRun]) -> Mapping[str, Metric]:
    values: dict[str, list[float]] = {}
    units: dict[str, str] = {}
    for run in runs:
        for name, (value, unit) in run.measured.items():
            if units.setdefault(name, unit) != unit:
                raise InvalidInput(
                    f"{name} is given in two units", code="results-invalid", found=unit, expected=units[name]
                )
            values.setdefault(name, []).append(value)
    return {name: Metric(fsum(found) / len(found), len(found), units[name]) for name, found in sorted(values.items())}
