"""Versions, channels, working tags: what a tag means at the gate."""

from __future__ import annotations

import concurrent.futures
import threading

import httpx2
import pytest

from tests.registry.world import AGENT, ATTESTER, PUBLISHER, READER, World, error_of, make_index
from tidegate.errors import Reason
from tidegate.formats.manifest import Manifest
from tidegate.formats.mediatypes import AGENT_BUNDLE, SIGSTORE_BUNDLE
from tidegate_registry.artifacts import naming
from tidegate_registry.storage.blobs import BlobKey

REASONS = (
    Reason(code="signature-missing", step="R1", message="no release statement", hint="run `tidegate sign`"),
    Reason(code="provenance-missing", step="R2", message="no provenance", found="none", expected="SLSA provenance v1"),
)


def path(reference: str) -> str:
    return f"/v2/{AGENT}/manifests/{reference}"


def test_a_version_never_moves_again(world: World) -> None:
    client = world.client()
    first, second = world.make_manifest(client, b"one"), world.make_manifest(client, b"two")
    named = world.put(client, first, "1.0.0")
    again = world.put(client, first, "1.0.0")
    assert (named.status_code, again.status_code) == (201, 201)
    assert named.headers["tidegate-event-id"] == again.headers["tidegate-event-id"]
    refused = world.put(client, second, "1.0.0")
    assert error_of(refused) == (409, "DENIED", "version-taken")
    assert first.digest in refused.json()["errors"][0]["message"]
    assert client.get(path("1.0.0")).content == first.raw
    assert world.gate.asked == [f"admit {AGENT}:1.0.0"], "what is decided is not asked again"
    assert len(world.events("release.admitted")) == 1


def test_a_refused_version_names_nothing_and_stores_nothing_and_lists_every_reason(world: World) -> None:
    client = world.client()
    world.gate.refuse_admission = REASONS
    manifest = world.make_manifest(client, b"one")
    answer = world.put(client, manifest, "1.0.0")
    assert error_of(answer) == (403, "DENIED", "signature-missing")
    error = answer.json()["errors"][0]
    assert [reason["code"] for reason in error["detail"]["reasons"]] == ["signature-missing", "provenance-missing"]
    assert "hint: run `tidegate sign`" in error["message"]
    assert "expected: SLSA provenance v1" in error["message"]
    for reference in ("1.0.0", manifest.digest):
        assert client.get(path(reference)).status_code == 404
    refusal = world.events("request.refused")[-1]["data"]
    assert isinstance(refusal, dict)
    assert (refusal["code"], refusal["reference"], refusal["repository"]) == ("signature-missing", "1.0.0", AGENT)


@pytest.mark.parametrize("channel", ["dev", "staging", "canary", "stable"])
def test_a_channel_is_not_moved_by_pushing_a_tag(world: World, channel: str) -> None:
    client = world.client()
    answer = world.put(client, world.make_manifest(client, b"one"), channel)
    assert error_of(answer) == (403, "DENIED", "channel-not-movable")
    assert "promotion" in answer.json()["errors"][0]["message"]
    assert error_of(client.get(path(channel))) == (404, "MANIFEST_UNKNOWN", "manifest-unknown")


def test_a_channel_is_not_read_as_a_tag_and_the_answer_says_how_to_pull(world: World) -> None:
    client = world.client()
    world.put(client, world.make_manifest(client, b"a release"), "1.0.0")
    answer = client.get(f"/v2/{AGENT}/manifests/stable")
    assert error_of(answer) == (404, "MANIFEST_UNKNOWN", "manifest-unknown")
    (error,) = answer.json()["errors"]
    assert "channels are not served as tags" in error["message"]
    assert "tidegate pull" in error["detail"]["reasons"][0]["hint"]


@pytest.mark.parametrize(
    ("tag", "right"), [("v1.2.3", "1.2.3"), ("1.2", "1.2.0"), ("v7", "7.0.0"), ("01.2.3", "1.2.3")]
)
def test_what_looks_like_a_version_is_refused_with_the_right_spelling(world: World, tag: str, right: str) -> None:
    client = world.client()
    answer = world.put(client, world.make_manifest(client, b"one"), tag)
    assert error_of(answer) == (403, "DENIED", "version-misspelt")
    assert f"use {right}" in answer.json()["errors"][0]["message"]
    assert client.get(path(tag)).status_code == 403


@pytest.mark.parametrize("tag", ["latest", "image", "pr-17", "20261121", "sha-0a1b2c3", "_x", "a" * 128])
def test_a_working_tag_moves_and_is_there_for_publishers_alone(world: World, tag: str) -> None:
    client = world.client()
    first, second = world.make_manifest(client, b"one"), world.make_manifest(client, b"two")
    for manifest in (first, second):
        assert world.put(client, manifest, tag).status_code == 201
        assert client.get(path(tag)).content == manifest.raw
    for other in (ATTESTER, READER):
        assert world.client(other).get(path(tag)).status_code == 404
    assert world.client(READER).get(path(second.digest)).status_code == 404, "a working tag is no release"
    moves = [event["data"] for event in world.events("working-tag.moved")]
    assert moves[-1] == {"repository": AGENT, "tag": tag, "digest": second.digest, "previous": first.digest}
    assert world.gate.asked == []


@pytest.mark.parametrize("tag", ["-x", ".x", "a" * 129, "a b", "a+b"])
def test_what_is_no_tag_is_refused(world: World, tag: str) -> None:
    answer = world.client().put(path(tag), content=b"{}")
    assert error_of(answer)[:2] == (400, "NAME_INVALID")


