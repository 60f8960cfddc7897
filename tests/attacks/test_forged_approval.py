"""An approval, or a break-glass statement, by somebody whom the charter does not name for it, or of something else."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from tests.forge import dump
from tests.recipecases import outcome
from tests.vectorrecipes import RECIPES, Recipe
from tests.vectorrecipes.common import deciders
from tests.workshop import AGENT, RELEASE_JOB, Workshop
from tidegate.errors import EvidenceRefused
from tidegate.formats.charter import Charter
from tidegate.formats.predicates.types import PREDICATE_APPROVAL, PREDICATE_BREAK_GLASS
from tidegate.verify.attestation import verify_attestation

FORGED = [
    recipe
    for recipe in RECIPES
    if recipe.name.startswith(("approval-", "break-glass-", "review-of")) and recipe.expected != "verified"
]


@pytest.mark.parametrize("recipe", FORGED, ids=lambda recipe: recipe.name)
def test_an_approval_by_or_about_somebody_else_is_refused(recipe: Recipe, workshop: Workshop) -> None:
    assert outcome(recipe, workshop) == recipe.expected


@pytest.mark.parametrize("kind", [PREDICATE_APPROVAL, PREDICATE_BREAK_GLASS])
@pytest.mark.parametrize("role", ["publishers", "attesters"])
def test_no_charter_can_make_a_publisher_or_attester_an_approver(kind: str, role: str, workshop: Workshop) -> None:
    written = deciders(workshop).model_dump(mode="json")
    written[role][0]["types"] = [kind]
    with pytest.raises(ValidationError, match="alone"):
        Charter.model_validate(written)


def test_an_approver_under_another_root_is_nobody(workshop: Workshop) -> None:
    payload = workshop.statement(PREDICATE_APPROVAL, workshop.approval_predicate())
    forged = workshop.sign(payload, "bob", instance=workshop.other)
    charter = deciders(workshop)
    with pytest.raises(EvidenceRefused) as refused:
        verify_attestation(
            dump(forged),
            subject=workshop.subject,
            agent=AGENT,
            charter=charter,
            trust=workshop.trusting(charter),
            now=workshop.now,
        )
    assert refused.value.reasons[0].step in {"A11", "A12", "A13"}


def test_who_is_approver_and_publisher_at_once_speaks_as_what_the_statement_is(workshop: Workshop) -> None:
    charter = deciders(workshop)
    builder = charter.approvers[0].model_copy(
        update={
            "name": "pipeline",
            "issuer": workshop.publisher.issuer,
            "identity": None,
            "workflow": workshop.publisher.workflow,
            "refs": workshop.publisher.refs,
        }
    )
    charter = charter.model_copy(update={"approvers": (builder,)})
    signed = workshop.sign(workshop.statement(PREDICATE_APPROVAL, workshop.approval_predicate()), RELEASE_JOB)
    verified = verify_attestation(
        dump(signed),
        subject=workshop.subject,
        agent=AGENT,
        charter=charter,
        trust=workshop.trusting(charter),
        now=workshop.now,
    )
    assert (verified.role.value, verified.signers) == ("approver", ("pipeline",))
