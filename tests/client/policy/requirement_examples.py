"""One example of each kind of requirement: as people write it, what is told without it, and what meets it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from tests.client.policy.deciding import NOW, Case, attested, bill, evaluation, policy, provenance, scan
from tidegate.formats.predicates.types import PREDICATE_TEST_RESULT
from tidegate.formats.yamldoc import parse_yaml
from tidegate.policy.inputs import Tenure


@dataclass(frozen=True)
class Example:
    """A requirement. `lacking`, `supply`: make the case in which it is not met, and then meet it."""

    kind: str
    says: str
    text: str
    supply: Callable[[Case], object]
    lacking: Callable[[Case], object] | None = None
    needs_cel: bool = False

    def case(self) -> Case:
        """Give a promotion that lacks only this."""
        requirement: Any = parse_yaml(self.text.encode(), limit=4096, name="example").value
        case = Case(policy(requirement))
        if self.lacking is not None:
            self.lacking(case)
        return case


def _flipped(case: Case) -> None:
    case.attach(evaluation({"a": 1, "refund": 0}))
    case.channel(serving_evidence=(evaluation({"a": 1, "refund": 1}),))


def _improved(case: Case) -> None:
    case.attach(evaluation({f"case-{number}": 1 for number in range(200)}))


def _no_worse(case: Case) -> None:
    case.attach(evaluation({"a": 1, "b": 1}))
    case.channel(serving_evidence=(evaluation({"a": 1, "b": 0}),))


EXAMPLES: Final = (
    Example(
        "attestation",
        "The latest evaluation of a suite by the pipeline `evals`, of the last week: 95 % of 200 cases or more.",
        """\
id: eval-passed
attestation: {type: evaluation, signer: evals, suite: regression, maxAge: 7d}
when: "predicate.passRate >= 0.95 && predicate.cases >= 200"
message: "The regression suite must pass at 95 % or more on at least 200 cases."
""",
        _improved,
        needs_cel=True,
    ),
    Example(
        "attestation",
        "At most one percentage point worse than what the target channel serves. The first need not compare.",
        """\
id: no-regression
attestation: {type: evaluation, signer: evals}
baseline: current
onMissingBaseline: pass
when: "predicate.passRate >= baseline.passRate - 0.01"
""",
        _no_worse,
        needs_cel=True,
    ),
    Example(
        "approvals",
        "Two people with the role, neither the author nor who asks, within the last three days.",
        """\
id: two-reviewers
approvals: {count: 2, role: reviewer, notAuthor: true, notRequester: true, maxAge: 72h}
""",
        lambda case: case.approve(case.approval("bob"), case.approval("carol")),
    ),
    Example(
        "review",
        "Somebody has looked at every case that came out otherwise than with what the target channel serves.",
        """\
id: flips-reviewed
review: {evaluation: evals, role: reviewer, suite: regression, allowFlips: 0, notAuthor: true}
""",
        lambda case: case.approve(*case.inputs.approvals, case.review("bob", "refund")),
        _flipped,
    ),
    Example(
        "soak",
        "A day in the source channel without a break, with 500 tasks served there.",
        """\
id: soaked
soak: {min: 24h, minTasks: 500}
""",
        lambda case: case.given(tasks=500),
    ),
    Example(
        "upstream",
        "It was current in another channel for an hour.",
        """\
id: seen-elsewhere
upstream: {channels: [dev], match: any, min: 1h}
""",
        lambda case: case.given(tenures=(*case.inputs.tenures, Tenure("dev", NOW - timedelta(days=3), NOW))),
    ),
    Example(
        "sbom",
        "A CycloneDX bill of materials by the publisher's pipeline.",
        """\
id: listed
sbom: {formats: [cyclonedx], signer: releases}
""",
        lambda case: case.attach(bill()),
    ),
    Example(
        "vulnerabilities",
        "A scan of the last day without anything above medium, one finding aside.",
        """\
id: safe
vulnerabilities: {signer: scans, atMost: medium, maxAge: 24h, ignore: [CVE-2026-0001]}
""",
        lambda case: case.attach(scan(("CVE-2026-0001", "high"), ("CVE-2026-0002", "low"))),
    ),
    Example(
        "provenance",
        "Built at SLSA level 3, by one named builder.",
        """\
id: built-well
provenance: {level: 3, builders: ["https://forge.example/builders/agent/build.yml@refs/tags/v1"]}
""",
        lambda case: case.attach(provenance()),
    ),
    Example(
        "testResult",
        "The latest test result passed. Asked only if a capability was raised or a prompt changed, since 2026.",
        """\
id: red-team
testResult: {signer: evals, maxAge: 30d}
ifChanged: [capability-raised, prompt-changed]
warnUntil: "2026-01-01"
message: "New powers and new prompts go through the red team's suite first."
""",
        lambda case: case.attach(attested(PREDICATE_TEST_RESULT, {"result": "PASSED"})),
    ),
)
