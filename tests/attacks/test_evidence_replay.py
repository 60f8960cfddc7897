"""Honest evidence is presented again: for another manifest, agent or version, or long after."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.recipecases import outcome, recipes_of
from tests.shelf import Shelf
from tests.vectorrecipes import Recipe
from tests.workshop import AGENT, Workshop
from tidegate.digest import Digest
from tidegate.formats.mediatypes import PREDICATE_COSIGN_SIGN
from tidegate.policy.evidence import VerifiedAttestation


@recipes_of("A14", "A15", "A16", "A19")
def test_a_statement_about_something_else_is_refused(recipe: Recipe, workshop: Workshop) -> None:
    assert outcome(recipe, workshop) == recipe.expected


def test_a_release_is_not_another_version_of_itself(agent_shelf: Shelf) -> None:
    found = agent_shelf.sign_honestly().refusal(version="1.3.0")
    assert set(found) == {"R3 version-mismatch", "R6 no-signature"}


def test_a_release_statement_for_one_version_does_not_sign_another(agent_shelf: Shelf) -> None:
    assert set(agent_shelf.sign_honestly(version="1.1.0").refusal()) == {"R6 no-signature"}


def test_a_release_is_not_another_agents(agent_shelf: Shelf) -> None:
    charter = agent_shelf.workshop.charter.model_copy(update={"agent": "acme/*"})
    found = agent_shelf.sign_honestly().refusal(charter=charter, agent="acme/other-agent")
    assert {"R2 agent-mismatch", "R6 no-signature", "R7 no-provenance", "A16 subject-name"} == set(found)


def test_a_signature_without_a_name_does_not_let_a_bundle_be_another_agent(agent_shelf: Shelf) -> None:
    workshop = agent_shelf.workshop
    charter = workshop.charter.model_copy(update={"agent": "acme/*"})
    agent_shelf.attach(workshop.sign(workshop.statement(PREDICATE_COSIGN_SIGN, {}, name=None)), PREDICATE_COSIGN_SIGN)
    agent_shelf.prove_honestly()
    assert agent_shelf.verify(charter=charter).agent == AGENT
    found = agent_shelf.refusal(charter=charter, agent="acme/other-agent")
    assert {"R2 agent-mismatch", "R7 no-provenance", "A16 subject-name"} == set(found)


def test_a_bundle_that_names_nothing_is_no_release_by_a_signature_that_names_nothing(shelf: Shelf) -> None:
    workshop = shelf.workshop
    shelf.attach(workshop.sign(workshop.statement(PREDICATE_COSIGN_SIGN, {}, name=None)), PREDICATE_COSIGN_SIGN)
    shelf.prove_honestly()
    assert set(shelf.refusal()) == {"R4 no-release-statement"}


def test_another_manifest_than_the_one_asked_for_is_refused(agent_shelf: Shelf) -> None:
    assert set(agent_shelf.sign_honestly().refusal(digest=Digest.of(b"pinned"))) == {"V1 digest-mismatch"}


def test_evidence_attached_to_another_manifest_is_refused_before_it_is_read(agent_shelf: Shelf, shelf: Shelf) -> None:
    agent_shelf.attached += shelf.sign_honestly().attached
    assert "V3 referrer-subject" in agent_shelf.refusal()


def test_an_old_signature_is_refused_where_age_matters(agent_shelf: Shelf) -> None:
    agent_shelf.sign_honestly()
    assert agent_shelf.verify(max_age=timedelta(hours=1)).refused == ()
    found = agent_shelf.refusal(max_age=timedelta(minutes=1))
    assert set(found) == {"R6 no-signature", "R7 no-provenance", "A19 too-old"}


def test_a_statement_counts_under_one_digest_however_its_bundle_is_written(workshop: Workshop) -> None:
    bundle = workshop.sign(workshop.release_statement())
    entry = bundle["verificationMaterial"]["tlogEntries"][0]  # type: ignore[index]
    first = workshop.verify(bundle)
    entry["logIndex"] = "123456"  # nobody signed this one: it is outside the proof
    second = workshop.verify(bundle)
    assert first.bundle_digest != second.bundle_digest
    assert first.payload_digest == second.payload_digest
    assert first.log_index == second.log_index


def test_a_release_statement_about_other_behaviour_does_not_pass(agent_shelf: Shelf) -> None:
    workshop = agent_shelf.workshop
    agent_shelf.attach(workshop.sign(workshop.release_statement(behaviour=Digest.of(b"another prompt"))))
    assert set(agent_shelf.prove_honestly().refusal()) == {"R12 behaviour-mismatch"}


def test_verified_evidence_says_which_steps_it_passed(workshop: Workshop) -> None:
    verified = workshop.verify(workshop.sign(workshop.release_statement()))
    assert isinstance(verified, VerifiedAttestation)
    assert verified.steps == tuple(f"A{number}" for number in range(1, 20))


@pytest.mark.parametrize("what", ["release", "provenance"])
def test_the_latest_means_by_signing_time_then_by_place_in_the_log(what: str, workshop: Workshop) -> None:
    payload = workshop.release_statement() if what == "release" else workshop.provenance_statement()
    at = workshop.now - timedelta(minutes=30)
    first, second = (workshop.verify(workshop.sign(payload, at=at)) for _ in range(2))
    later = workshop.verify(workshop.sign(payload, at=at + timedelta(minutes=1)))
    assert first.order < second.order < later.order
