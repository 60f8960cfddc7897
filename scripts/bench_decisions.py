#!/usr/bin/env python3
"""The cases of decisions: ten requirements, four of them with conditions, over twenty attestations, once loaded; and
what another text of the policy would have made of 500 of them.

scripts/bench_decisions.py    times them alone, without the stage that `scripts/bench.py` needs
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.bench_cases import Result
from tests.client.policy.deciding import Case, attested, bill, evaluation, policy, provenance, scan
from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.types import PREDICATE_CYCLONEDX, PREDICATE_TEST_RESULT
from tidegate.policy.decide import decide
from tidegate.policy.editing import Known
from tidegate.policy.model import COMPANY
from tidegate.policy.record import make_record
from tidegate.policy.recorded import Charters, read_case
from tidegate.policy.verdict import Allowed
from tidegate.policy.whatif import what_if

if TYPE_CHECKING:
    from scripts.bench_stage import Bench
    from tidegate.formats.jcs import JsonObject
    from tidegate.policy.inputs import Attested

HOUR = timedelta(hours=1)
DECISIONS = 2_000
RECORDS = 500  # as many as `tidegate policy what-if` makes again unless told otherwise


def decisions(bench: Bench | None, rounds: int) -> Iterator[Result]:
    """Time one decision, in microseconds of this thread; what others do on the machine still slows its caches."""
    del bench
    case, timed = ten_by_twenty(), Result("decision, 10 requirements, 20 attestations", "µs")
    for _ in range(max(rounds, 3)):
        times = []
        for _ in range(DECISIONS):
            begun = time.thread_time_ns()
            decide(case.policy, case.inputs, case.now)
            times.append((time.thread_time_ns() - begun) / 1000)
        timed.add("tidegate.policy.decide", statistics.median(times))
    yield timed


def what_if_over_decisions(bench: Bench | None, rounds: int) -> Iterator[Result]:
    """Time the question what another text would have decided: read the records, decide each twice. Seconds of CPU."""
    del bench
    case, timed = ten_by_twenty(), Result(f"what-if, {RECORDS} decisions", "s of CPU")
    actor = {"kind": "human", "issuer": case.inputs.request.requester.issuer, "name": "rita"}
    record = make_record(case.policy, case.inputs, case.verdict(), now=case.now, actor=actor)
    stricter = policy({"id": "three", "approvals": {"count": 3, "role": "reviewer"}})
    for _ in range(max(rounds, 3)):
        begun = time.thread_time()
        charters: Charters = {}
        cases = [read_case(record, charters, id_=str(number)) for number in range(RECORDS)]
        found = what_if(lambda _: case.policy, lambda _: stricter, cases, Known((), frozenset()), names=[COMPANY])
        timed.add("tidegate.policy.whatif", time.thread_time() - begun)
        if len(found.flips) != RECORDS:
            raise SystemExit("each of them should come out otherwise")
    timed.notes["record, KiB"] = round(len(record) / 1024)
    yield timed


def ten_by_twenty() -> Case:
    """Make a promotion that is allowed after everything has been looked at."""
    wanted = {"type": "evaluation", "signer": "evals", "maxAge": "7d"}
    case = Case(
        policy(
            {"id": "two", "approvals": {"count": 2, "role": "reviewer", "maxAge": "72h"}},
            {"id": "good", "attestation": {**wanted}, "when": "predicate.passRate >= 0.95 && predicate.cases >= 20"},
            {
                "id": "no-worse",
                "attestation": {**wanted},
                "baseline": "current",
                "when": "predicate.passRate >= baseline.passRate - 0.01",
            },
            {"id": "fast", "attestation": {**wanted}, "when": "predicate.metrics.latency_p95.value <= 900.0"},
            {
                "id": "cheap",
                "attestation": {**wanted},
                "baseline": "current",
                "when": "predicate.metrics.cost.value <= baseline.metrics.cost.value * 1.1",
            },
            {"id": "soaked", "soak": {"min": "24h", "minTasks": 500}},
            {"id": "listed", "sbom": {}},
            {"id": "safe", "vulnerabilities": {"signer": "scans", "atMost": "medium", "maxAge": "24h"}},
            {"id": "built", "provenance": {"level": 3}},
            {"id": "tested", "testResult": {"signer": "evals", "maxAge": "30d"}},
        )
    )
    case.attach(*(_evaluation(number) for number in range(1, 7)))
    case.attach(*(scan(*((f"CVE-{each}", "low") for each in range(20)), age=HOUR * number) for number in range(1, 5)))
    case.attach(*(attested(PREDICATE_TEST_RESULT, {"result": "PASSED"}, age=HOUR * number) for number in range(1, 5)))
    case.attach(*(attested(PREDICATE_CYCLONEDX, {}, signer="release", age=HOUR * number) for number in range(2, 5)))
    case.attach(bill(), provenance())
    case.channel(serving_evidence=(_evaluation(200),))
    case.given(tasks=812)
    case.approve(case.approval("bob"), case.approval("carol"))
    verdict = case.verdict()
    if not isinstance(verdict, Allowed):
        raise SystemExit(f"it should be allowed: {', '.join(case.lacks())}")
    return case


def _evaluation(hours: int) -> Attested:
    made = evaluation({f"case-{number}": 1 for number in range(200)}, age=HOUR * hours)
    metrics: JsonObject = {
        "latency_p95": {"value": 640.0, "n": 200, "unit": "ms"},
        "cost": {"value": 0.02, "n": 200, "unit": "USD"},
    }
    return replace(made, view={**(made.view or {}), "metrics": metrics}, payload_digest=Digest.of(bytes([hours])))


if __name__ == "__main__":
    for found in (*decisions(None, 5), *what_if_over_decisions(None, 5)):
        for contender, samples in found.samples.items():
            print(f"{contender}: {', '.join(f'{sample:.3g}' for sample in samples)} {found.unit}")
