"""Distribution Spec 1.1, "Pulling": by a publisher in quarantine, by a reader of a release, and without a token."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest

from tests.registry.distribution.conftest import Reader
from tests.registry.distribution.oci import (
    OCI_INDEX,
    OCTETS,
    Pushable,
    artifact,
    codes,
    digest_of,
    image,
    image_with,
    index,
    push_blob,
    unique,
)
from tests.registry.world import AGENT, READER, World

MANIFESTS, BLOBS = f"/v2/{AGENT}/manifests", f"/v2/{AGENT}/blobs"
NOWHERE = digest_of(b"nobody pushed this")


def get_blob(client: httpx2.Client, digest: str, **headers: str) -> httpx2.Response:
    return client.get(f"{BLOBS}/{digest}", headers=headers, follow_redirects=True)


class TestManifests:
    def test_come_by_digest_and_by_tag_byte_for_byte_and_answer_head_alike(self, reader: Reader) -> None:
        content = reader.given(image(unique(), unique()))
        for reference in (content.digest, reader.tag):
            answer = reader.client.get(f"{MANIFESTS}/{reference}", headers={"Accept": content.media_type})
            head = reader.client.head(f"{MANIFESTS}/{reference}")
            assert (answer.status_code, answer.content) == (200, content.raw)
            assert (head.status_code, head.content) == (200, b"")
            for headers in (answer.headers, head.headers):
                assert headers["content-type"] == content.media_type
                assert headers["docker-content-digest"] == content.digest
                assert headers["content-length"] == str(len(content.raw))

    def test_of_a_nested_index_are_there_at_every_level(self, reader: Reader) -> None:
        inner = index(image(unique()), image(unique()))
        outer = reader.given(index(inner, index(image(unique()))))
        assert reader.client.get(f"{MANIFESTS}/{reader.tag}").headers["content-type"] == OCI_INDEX
        for each in (outer, inner, *inner.members):
            assert reader.client.get(f"{MANIFESTS}/{each.digest}").content == each.raw
        for leaf in inner.members:
            assert get_blob(reader.client, digest_of(leaf.blobs[0])).content == leaf.blobs[0]

    def test_that_are_not_there_are_404(self, reader: Reader) -> None:
        for name in (AGENT, "acme/other-agent"):
            for reference in (NOWHERE, "missing-tag", "9.9.9"):
                answer = reader.client.get(f"/v2/{name}/manifests/{reference}")
                assert (answer.status_code, codes(answer)) == (404, ["MANIFEST_UNKNOWN"])
                head = reader.client.head(f"/v2/{name}/manifests/{reference}")
                assert (head.status_code, head.content) == (404, b"")

    def test_under_what_is_no_reference_are_a_bad_request(self, reader: Reader) -> None:
        for reference in ("sha256:baddigeststring", "sha256:", "md5:" + "0" * 32, ".dot", "a" * 129):
            answer = reader.client.get(f"{MANIFESTS}/{reference}")
            assert answer.status_code == 400
            assert codes(answer) == ["DIGEST_INVALID" if ":" in reference else "NAME_INVALID"]


class TestBlobs:
    def test_come_whole_and_answer_head_with_length_and_digest(self, reader: Reader) -> None:
        layer = unique(2048)
        reader.given(image(layer))
        answer = get_blob(reader.client, digest_of(layer))
        assert answer.status_code == 200
        assert answer.content == layer
        assert answer.headers["content-length"] == "2048"
        first = answer.history[0] if answer.history else answer  # a store behind a redirect knows no such header
        assert first.headers["docker-content-digest"] == digest_of(layer)
        head = reader.client.head(f"{BLOBS}/{digest_of(layer)}")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == "2048"
        assert head.headers["docker-content-digest"] == digest_of(layer)

    def test_come_in_part_and_beyond_their_end_are_416(self, reader: Reader) -> None:
        layer = unique(2048)
        reader.given(image(layer))
        ranges = {"500-1499": (500, 1499), "500-": (500, 2047), "-500": (1548, 2047), "2000-5000": (2000, 2047)}
        for asked, (first, last) in ranges.items():
            answer = get_blob(reader.client, digest_of(layer), Range=f"bytes={asked}")
            assert answer.status_code == 206
            assert answer.content == layer[first : last + 1]
            assert answer.headers["content-range"] == f"bytes {first}-{last}/2048"
            assert answer.headers["content-length"] == str(last - first + 1)
        assert get_blob(reader.client, digest_of(layer), Range="bytes=5000-10000").status_code == 416

    def test_that_are_not_there_are_404(self, reader: Reader) -> None:
        answer = reader.client.get(f"{BLOBS}/{NOWHERE}")
        assert (answer.status_code, codes(answer)) == (404, ["BLOB_UNKNOWN"])
        head = reader.client.head(f"{BLOBS}/{NOWHERE}")
        assert (head.status_code, head.content) == (404, b"")

    def test_of_no_bytes_and_of_an_empty_object_are_blobs_too(self, reader: Reader) -> None:
        content = reader.given(image_with({}, b"", config=b"{}"))
        for blob in content.blobs:
            assert reader.client.head(f"{BLOBS}/{digest_of(blob)}").headers["content-length"] == str(len(blob))
            answer = get_blob(reader.client, digest_of(blob))
            assert (answer.status_code, answer.content) == (200, blob)


def _as_it_is(**members: object) -> Callable[[], Pushable]:
    return lambda: image_with(members, unique())


KINDS: dict[str, Callable[[], Pushable]] = {
    "an image": _as_it_is(),
    "an artifact": lambda: artifact("application/vnd.example.thing.v1"),
    "an artifact without content": lambda: artifact("application/vnd.oci.empty.v1+json", b"{}"),
    "no layers": image,
    "data in descriptors": lambda: image_with({}, unique(), data=True),
    "fields that nobody knows": _as_it_is(**{"org.example.field": {"nested": [1, 2.5, None, True]}}),
    "no mediaType": _as_it_is(mediaType=None),
    "layers of unknown types": lambda: image_with(
        {}, unique(), layer_type="application/x-nobody-knows", config_type=OCTETS
    ),
    "annotations in other scripts": _as_it_is(
        annotations={"org.example.name": "Zürich \u6771\u4eac \U0001f680", "": ""}
    ),
    "an empty index": index,
    "an index of artifacts": lambda: index(
        artifact("application/x.a"), artifact("application/x.b"), artifactType="x/y"
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_manifest_survives_the_round_trip(registry: World, kind: str) -> None:
    publisher, anybody = registry.client(), registry.client(None)
    content = KINDS[kind]()
    assert content.push(publisher, AGENT).status_code == 201
    assert publisher.get(f"{MANIFESTS}/{content.digest}").content == content.raw
    assert anybody.get(f"{MANIFESTS}/{content.digest}").status_code == 404, "a digest is in quarantine"
    assert content.put(publisher, AGENT, "1.0.0").status_code == 201
    pulled = anybody.get(f"{MANIFESTS}/1.0.0")
    assert (pulled.content, pulled.headers["content-type"]) == (content.raw, content.media_type)
    for blob in content.blobs:
        assert get_blob(anybody, digest_of(blob)).content == blob


def test_what_is_in_quarantine_is_there_for_its_pusher_alone(registry: World, publisher: httpx2.Client) -> None:
    content = image(unique())
    content.push(publisher, AGENT, "working")
    loose = push_blob(publisher, AGENT, unique())
    paths = [
        f"{MANIFESTS}/{content.digest}",
        f"{MANIFESTS}/working",
        f"{BLOBS}/{digest_of(content.blobs[0])}",
        f"{BLOBS}/{loose}",
    ]
    assert [publisher.head(path).status_code for path in paths] == [200] * 4
    for somebody in (registry.client(READER), registry.client(None)):
        assert [somebody.head(path).status_code for path in paths] == [404] * 4
