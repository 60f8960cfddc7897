"""An evaluation that claims to be better than its outcomes, or hides them."""

from __future__ import annotations

import pytest

from tests.documents import evaluation
from tests.recipecases import outcome
from tests.vectorrecipes import RECIPES, Recipe
from tests.workshop import Workshop
from tidegate.errors import StatementInvalid
from tidegate.formats.predicates.evaluation import EvaluationPredicate, outcomes_digest

FORGED = [recipe for recipe in RECIPES if recipe.name.startswith("evaluation-with-")]


@pytest.mark.parametrize("recipe", FORGED, ids=lambda recipe: recipe.name)
def test_a_rate_that_the_outcomes_do_not_give_is_refused(recipe: Recipe, workshop: Workshop) -> None:
    assert outcome(recipe, workshop) == recipe.expected


def test_outcomes_that_are_not_shown_give_no_rate_that_a_policy_could_read() -> None:
    hidden = evaluation()
    hidden["outcomesDigest"] = str(outcomes_digest(hidden.pop("outcomes")))
    rates = {"passRate", "passRateLower", "passRateUpper", "passHatK", "passHat", "cases", "passed"}
    assert not rates & EvaluationPredicate.parse(hidden).view().keys()


@pytest.mark.parametrize("name", ["passRate", "pass_rate", "passHatK", "PASS_RATE_LOWER", "pass_k"])
def test_a_computed_rate_cannot_be_claimed_as_a_metric(name: str) -> None:
    forged = evaluation()
    forged["metrics"] = {name: {"value": 1.0, "n": 400, "unit": "1"}}
    with pytest.raises(StatementInvalid) as refused:
        EvaluationPredicate.parse(forged)
    assert refused.value.reasons[0].code == "evaluation-malformed"
