"""Deferred admission: a version tag that comes before its signature waits for it, and names nothing until then."""

from __future__ import annotations

import concurrent.futures
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from tests.forge import dump
from tests.registry.admission.test_admission import push_agent
from tests.registry.admission.world import GateWorld, codes_of
from tests.workshop import AGENT, EVALS_JOB, RELEASE_JOB, VERSION, provenance_of
from tidegate.formats.manifest import Manifest, image_manifest
from tidegate.formats.mediatypes import PREDICATE_SLSA_PROVENANCE
from tidegate_registry.artifacts import pending

OTHER_JOB = RELEASE_JOB.model_copy(update={"workflow": ".ci/workflows/other.yml"})
RELEASE = f"/api/v1/agents/{AGENT}/releases/{VERSION}"
TAG = f"/v2/{AGENT}/manifests/{VERSION}"


@pytest.fixture
def deferred(gate_world: GateWorld) -> GateWorld:
    """The registry, with a charter that lets version tags wait; its second publisher is `OTHER_JOB`."""
    charter = gate_world.shop.charter
    (rule,) = charter.publishers
    other = rule.model_copy(
        update={"name": "other", "workflow": str(rule.workflow).replace("release.yml", "other.yml")}
    )
    gate_world.govern(charter.model_copy(update={"admission": "deferred", "publishers": (rule, other)}))
    return gate_world


def tag_first(world: GateWorld, client: httpx2.Client | None = None) -> Manifest:
    """Push a bundle straight to its version tag, as tools do."""
    client, manifest = client or world.client(), world.bundle_for()
    world.push_blob(client, b"{}")
    answer = world.put(client, manifest, VERSION)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Tidegate-Pending"] == "true"
    return manifest


def complete(world: GateWorld, client: httpx2.Client, manifest: Manifest) -> None:
    for answer in (world.sign_release(client, manifest), world.sign_provenance(client, manifest)):
        assert answer.status_code == 201, answer.text


def released(world: GateWorld) -> list[object]:
    return [each["digest"] for each in world.data_of("release.admitted")]


def test_a_tag_that_comes_first_becomes_a_release_when_its_evidence_is_complete(deferred: GateWorld) -> None:
    client = deferred.client()
    manifest = tag_first(deferred, client)
    (tagged,) = deferred.events("release.pending")
    assert deferred.sign_release(client, manifest).status_code == 201
    assert released(deferred) == []
    assert deferred.sign_provenance(client, manifest).status_code == 201
    (entry,) = deferred.events("release.admitted")
    data = entry["data"]
    assert isinstance(data, dict)
    assert (data["digest"], data["tagged"]) == (manifest.digest, tagged["id"])
    assert data["completed_by"] == entry["actor"] == tagged["actor"]
    assert deferred.client("carol", f"repository:{AGENT}:pull").get(TAG).content == manifest.raw
    assert client.get(RELEASE).json()["state"] == "admitted"
    assert deferred.put(client, manifest, VERSION).headers["Tidegate-Event-Id"] == entry["id"]
    assert codes_of(deferred.put(client, deferred.bundle_for(), VERSION)) == ["version-taken"]


def test_an_agent_bundle_waits_for_the_two_statements_that_cosign_makes(deferred: GateWorld, tmp_path: Path) -> None:
    manifest = push_agent(deferred, tmp_path).manifest
    client = deferred.client()
    assert deferred.put(client, manifest, VERSION).headers["Tidegate-Pending"] == "true"
    assert deferred.sign_provenance(client, manifest).status_code == 201
    assert deferred.sign_cosign(client, manifest).status_code == 201
    assert released(deferred) == [manifest.digest]


def test_the_entry_names_who_tagged_and_who_brought_what_was_missing(deferred: GateWorld) -> None:
    tagger, signer = deferred.client(OTHER_JOB), deferred.client()
    manifest = tag_first(deferred, tagger)
    complete(deferred, signer, manifest)
    (entry,) = deferred.events("release.admitted")
    data = entry["data"]
    assert isinstance(data, dict)
    assert isinstance(data["completed_by"], dict)
    assert isinstance(entry["actor"], dict)
    assert "other.yml" in str(entry["actor"]["name"])
    assert "release.yml" in str(data["completed_by"]["name"])


