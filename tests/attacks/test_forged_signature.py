"""A signature is forged, taken off, or belongs to something else."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest

from tests.forge import dump
from tests.recipecases import outcome, recipes_of
from tests.shelf import Shelf
from tests.vectorrecipes import Recipe
from tests.vectorrecipes.common import envelope_of
from tests.workshop import RELEASE_JOB, Workshop
from tidegate.errors import EvidenceRefused
from tidegate.formats.bundle import MAX_BUNDLE_BYTES


def test_the_honest_release_is_accepted(shelf: Shelf) -> None:
    verified = shelf.sign_honestly().verify()
    assert (verified.agent, verified.version) == ("acme/support-agent", "1.2.0")
    assert verified.refused == ()


@recipes_of("A2", "A3", "A5", "A6", "A7", "A8", "A12")
def test_a_bundle_that_is_not_exactly_as_it_was_signed_is_refused(recipe: Recipe, workshop: Workshop) -> None:
    assert outcome(recipe, workshop) == recipe.expected


def test_a_release_without_any_evidence_is_refused(shelf: Shelf) -> None:
    assert set(shelf.refusal()) == {"R4 no-release-statement", "R6 no-signature", "R7 no-provenance"}


def test_a_real_agent_without_a_signature_is_refused_though_its_provenance_is_good(agent_shelf: Shelf) -> None:
    assert set(agent_shelf.prove_honestly().refusal()) == {"R6 no-signature"}


def test_a_stripped_signature_is_not_made_up_for_by_one_that_does_not_verify(agent_shelf: Shelf) -> None:
    bundle = agent_shelf.workshop.sign(agent_shelf.workshop.release_statement())
    signature = base64.b64decode(envelope_of(bundle)["signatures"][0]["sig"])
    flipped = signature[:-1] + bytes([signature[-1] ^ 1])
    envelope_of(bundle)["signatures"][0]["sig"] = base64.b64encode(flipped).decode()
    agent_shelf.prove_honestly().attach(bundle)
    assert set(agent_shelf.refusal()) == {"R6 no-signature", "A12 signature-invalid"}


@pytest.mark.parametrize("where", range(0, 9000, 450))
def test_no_single_changed_character_makes_other_bytes_count(where: int, workshop: Workshop) -> None:
    bundle = workshop.sign(workshop.release_statement())
    raw = bytearray(dump(bundle))
    place = where % len(raw)
    raw[place] = ord("A") if raw[place] != ord("A") else ord("B")
    with suppress(EvidenceRefused):
        # some text around the signed content is nobody's: what it proves must then be what was signed
        verified = workshop.verify(bytes(raw))
        assert verified.statement.raw == workshop.release_statement()
        assert verified.identity.san == RELEASE_JOB.signer_uri


def test_a_bundle_beyond_the_limit_is_refused_unread(workshop: Workshop) -> None:
    raw = dump(workshop.sign(workshop.release_statement()))
    with pytest.raises(EvidenceRefused) as refused:
        workshop.verify(raw + b" " * (MAX_BUNDLE_BYTES + 1 - len(raw)))
    assert (refused.value.reasons[0].step, refused.value.reasons[0].code) == ("A1", "bundle-too-large")
    assert workshop.verify(raw + b" " * (MAX_BUNDLE_BYTES - len(raw))).root == "main"
