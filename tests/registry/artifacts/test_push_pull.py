"""The thin path: bytes in, bytes out, by digest and by version."""

from __future__ import annotations

from tests.registry.world import AGENT, PUBLISHER, READER, World, error_of


def test_a_bundle_is_pushed_by_digest_named_and_pulled_by_a_reader(world: World) -> None:
    publisher, reader = world.client(PUBLISHER), world.client(READER)
    manifest = world.make_manifest(publisher, b"layer one", b"layer two")
    stored = world.put(publisher, manifest)
    assert stored.status_code == 201
    assert stored.headers["location"] == f"/v2/{AGENT}/manifests/{manifest.digest}"
    assert stored.headers["docker-content-digest"] == manifest.digest
    assert error_of(reader.get(f"/v2/{AGENT}/manifests/{manifest.digest}")) == (
        404,
        "MANIFEST_UNKNOWN",
        "manifest-unknown",
    )

    named = world.put(publisher, manifest, "1.0.0")
    assert named.status_code == 201, named.text
    event = world.events("release.admitted")[0]
    assert named.headers["tidegate-event-id"] == event["id"]

    for reference in ("1.0.0", manifest.digest):
        pulled = reader.get(f"/v2/{AGENT}/manifests/{reference}")
        assert pulled.content == manifest.raw
        assert pulled.headers["content-type"] == manifest.media_type
        assert pulled.headers["docker-content-digest"] == manifest.digest
    layer = manifest.layers[0]
    redirect = reader.get(f"/v2/{AGENT}/blobs/{layer.digest}")
    assert redirect.status_code == 307
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in redirect.headers["location"]
    assert reader.get(redirect.headers["location"], headers={"Authorization": ""}).content == b"layer one"
