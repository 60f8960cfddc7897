"""Somebody who may push to one agent wants another's bytes without having them, or other bytes in their place."""

from __future__ import annotations

import time
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest
from sqlmodel import select

from tests.registry.world import (
    AGENT,
    ATTESTER,
    FOREIGN,
    NEIGHBOUR,
    NO_TLS,
    PUBLISHER,
    SIBLING,
    World,
    error_of,
    wait_for,
)
from tidegate.digest import Digest
from tidegate.formats.manifest import EMPTY_BLOB, EMPTY_DESCRIPTOR, Descriptor, image_manifest
from tidegate.formats.mediatypes import NON_DISTRIBUTABLE
from tidegate_registry.keeping.tables import BlobClaimRow
from tidegate_registry.storage.blobs import BlobKey
from tidegate_registry.storage.s3 import S3BlobStore

SECRET = b"what only the publisher of the other agent has\n" * 100
DIGEST = Digest.of(SECRET)
UPLOAD = "01234567-89ab-4cde-8f01-23456789abcd"


def api(agent: str, path: str = "") -> str:
    return f"/api/v1/agents/{agent}/uploads{path}"


def announce(data: bytes, **more: object) -> dict[str, object]:
    return {"digest": Digest.of(data), "size": len(data), **more}


def plan(client: httpx2.Client, data: bytes, agent: str = AGENT) -> Mapping[str, object]:
    answer = client.post(api(agent), json={"blobs": [announce(data)]})
    assert answer.status_code == 200, answer.text
    found: Mapping[str, object] = answer.json()["blobs"][0]
    return found


def send(planned: Mapping[str, object], data: bytes, **headers: str) -> int:
    put = planned["put"]
    assert isinstance(put, dict)
    return httpx2.put(
        put["url"], content=data, headers=put["headers"] | headers, trust_env=False, verify=NO_TLS
    ).status_code


def commit(client: httpx2.Client, data: bytes, agent: str = AGENT, session: object = None) -> str:
    more = {"session": session} if session else {}
    answer = client.post(api(agent, "/commit"), json={"blobs": [announce(data, **more)]})
    assert answer.status_code == 200, answer.text
    state: str = answer.json()["blobs"][0]["state"]
    return state


def claimed(world: World) -> set[tuple[str, str]]:
    with world.services.db.read() as tx:
        return {(row.namespace, row.digest) for row in tx.exec(select(BlobClaimRow))}


def reads(client: httpx2.Client, agent: str) -> bool:
    return client.get(f"/v2/{agent}/blobs/{DIGEST}").status_code == 307


