"""Reading, mounting and not deleting blobs."""

from __future__ import annotations

import httpx2
import pytest

from tests.registry.world import (
    AGENT,
    ATTESTER,
    FOREIGN,
    NEIGHBOUR,
    PUBLISHER,
    READER,
    SIBLING,
    STRANGER,
    World,
    error_of,
)
from tidegate.digest import Digest
from tidegate_registry.storage.blobs import BlobKey

DATA = b"0123456789" * 100


def mount(client: httpx2.Client, digest: str, into: str, source: str | None = None) -> httpx2.Response:
    params = {"mount": digest} | ({"from": source} if source else {})
    return client.post(f"/v2/{into}/blobs/uploads/", params=params)


def head(client: httpx2.Client, digest: str, repository: str = AGENT) -> int:
    return client.head(f"/v2/{repository}/blobs/{digest}").status_code


def test_head_tells_length_and_digest_without_the_store(world: World) -> None:
    client = world.client()
    digest = world.push_blob(client, DATA)
    answer = client.head(f"/v2/{AGENT}/blobs/{digest}")
    assert answer.status_code == 200
    assert answer.headers["content-length"] == "1000"
    assert answer.headers["docker-content-digest"] == digest
    assert answer.content == b""


@pytest.mark.parametrize(
    ("asked", "status", "content"),
    [
        ("bytes=0-9", 206, b"0123456789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=995-", 206, b"56789"),
        ("bytes=1000-", 416, b""),
    ],
)
def test_ranges_are_answered_by_the_store(world: World, asked: str, status: int, content: bytes) -> None:
    client = world.client()
    digest = world.push_blob(client, DATA)
    answer = client.get(f"/v2/{AGENT}/blobs/{digest}", headers={"Range": asked}, follow_redirects=True)
    assert answer.status_code == status
    if status == 206:
        assert answer.content == content
    assert "authorization" not in answer.request.headers, "a registry token must not reach the store"


def test_a_link_to_the_store_is_good_for_one_object_and_signed_with_sigv4(world: World) -> None:
    client = world.client()
    digest, other = world.push_blob(client, DATA), world.push_blob(client, b"other")
    link = client.get(f"/v2/{AGENT}/blobs/{digest}").headers["location"]
    assert httpx2.get(link, trust_env=False).content == DATA
    swapped = link.replace(digest.hex[:2] + "/" + digest.hex, other.hex[:2] + "/" + other.hex)
    assert httpx2.get(swapped, trust_env=False).status_code == 403
    assert httpx2.delete(link, trust_env=False).status_code == 403


@pytest.mark.parametrize("method", ["get", "head"])
def test_what_is_not_there_is_404(world: World, method: str) -> None:
    answer = getattr(world.client(), method)(f"/v2/{AGENT}/blobs/{Digest.of(b'nothing')}")
    assert answer.status_code == 404
    if method == "get":
        assert error_of(answer) == (404, "BLOB_UNKNOWN", "blob-unknown")


def test_a_digest_that_is_none_is_400(world: World) -> None:
    assert error_of(world.client().get(f"/v2/{AGENT}/blobs/sha256:abc")) == (400, "DIGEST_INVALID", "digest-invalid")


def test_deletes_are_refused(world: World) -> None:
    client = world.client()
    digest = world.push_blob(client, DATA)
    answer = client.delete(f"/v2/{AGENT}/blobs/{digest}")
    assert error_of(answer) == (405, "UNSUPPORTED", "deletes-refused")
    assert head(client, digest) == 200


def test_a_blob_pushed_once_is_one_object_and_one_entry(world: World) -> None:
    client = world.client()
    world.push_blob(client, DATA)
    world.push_blob(client, DATA)
    assert len(world.events("blob.stored")) == 1


