"""One who may attach evidence attaches so much, or so large, that no host can verify the release any more.

Threat: an attester needs no admission, and what they attach is listed and fetched by every host that verifies the
release. So what the registry takes must always be less than what a host reads, with room left for the publisher.
"""

from __future__ import annotations

import pytest

from tests.documents import evaluation
from tests.forge import dump
from tests.registry.admission.world import GateWorld, codes_of, reasons_of
from tests.workshop import AGENT, EVALS_JOB, VERSION
from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject, canonical_bytes, parse_object
from tidegate.formats.manifest import (
    EMPTY_DESCRIPTOR,
    MAX_REFERRER_BYTES,
    Descriptor,
    Manifest,
    evidence_manifest,
    image_manifest,
)
from tidegate.formats.predicates.types import PREDICATE_EVALUATION
from tidegate_registry.evidence import room


def padded(referrer: Manifest, padding: str) -> Manifest:
    """The same referrer with one more annotation."""
    document: JsonObject = parse_object(referrer.raw, limit=1 << 20, what="a referrer")
    annotations = {**referrer.annotations, "padding": padding}
    return Manifest.parse(canonical_bytes({**document, "annotations": annotations}))


def signed_evaluation(world: GateWorld, manifest: Manifest, suite: str) -> bytes:
    shop = world.about(manifest)
    return dump(shop.sign(shop.statement(PREDICATE_EVALUATION, evaluation(suite=suite)), EVALS_JOB))


def test_one_signature_is_attached_once_however_its_referrer_is_written(gate_world: GateWorld) -> None:
    manifest = gate_world.prepare(gate_world.client())
    evals = gate_world.client(EVALS_JOB)
    bundle = signed_evaluation(gate_world, manifest, "smoke")
    first = evidence_manifest(bundle, manifest.descriptor, PREDICATE_EVALUATION)
    assert gate_world.attach(evals, manifest, bundle, PREDICATE_EVALUATION).status_code == 201
    for referrer in (padded(first, "x"), padded(first, "y")):
        answer = gate_world.put(evals, referrer)
        (reason,) = reasons_of(answer)
        assert (answer.status_code, reason["step"], reason["code"]) == (403, "E9", "evidence-already-attached")
        assert reason["found"] == first.digest
    rewritten = b" " + bundle
    answer = gate_world.attach(evals, manifest, rewritten, PREDICATE_EVALUATION)
    assert codes_of(answer) == ["evidence-already-attached"]
    assert gate_world.put(evals, first).status_code == 201, "what is there may be sent again"
    listed = evals.get(f"/v2/{AGENT}/referrers/{manifest.digest}").json()["manifests"]
    assert len([each for each in listed if each["digest"] == first.digest]) == 1
    assert len(listed) == 3


def test_annotations_beyond_the_limit_are_refused_on_evidence_and_on_whatever_else_is_listed(
    gate_world: GateWorld,
) -> None:
    publisher = gate_world.client()
    manifest = gate_world.prepare(publisher)
    bundle = signed_evaluation(gate_world, manifest, "smoke")
    evals = gate_world.client(EVALS_JOB)
    gate_world.push_blob(evals, bundle)
    large = padded(evidence_manifest(bundle, manifest.descriptor, PREDICATE_EVALUATION), "x" * MAX_REFERRER_BYTES)
    (reason,) = reasons_of(gate_world.put(evals, large))
    assert (reason["step"], reason["code"]) == ("E8", "referrer-too-large")
    opaque = image_manifest(
        artifact_type="application/vnd.example.notes", config=EMPTY_DESCRIPTOR, layers=(), subject=manifest.descriptor
    )
    answer = gate_world.put(publisher, padded(opaque, "x" * MAX_REFERRER_BYTES))
    assert (answer.status_code, codes_of(answer)) == (413, ["referrer-too-large"])
    assert gate_world.put(publisher, padded(opaque, "x" * 1000)).status_code == 201


def test_attesters_cannot_take_the_referrers_that_the_publisher_needs(gate_world: GateWorld) -> None:
    publisher, manifest = gate_world.client(), gate_world.bundle_for()
    gate_world.push(publisher, manifest)
    gate_world.limit(referrers_per_subject=4)
    evals = gate_world.client(EVALS_JOB)
    answers = [
        gate_world.attach(evals, manifest, signed_evaluation(gate_world, manifest, str(n)), PREDICATE_EVALUATION)
        for n in range(3)
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 403]
    assert codes_of(answers[2]) == ["too-many-referrers"]
    gate_world.prepare(publisher, manifest=manifest)
    assert gate_world.put(publisher, manifest, VERSION).status_code == 201


def test_attesters_cannot_take_the_bytes_that_the_publisher_needs(
    gate_world: GateWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher, manifest = gate_world.client(), gate_world.bundle_for()
    gate_world.push(publisher, manifest)
    bundles = [signed_evaluation(gate_world, manifest, str(n)) for n in range(2)]
    monkeypatch.setattr(room, "MAX_EVIDENCE_BYTES", 4 * len(bundles[0]))
    evals = gate_world.client(EVALS_JOB)
    spaced = bundles[1] + b" " * (len(bundles[0]) + 100)
    assert gate_world.attach(evals, manifest, bundles[0], PREDICATE_EVALUATION).status_code == 201
    refused = gate_world.attach(evals, manifest, spaced, PREDICATE_EVALUATION)
    assert (refused.status_code, codes_of(refused)) == (403, ["too-much-evidence"])
    gate_world.prepare(publisher, manifest=manifest)
    assert gate_world.put(publisher, manifest, VERSION).status_code == 201
    monkeypatch.setattr(room, "MAX_EVIDENCE_BYTES", 3 * len(bundles[0]))
    assert codes_of(gate_world.sign_cosign(publisher, manifest)) == ["too-much-evidence"]


def test_evidence_is_never_given_a_version(gate_world: GateWorld) -> None:
    """Naming stores a manifest without a look at its bundle: it would be listed as if it had been verified."""
    publisher = gate_world.client()
    manifest = gate_world.prepare(publisher)
    fake = b'{"never": "verified"}'
    gate_world.push_blob(publisher, fake)
    referrer = evidence_manifest(
        fake, Descriptor(manifest.media_type, manifest.digest, len(manifest.raw)), PREDICATE_EVALUATION
    )
    answer = gate_world.put(publisher, referrer, "9.9.9")
    assert (answer.status_code, codes_of(answer)) == (403, ["evidence-not-a-release"])
    assert Digest.of(referrer.raw) not in publisher.get(f"/v2/{AGENT}/referrers/{manifest.digest}").text
