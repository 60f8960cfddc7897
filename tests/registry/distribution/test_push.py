"""Distribution Spec 1.1, "Pushing manifests", with a publisher's bearer token."""

from __future__ import annotations

import json

import httpx2
import pytest

from tests.registry.distribution.oci import (
    OCI_IMAGE,
    OCI_INDEX,
    Pushable,
    artifact,
    codes,
    describe,
    digest_of,
    image,
    index,
    push_blob,
    unique,
)
from tests.registry.world import AGENT, PUBLISHER_OF_BOTH, World

MANIFESTS = f"/v2/{AGENT}/manifests"


class TestAnswers:
    @pytest.mark.parametrize("reference", [None, "image", "1.0.0"], ids=["digest", "tag", "version"])
    def test_lead_to_the_manifest_also_the_second_time(self, publisher: httpx2.Client, reference: str | None) -> None:
        content = image(unique())
        for _ in range(2):
            answer = content.push(publisher, AGENT, reference)
            assert answer.status_code == 201
            assert answer.headers["docker-content-digest"] == content.digest
            assert publisher.get(answer.headers["location"]).content == content.raw

    def test_move_a_working_tag_and_never_a_version(self, publisher: httpx2.Client) -> None:
        first, second = image(unique()), image(unique())
        for content in (first, second):
            assert content.push(publisher, AGENT, "image").status_code == 201
        assert publisher.get(f"{MANIFESTS}/image").content == second.raw
        first.push(publisher, AGENT, "1.0.0")
        answer = second.push(publisher, AGENT, "1.0.0")
        assert (answer.status_code, codes(answer)) == (409, ["DENIED"])
        assert publisher.get(f"{MANIFESTS}/1.0.0").content == first.raw


class TestSha512:
    def test_names_blobs_images_and_indexes(self, publisher: httpx2.Client) -> None:
        member = image(unique(), algorithm="sha512")
        content = index(member, algorithm="sha512")
        answer = content.push(publisher, AGENT)
        assert (answer.status_code, answer.headers["docker-content-digest"]) == (201, content.digest)
        for each in (member, content):
            assert publisher.get(f"{MANIFESTS}/{each.digest}").content == each.raw
            assert publisher.head(f"{MANIFESTS}/{each.digest}").headers["docker-content-digest"] == each.digest
        for blob in member.blobs:
            path = f"/v2/{AGENT}/blobs/{digest_of(blob, 'sha512')}"
            assert publisher.head(path).headers["docker-content-digest"] == digest_of(blob, "sha512")
            assert publisher.get(path, follow_redirects=True).content == blob

    def test_is_checked(self, publisher: httpx2.Client) -> None:
        content = image(algorithm="sha512")
        content.push(publisher, AGENT)
        answer = content.put(publisher, AGENT, digest_of(b"something else", "sha512"))
        assert (answer.status_code, codes(answer)) == (400, ["DIGEST_INVALID"])


class TestSizes:
    def test_of_nearly_four_megabytes_are_fine(self, publisher: httpx2.Client) -> None:
        annotations = {f"org.example.large-{number}": "A" * 10_000 for number in range(390)}
        content = image(unique(), annotations=annotations)
        assert len(content.raw) > 3_900_000
        assert content.push(publisher, AGENT, "large").status_code == 201
        for reference in (content.digest, "large"):
            assert publisher.get(f"{MANIFESTS}/{reference}").content == content.raw

    def test_beyond_four_mebibytes_are_413(self, publisher: httpx2.Client) -> None:
        content = image(annotations={"org.example.large": "A" * (4 << 20)})
        answer = content.put(publisher, AGENT)
        assert (answer.status_code, codes(answer)) == (413, ["MANIFEST_INVALID"])


class TestContent:
    def test_that_is_missing_is_named_each_by_its_digest(self, publisher: httpx2.Client) -> None:
        content = image(unique(), unique())
        push_blob(publisher, AGENT, content.blobs[0])
        answer = content.put(publisher, AGENT)
        assert (answer.status_code, set(codes(answer))) == (404, {"MANIFEST_BLOB_UNKNOWN"})
        for blob in content.blobs[1:]:
            assert digest_of(blob) in answer.text
        assert publisher.head(f"{MANIFESTS}/{content.digest}").status_code == 404

    def test_of_an_index_must_be_there_too(self, publisher: httpx2.Client) -> None:
        answer = index(image(unique())).put(publisher, AGENT)
        assert (answer.status_code, codes(answer)) == (404, ["MANIFEST_BLOB_UNKNOWN"])

    @pytest.mark.parametrize("media_type", ["nondistributable.v1.tar", "nondistributable.v1.tar+gzip"])
    def test_that_must_not_be_distributed_may_be_missing_but_not_from_a_release(
        self, publisher: httpx2.Client, media_type: str
    ) -> None:
        elsewhere = unique()
        foreign = describe(elsewhere, f"application/vnd.oci.image.layer.{media_type}", urls=["https://store.example/x"])
        layer = unique()
        content = image(layer, layers=[foreign, describe(layer)])
        assert content.push(publisher, AGENT).status_code == 201
        assert content.push(publisher, AGENT, "image").status_code == 201
        assert publisher.get(f"{MANIFESTS}/image").content == content.raw
        answer = content.put(publisher, AGENT, "1.0.0")
        assert (answer.status_code, codes(answer)) == (404, ["MANIFEST_BLOB_UNKNOWN"])
        push_blob(publisher, AGENT, elsewhere)
        assert content.put(publisher, AGENT, "1.0.0").status_code == 201

    def test_that_is_also_named_as_an_ordinary_layer_may_not_be_missing(self, publisher: httpx2.Client) -> None:
        layer = unique()
        foreign = describe(layer, "application/vnd.oci.image.layer.nondistributable.v1.tar")
        for layers in ([foreign, describe(layer)], [describe(layer), foreign]):
            content = image(layers=layers)
            answer = content.push(publisher, AGENT)
            assert (answer.status_code, codes(answer)) == (404, ["MANIFEST_BLOB_UNKNOWN"])

    def test_has_the_size_that_every_descriptor_says(self, publisher: httpx2.Client) -> None:
        layer = unique()
        wrong = describe(layer) | {"size": 1}
        for layers in ([wrong, describe(layer)], [describe(layer), wrong]):
            answer = image(layer, layers=layers).push(publisher, AGENT)
            assert (answer.status_code, codes(answer)) == (400, ["SIZE_INVALID"])