class TestNamingADigestIsNotHavingTheBytes:
    """The neighbour may push to another agent of the namespace, and knows the digest."""

    def test_of_a_blob_that_is_in_quarantine(self, world: World) -> None:
        world.push_blob(world.client(PUBLISHER), SECRET)
        thief = world.client(NEIGHBOUR)
        planned = plan(thief, SECRET, SIBLING)
        assert planned["state"] == "missing"
        assert commit(thief, SECRET, SIBLING) == "missing"
        assert commit(thief, SECRET, SIBLING, planned["session"]) == "missing"
        assert not reads(thief, SIBLING)

    def test_of_a_blob_that_was_sent_and_not_committed_yet(self, world: World) -> None:
        publisher, thief = world.client(PUBLISHER), world.client(NEIGHBOUR)
        early = plan(thief, SECRET, SIBLING)  # when nobody had it: a link to the very key
        assert send(plan(publisher, SECRET), SECRET) == 200
        assert send(early, b"?" * len(SECRET)) in (400, 412)
        assert commit(thief, SECRET, SIBLING) == "missing"
        assert plan(thief, SECRET, SIBLING)["state"] == "missing"
        assert not reads(thief, SIBLING)
        assert commit(publisher, SECRET) == "present"
        assert commit(thief, SECRET, SIBLING) == "missing"

    def test_of_a_blob_that_the_thief_says_to_be_pushing(self, world: World) -> None:
        large = SECRET * 2000  # beyond one part, so that it would stream
        world.push_blob(world.client(PUBLISHER), large)
        thief, digest = world.client(NEIGHBOUR), Digest.of(large)
        for data in (b"?" * len(large), b"", large[:-1]):
            answer = thief.post(f"/v2/{SIBLING}/blobs/uploads/", params={"digest": digest}, content=data)
            assert error_of(answer) == (400, "DIGEST_INVALID", "digest-differs")
        assert thief.get(f"/v2/{SIBLING}/blobs/{digest}").status_code == 404

    def test_of_a_layer_that_need_not_be_sent(self, world: World) -> None:
        world.push_blob(world.client(PUBLISHER), SECRET)
        thief = world.client(NEIGHBOUR)
        world.push_blob(thief, EMPTY_BLOB, SIBLING)
        layers = tuple(Descriptor(each, DIGEST, len(SECRET)) for each in sorted(NON_DISTRIBUTABLE))
        image = image_manifest(artifact_type="application/vnd.example", config=EMPTY_DESCRIPTOR, layers=layers)
        assert world.put(thief, image, repository=SIBLING).status_code == 201
        assert not reads(thief, SIBLING)

    def test_who_does_have_the_bytes_gets_the_blob(self, world: World) -> None:
        world.push_blob(world.client(PUBLISHER), SECRET)
        owner = world.client(NEIGHBOUR)
        planned = plan(owner, SECRET, SIBLING)
        assert send(planned, SECRET) == 200
        assert commit(owner, SECRET, SIBLING, planned["session"]) == "present"
        assert reads(owner, SIBLING)


class TestALinkIsForTheBytesItNames:
    @pytest.mark.parametrize("present", [False, True], ids=["final-key", "staging-key"])
    def test_other_bytes_of_the_same_size_are_refused_by_the_store(self, world: World, *, present: bool) -> None:
        if present:
            world.push_blob(world.client(NEIGHBOUR), SECRET, SIBLING)
        client = world.client()
        planned = plan(client, SECRET)
        assert send(planned, b"?" * len(SECRET)) == 400
        assert commit(client, SECRET, session=planned.get("session")) == "missing"

    def test_other_sizes_digests_conditions_and_marks_are_not_signed(self, world: World) -> None:
        client, other = world.client(), b"something else"
        planned = plan(client, SECRET)
        stolen = plan(client, other)["put"]
        assert isinstance(stolen, dict)
        assert send(planned, SECRET + b"more", **{"Content-Length": str(len(SECRET) + 4)}) == 403
        assert send(planned, other, **stolen["headers"]) == 403
        assert send(planned, SECRET, **{"If-None-Match": "another"}) == 403
        mark = next(name for name in stolen["headers"] if name.startswith("x-amz-meta-"))
        assert send(planned, SECRET, **{mark: "0" * 32}) == 403
        assert world.services.blobs.stat(BlobKey("acme", DIGEST)) is None

    def test_a_link_is_for_one_key_and_for_put_alone(self, world: World) -> None:
        client = world.client()
        planned = plan(client, SECRET)
        put = planned["put"]
        assert isinstance(put, dict)
        moved = put | {"url": put["url"].replace(DIGEST.hex, Digest.of(b"another").hex)}
        assert send({"put": moved}, SECRET) == 403
        for method in ("GET", "DELETE", "POST"):
            headers = {name: value for name, value in put["headers"].items() if name != "Content-Length"}
            answer = httpx2.request(method, put["url"], headers=headers, trust_env=False, verify=NO_TLS)
            assert answer.status_code in (400, 403, 405), (method, answer.text)

    def test_a_blob_is_not_replaced_through_a_link_that_was_used(self, world: World) -> None:
        client = world.client()
        planned = plan(client, SECRET)
        assert [send(planned, SECRET), send(planned, SECRET)] == [200, 412]

    def test_a_link_ends(self, world: World) -> None:
        store = world.services.blobs
        assert isinstance(store, S3BlobStore)
        short = S3BlobStore(store.settings.model_copy(update={"presign_seconds": 1, "prefix": store.prefix}))
        put = short.presign_put(BlobKey("acme", DIGEST), size=len(SECRET), sha256=DIGEST)
        assert dict(parse_qsl(urlsplit(put.url).query))["X-Amz-Expires"] == "1"
        wait_for(lambda: time.time() > put.expires_at.timestamp() + 1)
        assert send({"put": {"url": put.url, "headers": dict(put.headers)}}, SECRET) == 403
        assert store.stat(BlobKey("acme", DIGEST)) is None


