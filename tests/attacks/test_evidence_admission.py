"""What is attached to a bundle, by whom, and what naming it rests on: bent against a whole running registry.

Threats (docs/threats.md): provenance of another repository, ref or digest; replayed evidence; an overwritten version;
a stolen registry database; a tampered S3 object. The verifier's own attacks are in the files beside this one; here they
come over HTTP, and what a registry adds is attacked: who attaches, what is believed of rows, what changes meanwhile.
"""

from __future__ import annotations

import concurrent.futures
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, BinaryIO

import httpx2
import pytest
from sqlmodel import select

from tests.forge import dump
from tests.registry.admission.world import GateWorld, codes_of, reasons_of
from tests.workshop import AGENT, EVALS_JOB, RELEASE_JOB, VERSION, root_of
from tidegate.digest import Digest
from tidegate.errors import AdmissionRefused, EvidenceRefused
from tidegate.formats.charter import Charter
from tidegate.formats.jcs import JsonObject, canonical_bytes, parse_object
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, Descriptor, Manifest, evidence_manifest, image_manifest
from tidegate.formats.mediatypes import (
    OCI_MANIFEST,
    PREDICATE_COSIGN_SIGN,
    PREDICATE_RELEASE,
    PREDICATE_SLSA_PROVENANCE,
    SIGSTORE_BUNDLE,
)
from tidegate.formats.predicates import PREDICATE_EVALUATION, PREDICATE_REVIEW
from tidegate.verify.trust import Trust
from tidegate_registry.access.principal import Grant, Principal, PrincipalKind
from tidegate_registry.admission.service import DecisionOvertaken, Request, admit
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import SYSTEM, Refused
from tidegate_registry.evidence.tables import EvidenceRow
from tidegate_registry.sandbox.jobs import JobRequest
from tidegate_registry.storage.blobs import BlobKey, BlobStore, StoreUnavailable
from tidegate_registry.storage.s3 import S3BlobStore

OTHER_AGENT = "acme/other-agent"
BRANCH_JOB = RELEASE_JOB.model_copy(update={"ref": "refs/heads/main"})
FORK_JOB = JobRequest(repository="evil/support-agent", ref="refs/tags/v1.2.0")
LAPTOP_JOB = RELEASE_JOB.model_copy(update={"runner_environment": "self-hosted"})


def step_and_code(answer: httpx2.Response, status: int = 403) -> tuple[str | None, str]:
    """Check the status and give the first reason's step and code."""
    assert answer.status_code == status, answer.text
    first = reasons_of(answer)[0]
    return first.get("step"), first["code"]


def pushed(world: GateWorld) -> tuple[httpx2.Client, Manifest]:
    client, manifest = world.client(), world.bundle_for()
    world.push(client, manifest)
    return client, manifest


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
        review = shop.sign(shop.statement(PREDICATE_REVIEW, {}), EVALS_JOB)
        answer = gate_world.attach(evals, manifest, review, PREDICATE_REVIEW)
        assert step_and_code(answer) == ("A17", "predicate-type-not-allowed")

    def test_an_annotation_that_sells_one_kind_as_another_is_refused(self, gate_world: GateWorld) -> None:
        _, manifest = pushed(gate_world)
        shop, evals = gate_world.about(manifest), gate_world.client(EVALS_JOB)
        evaluation = shop.sign(shop.statement(PREDICATE_EVALUATION, {}), EVALS_JOB)
        answer = gate_world.attach(evals, manifest, evaluation, PREDICATE_SLSA_PROVENANCE)
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
        who = TestWhatChangesMeanwhile().request(gate_world, manifest).who
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


class TestWhatIsMissing:
    def test_a_bundle_with_provenance_alone_is_not_signed(self, gate_world: GateWorld) -> None:
        client, manifest = pushed(gate_world)
        gate_world.sign_provenance(client, manifest)
        assert codes_of(gate_world.put(client, manifest, VERSION)) == ["no-release-statement", "no-signature"]

    def test_a_bundle_with_a_signature_alone_is_not_proven(self, gate_world: GateWorld) -> None:
        client, manifest = pushed(gate_world)
        gate_world.sign_release(client, manifest)
        assert codes_of(gate_world.put(client, manifest, VERSION)) == ["no-provenance"]

    def test_a_signature_that_names_no_version_does_not_name_an_opaque_bundle(self, gate_world: GateWorld) -> None:
        client, manifest = pushed(gate_world)
        gate_world.sign_cosign(client, manifest)
        gate_world.sign_provenance(client, manifest)
        assert codes_of(gate_world.put(client, manifest, VERSION)) == ["no-release-statement"]

    def test_a_statement_for_one_version_does_not_name_another(self, gate_world: GateWorld) -> None:
        client = gate_world.client()
        manifest = gate_world.prepare(client, "1.2.0")
        answer = gate_world.put(client, manifest, "1.3.0")
        assert codes_of(answer) == ["no-release-statement", "no-signature"]
        assert "version 1.2.0" in reasons_of(answer)[0]["found"]

    def test_without_a_charter_nobody_publishes(self, gate_world: GateWorld) -> None:
        client = gate_world.client()
        manifest = gate_world.prepare(client)
        gate_world.govern()
        assert step_and_code(gate_world.put(client, manifest, VERSION)) == (None, "no-charter")