class TestSubjects:
    @pytest.mark.parametrize("reference", [None, "tagged-artifact"], ids=["digest", "tag"])
    def test_that_are_missing_are_accepted_and_told(self, publisher: httpx2.Client, reference: str | None) -> None:
        subject = describe(b"missing content", OCI_IMAGE)
        for content in (artifact("application/x.note", subject=subject), index(subject=subject)):
            answer = content.push(publisher, AGENT, reference)
            assert (answer.status_code, answer.headers["oci-subject"]) == (201, subject["digest"])
            again = content.put(publisher, AGENT, reference)
            assert again.headers["oci-subject"] == subject["digest"]

    def test_that_nobody_names_are_not_told(self, publisher: httpx2.Client) -> None:
        assert "oci-subject" not in image(unique()).push(publisher, AGENT).headers


class TestContentType:
    def test_counts_without_its_parameters(self, publisher: httpx2.Client) -> None:
        content = image(unique())
        content.push(publisher, AGENT)
        headers = {"Content-Type": f"{OCI_IMAGE}; charset=utf-8"}
        answer = publisher.put(f"{MANIFESTS}/image", content=content.raw, headers=headers)
        assert answer.status_code == 201
        assert publisher.get(f"{MANIFESTS}/image").headers["content-type"] == OCI_IMAGE

    def test_stands_for_a_media_type_that_the_manifest_does_not_say(self, publisher: httpx2.Client) -> None:
        for content in (image(unique(), mediaType=None), index(mediaType=None)):
            content.push(publisher, AGENT)
            assert publisher.get(f"{MANIFESTS}/{content.digest}").headers["content-type"] == content.media_type

    def test_that_differs_from_what_the_manifest_says_is_refused(self, publisher: httpx2.Client) -> None:
        content = image(unique())
        content.push(publisher, AGENT)
        headers = {"Content-Type": OCI_INDEX}
        answer = publisher.put(f"{MANIFESTS}/image", content=content.raw, headers=headers)
        assert (answer.status_code, codes(answer)) == (400, ["MANIFEST_INVALID"])


WITHOUT_CONFIG = {"schemaVersion": 2, "mediaType": OCI_IMAGE, "layers": []}
SCHEMA_ONE = {"schemaVersion": 1, "name": AGENT, "tag": "latest", "fsLayers": [], "history": []}


@pytest.mark.parametrize(
    ("raw", "media_type"),
    [
        (b"", OCI_IMAGE),
        (b"blablabla", OCI_IMAGE),
        (json.dumps(WITHOUT_CONFIG).encode(), OCI_IMAGE),
        (json.dumps(SCHEMA_ONE).encode(), "application/vnd.docker.distribution.manifest.v1+json"),
        (image(mediaType="application/vnd.example.manifest+json").raw, "application/vnd.example.manifest+json"),
    ],
    ids=["nothing", "no JSON", "no config", "Docker schema 1", "an unknown type"],
)
def test_what_is_no_manifest_that_is_known_is_refused(publisher: httpx2.Client, raw: bytes, media_type: str) -> None:
    for reference in (digest_of(raw), "image"):
        answer = publisher.put(f"{MANIFESTS}/{reference}", content=raw, headers={"Content-Type": media_type})
        assert (answer.status_code, codes(answer)) == (400, ["MANIFEST_INVALID"])


@pytest.mark.parametrize("reference", ["sha256:totallywrong", digest_of(b"another")])
def test_a_manifest_under_another_digest_is_refused(publisher: httpx2.Client, reference: str) -> None:
    content = image(unique())
    content.push(publisher, AGENT)
    answer = Pushable(content.raw + b"  ", content.media_type).put(publisher, AGENT, reference)
    assert (answer.status_code, codes(answer)) == (400, ["DIGEST_INVALID"])


def test_a_manifest_may_share_blobs_with_another_repository(registry: World) -> None:
    both = registry.client(PUBLISHER_OF_BOTH)
    content = image(unique())
    assert content.push(both, AGENT).status_code == 201
    assert content.put(both, "acme/other-agent").status_code == 201
    path = f"/v2/acme/other-agent/blobs/{digest_of(content.blobs[0])}"
    assert both.get(path, follow_redirects=True).content == content.blobs[0]
