"""What is attached to a bundle, and by whom: bent against a whole running registry.

Threats (docs/threats.md): provenance of another repository, ref or digest; replayed evidence. The verifier's own
attacks are in the files beside this one; here they come over HTTP: who attaches what, in which form.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.attacks.admission import (
    BRANCH_JOB,
    FORK_JOB,
    OTHER_AGENT,
    pushed,
    request_to_name,
    step_and_code,
)
from tests.documents import evaluation
from tests.forge import dump
from tests.registry.admission.world import GateWorld, codes_of
from tests.workshop import AGENT, EVALS_JOB, RELEASE_JOB, VERSION
from tidegate.digest import Digest
from tidegate.errors import EvidenceRefused
from tidegate.formats.jcs import JsonObject, canonical_bytes, parse_object
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, Descriptor, Manifest, evidence_manifest, image_manifest
from tidegate.formats.mediatypes import (
    OCI_MANIFEST,
    PREDICATE_COSIGN_SIGN,
    PREDICATE_RELEASE,
    PREDICATE_SLSA_PROVENANCE,
    SIGSTORE_BUNDLE,
)
from tidegate.formats.predicates.types import PREDICATE_EVALUATION, PREDICATE_REVIEW
from tidegate_registry.sandbox.jobs import JobRequest


class TestWhoMayAttach:
    def test_an_attester_attaches_their_own_evidence_to_what_is_in_quarantine(self, gate_world: GateWorld) -> None:
        _, manifest = pushed(gate_world)
        evals = gate_world.client(EVALS_JOB)
        assert evals.get(f"/v2/{AGENT}/manifests/{manifest.digest}").status_code == 200
        assert gate_world.sign_evaluation(evals, manifest, EVALS_JOB).status_code == 201

    def test_an_attester_cannot_attach_what_another_signed(self, gate_world: GateWorld) -> None:
        _, manifest = pushed(gate_world)
        evals, bob = gate_world.client(EVALS_JOB), gate_world.client("bob")
        assert step_and_code(gate_world.sign_evaluation(bob, manifest, EVALS_JOB)) == ("E7", "not-your-signature")
        assert step_and_code(gate_world.sign_release(evals, manifest)) == ("E7", "not-your-signature")
        assert gate_world.data_of("evidence.verified") == []

    def test_an_attester_attaches_nothing_but_evidence(self, gate_world: GateWorld) -> None:
        _, manifest = pushed(gate_world)
        evals = gate_world.client(EVALS_JOB)
        other = image_manifest(
            artifact_type="application/vnd.example.notes",
            config=EMPTY_DESCRIPTOR,
            layers=(),
            subject=manifest.descriptor,
        )
        for reference in (other.digest, "latest", VERSION):
            assert step_and_code(gate_world.put(evals, other, reference)) == (None, "not-in-charter")

    def test_an_attester_cannot_name_a_version_however_complete_it_is(self, gate_world: GateWorld) -> None:
        manifest = gate_world.prepare(gate_world.client())
        evals = gate_world.client(EVALS_JOB)
        assert step_and_code(gate_world.put(evals, manifest, VERSION)) == (None, "not-in-charter")
        evals.headers["User-Agent"] = "cosign/v3.0.0 (linux; amd64)"
        assert step_and_code(gate_world.put(evals, manifest, VERSION)) == (None, "not-in-charter")

    def test_a_stranger_attaches_nothing_and_sees_nothing(self, gate_world: GateWorld) -> None:
        _, manifest = pushed(gate_world)
        stranger = gate_world.client("carol", f"repository:{AGENT}:pull,push")
        assert stranger.get(f"/v2/{AGENT}/manifests/{manifest.digest}").status_code == 404
        answer = stranger.post(f"/v2/{AGENT}/blobs/uploads/")
        assert step_and_code(answer) == (None, "not-in-charter")
        evidence = stranger.get(f"/api/v1/agents/{AGENT}/evidence/{manifest.digest}")
        assert step_and_code(evidence, 404) == (None, "manifest-unknown")

    def test_a_token_without_push_attaches_nothing(self, gate_world: GateWorld) -> None:
        _, manifest = pushed(gate_world)
        reader = gate_world.client(RELEASE_JOB, f"repository:{AGENT}:pull")
        assert step_and_code(gate_world.put(reader, manifest, VERSION), 401) == (None, "scope-missing")


class TestWhatIsAttached:
    def test_evidence_about_another_manifest_is_refused(self, gate_world: GateWorld) -> None:
        client, manifest = pushed(gate_world)
        other = gate_world.about(gate_world.bundle_for())
        for payload, kind in (
            (other.release_statement(), PREDICATE_RELEASE),
            (other.statement(PREDICATE_COSIGN_SIGN, {}, name=None), PREDICATE_COSIGN_SIGN),
            (other.provenance_statement(), PREDICATE_SLSA_PROVENANCE),
        ):
            answer = gate_world.attach(client, manifest, other.sign(payload), kind)
            assert step_and_code(answer) == ("A15", "subject-mismatch")

    def test_evidence_of_one_agent_is_no_evidence_of_another_with_the_same_publisher(
        self, gate_world: GateWorld
    ) -> None:
        gate_world.govern(gate_world.shop.charter, gate_world.shop.charter.model_copy(update={"agent": OTHER_AGENT}))
        manifest = gate_world.prepare(gate_world.client())
        client = gate_world.client(RELEASE_JOB, f"repository:{OTHER_AGENT}:pull,push")
        gate_world.push(client, manifest, OTHER_AGENT)
        shop = gate_world.about(manifest)
        for payload, kind in (
            (shop.release_statement(), PREDICATE_RELEASE),
            (shop.provenance_statement(), PREDICATE_SLSA_PROVENANCE),
        ):
            answer = gate_world.attach(client, manifest, shop.sign(payload), kind, agent=OTHER_AGENT)
            assert step_and_code(answer) == ("A16", "subject-name")
        named = gate_world.put(client, manifest, VERSION, OTHER_AGENT)
        assert set(codes_of(named)) == {"no-release-statement", "no-signature", "no-provenance"}

    @pytest.mark.parametrize("job", [BRANCH_JOB, FORK_JOB], ids=["branch", "fork"])
    def test_signature_and_provenance_by_a_workflow_that_the_charter_does_not_name_are_refused(
        self, gate_world: GateWorld, job: JobRequest
    ) -> None:
        client, manifest = pushed(gate_world)
        for answer in (
            gate_world.sign_release(client, manifest, VERSION, job),
            gate_world.sign_cosign(client, manifest, job),
            gate_world.sign_provenance(client, manifest, job),
        ):
            assert step_and_code(answer) == ("A13", "identity-not-in-charter")
        assert set(codes_of(gate_world.put(client, manifest, VERSION))) == {
            "no-release-statement",
            "no-signature",
            "no-provenance",
        }

    def test_a_signature_by_another_sigstore_is_refused(self, gate_world: GateWorld) -> None:
        client, manifest = pushed(gate_world)
        shop = gate_world.about(manifest)
        forged = shop.sign(shop.release_statement(), RELEASE_JOB, instance=shop.other)
        assert step_and_code(gate_world.attach(client, manifest, forged, PREDICATE_RELEASE))[0] in {"A12", "A13"}

    def test_an_attester_cannot_sign_another_kind_than_theirs(self, gate_world: GateWorld) -> None:
        _, manifest = pushed(gate_world)
        shop, evals = gate_world.about(manifest), gate_world.client(EVALS_JOB)
        review = shop.sign(shop.statement(PREDICATE_REVIEW, shop.review_predicate()), EVALS_JOB)
        answer = gate_world.attach(evals, manifest, review, PREDICATE_REVIEW)
        assert step_and_code(answer) == ("A17", "predicate-type-not-allowed")

    def test_an_annotation_that_sells_one_kind_as_another_is_refused(self, gate_world: GateWorld) -> None:
        _, manifest = pushed(gate_world)
        shop, evals = gate_world.about(manifest), gate_world.client(EVALS_JOB)
        measured = shop.sign(shop.statement(PREDICATE_EVALUATION, evaluation()), EVALS_JOB)
        answer = gate_world.attach(evals, manifest, measured, PREDICATE_SLSA_PROVENANCE)
        assert step_and_code(answer) == ("E6", "referrer-annotations")

    def test_one_signature_is_attached_once_however_its_bundle_is_written(self, gate_world: GateWorld) -> None:
        client, manifest = pushed(gate_world)
        shop = gate_world.about(manifest)
        bundle = shop.sign(shop.release_statement())
        assert gate_world.attach(client, manifest, dump(bundle), PREDICATE_RELEASE).status_code == 201
        for raw in (json.dumps(bundle, indent=1).encode(), json.dumps(bundle, indent=2).encode()):
            answer = gate_world.attach(client, manifest, raw, PREDICATE_RELEASE)
            assert step_and_code(answer) == ("E9", "evidence-already-attached")
        assert gate_world.attach(client, manifest, dump(bundle), PREDICATE_RELEASE).status_code == 201
        assert len(gate_world.data_of("evidence.verified")) == 1

    @pytest.mark.parametrize("step", ["E1", "E2", "E3", "E4"])
    def test_a_referrer_that_is_nearly_of_the_right_shape_is_refused(self, gate_world: GateWorld, step: str) -> None:
        client, manifest = pushed(gate_world)
        shop = gate_world.about(manifest)
        raw = dump(shop.sign(shop.release_statement()))
        gate_world.push_blob(client, raw)
        sound = evidence_manifest(raw, manifest.descriptor, PREDICATE_RELEASE)
        layer, config = sound.layers[0].as_json(), EMPTY_DESCRIPTOR.as_json()
        twists: dict[str, JsonObject] = {
            "E1": {"subject": {"mediaType": OCI_MANIFEST, "digest": Digest.of(b"x", "sha512"), "size": 1}},
            "E2": {"artifactType": "application/vnd.dev.sigstore.bundle+json;version=0.2"},
            "E3": {"layers": [layer, layer]},
            "E4": {"config": {**config, "mediaType": "application/vnd.example.config"}},
        }
        document = parse_object(sound.raw, limit=1 << 20, what="a referrer")
        answer = gate_world.put(client, Manifest.parse(canonical_bytes({**document, **twists[step]})))
        assert step_and_code(answer)[0] == step

    def test_a_bundle_beyond_the_limit_is_refused_unread(self, gate_world: GateWorld) -> None:
        _, manifest = pushed(gate_world)
        limit = gate_world.services.settings.limits.evidence_bytes
        layer = Descriptor(SIGSTORE_BUNDLE, EMPTY_DESCRIPTOR.digest, limit + 1)
        referrer = image_manifest(
            artifact_type=SIGSTORE_BUNDLE, config=EMPTY_DESCRIPTOR, layers=(layer,), subject=manifest.descriptor
        )
        who = request_to_name(gate_world, manifest).who
        with pytest.raises(EvidenceRefused) as caught:
            gate_world.services.gate.verify_referrer(gate_world.services, who, repository=AGENT, manifest=referrer)
        assert (caught.value.reasons[0].step, caught.value.reasons[0].code) == ("E5", "bundle-too-large")

    def test_a_signature_attached_by_a_tag_is_refused_rather_than_forgotten(self, gate_world: GateWorld) -> None:
        client, manifest = pushed(gate_world)
        for suffix in ("sig", "att", "sbom"):
            answer = gate_world.put(client, manifest, f"sha256-{manifest.digest.hex}.{suffix}")
            assert step_and_code(answer) == (None, "legacy-signature-tag")

    def test_artifacts_of_unknown_types_are_kept_and_never_count(self, gate_world: GateWorld) -> None:
        client, manifest = pushed(gate_world)
        shop = gate_world.about(manifest)
        raw = dump(shop.sign(shop.release_statement()))
        gate_world.push_blob(client, raw)
        layer = replace(EMPTY_DESCRIPTOR, media_type="application/x-bundle", digest=Digest.of(raw), size=len(raw))
        opaque = image_manifest(
            artifact_type="application/vnd.dev.cosign.artifact.sig.v1+json",
            config=EMPTY_DESCRIPTOR,
            layers=(layer,),
            subject=manifest.descriptor,
        )
        assert gate_world.put(client, opaque).status_code == 201
        assert "no-signature" in codes_of(gate_world.put(client, manifest, VERSION))


def test_a_flood_of_an_attesters_evidence_hides_nothing(gate_world: GateWorld) -> None:
    client = gate_world.client()
    manifest = gate_world.prepare(client)
    evals = gate_world.client(EVALS_JOB)
    for number in range(12):
        shop = gate_world.about(manifest)
        bundle = shop.sign(shop.statement(PREDICATE_EVALUATION, evaluation(suite=str(number))), EVALS_JOB)
        assert gate_world.attach(evals, manifest, bundle, PREDICATE_EVALUATION).status_code == 201
    gate_world.limit(evidence_per_decision=8)
    assert gate_world.put(client, manifest, VERSION).status_code == 201