def test_what_waits_is_seen_by_the_agents_signers_alone(deferred: GateWorld) -> None:
    client = deferred.client()
    manifest = tag_first(deferred, client)
    evals, carol = deferred.client(EVALS_JOB), deferred.client("carol", f"repository:{AGENT}:pull")
    for signer in (client, evals):
        assert signer.head(TAG).headers["Docker-Content-Digest"] == manifest.digest
        assert signer.get(RELEASE).json()["state"] == "pending"
        assert VERSION not in signer.get(f"/v2/{AGENT}/tags/list").text
    for url in (TAG, RELEASE, f"/v2/{AGENT}/manifests/{manifest.digest}", f"/v2/{AGENT}/tags/list"):
        assert carol.get(url).status_code == 404
    assert len(deferred.services.reads) == 0


def test_what_it_waits_for_can_be_read(deferred: GateWorld) -> None:
    client = deferred.client()
    manifest = tag_first(deferred, client)
    deferred.sign_release(client, manifest)
    shown = client.get(RELEASE).json()
    assert [reason["code"] for reason in shown["reasons"]] == ["no-provenance"]
    assert (shown["digest"], shown["version"]) == (manifest.digest, VERSION)
    assert "release.yml" in shown["publisher"]


def test_a_waiting_tag_reserves_nothing(deferred: GateWorld) -> None:
    first, second = deferred.client(), deferred.client(OTHER_JOB)
    one, two = tag_first(deferred, first), tag_first(deferred, second)
    assert first.head(TAG).headers["Docker-Content-Digest"] == one.digest
    assert second.head(TAG).headers["Docker-Content-Digest"] == two.digest
    complete(deferred, first, two)
    assert released(deferred) == [two.digest]
    complete(deferred, first, one)
    assert released(deferred) == [two.digest]
    (ended,) = deferred.data_of("release.pending-ended")
    assert (ended["digest"], ended["reason"]) == (one.digest, "version-taken")
    assert first.head(TAG).headers["Docker-Content-Digest"] == two.digest


def test_its_publisher_may_move_a_waiting_tag(deferred: GateWorld) -> None:
    client = deferred.client()
    one, two = tag_first(deferred, client), tag_first(deferred, client)
    complete(deferred, client, one)
    assert released(deferred) == []
    complete(deferred, client, two)
    assert released(deferred) == [two.digest]


def test_tagging_again_decides_again(deferred: GateWorld) -> None:
    charter, client = deferred.trust.charters.for_agent(AGENT), deferred.client()
    assert charter is not None
    manifest = tag_first(deferred, client)
    strict = charter.model_copy(update={"floor": charter.floor.model_copy(update={"builder_level": 3})})
    deferred.govern(strict)
    complete(deferred, client, manifest)
    assert [each["code"] for each in client.get(RELEASE).json()["reasons"]] == ["builder-too-low"]
    deferred.govern(charter)
    answer = deferred.put(client, manifest, VERSION)
    assert (answer.status_code, "Tidegate-Pending" in answer.headers) == (201, False)
    assert released(deferred) == [manifest.digest]
    with deferred.services.db.read() as tx:
        now = deferred.services.clock()
        assert pending.waiting_for(tx, AGENT, manifest.digest, now=now) == []


def test_what_no_evidence_can_mend_is_refused_at_once(deferred: GateWorld, tmp_path: Path) -> None:
    manifest = push_agent(deferred, tmp_path).manifest
    answer = deferred.put(deferred.client(), manifest, "9.9.9")
    assert answer.status_code == 403
    assert "version-mismatch" in codes_of(answer)


