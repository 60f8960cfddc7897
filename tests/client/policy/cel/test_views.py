"""Conditions over what evidence really gives: the views of the documented examples."""

from __future__ import annotations

import re

import pytest

from tests.client.policy.cel.library import NOW, RELEASE, needs_library
from tests.documents import SPEC, evaluation, json_example
from tidegate.formats.jcs import JsonObject, canonical_bytes, parse_object
from tidegate.formats.predicates.evaluation import outcomes_digest
from tidegate.formats.predicates.types import (
    PREDICATE_EVALUATION,
    PREDICATE_REVIEW,
    PREDICATE_SHADOW,
    PREDICATE_VULNERABILITIES,
)
from tidegate.formats.predicates.views import view_of
from tidegate.policy.cel.program import compile_when

pytestmark = needs_library


def view(kind: str, document: JsonObject) -> JsonObject:
    """Give the view as it comes back from a decision's record, where 1.0 is written 1."""
    return parse_object(canonical_bytes(view_of(kind, document)), limit=1 << 20, what="the view")


def conditions() -> list[tuple[str, str]]:
    pages = {"evaluation": PREDICATE_EVALUATION, "shadow-comparison": PREDICATE_SHADOW}
    found = [
        (kind, text)
        for page, kind in pages.items()
        for text in re.findall(r"^when: (.*)$", (SPEC / f"{page}.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    ]
    assert len(found) == 4
    return found


@pytest.mark.parametrize(("kind", "text"), conditions())
def test_every_condition_of_a_page_can_be_told_of_its_example(kind: str, text: str) -> None:
    example = view(kind, json_example("evaluation" if kind == PREDICATE_EVALUATION else "shadow-comparison"))
    outcome = compile_when(text, kind, with_baseline=True).evaluate(example, example, RELEASE, NOW)
    assert outcome.holds is not None, outcome.reason


@pytest.mark.parametrize(
    ("kind", "document", "text", "holds"),
    [
        (PREDICATE_EVALUATION, evaluation(), 'predicate.passHat["2"] > 0.8 && predicate.passHatK == 0.75', True),
        (PREDICATE_EVALUATION, evaluation(), "predicate.passedRuns == 11 && predicate.runs == 12", True),
        (PREDICATE_EVALUATION, evaluation(outcomes={"a": 3}), "predicate.passRate >= 1.0", True),
        (
            PREDICATE_EVALUATION,
            evaluation(),
            'predicate.outcomes.all(o, o.passes == o.of || o.id == "tone-angry")',
            True,
        ),
        (PREDICATE_SHADOW, json_example("shadow-comparison"), "predicate.succeeded.baselineOnly <= 4", False),
        (PREDICATE_REVIEW, json_example("review"), '"refund-late" in predicate.flips.cases', True),
        (
            PREDICATE_VULNERABILITIES,
            json_example("evidence-of-others", 0),
            "predicate.counts.high == 1 && !predicate.findings.exists(f, f.severity == 'critical')",
            True,
        ),
    ],
)
def test_what_evidence_gives_is_read_as_it_is_meant(kind: str, document: JsonObject, text: str, holds: object) -> None:
    program = compile_when(text, kind, with_baseline=False)
    assert program.evaluate(view(kind, document), None, RELEASE, NOW).holds is holds


@pytest.mark.parametrize(
    "text", ["predicate.passRate >= 0.0", "predicate.cases >= 0", "predicate.outcomes.all(o, o.passes == o.of)"]
)
def test_outcomes_that_are_not_shown_meet_nothing(text: str) -> None:
    hidden = evaluation()
    hidden["outcomesDigest"] = str(outcomes_digest(hidden.pop("outcomes")))
    program = compile_when(text, PREDICATE_EVALUATION, with_baseline=False)
    assert program.evaluate(view(PREDICATE_EVALUATION, hidden), None, RELEASE, NOW).holds is None


def test_a_scan_too_long_to_list_never_lacks_a_finding() -> None:
    scan = json_example("evidence-of-others", 0)
    finding = {"severity": [{"method": "nvd", "score": "low"}]}
    scan["scanner"]["result"] = [{"id": f"CVE-{number}", **finding} for number in range(2001)]
    program = compile_when(
        "!predicate.findings.exists(f, f.id == 'CVE-1')", PREDICATE_VULNERABILITIES, with_baseline=False
    )
    assert program.evaluate(view(PREDICATE_VULNERABILITIES, scan), None, RELEASE, NOW).holds is None
