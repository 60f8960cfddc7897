"""Reviews and shadow comparisons: what is read, what is computed, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.documents import json_example
from tidegate.errors import StatementInvalid
from tidegate.formats.predicates.rates import wilson_bounds
from tidegate.formats.predicates.review import ReviewPredicate
from tidegate.formats.predicates.shadow import ShadowPredicate

REVIEW = json_example("review")
SHADOW = json_example("shadow-comparison")
ANOTHER = "sha256:" + "0" * 64


def test_the_documented_review_goes_both_ways() -> None:
    parsed = ReviewPredicate.parse(REVIEW)
    assert parsed.as_json() == REVIEW
    assert ReviewPredicate.parse(parsed.view()) == parsed


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "good"},
        {"reason": ""},
        {"flips": None, "scope": None},
        {"flips": {"suite": "s", "baseline": ANOTHER, "cases": []}},
        {"flips": {"suite": "s", "baseline": ANOTHER, "cases": ["a", "a"]}},
        {"flips": {"suite": "s", "baseline": "1.1.0", "cases": ["a"]}},
        {"flips": {"suite": "s", "baseline": ANOTHER, "cases": ["a"], "all": True}},
        {"reviewedAt": "2026-03-01T09:00:00Z"},
    ],
    ids=str,
)
def test_a_review_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(StatementInvalid) as refused:
        ReviewPredicate.parse(REVIEW | change)
    assert refused.value.reasons[0].code == "review-malformed"


def test_the_documented_shadow_comparison_goes_both_ways() -> None:
    assert ShadowPredicate.parse(SHADOW).as_json() == SHADOW


def test_rates_of_a_shadow_comparison_come_from_its_counts() -> None:
    view = ShadowPredicate.parse(SHADOW).view()
    assert (view["tasks"], view["seconds"]) == (440, 6 * 3600.0)
    assert view["candidateRate"] == 421 / 440
    assert view["baselineRate"] == 417 / 440
    assert view["agreementRate"] == 426 / 440
    assert (view["candidateRateLower"], view["candidateRateUpper"]) == wilson_bounds(421 / 440, 440)


@pytest.mark.parametrize(
    "change",
    [
        {"baseline": None},
        {"channel": "v1"},
        {"finishedAt": "2026-03-01T08:59:59Z"},
        {"succeeded": {"both": 0, "candidateOnly": 0, "baselineOnly": 0, "neither": 0}},
        {"succeeded": {"both": 1}},
        {"succeeded": SHADOW["succeeded"] | {"tie": 1}},
        {"metrics": {"cost": {"candidate": 1, "n": 1, "unit": "USD"}}},
        {"candidateRate": 1.0},
    ],
    ids=str,
)
def test_a_shadow_comparison_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(StatementInvalid) as refused:
        ShadowPredicate.parse(SHADOW | change)
    assert refused.value.reasons[0].code == "shadow-malformed"