def test_a_client_that_asks_for_a_strict_answer_gets_one(deferred: GateWorld) -> None:
    client = deferred.client()
    client.headers["Prefer"] = "respond-async, handling=strict"
    manifest = deferred.bundle_for()
    deferred.push(client, manifest)
    assert codes_of(deferred.put(client, manifest, VERSION)) == [
        "no-release-statement",
        "no-signature",
        "no-provenance",
    ]
    assert deferred.data_of("release.pending") == []


def test_without_the_charters_word_a_tag_that_comes_first_is_refused(gate_world: GateWorld) -> None:
    client, manifest = gate_world.client(), gate_world.bundle_for()
    gate_world.push(client, manifest)
    assert gate_world.put(client, manifest, VERSION).status_code == 403


def test_an_expired_tag_is_gone_and_swept(deferred: GateWorld) -> None:
    client = deferred.client()
    manifest = tag_first(deferred, client)
    later = deferred.services.clock() + timedelta(days=1, seconds=1)
    after = replace(deferred.services, clock=lambda: later)
    with after.db.read() as tx:
        assert pending.waiting_for(tx, AGENT, manifest.digest, now=later) == []
    assert pending.sweep_pending(deferred.services) == 0
    assert pending.sweep_pending(after) == 1
    assert pending.sweep_pending(after) == 0
    (ended,) = deferred.events("release.pending-ended")
    assert ended["actor"] == {"kind": "system", "issuer": "", "name": "registry"}
    assert client.get(TAG).status_code == 404
    complete(deferred, client, manifest)
    assert released(deferred) == []


def test_only_so_many_tags_of_a_manifest_wait(deferred: GateWorld) -> None:
    client, manifest = deferred.client(), tag_first(deferred)
    answers = [deferred.put(client, manifest, f"2.0.{each}") for each in range(pending.MAX_PENDING_OF_A_MANIFEST)]
    assert [each.status_code for each in answers[:-1]] == [201] * (len(answers) - 1)
    assert codes_of(answers[-1]) == ["too-many-pending"]
    assert deferred.put(client, manifest, VERSION).status_code == 201, "what waits already may be tagged again"


def test_a_manifest_about_another_does_not_wait(deferred: GateWorld) -> None:
    client, subject = deferred.client(), deferred.bundle_for()
    deferred.push(client, subject)
    about = replace(subject.descriptor, artifact_type=None)
    assert subject.config is not None
    note = image_manifest(artifact_type="text/plain", config=subject.config, layers=(), subject=about)
    assert deferred.put(client, note, VERSION).status_code == 403


def test_the_last_evidence_put_twice_at_once_makes_one_release(deferred: GateWorld) -> None:
    client = deferred.client()
    manifest = tag_first(deferred, client)
    assert deferred.sign_release(client, manifest).status_code == 201
    shop = deferred.about(manifest)
    payload = shop.statement(PREDICATE_SLSA_PROVENANCE, provenance_of(RELEASE_JOB))
    bundle = dump(shop.sign(payload, RELEASE_JOB))
    deferred.push_blob(client, bundle)
    clients = [deferred.client() for _ in range(4)]
    start = threading.Barrier(len(clients))

    def attach(index: int) -> int:
        start.wait(20)
        return deferred.attach(clients[index], manifest, bundle, PREDICATE_SLSA_PROVENANCE).status_code

    with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
        assert set(pool.map(attach, range(len(clients)))) == {201}
    assert released(deferred) == [manifest.digest]


def test_a_tag_and_its_last_evidence_at_once_never_miss_each_other(deferred: GateWorld) -> None:
    tagger, signer = deferred.client(), deferred.client()
    manifest = deferred.bundle_for()
    deferred.push(tagger, manifest)
    assert deferred.sign_release(signer, manifest).status_code == 201
    start = threading.Barrier(2)

    def at_once(work: str) -> int:
        start.wait(20)
        if work == "tag":
            return deferred.put(tagger, manifest, VERSION).status_code
        return deferred.sign_provenance(signer, manifest).status_code

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        assert set(pool.map(at_once, ["tag", "sign"])) == {201}
    assert released(deferred) == [manifest.digest]
