"""Threat: somebody shows a summary of a decision (VSA) that was never made, or of another one.

`tidegate verify --vsa` reads what a registry signed; hosts, admission and promotion never do.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.shelf import Shelf
from tests.summaries import AGENT, MANIFEST, PREDICATE, REGISTRY, THEN, WANTED, Attached, Signer, statement
from tests.workshop import Workshop
from tidegate.digest import Digest
from tidegate.errors import BundleRefused, EvidenceRefused
from tidegate.formats.jcs import JsonObject
from tidegate.formats.mediatypes import PREDICATE_RELEASE, PREDICATE_VSA
from tidegate.formats.predicates.vsa import promoted_level, resource_uri
from tidegate.verify.vsa import VerifiedSummary, Wanted, find_summary, verify_summary
from tidegate.verify.vsakey import VsaKey

OWN = Signer()
KEY = OWN.key()
LATER = THEN + timedelta(days=1)


def check(raw: bytes, wanted: Wanted = WANTED, key: VsaKey = KEY) -> VerifiedSummary:
    return verify_summary(raw, wanted, keys=[Signer().key(), key], now=LATER)


def refused(raw: bytes, step: str, code: str, wanted: Wanted = WANTED, key: VsaKey = KEY) -> None:
    with pytest.raises(EvidenceRefused) as caught:
        check(raw, wanted, key)
    assert (caught.value.reasons[0].step, caught.value.reasons[0].code) == (step, code)


@pytest.mark.parametrize("signer", [OWN, Signer(ed25519.Ed25519PrivateKey.generate())], ids=["ecdsa", "ed25519"])
def test_what_the_registry_signed_counts_whatever_key_it_is_said_to_be_of(signer: Signer) -> None:
    found = check(signer.bundle(statement()), key=signer.key())
    assert found.predicate == PREDICATE
    with_id = signer.bundle(statement()).replace(b'"sig":', b'"keyid":"somebody-else","sig":')
    assert check(with_id, key=signer.key()).predicate == PREDICATE


def test_a_signature_by_nobody_who_is_trusted_is_refused() -> None:
    refused(Signer().bundle(statement()), "S3", "vsa-signature")
    honest = OWN.bundle(statement())
    other = OWN.bundle(statement(replace(PREDICATE, levels=("SLSA_BUILD_LEVEL_3",))))
    half = other.index(b'"payloadType"')
    assert honest.index(b'"payloadType"') != half
    refused(other[:half] + honest[honest.index(b'"payloadType"') :], "S3", "vsa-signature")


def test_a_signature_over_another_kind_of_payload_is_refused() -> None:
    refused(OWN.bundle(statement(), "application/vnd.other+json"), "S2", "vsa-payload-type")
    renamed = OWN.bundle(statement(), "application/vnd.in-toto+jsom").replace(b"+jsom", b"+json")
    refused(renamed, "S3", "vsa-signature")


def test_what_is_no_bounded_bundle_of_one_envelope_is_refused() -> None:
    refused(OWN.bundle(statement())[:-1], "S1", "bundle-malformed")
    refused(b" " * (1 << 20), "S1", "vsa-too-large")
    refused(OWN.bundle(statement()).replace(b'"hint"', b'"rawBytes"'), "S1", "bundle-malformed")
    once = OWN.bundle(statement())
    twice = once.replace(b'"signatures":[', b'"signatures":[{"sig":"AAAA"},')
    refused(twice, "S1", "bundle-malformed")


def test_a_summary_of_another_manifest_is_refused() -> None:
    refused(OWN.bundle(statement(subjects=(Digest.of(b"another"),))), "S5", "vsa-subject")


def test_a_summary_of_two_manifests_is_refused() -> None:
    refused(OWN.bundle(statement(subjects=(MANIFEST, Digest.of(b"another")))), "S4", "subject-count")


def test_another_statement_that_the_registry_signed_is_no_summary() -> None:
    refused(OWN.bundle(statement(predicate_type=PREDICATE_RELEASE)), "S6", "vsa-predicate-type")
    lacking: JsonObject = {key: value for key, value in PREDICATE.as_json().items() if key != "timeVerified"}
    refused(OWN.bundle(statement(lacking)), "S6", "vsa-malformed")


def test_one_registry_does_not_speak_for_another() -> None:
    other = "https://other.example"
    said = replace(PREDICATE, verifier=other, resource_uri=resource_uri(other, AGENT, MANIFEST))
    refused(OWN.bundle(statement(said)), "S7", "vsa-verifier")


@pytest.mark.parametrize(
    "resource",
    [
        resource_uri(REGISTRY, "acme/another-agent", MANIFEST),
        resource_uri("https://other.example", AGENT, MANIFEST),
        resource_uri(REGISTRY, AGENT, Digest.of(b"another")),
    ],
    ids=["agent", "registry", "digest"],
)
def test_a_summary_replayed_on_another_repository_is_refused(resource: str) -> None:
    refused(OWN.bundle(statement(replace(PREDICATE, resource_uri=resource))), "S8", "vsa-resource")


def test_a_summary_of_another_version_of_the_same_manifest_is_refused() -> None:
    refused(OWN.bundle(statement()), "S8", "vsa-version", replace(WANTED, version="9.9.9"))
    refused(OWN.bundle(statement(replace(PREDICATE, decision=None))), "S8", "vsa-version")
    without = check(OWN.bundle(statement(replace(PREDICATE, decision=None))), replace(WANTED, version=None))
    assert without.predicate.decision is None


@pytest.mark.parametrize("result", ["FAILED", "passed", "PASSED "])
def test_what_is_not_a_yes_is_refused(result: str) -> None:
    refused(OWN.bundle(statement(replace(PREDICATE, result=result))), "S9", "vsa-result")


def test_a_decision_of_a_time_when_the_key_did_not_count_is_refused() -> None:
    raw = OWN.bundle(statement())
    assert check(raw, key=OWN.key(not_before=THEN, not_after=THEN)).predicate == PREDICATE
    refused(raw, "S10", "vsa-time", key=OWN.key(not_before=THEN + timedelta(seconds=1)))
    refused(raw, "S10", "vsa-time", key=OWN.key(not_after=THEN - timedelta(seconds=1)))
    refused(OWN.bundle(statement(replace(PREDICATE, verified_at=LATER + timedelta(hours=1)))), "S10", "vsa-time")


@pytest.mark.parametrize(
    "wanted",
    [replace(WANTED, channel="dev"), replace(WANTED, levels=("SLSA_BUILD_LEVEL_3",)), replace(WANTED, channel="stab")],
    ids=["channel", "level", "prefix"],
)
def test_a_decision_about_less_than_was_asked_for_is_refused(wanted: Wanted) -> None:
    refused(OWN.bundle(statement()), "S11", "vsa-level", wanted)


def test_a_stripped_summary_is_missed() -> None:
    with pytest.raises(BundleRefused) as caught:
        find_summary(Attached(), WANTED, keys=[OWN.key()], now=LATER)
    assert caught.value.reasons[0].code == "vsa-missing"


def test_among_forgeries_the_one_that_counts_is_found_and_without_it_each_reason_is_told() -> None:
    dev = replace(PREDICATE, levels=(promoted_level("dev"),))
    forged, other = Signer().bundle(statement()), OWN.bundle(statement(dev))
    found = find_summary(Attached(forged, OWN.bundle(statement()), other), WANTED, keys=[OWN.key()], now=LATER)
    assert [each.predicate for each in found] == [PREDICATE]
    with pytest.raises(BundleRefused) as caught:
        find_summary(Attached(forged, other), WANTED, keys=[OWN.key()], now=LATER)
    assert {reason.code for reason in caught.value.reasons} == {"vsa-signature", "vsa-level"}


def test_a_host_finds_the_same_with_and_without_summaries_real_or_forged(workshop: Workshop) -> None:
    digest = workshop.manifest.digest
    said = replace(PREDICATE, resource_uri=resource_uri(REGISTRY, AGENT, digest))
    honest, summed = Shelf(workshop).sign_honestly(), Shelf(workshop).sign_honestly()
    for signer in (OWN, Signer()):
        summed.attach(signer.bundle(statement(said, subjects=(digest,))), PREDICATE_VSA)
    with_them, without = summed.verify(), honest.verify()
    assert (with_them.allowed.facts, with_them.refused) == (without.allowed.facts, without.refused)
    alone = Shelf(workshop)
    alone.attach(OWN.bundle(statement(said, subjects=(digest,))), PREDICATE_VSA)
    with pytest.raises(BundleRefused):
        alone.verify()
