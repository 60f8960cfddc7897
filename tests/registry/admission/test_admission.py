"""Naming is admitting: what is complete gets in once and for ever, what is not gets every reason."""

from __future__ import annotations

import concurrent.futures
import threading
from pathlib import Path

from tests.client.bundle.agents import build_agent
from tests.registry.admission.world import GateWorld, codes_of, reasons_of
from tests.workshop import AGENT, EVALS_JOB, VERSION
from tidegate.bundle.build import Built
from tidegate.formats.jcs import canonical_bytes
from tidegate.formats.manifest import Manifest
from tidegate_registry.admission.decide import previous_facts
from tidegate_registry.artifacts import naming


def push_agent(world: GateWorld, folder: Path) -> Built:
    """Build a real agent bundle and push it into quarantine."""
    client, built = world.client(), build_agent(folder)
    for blob in built.manifest.blobs:
        world.push_blob(client, built.layout.read_blob(blob.digest, 1 << 20))
    world.push(client, built.manifest)
    return built


def test_a_signed_and_proven_bundle_becomes_a_release(gate_world: GateWorld) -> None:
    client = gate_world.client()
    manifest = gate_world.prepare(client)
    answer = gate_world.put(client, manifest, VERSION)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Docker-Content-Digest"] == manifest.digest
    reader = gate_world.client("carol", f"repository:{AGENT}:pull")
    assert reader.get(f"/v2/{AGENT}/manifests/{VERSION}").content == manifest.raw
    referrers = reader.get(f"/v2/{AGENT}/referrers/{manifest.digest}").json()["manifests"]
    assert len(referrers) == len(gate_world.data_of("evidence.verified")) == 2


def test_the_entry_and_the_release_remember_what_the_decision_rested_on(gate_world: GateWorld) -> None:
    manifest = gate_world.publish()
    (event,) = gate_world.events("release.admitted")
    with gate_world.services.db.read() as tx:
        release = naming.find_release(tx, AGENT, VERSION)
    assert release is not None
    assert event["id"] == release.event_id
    data = event["data"]
    assert isinstance(data, dict)
    assert data["digest"] == manifest.digest
    assert data["facts"] == {name: said for name, said in release.facts.items() if name != "author"}
    assert release.facts["charter"] == {"digest": gate_world.shop.charter.digest, "version": 1}
    assert release.facts["opaque"] is True
    assert {"A12", "A19", "R6", "R7", "R12"} <= set(release.facts["checked"])  # type: ignore[arg-type]  # a list
    floor = previous_facts(release.facts)
    assert floor is not None
    assert (floor.ref, floor.runner_class.label) == ("refs/tags/v1.2.0", "hosted")


def test_the_answer_lists_every_unmet_requirement(gate_world: GateWorld) -> None:
    client = gate_world.client()
    manifest = gate_world.bundle_for()
    gate_world.push(client, manifest)
    answer = gate_world.put(client, manifest, VERSION)
    assert answer.status_code == 403
    assert codes_of(answer) == ["no-release-statement", "no-signature", "no-provenance"]
    for reason in reasons_of(answer):
        assert {"code", "message", "found", "expected", "hint", "step"} <= reason.keys()
    error = answer.json()["errors"][0]
    assert error["code"] == "DENIED"
    assert error["message"].startswith(f"{AGENT}:{VERSION} is not admitted: 3 requirements are not met\n")
    for words in (
        "no-release-statement [R4]",
        "no-signature [R6]",
        "no-provenance [R7]",
        "found: no evidence",
        "hint: ",
    ):
        assert words in error["message"]
    assert client.get(f"/v2/{AGENT}/manifests/{VERSION}").status_code == 404
    assert gate_world.data_of("request.refused") == [], "the refusal is told once, with its record"
    (decided,) = gate_world.data_of("admission.decided")
    assert (decided["allowed"], decided["version"]) == (False, VERSION)
    assert decided["missing"] == ["no-release-statement", "no-signature", "no-provenance"]


def test_evidence_that_is_there_instead_is_named(gate_world: GateWorld) -> None:
    client = gate_world.client()
    manifest = gate_world.bundle_for()
    gate_world.push(client, manifest)
    gate_world.sign_evaluation(gate_world.client(EVALS_JOB), manifest, EVALS_JOB)
    answer = gate_world.put(client, manifest, VERSION)
    assert "evaluation by evals" in reasons_of(answer)[0]["found"]


