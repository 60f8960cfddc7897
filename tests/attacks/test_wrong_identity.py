"""Somebody else signs: another issuer or identity, one that only begins right, one that names two people."""

from __future__ import annotations

import pytest

from tests.recipecases import outcome, recipes_of
from tests.shelf import Shelf
from tests.vectorrecipes import Recipe
from tests.workshop import AGENT, RELEASE_JOB, Workshop
from tidegate_registry.sandbox.jobs import JobRequest


@recipes_of("A9", "A11", "A13")
def test_a_signer_who_is_not_exactly_the_one_named_is_refused(recipe: Recipe, workshop: Workshop) -> None:
    assert outcome(recipe, workshop) == recipe.expected


ATTACKERS = {
    "a fork": JobRequest(repository="mallory/support-agent", ref="refs/tags/v1.2.0"),
    "a look-alike": JobRequest(repository=f"{AGENT}x", ref="refs/tags/v1.2.0"),
    "a pull request": JobRequest(repository=AGENT, ref="refs/pull/7/merge", event="pull_request"),
    "a branch": JobRequest(repository=AGENT, ref="refs/heads/v1.2.0"),
    "a test workflow": RELEASE_JOB.model_copy(update={"workflow": ".ci/workflows/test.yml"}),
    "the name, taken over": RELEASE_JOB.model_copy(update={"repository_id": "666"}),
    "a builder it calls": RELEASE_JOB.model_copy(
        update={"job_workflow_ref": "mallory/x/.ci/y.yml@refs/tags/v1.2.0", "job_workflow_sha": "7b" * 20}
    ),
}


@pytest.mark.parametrize("who", ATTACKERS)
def test_a_release_that_somebody_else_signed_and_proved_is_refused(who: str, agent_shelf: Shelf) -> None:
    found = agent_shelf.sign_honestly(ATTACKERS[who]).refusal()
    assert set(found) == {"R6 no-signature", "R7 no-provenance", "A13 identity-not-in-charter"}
    assert "refused at A13" in str(found["R6 no-signature"].found)


def test_an_agent_without_a_charter_has_no_release(agent_shelf: Shelf) -> None:
    elsewhere = agent_shelf.workshop.charter.model_copy(update={"agent": "acme/other-agent"})
    assert set(agent_shelf.sign_honestly().refusal(charter=elsewhere)) == {"R1 no-charter"}


def test_a_charter_that_names_no_root_believes_nobody(workshop: Workshop) -> None:
    from tests.forge import dump
    from tidegate.errors import EvidenceRefused
    from tidegate.verify.attestation import verify_attestation

    nobody = workshop.charter.model_copy(update={"publishers": (), "attesters": ()})
    with pytest.raises(EvidenceRefused) as refused:
        verify_attestation(
            dump(workshop.sign(workshop.release_statement())),
            subject=workshop.subject,
            agent=AGENT,
            charter=nobody,
            trust=workshop.trust,
            now=workshop.now,
        )
    assert (refused.value.reasons[0].step, refused.value.reasons[0].code) == ("A10", "no-root")