@pytest.mark.parametrize("who", [ATTESTER, READER, None])
def test_only_publishers_name(world: World, who: str | None) -> None:
    publisher = world.client()
    manifest = world.make_manifest(publisher, b"one")
    for reference in ("1.0.0", "latest"):
        answer = world.put(world.client(who), manifest, reference)
        assert answer.status_code == (401 if who is None else 403)
    assert world.gate.asked == []


class TestWhatNamingSetsFree:
    """Reachable from a name is readable; nothing else is."""

    @pytest.fixture
    def publisher(self, world: World) -> httpx2.Client:
        return world.client(PUBLISHER)

    def readable(self, world: World, manifest: Manifest) -> bool:
        return world.client(READER).get(path(manifest.digest)).status_code == 200

    def test_members_of_an_index_and_what_refers_to_them(self, world: World, publisher: httpx2.Client) -> None:
        member = world.make_manifest(publisher, b"member")
        inner = make_index(member)
        outer = make_index(inner)
        evidence = world.make_manifest(publisher, b"sig", artifact_type=SIGSTORE_BUNDLE, subject=member.descriptor)
        about_evidence = world.make_manifest(
            publisher, b"sig of sig", artifact_type=SIGSTORE_BUNDLE, subject=evidence.descriptor
        )
        opaque = world.make_manifest(publisher, b"claims to be about it", subject=member.descriptor)
        bystander = world.make_manifest(publisher, b"bystander")
        for each in (evidence, about_evidence, opaque, member, inner, bystander):
            assert world.put(publisher, each).status_code == 201
            assert not self.readable(world, each)
        assert world.put(publisher, outer, "1.0.0").status_code == 201
        for each in (outer, inner, member, evidence, about_evidence):
            assert self.readable(world, each)
        assert not self.readable(world, bystander)
        assert not self.readable(world, opaque)

    def test_evidence_that_comes_later(self, world: World, publisher: httpx2.Client) -> None:
        released = world.make_manifest(publisher, b"released")
        world.put(publisher, released, "1.0.0")
        later = world.make_manifest(publisher, b"scan", artifact_type=SIGSTORE_BUNDLE, subject=released.descriptor)
        world.put(publisher, later)
        assert self.readable(world, later)
        stored = world.events("manifest.stored")[-1]["data"]
        assert isinstance(stored, dict)
        assert stored["released"] is True

    def test_whatever_is_no_evidence_is_not_set_free_by_referring_to_a_release(
        self, world: World, publisher: httpx2.Client
    ) -> None:
        released = world.make_manifest(publisher, b"released")
        hidden = world.make_manifest(publisher, b"hidden")
        world.put(publisher, hidden)
        sneaky = make_index(hidden, subject=released.descriptor)
        opaque = world.make_manifest(publisher, b"the next agent", subject=released.descriptor)
        early = make_index(hidden, released, subject=released.descriptor)
        world.put(publisher, released)
        world.put(publisher, early)
        world.put(publisher, released, "1.0.0")
        for each in (sneaky, opaque):
            assert world.put(publisher, each).status_code == 201
        for each in (hidden, sneaky, early, opaque):
            assert not self.readable(world, each)

    def test_the_release_is_a_retention_root(self, world: World, publisher: httpx2.Client) -> None:
        released = world.make_manifest(publisher, b"released")
        world.put(publisher, world.make_manifest(publisher, b"not"))
        world.put(publisher, released, "1.0.0")
        with world.services.db.read() as tx:
            assert list(world.services.roots.all(tx)) == [("releases", AGENT, released.digest)]


def test_an_agent_bundle_is_checked_before_it_is_stored(world: World) -> None:
    client = world.client()
    liar = world.make_manifest(client, b"not what the config says", artifact_type=AGENT_BUNDLE)
    invalid = (400, "MANIFEST_INVALID")
    for reference, expected in ((liar.digest, invalid), ("1.0.0", (403, "DENIED")), ("latest", invalid)):
        answer = world.put(client, liar, reference)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == expected
        assert answer.json()["errors"][0]["detail"]["reasons"][0]["step"].startswith("B")
    assert world.events("manifest.stored") == []


def test_eight_who_name_one_version_with_two_digests_make_one_release(world: World) -> None:
    client = world.client()
    manifests = [world.make_manifest(client, b"one"), world.make_manifest(client, b"two")]
    clients = [world.client() for _ in range(8)]
    start = threading.Barrier(8)

    def name(index: int) -> tuple[int, str]:
        start.wait(20)
        return world.put(clients[index], manifests[index % 2], "1.0.0").status_code, manifests[index % 2].digest

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(name, range(8)))
    winner = client.get(path("1.0.0")).headers["docker-content-digest"]
    assert {(status, digest) for status, digest in outcomes} == {
        (201, winner),
        (409, next(each.digest for each in manifests if each.digest != winner)),
    }
    with world.services.db.read() as tx:
        assert [release.digest for release in naming.releases(tx, AGENT)] == [winner]
    assert len(world.events("release.admitted")) == 1


def test_eight_who_push_one_blob_make_one_object_and_one_entry(world: World) -> None:
    clients, data = [world.client() for _ in range(8)], b"the same bytes" * 10_000
    start = threading.Barrier(8)

    def push(client: httpx2.Client) -> str:
        start.wait(20)
        return world.push_blob(client, data)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        digests = set(pool.map(push, clients))
    assert len(digests) == 1
    stored = world.services.blobs.stat(BlobKey("acme", next(iter(digests))))  # type: ignore[arg-type]  # a Digest is a str
    assert stored is not None
    assert stored.size == len(data)
    assert len(world.events("blob.stored")) == 1
