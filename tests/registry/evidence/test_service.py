"""Evidence as it is written down and found again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.forge import dump
from tests.registry.admission.world import GateWorld, codes_of
from tests.workshop import AGENT, EVALS_JOB
from tidegate.digest import Digest
from tidegate.formats.identity import CertificateIdentity, ClaimName
from tidegate.formats.manifest import (
    EMPTY_BLOB,
    EMPTY_DESCRIPTOR,
    Descriptor,
    Manifest,
    evidence_manifest,
    image_manifest,
)
from tidegate.formats.mediatypes import PREDICATE_RELEASE, SIGSTORE_BUNDLE
from tidegate.formats.predicates.types import PREDICATE_REVIEW
from tidegate_registry.evidence.service import read_evidence, same_signer, signature_of

REUSABLE = "https://github.com/acme/workflows/.github/workflows/build.yml@refs/tags/v1"
CALLER = CertificateIdentity(
    "https://token.actions.githubusercontent.com",
    REUSABLE,
    {
        ClaimName.SOURCE_REPOSITORY_URI: "https://github.com/acme/one",
        ClaimName.SOURCE_REPOSITORY_IDENTIFIER: "1",
        ClaimName.RUN_INVOCATION_URI: "https://github.com/acme/one/actions/runs/1/attempts/1",
    },
)


def test_another_run_of_the_same_pipeline_is_the_same_signer() -> None:
    again = dict(CALLER.claims) | {
        ClaimName.RUN_INVOCATION_URI: "https://github.com/acme/one/actions/runs/2/attempts/1"
    }
    assert same_signer(CALLER, replace(CALLER, claims=again))


@pytest.mark.parametrize(
    "signer",
    [
        replace(CALLER, issuer="https://gitlab.com"),
        replace(CALLER, san=REUSABLE.replace("v1", "v2")),
        replace(CALLER, claims=dict(CALLER.claims) | {ClaimName.SOURCE_REPOSITORY_URI: "https://github.com/evil/one"}),
        replace(CALLER, claims=dict(CALLER.claims) | {ClaimName.SOURCE_REPOSITORY_IDENTIFIER: "2"}),
        replace(CALLER, claims={}),
    ],
)
def test_another_issuer_workflow_or_repository_is_another_signer(signer: CertificateIdentity) -> None:
    assert not same_signer(CALLER, signer)


def test_a_signature_is_named_by_what_cannot_be_written_differently(gate_world: GateWorld) -> None:
    shop = gate_world.shop
    bundle = shop.sign(shop.release_statement())
    verified = shop.verify(bundle)
    name = signature_of(verified)
    assert signature_of(replace(verified, bundle_digest=Digest.of(b"other bytes"))) == name
    assert signature_of(shop.verify(shop.sign(shop.release_statement()))) != name  # signed again: a later entry


def test_the_referrer_may_come_before_its_subject(gate_world: GateWorld) -> None:
    client, manifest = gate_world.client(), gate_world.bundle_for()
    assert gate_world.sign_release(client, manifest).status_code == 201
    gate_world.push(client, manifest)
    assert gate_world.sign_provenance(client, manifest).status_code == 201
    assert gate_world.put(client, manifest, "1.2.0").status_code == 201


def test_a_referrer_before_its_layer_is_told_what_is_missing(gate_world: GateWorld) -> None:
    client, manifest = gate_world.client(), gate_world.bundle_for()
    gate_world.push(client, manifest)
    referrer = evidence_manifest(b"never pushed", manifest.descriptor, PREDICATE_RELEASE)
    answer = gate_world.put(client, referrer)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "MANIFEST_BLOB_UNKNOWN")
    assert "push blobs before" in answer.json()["errors"][0]["message"]


def test_evidence_may_be_named_by_sha512_as_any_manifest_and_blob_may(gate_world: GateWorld) -> None:
    client, manifest = gate_world.client(), gate_world.bundle_for()
    gate_world.push(client, manifest)
    shop = gate_world.about(manifest)
    bundle = dump(shop.sign(shop.release_statement()))
    digest = Digest.of(bundle, "sha512")
    sent = client.post(f"/v2/{AGENT}/blobs/uploads/", params={"digest": digest}, content=bundle)
    assert sent.status_code == 201, sent.text
    layer = Descriptor(SIGSTORE_BUNDLE, digest, len(bundle))
    made = image_manifest(
        artifact_type=SIGSTORE_BUNDLE, config=EMPTY_DESCRIPTOR, layers=(layer,), subject=manifest.descriptor
    )
    referrer = Manifest.parse(made.raw, algorithm="sha512")
    answer = gate_world.put(client, referrer)
    assert answer.status_code == 201, answer.text
    (entry,) = gate_world.data_of("evidence.verified")
    assert (entry["manifest"], entry["subject"]) == (referrer.digest, manifest.digest)
    assert gate_world.sign_provenance(client, manifest).status_code == 201
    assert gate_world.put(client, manifest, "1.2.0").status_code == 201


def test_a_bundle_that_verifies_nothing_is_refused_with_its_step_and_kept_nowhere(gate_world: GateWorld) -> None:
    client, manifest = gate_world.client(), gate_world.bundle_for()
    gate_world.push(client, manifest)
    answer = gate_world.attach(client, manifest, b"{}", PREDICATE_RELEASE)
    assert answer.status_code == 403
    error = answer.json()["errors"][0]
    assert error["code"] == "DENIED"
    assert error["detail"]["reasons"][0]["step"].startswith("A")
    assert "[A" in error["message"]
    assert client.get(f"/v2/{AGENT}/referrers/{manifest.digest}").json()["manifests"] == []


def test_the_same_referrer_again_changes_nothing(gate_world: GateWorld) -> None:
    client, manifest = gate_world.client(), gate_world.bundle_for()
    gate_world.push(client, manifest)
    shop = gate_world.about(manifest)
    bundle = shop.sign(shop.release_statement())
    for _ in range(2):
        assert gate_world.attach(client, manifest, bundle, PREDICATE_RELEASE).status_code == 201
    assert len(gate_world.data_of("evidence.verified")) == 1
    assert len([each for each in gate_world.data_of("manifest.stored") if each.get("subject")]) == 1


def test_a_bundle_larger_than_the_setting_is_refused_before_it_is_read(gate_world: GateWorld) -> None:
    client, manifest = gate_world.client(), gate_world.bundle_for()
    gate_world.push(client, manifest)
    gate_world.limit(evidence_bytes=1 << 16)
    answer = gate_world.attach(client, manifest, b" " * ((1 << 16) + 1), PREDICATE_RELEASE)
    assert codes_of(answer) == ["bundle-too-large"]


def test_deciding_signatures_by_publishers_are_read_first_and_the_rest_is_known_to_be_left_out(
    gate_world: GateWorld,
) -> None:
    client, evals = gate_world.client(), gate_world.client(EVALS_JOB)
    manifest = gate_world.prepare(client)
    for _ in range(3):
        assert gate_world.sign_evaluation(evals, manifest, EVALS_JOB).status_code == 201
    with gate_world.services.db.read() as tx:
        some = read_evidence(tx, AGENT, manifest.digest, limit=3)
        everything = read_evidence(tx, AGENT, manifest.digest, limit=5)
    assert some.left_out
    assert [row.role for row in some.rows] == ["publisher", "publisher", "attester"]
    assert not everything.left_out
    assert some.deciding == everything.deciding
    assert len(everything.deciding) == 2


def test_the_entry_says_who_attached_and_who_signed_under_which_charter_and_root(gate_world: GateWorld) -> None:
    client = gate_world.client("bob")
    manifest = gate_world.bundle_for()
    gate_world.push_blob(client, EMPTY_BLOB)
    shop = gate_world.about(manifest)
    payload = shop.statement(PREDICATE_REVIEW, shop.review_predicate())
    answer = gate_world.attach(client, manifest, shop.sign(payload, "bob"), PREDICATE_REVIEW)
    assert answer.status_code == 201, answer.text
    (event,) = gate_world.events("evidence.verified")
    assert event["actor"] == {"kind": "human", "issuer": shop.main.issuer.url, "name": "sandbox|bob"}
    data = event["data"]
    assert isinstance(data, dict)
    assert data["charter"] == shop.charter.digest
    assert data["root_digest"] == shop.roots["main"].digest
    assert (data["role"], data["signers"], data["identity"]) == ("attester", ["bob"], "bob@sandbox.example")
    assert data["subject"] == manifest.digest
