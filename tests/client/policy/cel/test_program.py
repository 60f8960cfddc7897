"""What conditions mean: what counts, what must be there, and what is inconclusive."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Final

import pytest

from tests.client.policy.cel.library import NOW, RELEASE, judge, needs_library
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.formats.predicates.types import PREDICATE_EVALUATION, PREDICATE_TEST_RESULT, PREDICATE_VULNERABILITIES
from tidegate.policy.cel.program import ITERATION_BUDGET, compile_when

UNKNOWN_TYPE: Final = "https://example.com/predicate/tone/v1"
EVALUATION: Final[JsonObject] = {
    "suite": "regression",
    "cases": 400,
    "passRate": 0.97,
    "metrics": {
        "cost": {"value": 0.1, "n": 5, "unit": "usd"},
        "p95 latency": {"value": 2.0, "n": 5},
        "tokens": {"value": 812.0, "n": 5},
    },
    "outcomes": [{"id": "a", "passes": 3, "of": 3}, {"id": "b", "passes": 1, "of": 3}],
}

pytestmark = needs_library


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("predicate.passRate >= 0.95 && predicate.cases >= 200", True),
        ("predicate.passRate >= 0.98", False),
        ('predicate.metrics["p95 latency"].value < 2.5', True),
        ("predicate.metrics.all(name, predicate.metrics[name].n >= 5)", True),
        ("predicate.outcomes.filter(o, o.passes < o.of).size() <= 1", True),
        ("predicate.outcomes.filter(o, o.passes < o.of).map(o, o.id) == ['b']", True),
        ("predicate.outcomes.exists_one(o, o.passes == o.of)", True),
        ("(predicate.outcomes + predicate.outcomes).size() == 4", True),
        ('release.channel == "stable" && !release.opaque && predicate.cases > 0', True),
        ('now > timestamp("2026-11-21T00:00:00Z") && predicate.cases > 0', True),
        ('predicate.suite.matches("^reg") && predicate.suite in ["regression", release.agent]', True),
        ("double(predicate.cases) * predicate.passRate > 387.5", True),
        ("[1].all(predicate, .predicate.cases > 1 && predicate == 1)", True),
    ],
)
def test_a_condition_says_what_it_says(text: str, holds: bool) -> None:  # noqa: FBT001
    outcome = judge(text, EVALUATION)
    assert outcome.reason is None
    assert outcome.holds is holds


@pytest.mark.parametrize(
    ("text", "absent"),
    [
        ("predicate.passHatK < 0.05", "predicate.passHatK"),
        ("predicate.passHatK < 0.05 || true", "predicate.passHatK"),
        ("predicate.cases > 0 ? true : predicate.passHatK < 0.05", "predicate.passHatK"),
        ('predicate.metrics["tone"].value < 0.05', "predicate.metrics.tone.value"),
        ('predicate.metrics["p95 latency"].unit != "s"', 'predicate.metrics["p95 latency"].unit'),
        ('predicate.metrics.exists(m, predicate.metrics[m].unit == "usd")', 'predicate.metrics["p95 latency"].unit'),
        ("predicate.outcomes[2].passes < 1", "predicate.outcomes[2].passes"),
        ("[predicate.outcomes[2]].size() == 1", "predicate.outcomes[2]"),
        ("has(predicate.metrics.tone.unit)", "predicate.metrics.tone"),
        ('(has(predicate.judge) || has(predicate.passed)) && predicate.judge != ""', "predicate.judge"),
        (
            "has([predicate.metrics.cost, predicate.metrics.tokens][0].unit) && predicate.metrics.tokens.unit != ''",
            "predicate.metrics.tokens.unit",
        ),
        ("[predicate.cases, predicate.passed].exists(n, n > 1)", "predicate.passed"),
        ("has(predicate.judge) || predicate.passHatK < 0.05", "predicate.passHatK"),
        ('!has(predicate.judge) && predicate.judge == ""', "predicate.judge"),
        ('has(predicate.judge) ? true : predicate.judge == ""', "predicate.judge"),
        ('predicate.metrics.exists(m, m != "") && predicate.metrics["x"].n > 1', "predicate.metrics.x.n"),
    ],
)
def test_what_is_read_must_be_there_wherever_it_is_read(text: str, absent: str) -> None:
    outcome = judge(text, EVALUATION)
    assert outcome.holds is None
    assert outcome.reason is not None
    assert outcome.reason.code == "evidence-missing-member"
    assert outcome.reason.found == f"no {absent}"


def test_null_is_absent() -> None:
    outcome = judge("predicate.passRate < 0.5", EVALUATION | {"passRate": None})
    assert (outcome.holds, outcome.reason and outcome.reason.code) == (None, "evidence-missing-member")


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('has(predicate.judge) && predicate.judge == "x"', False),
        ('predicate.judge == "x" && has(predicate.judge)', False),
        ('!has(predicate.judge) || predicate.judge == "x"', True),
        ('has(predicate.judge) ? predicate.judge == "x" : predicate.cases > 0', True),
        ('!(!has(predicate.judge) || predicate.judge != "x")', False),
        ('"tone" in predicate.metrics && predicate.metrics["tone"].value < 0.2', False),
        ('predicate.metrics.all(m, !has(predicate.metrics[m].unit) || "usd" == "usd")', True),
        ("has(predicate.judge) && predicate.passHatK > 0.5", False),
    ],
)
def test_what_is_guarded_may_be_absent_and_then_means_what_the_condition_says(text: str, holds: bool) -> None:  # noqa: FBT001
    outcome = judge(text, EVALUATION)
    assert outcome.reason is None
    assert outcome.holds is holds


def test_a_guard_in_a_macro_is_about_the_same_element() -> None:
    predicate: JsonObject = {"outcomes": [{"id": "a"}, {"id": "b", "passes": 2}]}
    assert judge("predicate.outcomes.exists(o, has(o.passes) && o.passes == 2)", predicate).holds is True
    crossed = judge("predicate.outcomes.exists(a, predicate.outcomes.exists(b, has(a.id) && b.passes == 2))", predicate)
    assert crossed.holds is None
    assert crossed.reason is not None
    assert crossed.reason.found == "no predicate.outcomes[0].passes"


def test_the_baseline_must_be_there_too() -> None:
    program = compile_when("predicate.passRate >= baseline.passRate - 0.01", PREDICATE_EVALUATION, with_baseline=True)
    assert program.reads == {"predicate.passRate", "baseline.passRate"}
    assert program.evaluate(EVALUATION, EVALUATION, RELEASE, NOW).holds is True
    bad: list[tuple[JsonObject | None, str]] = [(None, "baseline-missing"), ({"cases": 3}, "evidence-missing-member")]
    for baseline, code in bad:
        outcome = program.evaluate(EVALUATION, baseline, RELEASE, NOW)
        assert (outcome.holds, outcome.reason and outcome.reason.code) == (None, code)


def test_the_values_that_were_read_are_told() -> None:
    outcome = judge('predicate.passRate > 0.98 && "cost" in predicate.metrics', EVALUATION)
    assert outcome.measured == {"predicate.passRate": 0.97, "size(predicate.metrics)": 3}


@pytest.mark.parametrize("value", [3.5, "3", True, 2**63, [3], {"n": 3}])
def test_a_count_that_is_no_whole_number_is_inconclusive(value: JsonValue) -> None:
    outcome = judge("predicate.cases > 0", {"cases": value})
    assert (outcome.holds, outcome.reason and outcome.reason.code) == (None, "evidence-wrong-type")


def test_json_writes_a_double_without_a_point_too() -> None:
    assert judge("predicate.passRate + 0.5 == 1.5", {"passRate": 1}).holds is True
    assert judge("predicate.score + 0.5 == 1.5", {"score": 1}, of=UNKNOWN_TYPE).holds is True


def test_times_are_compared_as_times() -> None:
    fresh = 'predicate.scanFinishedAt > now - duration("24h")'
    for hours, holds in ((23, True), (25, False)):
        moment = (NOW - timedelta(hours=hours)).isoformat().replace("+00:00", "Z")
        assert judge(fresh, {"scanFinishedAt": moment}, of=PREDICATE_VULNERABILITIES).holds is holds
    outcome = judge(fresh, {"scanFinishedAt": "yesterday"}, of=PREDICATE_VULNERABILITIES)
    assert (outcome.holds, outcome.reason and outcome.reason.code) == (None, "evidence-wrong-type")


def test_a_time_of_nowhere_is_no_time() -> None:
    program = compile_when("now == now", PREDICATE_EVALUATION, with_baseline=False)
    with pytest.raises(ValueError, match="aware"):
        program.evaluate({}, None, RELEASE, NOW.replace(tzinfo=None))


def test_lists_of_names_are_searched() -> None:
    text = '!("billing" in predicate.failedTests) && predicate.failedTests.size() < 2'
    assert judge(text, {"failedTests": ["greeting"]}, of=PREDICATE_TEST_RESULT).holds is True
    assert judge(text, {"failedTests": ["billing"]}, of=PREDICATE_TEST_RESULT).holds is False


@pytest.mark.parametrize("text", ["predicate.cases / 0 == 1", "predicate.outcomes[predicate.cases].id == 'a'"])
def test_an_error_is_inconclusive_though_the_library_gives_it_as_text(text: str) -> None:
    outcome = judge(text, EVALUATION)
    assert (outcome.holds, outcome.reason and outcome.reason.code) == (None, "when-failed")


def test_the_steps_of_macros_are_bounded() -> None:
    text = "predicate.outcomes.all(a, a.of >= 0)"
    many: list[JsonValue] = [{"of": 1}] * (ITERATION_BUDGET - 1)
    assert judge(text, {"outcomes": many}).holds is True
    over = judge(text, {"outcomes": [*many, {"of": 1}]})
    assert (over.holds, over.reason and over.reason.code) == (None, "when-too-much")
    nested = "predicate.outcomes.all(a, predicate.outcomes.all(b, a.of >= b.of))"
    outcome = judge(nested, {"outcomes": many[:150]})
    assert (outcome.holds, outcome.reason and outcome.reason.code) == (None, "when-too-much")


def test_an_unknown_type_is_read_unchecked_with_doubles_and_a_warning() -> None:
    program = compile_when(
        "predicate.tone.score > 1 && predicate.tone.score == 2.0 && predicate.tags.all(t, t.weight < 3)",
        UNKNOWN_TYPE,
        with_baseline=False,
    )
    assert [warning.code for warning in program.warnings] == ["when-unchecked"]
    view: JsonObject = {"tone": {"score": 2}, "tags": [{"weight": 1}, {"weight": 2.5}]}
    assert program.evaluate(view, None, RELEASE, NOW).holds is True
    outcome = program.evaluate(view | {"tags": [{"weight": 1}, {}]}, None, RELEASE, NOW)
    assert outcome.reason is not None
    assert outcome.reason.found == "no predicate.tags[1].weight"


@pytest.mark.parametrize("text", ["true", 'release.channel == "stable"', "now == now"])
def test_a_condition_that_reads_nothing_of_the_evidence_is_warned_of(text: str) -> None:
    program = compile_when(text, PREDICATE_EVALUATION, with_baseline=False)
    assert [warning.code for warning in program.warnings] == ["when-reads-nothing"]


def test_one_program_serves_many_threads() -> None:
    program = compile_when(
        "predicate.passRate >= 0.5 && predicate.cases > 1", PREDICATE_EVALUATION, with_baseline=False
    )
    wrong: list[float] = []

    def ask(rate: float) -> None:
        for _ in range(300):
            outcome = program.evaluate({"passRate": rate, "cases": 2}, None, RELEASE, NOW)
            if outcome.holds is not (rate >= 0.5) or outcome.measured["predicate.passRate"] != rate:
                wrong.append(rate)

    threads = [threading.Thread(target=ask, args=(step / 8,)) for step in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
