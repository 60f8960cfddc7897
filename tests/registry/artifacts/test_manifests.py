"""Manifests by digest: exact bytes, complete content, limits, subjects."""

from __future__ import annotations

import json

import pytest

from tests.registry.world import (
    AGENT,
    ATTESTER,
    NEIGHBOUR,
    PUBLISHER,
    READER,
    SIBLING,
    World,
    error_of,
    make_index,
    missing_subject,
)
from tidegate.digest import Digest
from tidegate.errors import Reason
from tidegate.formats.jcs import parse_object
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, MAX_MANIFEST_BYTES, Descriptor, Manifest, image_manifest
from tidegate.formats.mediatypes import OCI_MANIFEST, SIGSTORE_BUNDLE

BAD = Reason(code="signature-wrong", step="A9", message="the signature does not verify", hint="sign it again")


def path(reference: str, repository: str = AGENT) -> str:
    return f"/v2/{repository}/manifests/{reference}"


def test_bytes_come_back_exactly_as_they_were_pushed(world: World) -> None:
    client = world.client()
    manifest = world.make_manifest(client, b"layer")
    document = parse_object(manifest.raw, limit=MAX_MANIFEST_BYTES, what="the manifest")
    spaced = Manifest.parse(json.dumps(document, indent=3).encode() + b"\n ")
    assert world.put(client, spaced).status_code == 201
    pulled = client.get(path(spaced.digest))
    assert pulled.content == spaced.raw
    head = client.head(path(spaced.digest))
    assert head.headers["content-length"] == str(len(spaced.raw))
    assert head.headers["docker-content-digest"] == spaced.digest
    assert head.headers["content-type"] == OCI_MANIFEST
    assert head.content == b""


def test_a_manifest_may_be_named_by_its_sha512(world: World) -> None:
    client = world.client()
    manifest = world.make_manifest(client, b"layer")
    digest = Digest.of(manifest.raw, "sha512")
    answer = world.put(client, manifest, digest)
    assert (answer.status_code, answer.headers["docker-content-digest"]) == (201, digest)
    assert client.get(path(digest)).content == manifest.raw


def test_a_manifest_under_another_digest_is_refused(world: World) -> None:
    client = world.client()
    answer = world.put(client, world.make_manifest(client, b"layer"), Digest.of(b"else"))
    assert error_of(answer) == (400, "DIGEST_INVALID", "digest-differs")


def test_the_content_type_must_agree_with_the_manifest(world: World) -> None:
    client = world.client()
    manifest = world.make_manifest(client, b"layer")
    wrong = {"Content-Type": "application/vnd.oci.image.index.v1+json"}
    answer = client.put(path(manifest.digest), content=manifest.raw, headers=wrong)
    assert error_of(answer) == (400, "MANIFEST_INVALID", "manifest-invalid")


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"[]", b'{"schemaVersion":1}', b'{"schemaVersion":2,"schemaVersion":2}', b"\xff"]
)
def test_what_is_no_manifest_is_refused(world: World, raw: bytes) -> None:
    answer = world.client().put(path(Digest.of(raw)), content=raw, headers={"Content-Type": OCI_MANIFEST})
    assert error_of(answer) == (400, "MANIFEST_INVALID", "manifest-invalid")


def test_every_missing_blob_is_named(world: World) -> None:
    client = world.client()
    layers = tuple(Descriptor("application/x", Digest.of(bytes([n])), 1) for n in range(3))
    manifest = image_manifest(artifact_type="application/x", config=EMPTY_DESCRIPTOR, layers=layers)
    answer = world.put(client, manifest)
    assert error_of(answer) == (404, "MANIFEST_BLOB_UNKNOWN", "manifest-blob-unknown")
    error = answer.json()["errors"][0]
    named = {reason["expected"] for reason in error["detail"]["reasons"]}
    assert named == {EMPTY_DESCRIPTOR.digest, *(layer.digest for layer in layers)}
    assert all(digest in error["message"] for digest in named), "skopeo and crane print the message alone"


def test_a_blob_of_a_sibling_that_the_caller_may_read_counts_as_here(world: World) -> None:
    publisher, neighbour = world.client(PUBLISHER), world.client(NEIGHBOUR)
    manifest = world.make_manifest(publisher, b"shared")
    assert error_of(world.put(neighbour, manifest, repository=SIBLING))[1] == "MANIFEST_BLOB_UNKNOWN"
    world.put(publisher, manifest, "1.0.0")
    assert world.put(neighbour, manifest, repository=SIBLING).status_code == 201
    layer = manifest.layers[0].digest
    assert neighbour.head(f"/v2/{SIBLING}/blobs/{layer}").status_code == 200


def test_a_descriptor_with_another_size_is_refused(world: World) -> None:
    client = world.client()
    manifest = world.make_manifest(client, b"layer")
    longer = Manifest.parse(manifest.raw.replace(b'"size":5', b'"size":6'))
    assert error_of(world.put(client, longer)) == (400, "SIZE_INVALID", "size-differs")


