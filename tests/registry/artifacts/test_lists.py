"""Tags and referrers: order, pages, filters, and what is left out for whom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx2
import pytest

from tests.registry.world import (
    AGENT,
    ATTESTER,
    PUBLISHER,
    READER,
    World,
    error_of,
    missing_subject,
    running_world,
)
from tidegate.digest import Digest
from tidegate.formats.manifest import MAX_REFERRER_BYTES
from tidegate.formats.mediatypes import OCI_INDEX, SIGSTORE_BUNDLE
from tidegate_registry.artifacts import lists
from tidegate_registry.settings import Limits

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint

TAGS = f"/v2/{AGENT}/tags/list"


def next_of(answer: httpx2.Response) -> str | None:
    link = answer.headers.get("link")
    if link is None:
        return None
    match = re.fullmatch(r'<([^>]+)>; rel="next"', link)
    assert match is not None
    return match[1]


def pages(client: httpx2.Client, first: str) -> list[list[str]]:
    found, where = [], first
    while where is not None:
        answer = client.get(where)
        assert answer.status_code == 200
        found.append(answer.json()["tags"])
        where = next_of(answer)  # type: ignore[assignment]
    return found


@pytest.fixture
def tagged(world: World) -> World:
    client = world.client()
    manifest = world.make_manifest(client, b"layer")
    for reference in ("1.10.0", "1.9.0", "Beta", "alpha", "zeta", "beta"):
        assert world.put(client, manifest, reference).status_code == 201
    return world


class TestTags:
    def test_are_in_order_whatever_their_case(self, tagged: World) -> None:
        answer = tagged.client().get(TAGS)
        assert answer.json() == {"name": AGENT, "tags": ["1.10.0", "1.9.0", "alpha", "Beta", "beta", "zeta"]}
        assert next_of(answer) is None

    @pytest.mark.parametrize("n", [1, 2, 4, 5, 6, 100])
    def test_come_in_pages_that_add_up(self, tagged: World, n: int) -> None:
        found = pages(tagged.client(), f"{TAGS}?n={n}")
        assert [tag for page in found for tag in page] == ["1.10.0", "1.9.0", "alpha", "Beta", "beta", "zeta"]
        assert all(len(page) <= n for page in found)

    def test_begin_after_last_also_when_last_is_no_tag(self, tagged: World) -> None:
        client = tagged.client()
        assert client.get(TAGS, params={"last": "Beta"}).json()["tags"] == ["beta", "zeta"]
        assert client.get(TAGS, params={"last": "alphabet"}).json()["tags"] == ["Beta", "beta", "zeta"]
        assert client.get(TAGS, params={"last": "zz"}).json()["tags"] == []

    def test_after_what_no_database_may_hold_are_no_fault_of_the_registry(self, tagged: World) -> None:
        assert tagged.client().get(f"/v2/{AGENT}/tags/list?last=%00").status_code in (200, 400)

    def test_of_a_page_of_zero_are_none(self, tagged: World) -> None:
        answer = tagged.client().get(TAGS, params={"n": "0"})
        assert (answer.status_code, answer.json()["tags"], next_of(answer)) == (200, [], None)

    @pytest.mark.parametrize("n", ["-1", "x", "", "1.5", "9" * 40])
    def test_refuse_a_page_size_that_is_none(self, tagged: World, n: str) -> None:
        assert error_of(tagged.client().get(TAGS, params={"n": n})) == (400, "UNSUPPORTED", "query-invalid")

    @pytest.mark.parametrize("who", [READER, ATTESTER])
    def test_are_versions_alone_for_those_who_may_not_publish(self, tagged: World, who: str) -> None:
        assert tagged.client(who).get(TAGS).json()["tags"] == ["1.10.0", "1.9.0"]

    def test_of_an_agent_without_releases_are_unknown_to_readers(self, world: World) -> None:
        client = world.client()
        world.put(client, world.make_manifest(client, b"layer"), "latest")
        assert client.get(TAGS).json()["tags"] == ["latest"]
        assert error_of(world.client(READER).get(TAGS)) == (404, "NAME_UNKNOWN", "repository-unknown")
        assert error_of(client.get("/v2/acme/other-agent/tags/list")) == (404, "NAME_UNKNOWN", "repository-unknown")

    def test_pages_are_bounded_by_a_setting(self, s3: S3Endpoint, database_url: str, tmp_path: Path) -> None:
        with running_world(s3, database_url, tmp_path, limits=Limits(page_entries=2)) as world:
            client = world.client()
            manifest = world.make_manifest(client, b"layer")
            for tag in ("a", "b", "c"):
                world.put(client, manifest, tag)
            assert pages(client, f"{TAGS}?n=1000") == [["a", "b"], ["c"]]
            assert pages(client, TAGS) == [["a", "b"], ["c"]]


class TestReferrers:
    def listed(self, client: httpx2.Client, subject: str, **params: str) -> list[dict[str, object]]:
        answer = client.get(f"/v2/{AGENT}/referrers/{subject}", params=params)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == OCI_INDEX
        body = answer.json()
        assert (body["schemaVersion"], body["mediaType"]) == (2, OCI_INDEX)
        manifests: list[dict[str, object]] = body["manifests"]
        return manifests

    def test_carry_type_size_and_annotations(self, world: World) -> None:
        client, subject = world.client(), missing_subject()
        referrer = world.make_manifest(
            client, b"x", subject=subject, artifact_type="application/x.sbom", annotations={"a": "1"}
        )
        world.put(client, referrer)
        assert self.listed(client, subject.digest) == [
            {
                "mediaType": referrer.media_type,
                "digest": referrer.digest,
                "size": len(referrer.raw),
                "artifactType": "application/x.sbom",
                "annotations": {"a": "1"},
            }
        ]

    def test_are_filtered_by_type(self, world: World) -> None:
        client, subject = world.client(), missing_subject()
        for kind in ("application/a+json", "application/b+json"):
            world.put(client, world.make_manifest(client, kind.encode(), subject=subject, artifact_type=kind))
        found = client.get(f"/v2/{AGENT}/referrers/{subject.digest}?artifactType={quote('application/a+json')}")
        assert [each["artifactType"] for each in found.json()["manifests"]] == ["application/a+json"]
        assert found.headers["oci-filters-applied"] == "artifactType"
        unfiltered = client.get(f"/v2/{AGENT}/referrers/{subject.digest}")
        assert len(unfiltered.json()["manifests"]) == 2
        assert "oci-filters-applied" not in unfiltered.headers

    def test_of_what_nobody_pushed_are_an_empty_list(self, world: World) -> None:
        for who in (PUBLISHER, READER):
            assert self.listed(world.client(who), "sha256:" + "0" * 64) == []
            assert self.listed(world.client(who), "sha512:" + "0" * 128, artifactType="x/y") == []

    @pytest.mark.parametrize("digest", ["sha256:abc", "nonsense", "md5:00"])
    def test_of_what_is_no_digest_are_refused(self, world: World, digest: str) -> None:
        answer = world.client().get(f"/v2/{AGENT}/referrers/{digest}")
        assert error_of(answer) == (400, "DIGEST_INVALID", "digest-invalid")

    def test_come_in_pages_that_keep_the_filter(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(lists, "PAGE_BYTES", MAX_REFERRER_BYTES)
        client, subject = world.client(), missing_subject()
        filler = {"dev.example.filler": "x" * (lists.PAGE_BYTES // 2)}
        pushed = set()
        for number in range(3):
            referrer = world.make_manifest(client, bytes([number]), subject=subject, annotations=filler)
            world.put(client, referrer)
            pushed.add(referrer.digest)
        world.put(client, world.make_manifest(client, b"other", subject=subject, artifact_type="application/other"))
        where: str | None = f"/v2/{AGENT}/referrers/{subject.digest}?artifactType=application/vnd.example.thing"
        found: list[str] = []
        while where is not None:
            answer = client.get(where)
            assert len(answer.content) < 1.1 * lists.PAGE_BYTES
            assert answer.headers["oci-filters-applied"] == "artifactType"
            found += [each["digest"] for each in answer.json()["manifests"]]
            where = next_of(answer)
        assert len(found) == 3
        assert set(found) == pushed

    def test_of_a_quarantined_manifest_are_hidden_with_it(self, world: World) -> None:
        publisher = world.client()
        subject = world.make_manifest(publisher, b"layer")
        referrer = world.make_manifest(publisher, b"bundle", artifact_type=SIGSTORE_BUNDLE, subject=subject.descriptor)
        world.put(publisher, subject)
        world.put(publisher, referrer)
        assert len(self.listed(world.client(ATTESTER), subject.digest)) == 1
        assert self.listed(world.client(READER), subject.digest) == []
        world.put(publisher, subject, "1.0.0")
        assert len(self.listed(world.client(READER), subject.digest)) == 1

    def test_of_one_subject_are_bounded(self, s3: S3Endpoint, database_url: str, tmp_path: Path) -> None:
        with running_world(s3, database_url, tmp_path, limits=Limits(referrers_per_subject=2)) as world:
            client, subject = world.client(), missing_subject()
            manifests = [world.make_manifest(client, bytes([n]), subject=subject) for n in range(3)]
            assert [world.put(client, each).status_code for each in manifests[:2]] == [201, 201]
            assert error_of(world.put(client, manifests[2])) == (403, "DENIED", "too-many-referrers")
            assert world.put(client, manifests[0]).status_code == 201, "what is there may be sent again"
            other = world.make_manifest(client, b"other", subject=missing_subject(b"another"))
            assert world.put(client, other).status_code == 201


class TestAnonymous:
    @pytest.fixture
    def world(self, s3: S3Endpoint, database_url: str, tmp_path: Path) -> Iterator[World]:
        with running_world(s3, database_url, tmp_path, anonymous_pull=True) as running:
            yield running

    def test_pull_is_of_releases_alone(self, world: World) -> None:
        publisher, nobody = world.client(), world.client(None)
        released, hidden = world.make_manifest(publisher, b"released"), world.make_manifest(publisher, b"hidden")
        world.put(publisher, released, "1.0.0")
        world.put(publisher, hidden, "latest")
        assert nobody.get(f"/v2/{AGENT}/manifests/1.0.0").content == released.raw
        assert nobody.get(TAGS).json()["tags"] == ["1.0.0"]
        assert nobody.head(f"/v2/{AGENT}/blobs/{released.layers[0].digest}").status_code == 200
        for digest in (hidden.digest, "latest"):
            assert nobody.get(f"/v2/{AGENT}/manifests/{digest}").status_code == 404
        assert nobody.head(f"/v2/{AGENT}/blobs/{hidden.layers[0].digest}").status_code == 404
        assert nobody.get(f"/v2/{AGENT}/referrers/{Digest.of(b'')}").status_code == 200
        assert nobody.post(f"/v2/{AGENT}/blobs/uploads/").status_code == 401

    def test_ping_is_challenged_all_the_same_so_that_clients_log_in(self, world: World) -> None:
        answer = world.client(None).get("/v2/")
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith(f'Bearer realm="{world.url}/v2/token"')
        assert world.client().get("/v2/").status_code == 200


def test_without_anonymous_pull_everything_is_challenged(world: World) -> None:
    nobody = world.client(None)
    for where in (
        "/v2/",
        TAGS,
        f"/v2/{AGENT}/manifests/1.0.0",
        f"/v2/{AGENT}/blobs/{Digest.of(b'')}",
        f"/v2/{AGENT}/referrers/{Digest.of(b'')}",
    ):
        answer = nobody.get(where)
        assert error_of(answer) == (401, "UNAUTHORIZED", "login-needed")
        assert "www-authenticate" in answer.headers
