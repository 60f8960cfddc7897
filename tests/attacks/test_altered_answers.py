"""Bucket or database were changed, or the registry lies: a host asks for what was released and gets something else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx2
import pytest

from tests.registry.admission.world import NO_TLS, GateWorld, codes_of
from tests.workshop import AGENT, RELEASE_JOB, VERSION
from tidegate.digest import Digest
from tidegate.errors import BundleRefused
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, Descriptor, Manifest, image_manifest
from tidegate.remote.registry import Registry
from tidegate_registry.artifacts.tables import ManifestRow
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import SYSTEM, Refused
from tidegate_registry.storage.blobs import BlobKey
from tidegate_registry.storage.s3 import S3BlobStore

LAYER = b"what the agent does"
LAYER_DESCRIPTOR = Descriptor("application/octet-stream", Digest.of(LAYER), len(LAYER))


@pytest.fixture
def released(gate_world: GateWorld) -> Manifest:
    """A release with one layer."""
    client = gate_world.client()
    gate_world.push_blob(client, LAYER)
    manifest = image_manifest(
        artifact_type="application/vnd.example.agent", config=EMPTY_DESCRIPTOR, layers=(LAYER_DESCRIPTOR,)
    )
    gate_world.prepare(client, manifest=manifest)
    assert gate_world.put(client, manifest, VERSION).status_code == 201
    return manifest


@pytest.fixture
def registry(gate_world: GateWorld) -> Iterator[Registry]:
    """The registry as a host's client sees it."""
    with httpx2.Client(trust_env=False, verify=NO_TLS) as client:
        yield Registry(
            gate_world.url.removeprefix("http://"),
            client,
            lambda audience: gate_world.shop.main.mint_token("dave", audience),
        )


def write_object(world: GateWorld, digest: Digest, data: bytes) -> None:
    """Write to the bucket behind the registry's back."""
    store = world.services.blobs
    assert isinstance(store, S3BlobStore)
    key = store.prefix + BlobKey(AGENT.partition("/")[0], digest).path
    store.client.put_object(Bucket=store.bucket, Key=key, Body=data, ChecksumAlgorithm="SHA256")


def write_manifest(world: GateWorld, digest: Digest, raw: bytes) -> None:
    """Write to the database behind the registry's back."""
    with world.services.db.begin() as tx:
        row = tx.get_one(ManifestRow, (AGENT, digest))
        row.raw = raw
        tx.add(row)
        audit.append(tx, Refused(at=datetime.now(UTC), actor=SYSTEM, operation="-", code="-", reasons=()))


def test_the_honest_release_is_read_to_its_end(registry: Registry, released: Manifest) -> None:
    assert registry.manifest(AGENT, VERSION).raw == released.raw
    with registry.open_blob(AGENT, LAYER_DESCRIPTOR) as blob:
        assert blob.read() == LAYER


def test_a_blob_that_was_changed_in_the_bucket_is_not_read_to_its_end(
    gate_world: GateWorld, registry: Registry, released: Manifest
) -> None:
    try:
        for data in (b"WHAT the agent does", b"what the agent", LAYER + b"!", b""):
            write_object(gate_world, released.layers[0].digest, data)
            with pytest.raises(BundleRefused) as caught, registry.open_blob(AGENT, LAYER_DESCRIPTOR) as blob:
                blob.read()
            assert caught.value.reasons[0].code == "blob-altered"
    finally:  # the bucket is that of all tests of this run
        write_object(gate_world, released.layers[0].digest, LAYER)


def test_a_manifest_that_was_changed_in_the_database_is_refused(
    gate_world: GateWorld, registry: Registry, released: Manifest
) -> None:
    write_manifest(gate_world, released.digest, gate_world.bundle_for().raw)
    for reference in (str(released.digest), VERSION):
        with pytest.raises(BundleRefused) as caught:
            registry.manifest(AGENT, reference)
        assert caught.value.reasons[0].code == "manifest-altered"


def test_the_registry_itself_writes_over_no_blob(gate_world: GateWorld, released: Manifest) -> None:
    client = gate_world.client(RELEASE_JOB)
    digest = released.layers[0].digest
    answer = client.post(f"/v2/{AGENT}/blobs/uploads/", params={"digest": digest}, content=b"something else")
    assert (answer.status_code, codes_of(answer)) == (400, ["digest-differs"])
    assert client.get(f"/v2/{AGENT}/blobs/{digest}", follow_redirects=True).content == LAYER
