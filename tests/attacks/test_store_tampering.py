"""Somebody with the keys of the bucket plants objects, so that the registry vouches for what nobody pushed."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.client.bundle.agents import build_agent
from tests.registry.world import AGENT, World, error_of
from tidegate.digest import Digest
from tidegate_registry.artifacts.content import read_blob
from tidegate_registry.recent import RECENT_SECONDS
from tidegate_registry.storage.blobs import BlobKey, StoredBytesDiffer
from tidegate_registry.storage.s3 import S3BlobStore

if TYPE_CHECKING:
    from pathlib import Path

    from tidegate.bundle.build import Built

DATA = b"what the publisher sends"


def plant(world: World, digest: Digest, data: bytes) -> None:
    store = world.services.blobs
    assert isinstance(store, S3BlobStore)
    key = store.prefix + BlobKey("acme", digest).path
    store.client.put_object(Bucket=store.bucket, Key=key, Body=data)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build_agent(tmp_path_factory.mktemp("agent"))


def push_blobs(world: World, client: httpx2.Client, built: Built) -> None:
    for item in built.manifest.blobs:
        with built.layout.open_blob(item.digest) as blob:
            world.push_blob(client, blob.read())


@pytest.mark.parametrize("planted", [b"planted", b"what the publisher SENDS", b""])
def test_an_object_planted_before_the_push_is_not_taken_for_the_blob(world: World, planted: bytes) -> None:
    client, digest = world.client(), Digest.of(DATA)
    plant(world, digest, planted)
    answer = client.post(f"/v2/{AGENT}/blobs/uploads/", params={"digest": digest}, content=DATA)
    assert error_of(answer) == (500, "UNSUPPORTED", "internal-error")
    assert client.head(f"/v2/{AGENT}/blobs/{digest}").status_code == 404
    assert world.events("blob.stored") == []


def test_an_object_changed_after_the_push_is_noticed_when_it_is_pushed_again(world: World) -> None:
    client = world.client()
    digest = world.push_blob(client, DATA)
    plant(world, digest, b"changed")
    answer = client.post(f"/v2/{AGENT}/blobs/uploads/", params={"digest": digest}, content=DATA)
    assert answer.status_code == 500


def test_evidence_is_hashed_when_it_is_read(world: World) -> None:
    digest = world.push_blob(world.client(), DATA)
    assert read_blob(world.services, AGENT, digest, limit=1000) == DATA
    for changed in (b"what the publisher SENDS", DATA[:-1], DATA + b"!"):
        plant(world, digest, changed)
        with pytest.raises(StoredBytesDiffer) as caught:
            read_blob(world.services, AGENT, digest, limit=1000)
        assert caught.value.reasons[0].code == "stored-bytes-differ"


def test_an_honest_bundle_is_taken(world: World, built: Built) -> None:
    client = world.client()
    push_blobs(world, client, built)
    assert world.put(client, built.manifest).status_code == 201


@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_bundle_whose_layer_was_changed_in_the_bucket_is_not_taken(world: World, built: Built, which: int) -> None:
    client = world.client()
    push_blobs(world, client, built)
    item = built.manifest.blobs[which]
    with built.layout.open_blob(item.digest) as blob:
        raw = blob.read()
    plant(world, item.digest, raw[:-1] + bytes([raw[-1] ^ 1]))
    answer = world.put(client, built.manifest)
    assert answer.status_code == 400
    error = answer.json()["errors"][0]
    assert error["code"] == "MANIFEST_INVALID"
    assert all(reason["step"].startswith("B") for reason in error["detail"]["reasons"])
    assert world.events("manifest.stored") == []


def test_what_was_checked_is_read_again_after_a_while(world: World, built: Built) -> None:
    client = world.client()
    push_blobs(world, client, built)
    assert world.put(client, built.manifest).status_code == 201
    plant(world, built.manifest.blobs[1].digest, b"changed")
    world.clock.now += timedelta(seconds=RECENT_SECONDS)
    answer = world.put(client, built.manifest, "work")
    assert error_of(answer)[:2] == (400, "MANIFEST_INVALID")


def test_a_missing_object_is_a_fault_that_tells_nothing(world: World, built: Built, tmp_path: Path) -> None:
    client = world.client()
    push_blobs(world, client, built)
    store = world.services.blobs
    assert isinstance(store, S3BlobStore)
    key = store.prefix + BlobKey("acme", built.manifest.blobs[1].digest).path
    store.client.delete_object(Bucket=store.bucket, Key=key)
    answer = world.put(client, built.manifest)
    assert error_of(answer) == (500, "UNSUPPORTED", "internal-error")
    assert key not in answer.text