def test_the_same_publish_again_is_the_same_release(gate_world: GateWorld) -> None:
    client = gate_world.client()
    manifest = gate_world.prepare(client)
    for _ in range(3):
        assert gate_world.put(client, manifest, VERSION).status_code == 201
    assert len(gate_world.data_of("release.admitted")) == 1


def test_many_who_publish_the_same_at_once_make_one_release(gate_world: GateWorld) -> None:
    manifest = gate_world.prepare(gate_world.client())
    clients = [gate_world.client() for _ in range(6)]
    start = threading.Barrier(len(clients))

    def name(index: int) -> int:
        start.wait(20)
        return gate_world.put(clients[index], manifest, VERSION).status_code

    with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
        assert set(pool.map(name, range(len(clients)))) == {201}
    assert len(gate_world.data_of("release.admitted")) == 1


def test_different_versions_at_once_are_all_admitted(gate_world: GateWorld) -> None:
    """Each is a release before another: whoever is overtaken looks again, and is admitted then."""
    client = gate_world.client()
    manifests = {f"1.{minor}.0": gate_world.prepare(client, f"1.{minor}.0") for minor in range(3)}
    clients = {version: gate_world.client() for version in manifests}
    start = threading.Barrier(len(manifests))

    def name(version: str) -> int:
        start.wait(20)
        return gate_world.put(clients[version], manifests[version], version).status_code

    with concurrent.futures.ThreadPoolExecutor(len(manifests)) as pool:
        assert set(pool.map(name, manifests)) == {201}
    assert {each["version"] for each in gate_world.data_of("release.admitted")} == set(manifests)


def test_a_real_agent_bundle_names_itself_so_a_cosign_signature_will_do(gate_world: GateWorld, tmp_path: Path) -> None:
    built = push_agent(gate_world, tmp_path)
    client = gate_world.client()
    assert gate_world.sign_cosign(client, built.manifest).status_code == 201
    assert gate_world.sign_provenance(client, built.manifest).status_code == 201
    assert codes_of(gate_world.put(client, built.manifest, "1.3.0")) == ["version-mismatch"]
    answer = gate_world.put(client, built.manifest, VERSION)
    assert answer.status_code == 201, answer.text
    (admitted,) = gate_world.data_of("release.admitted")
    facts = admitted["facts"]
    assert isinstance(facts, dict)
    assert facts["behaviour"] == built.config.behaviour


def test_a_release_statement_about_other_behaviour_is_refused(gate_world: GateWorld, tmp_path: Path) -> None:
    built = push_agent(gate_world, tmp_path)
    client = gate_world.client()
    gate_world.sign_release(client, built.manifest, behaviour=gate_world.bundle_for().digest)
    gate_world.sign_provenance(client, built.manifest)
    assert codes_of(gate_world.put(client, built.manifest, VERSION)) == ["behaviour-mismatch"]


def test_a_bundle_that_is_not_what_it_says_is_told_together_with_what_is_missing(
    gate_world: GateWorld, tmp_path: Path
) -> None:
    built = push_agent(gate_world, tmp_path)
    raw = canonical_bytes(
        {
            "schemaVersion": 2,
            "mediaType": built.manifest.media_type,
            "artifactType": built.manifest.artifact_type,
            "config": built.manifest.config.as_json() if built.manifest.config else None,
            "layers": [layer.as_json() for layer in built.manifest.layers],
            "annotations": {"org.opencontainers.image.version": "9.9.9"},
        }
    )
    liar = Manifest.parse(raw)
    codes = codes_of(gate_world.put(gate_world.client(), liar, VERSION))
    assert "no-signature" in codes
    assert "no-provenance" in codes
    assert len(codes) > 2
    assert gate_world.data_of("release.admitted") == []


def test_a_publisher_whose_charter_is_the_namespaces_publishes_too(gate_world: GateWorld) -> None:
    gate_world.govern(gate_world.shop.charter.model_copy(update={"agent": "acme/*"}))
    gate_world.publish()
    assert len(gate_world.data_of("release.admitted")) == 1
