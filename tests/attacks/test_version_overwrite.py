"""Whoever may publish tries to give a version that hosts already trust another content."""

from __future__ import annotations

import concurrent.futures
import threading

import pytest

from tests.attacks.admission import step_and_code
from tests.registry.admission.world import GateWorld
from tests.registry.world import AGENT, ATTESTER, READER, STRANGER, World, error_of, make_index
from tidegate.digest import Digest
from tidegate.formats.manifest import Manifest
from tidegate_registry.artifacts import naming


def path(reference: str) -> str:
    return f"/v2/{AGENT}/manifests/{reference}"


@pytest.fixture
def released(world: World) -> Manifest:
    client = world.client()
    manifest = world.make_manifest(client, b"what everyone trusts")
    assert world.put(client, manifest, "1.0.0").status_code == 201
    return manifest


def stays(world: World, released: Manifest) -> None:
    for who in (READER, None):
        answer = world.client(who).get(path("1.0.0"))
        if who is not None:
            assert answer.content == released.raw
    with world.services.db.read() as tx:
        assert [each.digest for each in naming.releases(tx, AGENT)] == [released.digest]


def test_another_manifest_under_the_same_version_is_refused_before_anything_is_decided(
    world: World, released: Manifest
) -> None:
    client = world.client()
    asked = len(world.gate.asked)
    for other in (world.make_manifest(client, b"evil"), make_index(), make_index(released)):
        assert error_of(world.put(client, other, "1.0.0")) == (409, "DENIED", "version-taken")
    assert len(world.gate.asked) == asked
    stays(world, released)


def test_the_same_content_under_another_hash_is_another_manifest_to_no_one(world: World, released: Manifest) -> None:
    """A sha512 alias is stored beside the release; the version still names the sha256."""
    client = world.client()
    assert world.put(client, released, Digest.of(released.raw, "sha512")).status_code == 201
    assert client.get(path("1.0.0")).headers["docker-content-digest"] == released.digest
    stays(world, released)


@pytest.mark.parametrize(
    "spelling", ["v1.0.0", "01.0.0", "1.0", "1.0.0+build", "1.0.0%20", "1.0.0%00", "%31.0.0", "1.0.0/"]
)
def test_no_other_spelling_reaches_the_version(world: World, released: Manifest, spelling: str) -> None:
    client = world.client()
    evil = world.make_manifest(client, b"evil")
    answer = client.put(path(spelling), content=evil.raw, headers={"Content-Type": evil.media_type})
    assert answer.status_code in {400, 403, 404, 409}
    stays(world, released)


def test_it_is_not_freed_by_deleting_or_by_a_tag_beside_it(world: World, released: Manifest) -> None:
    client = world.client()
    evil = world.make_manifest(client, b"evil")
    for reference in ("1.0.0", released.digest):
        assert error_of(client.delete(path(reference)))[:2] == (405, "UNSUPPORTED")
    client.put(path(evil.digest), params={"tag": "1.0.0"}, content=evil.raw, headers={"Content-Type": evil.media_type})
    assert error_of(world.put(client, evil, "1.0.0")) == (409, "DENIED", "version-taken")
    stays(world, released)


@pytest.mark.parametrize("who", [ATTESTER, READER, STRANGER])
def test_who_may_not_publish_learns_nothing_from_trying(world: World, released: Manifest, who: str) -> None:
    client = world.client(who)
    taken = client.put(path("1.0.0"), content=b"{}")
    free = client.put(path("9.9.9"), content=b"{}")
    assert error_of(taken)[:2] == error_of(free)[:2] == (403, "DENIED")
    stays(world, released)


def test_the_moment_between_looking_and_writing_is_no_way_in(world: World) -> None:
    """Sixteen publishers with sixteen manifests: one release, and fifteen who are told that it is taken."""
    first = world.client()
    manifests = [world.make_manifest(first, bytes([number])) for number in range(16)]
    clients = [world.client() for _ in manifests]
    start = threading.Barrier(len(manifests))

    def name(number: int) -> int:
        start.wait(20)
        return world.put(clients[number], manifests[number], "2.0.0").status_code

    with concurrent.futures.ThreadPoolExecutor(len(manifests)) as pool:
        statuses = sorted(pool.map(name, range(len(manifests))))
    assert statuses == [201] + [409] * 15
    assert len(world.events("release.admitted")) == 1
    winner = first.get(path("2.0.0")).headers["docker-content-digest"]
    reader = world.client(READER)
    readable = [each.digest for each in manifests if reader.get(path(each.digest)).status_code == 200]
    assert readable == [winner], "the losers stay in quarantine"


class TestBehindTheRealGate:
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
