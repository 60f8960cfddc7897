"""Provenance of another repository, ref, commit, builder or manifest, or none."""

from __future__ import annotations

import pytest

from tests.recipecases import outcome, recipes_of
from tests.shelf import Shelf
from tests.vectorrecipes import Recipe
from tests.workshop import RELEASE_JOB, Workshop
from tidegate.digest import Digest
from tidegate.formats.mediatypes import PREDICATE_SLSA_PROVENANCE


@recipes_of("A18")
def test_a_predicate_that_says_more_than_its_certificate_is_refused(recipe: Recipe, workshop: Workshop) -> None:
    assert outcome(recipe, workshop) == recipe.expected


def test_a_signed_release_without_provenance_is_refused(agent_shelf: Shelf) -> None:
    agent_shelf.attach(agent_shelf.workshop.sign(agent_shelf.workshop.release_statement()))
    found = agent_shelf.refusal()
    assert set(found) == {"R7 no-provenance"}
    assert found["R7 no-provenance"].found == "release by release for version 1.2.0"


@pytest.mark.parametrize(
    "lie",
    [
        {"repository": "https://git.sandbox.internal/acme/reviewed"},
        {"ref": "refs/tags/v1.1.0"},
        {"commit": "ab" * 20},
        {"builder_id": "https://git.sandbox.internal/acme/builder/.ci/x.yml@refs/tags/v1"},
    ],
    ids=lambda lie: next(iter(lie)),
)
def test_provenance_that_lies_about_the_build_leaves_the_release_unproven(
    lie: dict[str, str], agent_shelf: Shelf
) -> None:
    workshop = agent_shelf.workshop
    agent_shelf.attach(workshop.sign(workshop.release_statement()))
    agent_shelf.attach(workshop.sign(workshop.provenance_statement(RELEASE_JOB, **lie)), PREDICATE_SLSA_PROVENANCE)
    assert set(agent_shelf.refusal()) == {"R7 no-provenance", "A18 provenance-mismatch"}


def test_the_provenance_of_another_manifest_does_not_count(agent_shelf: Shelf) -> None:
    workshop = agent_shelf.workshop
    other = workshop.statement(
        PREDICATE_SLSA_PROVENANCE, _provenance(), subject=Digest.of(b"another manifest of the same agent")
    )
    agent_shelf.attach(workshop.sign(workshop.release_statement()))
    agent_shelf.attach(workshop.sign(other), PREDICATE_SLSA_PROVENANCE)
    assert set(agent_shelf.refusal()) == {"R7 no-provenance", "A15 subject-mismatch"}


def _provenance() -> dict[str, object]:
    from tests.workshop import provenance_of

    return dict(provenance_of(RELEASE_JOB))