class TestWhoMayNotPushLeavesNoTrace:
    """A row for each digest that a stranger names would fill the database, and keep what should be collected."""

    @pytest.mark.parametrize("name", [None, NEIGHBOUR], ids=["stranger", "neighbour"])
    def test_by_ending_an_upload(self, world: World, name: str | None) -> None:
        answer = world.client(name).put(f"/v2/{AGENT}/blobs/uploads/{UPLOAD}", params={"digest": DIGEST})
        assert answer.status_code in (401, 403)
        assert claimed(world) == set()

    @pytest.mark.parametrize("source", [FOREIGN, "../x"])
    def test_by_mounting_from_where_there_is_nothing_for_them(self, world: World, source: str) -> None:
        asked = {"mount": DIGEST, "from": source}
        assert world.client().post(f"/v2/{AGENT}/blobs/uploads/", params=asked).status_code == 202
        assert claimed(world) == set()


class TestASessionIsItsBeginnersAlone:
    def test_nobody_else_sees_signs_or_ends_it(self, world: World) -> None:
        world.push_blob(world.client(NEIGHBOUR), SECRET, SIBLING)
        owner, other = world.client(PUBLISHER), world.client(ATTESTER)
        planned = plan(owner, SECRET)
        session = planned["session"]
        assert send(planned, SECRET) == 200
        assert other.get(api(AGENT, f"/{session}")).status_code == 404
        parts = {"session": session, "parts": [{"number": 1, "sha256": DIGEST}]}
        assert other.post(api(AGENT, "/parts"), json=parts).status_code == 404
        assert commit(other, SECRET, session=session) == "missing"
        assert commit(world.client(NEIGHBOUR), b"x", SIBLING, session) == "missing"
        assert commit(owner, SECRET, session=session) == "present"

    def test_a_session_for_one_blob_commits_no_other(self, world: World) -> None:
        other = b"another blob of the other agent"
        for data in (SECRET, other):
            world.push_blob(world.client(NEIGHBOUR), data, SIBLING)
        client = world.client()
        planned = plan(client, SECRET)
        assert send(planned, SECRET) == 200
        assert commit(client, other, session=planned["session"]) == "missing"

    def test_an_attester_announces_nothing_larger_than_evidence(self, world: World) -> None:
        size = world.services.settings.limits.evidence_bytes + 1
        answer = world.client(ATTESTER).post(api(AGENT), json={"blobs": [{"digest": DIGEST, "size": size}]})
        assert (answer.status_code, answer.json()["code"]) == (413, "blob-too-large")

    def test_who_may_not_push_plans_nothing(self, world: World) -> None:
        for path in ("", "/commit"):
            answer = world.client(NEIGHBOUR).post(api(AGENT, path), json={"blobs": [announce(SECRET)]})
            assert (answer.status_code, answer.json()["code"]) == (403, "not-in-charter")


class TestWhoSentABlobFirstDecidesNothingForOthers:
    def test_not_what_the_store_says_that_its_bytes_are(self, world: World) -> None:
        client = world.client()
        planned = plan(client, SECRET)
        assert send(planned, SECRET, **{"Content-Type": "text/html", "Content-Encoding": "gzip"}) == 200
        assert commit(client, SECRET) == "present"
        link = client.get(f"/v2/{AGENT}/blobs/{DIGEST}").headers["Location"]
        answer = httpx2.get(link, trust_env=False, verify=NO_TLS)
        assert answer.content == SECRET
        assert answer.headers["Content-Type"] == "application/octet-stream"
