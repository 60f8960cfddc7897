"""Threat: a condition, or evidence for it, is made so that a decision takes for ever or takes the process down."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pytest

from tidegate.errors import WhenInvalid
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.formats.predicates.types import PREDICATE_EVALUATION
from tidegate.policy.cel.program import ITERATION_BUDGET, Outcome, compile_when

NOW: Final = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALL: Final = "predicate.outcomes.all({0}, "


def judge(text: str, predicate: JsonObject) -> Outcome:
    return compile_when(text, PREDICATE_EVALUATION, with_baseline=False).evaluate(predicate, None, {}, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "".join(ALL.format(name) for name in "abcd") + "a.of + b.of + c.of + d.of > 0" + ")" * 4,
        "predicate.outcomes.map(a, predicate.outcomes.map(b, predicate.outcomes.map(c, [a.of, c.of]))).size() > 0",
    ],
)
def test_macros_in_macros_give_up_after_so_many_steps(text: str) -> None:
    outcomes: list[JsonValue] = [{"of": 1}] * 100
    outcome = judge(text, {"outcomes": outcomes})
    assert (outcome.holds, outcome.reason and outcome.reason.code) == (None, "when-too-much")


def test_evidence_with_more_elements_than_steps_is_given_up() -> None:
    outcome = judge("predicate.outcomes.exists(o, o.of == 2)", {"outcomes": [{"of": 1}] * ITERATION_BUDGET})
    assert (outcome.holds, outcome.reason and outcome.reason.code) == (None, "when-too-much")


def test_a_pattern_that_backtracks_elsewhere_takes_linear_time() -> None:
    assert judge('predicate.suite.matches("^(a+)+$")', {"suite": "a" * 100_000 + "b"}).holds is False


@pytest.mark.parametrize(
    "text",
    [
        "(" * 900 + "true" + ")" * 900,
        "!" * 1_999 + "1",
        "-" * 1_991 + "true",
        "+".join(["1"] * 900) + " > 0",
        "predicate" + ".a" * 900,
        "[" * 900 + "]" * 900 + " == []",
        "{1:" * 400 + "1" + "}" * 400 + " == {}",
        "true ? " * 250 + "true" + " : true" * 30,
        "predicate.outcomes" + ".map(a, a)" * 190 + " == []",
        " && ".join([ALL.format("a")] * 60),
        '"' + "\\" * 1_990,
        "x" * 100_000,
    ],
)
def test_a_condition_as_deep_as_it_is_long_is_refused_and_takes_nothing_down(text: str) -> None:
    with pytest.raises(WhenInvalid):
        judge(text, {})
