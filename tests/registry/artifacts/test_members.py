"""Naming an index promises everything that it reaches, so all of it is looked at."""

from __future__ import annotations

import httpx2
import pytest

from tests.registry.world import AGENT, World, error_of, make_index
from tidegate.digest import Digest
from tidegate.formats.manifest import EMPTY_BLOB, EMPTY_DESCRIPTOR, Descriptor, Manifest, image_manifest
from tidegate.formats.mediatypes import OCI_MANIFEST
from tidegate_registry.artifacts import members

FOREIGN_LAYER = b"bytes that may not be passed on"
FOREIGN = Descriptor(
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", Digest.of(FOREIGN_LAYER), len(FOREIGN_LAYER)
)


def push_image_without_its_layer(world: World, client: httpx2.Client) -> Manifest:
    world.push_blob(client, EMPTY_BLOB)
    image = image_manifest(artifact_type="application/vnd.example.thing", config=EMPTY_DESCRIPTOR, layers=(FOREIGN,))
    assert world.put(client, image).status_code == 201, "by digest, such a layer may be missing"
    return image


@pytest.mark.parametrize("depth", [1, 3])
def test_a_member_that_lacks_a_layer_keeps_its_index_from_being_named(world: World, depth: int) -> None:
    client = world.client()
    index = push_image_without_its_layer(world, client)
    for _ in range(depth):
        index = make_index(index)
        assert world.put(client, index).status_code == 201
    refused = world.put(client, index, "1.0.0")
    assert error_of(refused) == (404, "MANIFEST_BLOB_UNKNOWN", "manifest-blob-unknown")
    assert FOREIGN.digest in refused.text
    assert world.gate.asked == []
    world.push_blob(client, FOREIGN_LAYER)
    assert world.put(client, index, "1.0.0").status_code == 201


def test_a_member_that_is_only_a_blob_is_no_member(world: World) -> None:
    client = world.client()
    image = world.make_manifest(client, b"one")
    world.push_blob(client, image.raw)
    index = make_index(image)
    assert world.put(client, index).status_code == 201
    assert error_of(world.put(client, index, "1.0.0")) == (404, "MANIFEST_BLOB_UNKNOWN", "manifest-blob-unknown")
    assert world.put(client, image).status_code == 201
    assert world.put(client, index, "1.0.0").status_code == 201
    reader = world.client("reader@acme.example")
    assert reader.get(f"/v2/{AGENT}/manifests/{image.digest}").headers["Content-Type"] == OCI_MANIFEST


def test_an_index_that_reaches_too_much_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = world.client()
    images = [world.make_manifest(client, bytes([each])) for each in range(3)]
    for image in images:
        assert world.put(client, image).status_code == 201
    monkeypatch.setattr(members, "MAX_MEMBERS", 3)
    assert error_of(world.put(client, make_index(*images), "1.0.0")) == (413, "SIZE_INVALID", "too-many-members")
    assert world.put(client, make_index(*images[:2]), "1.0.0").status_code == 201