class TestTheTrustFloor:
    def test_a_release_from_somebodys_own_machine_after_a_hosted_one_is_refused(self, gate_world: GateWorld) -> None:
        gate_world.publish("1.0.0")
        client = gate_world.client(LAPTOP_JOB)
        manifest = gate_world.prepare(client, "1.1.0", LAPTOP_JOB)
        assert step_and_code(gate_world.put(client, manifest, "1.1.0")) == ("R9", "runner-fell")

    def test_a_release_from_a_branch_after_one_from_a_tag_is_refused(self, gate_world: GateWorld) -> None:
        rule = gate_world.shop.publisher.model_copy(update={"refs": ("refs/tags/v*", "refs/heads/main")})
        gate_world.govern(gate_world.shop.charter.model_copy(update={"publishers": (rule,)}))
        gate_world.publish("1.0.0", BRANCH_JOB)
        gate_world.publish("1.1.0")
        client = gate_world.client(BRANCH_JOB)
        manifest = gate_world.prepare(client, "1.2.0", BRANCH_JOB)
        assert step_and_code(gate_world.put(client, manifest, "1.2.0")) == ("R8", "ref-fell")
        assert len(gate_world.data_of("release.admitted")) == 2


class TestWhatTheStoreAndTheDatabaseSay:
    """Rows and objects are where evidence is found, never why it counts."""

    def test_evidence_that_is_changed_in_the_store_does_not_count(self, gate_world: GateWorld) -> None:
        client = gate_world.client()
        manifest = gate_world.prepare(client)
        shop = gate_world.about(manifest)
        good = dump(shop.sign(shop.provenance_statement(LAPTOP_JOB), LAPTOP_JOB))
        (row,) = self.rows(gate_world, manifest, PREDICATE_SLSA_PROVENANCE)
        overwrite(gate_world, row.bundle, good)
        answer = gate_world.put(client, manifest, VERSION)
        assert codes_of(answer) == ["no-provenance", "stored-bytes-differ"]

    def test_evidence_that_is_gone_from_the_store_does_not_count(self, gate_world: GateWorld) -> None:
        client = gate_world.client()
        manifest = gate_world.prepare(client)
        (row,) = self.rows(gate_world, manifest, PREDICATE_RELEASE)
        remove(gate_world, row.bundle)
        answer = gate_world.put(client, manifest, VERSION)
        assert codes_of(answer) == ["no-release-statement", "no-signature", "blob-missing"]

    def test_a_row_that_somebody_wrote_into_the_database_does_not_count(self, gate_world: GateWorld) -> None:
        client, manifest = pushed(gate_world)
        gate_world.sign_provenance(client, manifest)
        shop = gate_world.about(manifest)
        forged = dump(shop.sign(shop.release_statement(), FORK_JOB))
        gate_world.push_blob(client, forged)
        (row,) = self.rows(gate_world, manifest, PREDICATE_SLSA_PROVENANCE)
        made_up = {"signature": Digest.of(b"x"), "predicate_type": PREDICATE_RELEASE, "bundle": Digest.of(forged)}
        with gate_world.services.db.begin() as tx:
            tx.add(EvidenceRow(**(row.model_dump() | made_up)))
            audit.append(tx, Refused(at=datetime.now(UTC), actor=SYSTEM, operation="-", code="-", reasons=()))
        answer = gate_world.put(client, manifest, VERSION)
        assert codes_of(answer) == ["no-release-statement", "no-signature", "identity-not-in-charter"]

    def test_evidence_counts_by_the_charter_of_the_day_of_the_decision(self, gate_world: GateWorld) -> None:
        client = gate_world.client()
        manifest = gate_world.prepare(client)
        shop = gate_world.shop
        other = shop.publisher.model_copy(update={"name": "new", "workflow": f"{shop.publisher.workflow}-new"})
        alice = shop.attesters[1].model_copy(update={"name": "alice", "identity": "alice@sandbox.example", "types": ()})
        gate_world.govern(shop.charter.model_copy(update={"publishers": (other, alice), "version": 2}))
        assert step_and_code(gate_world.put(client, manifest, VERSION)) == (None, "not-in-charter")
        answer = gate_world.put(gate_world.client("alice"), manifest, VERSION)
        assert codes_of(answer)[:3] == ["no-release-statement", "no-signature", "no-provenance"]
        assert "identity-not-in-charter" in codes_of(answer)

    def rows(self, world: GateWorld, manifest: Manifest, kind: str) -> list[EvidenceRow]:
        with world.services.db.read() as tx:
            query = select(EvidenceRow).where(
                EvidenceRow.subject == manifest.digest, EvidenceRow.predicate_type == kind
            )
            return list(tx.exec(query))