def test_a_manifest_of_almost_four_megabytes_is_taken_and_one_beyond_the_limit_is_413(world: World) -> None:
    client = world.client()
    manifest = world.make_manifest(client, b"layer", annotations={"dev.example.filler": "x" * 4_000_000})
    assert world.put(client, manifest).status_code == 201
    assert client.get(path(manifest.digest)).content == manifest.raw
    raw = manifest.raw.replace(b"xx", b"x" * 200_000, 1)
    assert len(raw) > MAX_MANIFEST_BYTES
    answer = client.put(path(Digest.of(raw)), content=raw, headers={"Content-Type": OCI_MANIFEST})
    assert error_of(answer) == (413, "MANIFEST_INVALID", "manifest-too-large")


def test_a_body_beyond_the_limit_is_cut_off_also_when_no_length_was_announced(world: World) -> None:
    answer = world.client().put(path(Digest.of(b"")), content=(b"x" * 65_536 for _ in range(80)))
    assert error_of(answer) == (413, "MANIFEST_INVALID", "manifest-too-large")


def test_empty_and_nested_indexes_are_taken_and_missing_members_are_not(world: World) -> None:
    client = world.client()
    manifest = world.make_manifest(client, b"layer")
    empty, inner = make_index(), make_index(manifest)
    outer = make_index(inner, empty)
    assert world.put(client, empty).status_code == 201
    assert error_of(world.put(client, inner)) == (404, "MANIFEST_BLOB_UNKNOWN", "manifest-blob-unknown")
    for each in (manifest, inner, outer):
        assert world.put(client, each).status_code == 201
    assert client.get(path(outer.digest)).content == outer.raw


def test_a_subject_is_confirmed_also_when_nobody_pushed_it(world: World) -> None:
    client, subject = world.client(), missing_subject()
    answer = world.put(client, world.make_manifest(client, b"sbom", subject=subject))
    assert answer.status_code == 201
    assert answer.headers["oci-subject"] == subject.digest


def test_the_same_manifest_again_changes_nothing(world: World) -> None:
    client = world.client()
    manifest = world.make_manifest(client, b"layer")
    first, second = world.put(client, manifest), world.put(client, manifest)
    assert (first.status_code, second.status_code) == (201, 201)
    assert "tidegate-event-id" in first.headers
    assert "tidegate-event-id" not in second.headers
    assert len(world.events("manifest.stored")) == 1


def test_deletes_are_refused(world: World) -> None:
    client = world.client()
    world.put(client, manifest := world.make_manifest(client, b"layer"), "1.0.0")
    for reference in (manifest.digest, "1.0.0"):
        assert error_of(client.delete(path(reference))) == (405, "UNSUPPORTED", "deletes-refused")
    assert client.get(path("1.0.0")).status_code == 200


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("one", "name-not-an-agent"),
        ("a/b/c", "name-not-an-agent"),
        ("Acme/agent", "name-invalid"),
        ("a//b", "name-invalid"),
    ],
)
def test_names_that_are_no_agents_are_refused_with_the_reason(world: World, name: str, code: str) -> None:
    client, digest = world.client(), Digest.of(b"x")
    for answer in (
        client.get(path(digest, name)),
        client.put(path(digest, name), content=b"{}"),
        client.get(f"/v2/{name}/tags/list"),
        client.get(f"/v2/{name}/referrers/{digest}"),
        client.get(f"/v2/{name}/blobs/{digest}"),
        client.post(f"/v2/{name}/blobs/uploads/"),
    ):
        assert error_of(answer) == (400, "NAME_INVALID", code)


class TestEvidence:
    def test_a_bundle_that_does_not_verify_is_refused_with_step_and_reason(self, world: World) -> None:
        client = world.client()
        manifest = world.make_manifest(client, b"bundle", artifact_type=SIGSTORE_BUNDLE, subject=missing_subject())
        world.gate.refuse_evidence = (BAD,)
        answer = world.put(client, manifest)
        assert error_of(answer) == (403, "DENIED", "signature-wrong")
        assert "signature-wrong [A9]: the signature does not verify" in answer.json()["errors"][0]["message"]
        assert client.get(path(manifest.digest)).status_code == 404

    def test_an_attester_puts_sigstore_referrers_by_digest_and_nothing_else(self, world: World) -> None:
        client = world.client(ATTESTER)
        evidence = world.make_manifest(client, b"bundle", artifact_type=SIGSTORE_BUNDLE, subject=missing_subject())
        assert world.put(client, evidence).status_code == 201
        about = evidence.subject
        assert about is not None
        assert world.gate.asked == [
            f"evidence {AGENT} attester@acme.example",
            f"complete {AGENT} attester@acme.example {about.digest}",
        ]
        for other in (
            world.make_manifest(client, b"bundle", artifact_type=SIGSTORE_BUNDLE),  # refers to nothing
            world.make_manifest(client, b"sbom", subject=missing_subject()),  # an opaque referrer
            make_index(),
        ):
            assert error_of(world.put(client, other)) == (403, "DENIED", "not-in-charter")
        for reference in ("1.0.0", "latest"):
            assert error_of(world.put(client, evidence, reference)) == (403, "DENIED", "not-in-charter")

    def test_opaque_referrers_are_stored_without_being_asked_about(self, world: World) -> None:
        client = world.client()
        assert world.put(client, world.make_manifest(client, b"x", subject=missing_subject())).status_code == 201
        assert world.gate.asked == []


def test_a_reader_is_refused_before_the_body_is_read(world: World) -> None:
    answer = world.client(READER).put(path(Digest.of(b"")), content=b"no manifest at all")
    assert error_of(answer) == (403, "DENIED", "not-in-charter")
