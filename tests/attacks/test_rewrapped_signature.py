"""A signature over a file is presented as an attestation, or an attestation as something else."""

from __future__ import annotations

import base64

import pytest

from tests.forge import pae, sign_blob
from tests.recipecases import outcome, recipes_of
from tests.shelf import Shelf
from tests.vectorrecipes import Recipe
from tests.workshop import RELEASE_JOB, Workshop
from tidegate.errors import EvidenceRefused, SigningRefused
from tidegate.formats.mediatypes import INTOTO_PAYLOAD
from tidegate.formats.statement import refuse_to_sign_pae


@recipes_of("A4", "A7")
def test_what_is_no_attestation_is_refused(recipe: Recipe, workshop: Workshop) -> None:
    assert outcome(recipe, workshop) == recipe.expected


def test_a_signature_over_the_manifest_as_a_file_makes_no_release(agent_shelf: Shelf) -> None:
    workshop = agent_shelf.workshop
    agent_shelf.prove_honestly()
    agent_shelf.attach(sign_blob(workshop.main, RELEASE_JOB, workshop.manifest.raw, issued_at=workshop.now))
    assert set(agent_shelf.refusal()) == {"R6 no-signature", "A4 not-an-attestation"}


def test_nothing_that_begins_like_an_envelopes_signed_bytes_is_signed_as_a_file(workshop: Workshop) -> None:
    # such a signature, put into an envelope, verifies under Rekor v2: the log cannot tell the two apart
    file = pae(INTOTO_PAYLOAD, workshop.release_statement())
    with pytest.raises(SigningRefused) as refused:
        refuse_to_sign_pae(file, "notes.txt")
    assert refused.value.reasons[0].code == "looks-like-pae"


def test_the_statement_of_a_rewrapped_file_is_still_bound_to_identity_and_manifest(workshop: Workshop) -> None:
    # somebody else's signer was tricked into signing such a file: what remains is that it was their own identity
    payload = workshop.release_statement()
    blob = sign_blob(workshop.main, "bob", pae(INTOTO_PAYLOAD, payload), issued_at=workshop.now)
    signature = blob["messageSignature"]
    assert isinstance(signature, dict)
    rewrapped = {
        "mediaType": blob["mediaType"],
        "verificationMaterial": blob["verificationMaterial"],
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": INTOTO_PAYLOAD,
            "signatures": [{"sig": signature["signature"]}],
        },
    }
    with pytest.raises(EvidenceRefused) as refused:
        workshop.verify(rewrapped)
    assert (refused.value.reasons[0].step, refused.value.reasons[0].code) == ("A17", "predicate-type-not-allowed")


def test_an_attestation_presented_as_a_file_signature_is_refused(workshop: Workshop) -> None:
    bundle = workshop.sign(workshop.release_statement())
    envelope = bundle.pop("dsseEnvelope")
    assert isinstance(envelope, dict)
    bundle["messageSignature"] = {"signature": envelope["signatures"][0]["sig"]}
    with pytest.raises(EvidenceRefused) as refused:
        workshop.verify(bundle)
    assert (refused.value.reasons[0].step, refused.value.reasons[0].code) == ("A4", "not-an-attestation")