def overwrite(world: GateWorld, digest: str, data: bytes) -> None:
    """Write to the bucket as somebody with its keys could."""
    store = world.services.blobs
    assert isinstance(store, S3BlobStore)
    key = store.prefix + BlobKey(AGENT.partition("/")[0], Digest(digest)).path
    store.client.put_object(Bucket=store.bucket, Key=key, Body=data)


def remove(world: GateWorld, digest: str) -> None:
    """Delete from the bucket."""
    store = world.services.blobs
    assert isinstance(store, S3BlobStore)
    key = store.prefix + BlobKey(AGENT.partition("/")[0], Digest(digest)).path
    store.client.delete_object(Bucket=store.bucket, Key=key)


class TestWhatChangesMeanwhile:
    def request(self, world: GateWorld, manifest: Manifest) -> Request:
        identity = world.shop.verify(world.shop.sign(world.shop.release_statement())).identity
        grants = (Grant("repository", AGENT, frozenset({"pull", "push"})),)
        return Request(Principal(PrincipalKind.CI, identity, "-", {}, grants), AGENT, VERSION, manifest, None)

    def test_a_charter_that_changes_while_it_is_decided_decides(self, gate_world: GateWorld) -> None:
        manifest = gate_world.prepare(gate_world.client())
        shop = gate_world.shop
        strict = shop.charter.model_copy(update={"floor": shop.charter.floor.model_copy(update={"builder_level": 3})})
        states = [shop.trust, shop.trusting(strict)]

        def trust() -> Trust:
            return states.pop(0) if len(states) > 1 else states[0]

        with pytest.raises(AdmissionRefused) as caught:
            admit(gate_world.services, trust, self.request(gate_world, manifest))
        assert [reason.code for reason in caught.value.reasons] == ["builder-too-low"]
        assert gate_world.data_of("release.admitted") == []

    def test_a_root_that_is_replaced_while_it_is_decided_decides(self, gate_world: GateWorld) -> None:
        manifest = gate_world.prepare(gate_world.client())
        shop = gate_world.shop
        replaced = [root_of(shop.other, "main"), shop.roots["other"]]
        states = [shop.trust, Trust.from_parts(replaced, [shop.charter], allow_sandbox=True)]
        with pytest.raises(AdmissionRefused) as caught:
            admit(
                gate_world.services,
                lambda: states.pop(0) if len(states) > 1 else states[0],
                self.request(gate_world, manifest),
            )
        assert "no-signature" in [reason.code for reason in caught.value.reasons]

    def test_a_store_that_does_not_answer_is_no_refusal(self, gate_world: GateWorld) -> None:
        manifest = gate_world.prepare(gate_world.client())

        def fail() -> None:
            raise StoreUnavailable("the object store did not answer")

        services = replace(gate_world.services, blobs=SlowStore(gate_world.services.blobs, fail))
        with pytest.raises(StoreUnavailable) as caught:
            admit(services, lambda: gate_world.trust, self.request(gate_world, manifest))
        assert caught.value.reasons[0].code == "store-unavailable"

    def test_a_charter_that_is_gone_when_evidence_is_verified_makes_nobodys_evidence_count(
        self, gate_world: GateWorld
    ) -> None:
        _, manifest = pushed(gate_world)
        shop = gate_world.about(manifest)
        raw = dump(shop.sign(shop.release_statement()))
        referrer = evidence_manifest(raw, manifest.descriptor, PREDICATE_RELEASE)
        who = self.request(gate_world, manifest).who
        gate_world.govern()
        with pytest.raises(EvidenceRefused) as caught:
            gate_world.services.gate.verify_referrer(gate_world.services, who, repository=AGENT, manifest=referrer)
        assert caught.value.reasons[0].code == "no-charter"

    def test_a_charter_that_never_stands_still_admits_nothing(self, gate_world: GateWorld) -> None:
        manifest = gate_world.prepare(gate_world.client())
        versions = iter(range(1, 100))

        def trust() -> Trust:
            changed: Charter = gate_world.shop.charter.model_copy(update={"version": next(versions)})
            return gate_world.shop.trusting(changed)

        with pytest.raises(DecisionOvertaken) as caught:
            admit(gate_world.services, trust, self.request(gate_world, manifest))
        assert caught.value.reasons[0].code == "decision-overtaken"
        assert gate_world.data_of("release.admitted") == []

    def test_a_release_that_slips_in_meanwhile_is_the_one_to_compare_with(self, gate_world: GateWorld) -> None:
        """A laptop's build is judged against nothing; before it is written, a hosted one is admitted."""
        laptop = gate_world.prepare(gate_world.client(LAPTOP_JOB), VERSION, LAPTOP_JOB)
        slow_store = SlowStore(gate_world.services.blobs, lambda: gate_world.publish("1.0.0"))
        services = replace(gate_world.services, blobs=slow_store)
        with pytest.raises(AdmissionRefused) as caught:
            admit(services, lambda: gate_world.trust, self.request(gate_world, laptop))
        assert [reason.code for reason in caught.value.reasons] == ["runner-fell"]
        assert [each["version"] for each in gate_world.data_of("release.admitted")] == ["1.0.0"]

    def test_evidence_that_arrives_meanwhile_is_looked_at(self, gate_world: GateWorld) -> None:
        client = gate_world.client()
        manifest = gate_world.prepare(client)
        other = {"behaviour": Digest.of(b"other")}
        slow_store = SlowStore(
            gate_world.services.blobs, lambda: gate_world.sign_release(client, manifest, VERSION, **other)
        )
        services = replace(gate_world.services, blobs=slow_store)
        named = admit(services, lambda: gate_world.trust, self.request(gate_world, manifest))
        assert len(named.release.facts["evidence"]) == 3  # type: ignore[arg-type]  # a list