class TestVisibility:
    def test_a_blob_that_nothing_names_is_there_for_signers_alone(self, world: World) -> None:
        digest = world.push_blob(world.client(PUBLISHER), DATA)
        assert head(world.client(PUBLISHER), digest) == 200
        assert head(world.client(ATTESTER), digest) == 200
        assert head(world.client(READER), digest) == 404
        assert head(world.client(NEIGHBOUR), digest) == 404

    def test_a_blob_of_a_quarantined_manifest_is_hidden_until_it_is_named(self, world: World) -> None:
        publisher, reader = world.client(PUBLISHER), world.client(READER)
        manifest = world.make_manifest(publisher, DATA)
        world.put(publisher, manifest)
        digest = manifest.layers[0].digest
        assert head(reader, digest) == 404
        assert error_of(reader.get(f"/v2/{AGENT}/blobs/{digest}")) == (404, "BLOB_UNKNOWN", "blob-unknown")
        world.put(publisher, manifest, "1.0.0")
        assert head(reader, digest) == 200

    def test_a_blob_is_read_through_its_own_repository_alone(self, world: World) -> None:
        publisher, reader = world.client(PUBLISHER), world.client(READER)
        world.put(publisher, manifest := world.make_manifest(publisher, DATA), "1.0.0")
        assert head(reader, manifest.layers[0].digest, SIBLING) == 404
        assert head(world.client(NEIGHBOUR), manifest.layers[0].digest, SIBLING) == 404


class TestMounts:
    def test_a_released_blob_is_mounted_within_the_namespace(self, world: World) -> None:
        publisher, neighbour = world.client(PUBLISHER), world.client(NEIGHBOUR)
        world.put(publisher, manifest := world.make_manifest(publisher, DATA), "1.0.0")
        digest = manifest.layers[0].digest
        answer = mount(neighbour, digest, SIBLING, AGENT)
        assert answer.status_code == 201
        assert answer.headers["location"] == f"/v2/{SIBLING}/blobs/{digest}"
        assert head(neighbour, digest, SIBLING) == 200
        assert world.events("blob.stored")[-1]["data"] == {
            "repository": SIBLING,
            "digest": digest,
            "size": len(DATA),
            "source": AGENT,
        }

    def test_a_mount_without_a_source_finds_one_in_the_namespace(self, world: World) -> None:
        publisher, neighbour = world.client(PUBLISHER), world.client(NEIGHBOUR)
        world.put(publisher, manifest := world.make_manifest(publisher, DATA), "1.0.0")
        assert mount(neighbour, manifest.layers[0].digest, SIBLING).status_code == 201

    def test_across_namespaces_the_bytes_are_copied(self, world: World) -> None:
        publisher, stranger = world.client(PUBLISHER), world.client(STRANGER)
        world.put(publisher, manifest := world.make_manifest(publisher, DATA), "1.0.0")
        digest = manifest.layers[0].digest
        assert mount(stranger, digest, FOREIGN).status_code == 202, (
            "without a source, other namespaces are not searched"
        )
        assert mount(stranger, digest, FOREIGN, AGENT).status_code == 201
        assert head(stranger, digest, FOREIGN) == 200
        stored = world.services.blobs.stat(BlobKey("umbra", digest))
        assert stored is not None
        assert (stored.size, stored.sha256) == (len(DATA), digest)

    @pytest.mark.parametrize("source", [AGENT, None, "acme/nothing", "not a name", "umbra/agent"])
    def test_what_the_caller_may_not_read_becomes_an_ordinary_upload(self, world: World, source: str | None) -> None:
        digest = world.push_blob(world.client(PUBLISHER), DATA)  # in quarantine: nothing names it
        neighbour = world.client(NEIGHBOUR)
        answer = mount(neighbour, digest, SIBLING, source)
        assert answer.status_code == 202
        assert "location" in answer.headers
        assert head(neighbour, digest, SIBLING) == 404

    def test_a_token_that_may_not_pull_from_the_source_does_not_reach_it(self, world: World) -> None:
        publisher = world.client(PUBLISHER)
        world.put(publisher, manifest := world.make_manifest(publisher, DATA), "1.0.0")
        digest = manifest.layers[0].digest
        narrow = world.client(NEIGHBOUR, repositories=(SIBLING,))
        for source in (AGENT, None):
            assert mount(narrow, digest, SIBLING, source).status_code == 202
        assert head(narrow, digest, SIBLING) == 404

    def test_who_may_not_push_may_not_mount(self, world: World) -> None:
        publisher = world.client(PUBLISHER)
        world.put(publisher, manifest := world.make_manifest(publisher, DATA), "1.0.0")
        answer = mount(world.client(READER), manifest.layers[0].digest, SIBLING, AGENT)
        assert error_of(answer)[:2] == (403, "DENIED")
