"""Evaluations: what is read, what is computed, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.documents import SPEC, json_example
from tidegate.errors import StatementInvalid
from tidegate.formats.predicates.evaluation import MAX_CASES, EvaluationPredicate, outcomes_digest
from tidegate.formats.predicates.rates import wilson_bounds

EVALUATION = json_example("evaluation")
BARE = {key: value for key, value in EVALUATION.items() if key != "outcomes"}
DIGEST = str(outcomes_digest(EVALUATION["outcomes"]))


def test_the_documented_evaluation_goes_both_ways() -> None:
    assert EvaluationPredicate.parse(EVALUATION).as_json() == EVALUATION


def test_rates_and_counts_are_computed_from_the_outcomes() -> None:
    view = EvaluationPredicate.parse(EVALUATION).view()
    assert (view["cases"], view["runs"], view["passedRuns"], view["passed"]) == (4, 12, 11, 3)
    assert view["passRate"] == 11 / 12
    assert view["passHatK"] == 0.75
    assert view["passHat"] == {"1": 11 / 12, "2": pytest.approx((3 + 1 / 3) / 4), "3": 0.75}
    # four cases are four observations, however often each was run
    assert view["passRateLower"] == wilson_bounds(11 / 12, 4)[0]
    assert (view["judge"], view["judgePinned"]) == ("openai/gpt-4o-2024-08-06", True)
    assert isinstance(view["outcomes"], list)
    assert view["outcomes"][3] == {"id": "tone-angry", "passes": 2, "of": 3}


@pytest.mark.parametrize(
    ("judge", "pinned"),
    [
        ({"provider": "openai", "model": "gpt-4o"}, False),
        ({"provider": "vllm", "model": "qwen3-32b", "pin": "5a" * 20}, True),
    ],
)
def test_a_judge_that_can_become_another_model_is_told(judge: dict[str, str], *, pinned: bool) -> None:
    view = EvaluationPredicate.parse(EVALUATION | {"judge": judge}).view()
    assert view["judgePinned"] is pinned


def test_numbers_are_what_they_measure_whoever_wrote_them() -> None:
    metrics = {"cost": {"value": 1, "n": 12, "unit": "USD"}}
    view = EvaluationPredicate.parse(EVALUATION | {"metrics": metrics}).view()
    assert isinstance(view["metrics"], dict)
    assert isinstance(view["metrics"]["cost"], dict)
    assert isinstance(view["metrics"]["cost"]["value"], float)


def test_the_page_says_what_its_example_gives() -> None:
    view: dict[str, Any] = EvaluationPredicate.parse(EVALUATION).view()
    text = (SPEC / "evaluation.md").read_text(encoding="utf-8").rpartition("The example gives:")[2]
    rates = ("passRate", "passRateLower", "passRateUpper", "passHatK")
    for value in (*(view[name] for name in rates), *view["passHat"].values()):
        assert f"{value:.6f}" in text


@given(
    st.integers(1, 5).flatmap(
        lambda k: st.tuples(st.just(k), st.dictionaries(st.text("ab", min_size=1), st.integers(0, k), min_size=1))
    )
)
def test_rates_hang_together_whatever_came_out(case: tuple[int, dict[str, int]]) -> None:
    repeats, outcomes = case
    parsed = EvaluationPredicate.parse(EVALUATION | {"repeats": repeats, "outcomes": outcomes})
    assert EvaluationPredicate.parse(parsed.as_json()) == parsed
    view: dict[str, Any] = parsed.view()
    power = [view["passHat"][str(k)] for k in range(1, repeats + 1)]
    assert 0 <= view["passRateLower"] <= view["passRate"] <= view["passRateUpper"] <= 1
    assert power[0] == pytest.approx(view["passRate"])
    assert power == sorted(power, reverse=True)
    assert power[-1] == view["passHatK"] == pytest.approx(view["passed"] / view["cases"])
    assert view == EvaluationPredicate.parse(parsed.as_json() | {"claimed": dict(parsed.rates)}).view()


def test_a_digest_of_outcomes_gives_nothing_that_could_be_met() -> None:
    view = EvaluationPredicate.parse(BARE | {"outcomesDigest": DIGEST}).view()
    assert not {"cases", "runs", "passRate", "passRateLower", "passHatK", "passHat", "outcomes"} & view.keys()
    assert view["suite"] == "support-regression"


def test_true_claims_are_let_pass_and_not_read() -> None:
    claims = {"passRate": 11 / 12, "passHatK": 0.75}
    parsed = EvaluationPredicate.parse(EVALUATION | {"claimed": claims, "outcomesDigest": DIGEST})
    assert "claimed" not in parsed.view()
    assert parsed.as_json()["claimed"] == claims


@pytest.mark.parametrize(
    "change",
    [
        {"claimed": {"passRate": 0.99}},
        {"claimed": {"passHatK": 11 / 12}},
        {"claimed": {"passRateLower": 0.9}},
        {"outcomesDigest": "sha256:" + "0" * 64},
        {"outcomes": None, "outcomesDigest": DIGEST, "claimed": {"passRate": 1.0}},
    ],
    ids=str,
)
def test_a_claim_that_the_outcomes_do_not_give_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(StatementInvalid) as refused:
        EvaluationPredicate.parse(EVALUATION | change)
    assert refused.value.reasons[0].code == "evaluation-mismatch"


@pytest.mark.parametrize(
    "change",
    [
        {"suite": None},
        {"suite": "a\x1b[2Jb"},
        {"dataset": "sha256:1"},
        {"harness": None},
        {"repeats": 0},
        {"repeats": 101},
        {"repeats": 2},  # a case passed three times
        {"outcomes": {}},
        {"outcomes": None},
        {"outcomes": {"a": True}},
        {"outcomes": {"a": 1.5}},
        {"outcomes": {"a": -1}},
        {"outcomes": {"": 1}},
        {"outcomes": {"x" * 201: 1}},
        {"outcomes": [{"id": "a", "passes": 1}]},
        {"judge": {"provider": "openai"}},
        {"judge": {"provider": "openai", "model": "m", "temperature": 0}},
        {"metrics": {"cost per task": {"value": 1, "n": 1, "unit": "USD"}}},
        {"metrics": {"cost": {"value": 1, "n": 0, "unit": "USD"}}},
        {"metrics": {"cost": {"value": "1", "n": 1, "unit": "USD"}}},
        {"metrics": {"cost": {"value": 1, "n": 1}}},
        {"metrics": {f"m{n}": {"value": 1, "n": 1, "unit": "1"} for n in range(101)}},
        {"claimed": {"cases": 4}},
        {"passRate": 1.0},
        {"finishedAt": "yesterday"},
    ],
    ids=lambda change: str(change)[:60],
)
def test_an_evaluation_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(StatementInvalid) as refused:
        EvaluationPredicate.parse(EVALUATION | change)
    assert refused.value.reasons[0].code == "evaluation-malformed"


def test_there_is_a_largest_suite() -> None:
    largest = {f"case-{number}": 1 for number in range(MAX_CASES)}
    assert EvaluationPredicate.parse(EVALUATION | {"outcomes": largest}).view()["cases"] == MAX_CASES
    with pytest.raises(StatementInvalid) as refused:
        EvaluationPredicate.parse(EVALUATION | {"outcomes": largest | {"one-more": 1}})
    assert refused.value.reasons[0].code == "evaluation-malformed"