class SlowStore:
    """The store, while something else happens as the first object is opened."""

    def __init__(self, store: BlobStore, meanwhile: Callable[[], object]) -> None:
        self._store, self._meanwhile = store, [meanwhile]

    def open(self, key: BlobKey) -> BinaryIO:
        while self._meanwhile:
            self._meanwhile.pop()()
        return self._store.open(key)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


class TestVersions:
    def test_a_version_never_moves(self, gate_world: GateWorld) -> None:
        first = gate_world.publish("1.0.0")
        client = gate_world.client()
        second = gate_world.prepare(client, "1.0.0")
        assert step_and_code(gate_world.put(client, second, "1.0.0"), 409) == (None, "version-taken")
        assert client.get(f"/v2/{AGENT}/manifests/1.0.0").headers["Docker-Content-Digest"] == first.digest

    def test_of_two_that_race_for_a_version_one_gets_it(self, gate_world: GateWorld) -> None:
        client = gate_world.client()
        manifests = [gate_world.prepare(client, "1.0.0") for _ in range(2)]
        start = threading.Barrier(6)

        def name(index: int) -> tuple[int, str]:
            own = gate_world.client()
            start.wait(20)
            return gate_world.put(own, manifests[index % 2], "1.0.0").status_code, manifests[index % 2].digest

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            answers = list(pool.map(name, range(6)))
        (admitted,) = gate_world.data_of("release.admitted")
        assert {status for status, digest in answers if digest == admitted["digest"]} == {201}
        assert {status for status, digest in answers if digest != admitted["digest"]} == {409}


def test_a_flood_of_an_attesters_evidence_hides_nothing(gate_world: GateWorld) -> None:
    client = gate_world.client()
    manifest = gate_world.prepare(client)
    evals = gate_world.client(EVALS_JOB)
    for number in range(12):
        shop = gate_world.about(manifest)
        bundle = shop.sign(shop.statement(PREDICATE_EVALUATION, {"suite": str(number)}), EVALS_JOB)
        assert gate_world.attach(evals, manifest, bundle, PREDICATE_EVALUATION).status_code == 201
    gate_world.limit(evidence_per_decision=8)
    assert gate_world.put(client, manifest, VERSION).status_code == 201
