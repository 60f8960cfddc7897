from __future__ import annotations

import json
from typing import Any

import pytest

from tidegate.digest import Digest
from tidegate.errors import ManifestInvalid
from tidegate.formats.manifest import (
    EMPTY_DESCRIPTOR,
    MAX_MANIFEST_BYTES,
    Descriptor,
    Manifest,
    evidence_manifest,
    image_manifest,
)
from tidegate.formats.mediatypes import OCI_INDEX, OCI_MANIFEST, SIGSTORE_BUNDLE

LAYER = Descriptor("application/x", Digest.of(b"layer"), 5, annotations={"k": "v"})


def document(**changes: Any) -> bytes:
    base: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": EMPTY_DESCRIPTOR.as_json(),
        "layers": [LAYER.as_json()],
    }
    return json.dumps({key: value for key, value in (base | changes).items() if value is not ...}).encode()


def test_the_exact_bytes_are_kept_and_hashed() -> None:
    raw = document().replace(b",", b" , ")
    manifest = Manifest.parse(raw)
    assert manifest.raw is raw
    assert manifest.digest == Digest.of(raw)
    assert manifest.layers == (LAYER,)
    assert manifest.blobs == (EMPTY_DESCRIPTOR, LAYER)


def test_equal_content_makes_equal_bytes() -> None:
    one = image_manifest(
        artifact_type="a/b", config=EMPTY_DESCRIPTOR, layers=(LAYER,), annotations={"b": "1", "a": "2"}
    )
    two = image_manifest(
        artifact_type="a/b", config=EMPTY_DESCRIPTOR, layers=(LAYER,), annotations={"a": "2", "b": "1"}
    )
    assert one.raw == two.raw


def test_evidence_is_a_referrer_in_the_shape_of_cosign() -> None:
    subject = Manifest.parse(document()).descriptor
    manifest = evidence_manifest(b"{bundle}", subject, "https://slsa.dev/provenance/v1")
    assert manifest.effective_artifact_type == SIGSTORE_BUNDLE
    assert manifest.config == EMPTY_DESCRIPTOR
    assert [layer.digest for layer in manifest.layers] == [Digest.of(b"{bundle}")]
    assert manifest.subject is not None
    assert manifest.subject.digest == subject.digest
    assert evidence_manifest(b"{bundle}", subject, "https://slsa.dev/provenance/v1").digest == manifest.digest


def test_a_manifest_without_artifact_type_is_known_by_its_config() -> None:
    assert Manifest.parse(document()).effective_artifact_type == EMPTY_DESCRIPTOR.media_type


def test_an_index_lists_manifests() -> None:
    raw = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [LAYER.as_json()]}).encode()
    index = Manifest.parse(raw)
    assert index.is_index
    assert index.manifests == (LAYER,)
    assert index.blobs == ()


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"[]", "manifest"),
        (b"{}", "schemaVersion"),
        (document(schemaVersion=1), "schemaVersion"),
        (document(config=...), "config"),
        (document(layers=...), "layers"),
        (document(layers={}), "layers"),
        (document(layers=[{}]), "layers[0].mediaType"),
        (document(layers=[LAYER.as_json() | {"size": -1}]), "layers[0].size"),
        (document(layers=[LAYER.as_json() | {"size": True}]), "layers[0].size"),
        (document(layers=[LAYER.as_json() | {"size": 1.5}]), "layers[0].size"),
        (document(layers=[LAYER.as_json() | {"digest": "sha256:ab"}]), "layers[0].digest"),
        (document(layers=[LAYER.as_json() | {"annotations": {"k": 1}}]), "layers[0].annotations"),
        (document(subject=[]), "subject"),
        (document(annotations=[]), "annotations"),
        (document(artifactType=7), "artifactType"),
        (document(mediaType="text/plain"), "media type"),
        (document(manifests=[]), "not both"),
        (document(mediaType=OCI_INDEX, config=..., layers=...), "manifests"),
        (document()[:-1] + b',"layers":[]}', "key is repeated"),
        (b" " * MAX_MANIFEST_BYTES + document(), "too large"),
    ],
)
def test_a_malformed_manifest_is_refused_and_the_place_is_named(raw: bytes, path: str) -> None:
    with pytest.raises(ManifestInvalid) as caught:
        Manifest.parse(raw)
    assert path in str(caught.value)
    assert caught.value.reasons[0].code == "manifest-invalid"


def test_the_content_type_header_must_agree() -> None:
    assert Manifest.parse(document(), content_type=f"{OCI_MANIFEST}; charset=utf-8").media_type == OCI_MANIFEST
    with pytest.raises(ManifestInvalid, match="Content-Type"):
        Manifest.parse(document(), content_type=OCI_INDEX)
