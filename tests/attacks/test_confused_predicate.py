"""Somebody who may say one thing says another."""

from __future__ import annotations

from tests.recipecases import outcome, recipes_of
from tests.shelf import Shelf
from tests.vectorrecipes import Recipe
from tests.workshop import EVALS_JOB, Workshop
from tidegate.formats.mediatypes import PREDICATE_SLSA_PROVENANCE


@recipes_of("A17")
def test_a_kind_of_statement_that_its_signer_may_not_make_is_refused(recipe: Recipe, workshop: Workshop) -> None:
    assert outcome(recipe, workshop) == recipe.expected


def test_an_attester_cannot_release(agent_shelf: Shelf) -> None:
    found = agent_shelf.sign_honestly(EVALS_JOB).refusal()
    assert set(found) == {"R6 no-signature", "R7 no-provenance", "A17 predicate-type-not-allowed"}


def test_an_attester_whose_rule_lists_releases_is_still_no_publisher(agent_shelf: Shelf) -> None:
    workshop = agent_shelf.workshop
    listed = workshop.attesters[0].model_copy(
        update={"types": ("https://tidegate.dev/predicate/release/v1", PREDICATE_SLSA_PROVENANCE)}
    )
    charter = workshop.charter.model_copy(update={"attesters": (listed,)})
    assert set(agent_shelf.sign_honestly(EVALS_JOB).refusal(charter=charter)) == {"R6 no-signature", "R7 no-provenance"}
