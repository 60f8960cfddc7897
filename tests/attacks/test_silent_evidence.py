"""Threat: evidence leaves out the number it would fail by, so that a condition reads 0, or nothing, and holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pytest

from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.formats.predicates.types import PREDICATE_EVALUATION, PREDICATE_VULNERABILITIES
from tidegate.policy.cel.program import Outcome, compile_when

NOW: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)


def judge(text: str, of: str, predicate: JsonObject) -> Outcome:
    return compile_when(text, of, with_baseline=False).evaluate(predicate, None, {}, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "predicate.counts.critical == 0",
        "predicate.counts.critical < 1 || predicate.total == 3",
        "predicate.findings.all(f, f.severity != 'critical')",
        "!(predicate.counts.critical > 0)",
        "!predicate.findings.exists(f, f.severity == 'critical')",
        "predicate.findings.filter(f, f.severity == 'critical').size() == 0",
        "[predicate.counts.critical, 5].exists(n, n == 5)",
        "(predicate.total == 3 ? 0 : predicate.counts.critical) == 0",
        "dyn(predicate.counts.critical) == 0",
    ],
)
@pytest.mark.parametrize(
    "evidence",
    [
        {"total": 3, "counts": {"high": 3}, "findings": [{"id": "CVE-1", "severity": "low"}, {"id": "CVE-2"}]},
        {"total": 3, "counts": {"critical": None}, "findings": [None]},
        {"total": 3, "counts": {}},
        {"total": 3},
    ],
)
def test_a_scan_that_does_not_say_how_bad_it_is_passes_no_condition(text: str, evidence: JsonObject) -> None:
    assert judge(text, PREDICATE_VULNERABILITIES, evidence).holds is None


@pytest.mark.parametrize("value", ["0", True, [], {}, "no errors", 0.5, 2**70])
def test_a_value_of_another_type_passes_no_condition(value: JsonValue) -> None:
    text = "predicate.counts.critical != 1"
    assert judge(text, PREDICATE_VULNERABILITIES, {"counts": {"critical": value}}).holds is None


def test_an_answer_that_is_an_error_is_not_taken_for_yes() -> None:
    # the library gives errors as text, and text is true in Python
    assert judge("1 / predicate.cases > 0 || 1 % predicate.cases > 0", PREDICATE_EVALUATION, {"cases": 0}).holds is None


def test_what_the_policy_does_not_know_at_all_is_not_there_either() -> None:
    assert judge("predicate.errorRate < 0.05", "https://example.com/tone/v1", {"error_rate": 0.7}).holds is None
