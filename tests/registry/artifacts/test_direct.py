"""Direct uploads: planned here, sent to the store, taken in here."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import io
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from pydantic import JsonValue

from tests.registry.world import (
    AGENT,
    NEIGHBOUR,
    NO_TLS,
    PUBLISHER,
    SIBLING,
    World,
    running_world,
    store_settings,
    wait_for,
)
from tidegate.digest import Digest
from tidegate.formats.jcs import parse_json
from tidegate.formats.manifest import Descriptor
from tidegate.remote.address import RegistryAddress
from tidegate.remote.registry import Registry
from tidegate_registry.artifacts.http import strict
from tidegate_registry.artifacts.sessions import drop_session, stale_sessions
from tidegate_registry.artifacts.tables import UploadRow
from tidegate_registry.settings import Limits
from tidegate_registry.storage.blobs import STAGING, BlobKey
from tidegate_registry.storage.parts import MIN_PART_BYTES

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint

RUNS = 4
API = f"/api/v1/agents/{AGENT}/uploads"
DATA = b"bytes of a blob\n" * 500
LARGE = os.urandom(64) * ((MIN_PART_BYTES + 300_000) // 64)  # two parts

Answer = dict[str, JsonValue]


def announce(data: bytes, session: str | None = None) -> dict[str, object]:
    blob: dict[str, object] = {"digest": Digest.of(data), "size": len(data)}
    return blob | ({"session": session} if session else {})


def plan(client: httpx2.Client, *blobs: bytes) -> list[Mapping[str, object]]:
    answer = client.post(API, json={"blobs": [announce(blob) for blob in blobs]})
    assert answer.status_code == 200, answer.text
    found: list[Mapping[str, object]] = answer.json()["blobs"]
    return found


def send(put: object, data: bytes) -> int:
    assert isinstance(put, dict)
    return httpx2.put(put["url"], content=data, headers=put["headers"], trust_env=False, verify=NO_TLS).status_code


def commit(client: httpx2.Client, *blobs: Mapping[str, object]) -> list[str]:
    answer = client.post(f"{API}/commit", json={"blobs": list(blobs)})
    assert answer.status_code == 200, answer.text
    return [blob["state"] for blob in answer.json()["blobs"]]


def problem_of(answer: httpx2.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def staged(world: World) -> list[str]:
    return [found.path for found in world.services.blobs.list(STAGING)]


def send_parts(client: httpx2.Client, session: object, data: bytes, part_bytes: int, *numbers: int) -> list[int]:
    cut = {number: data[(number - 1) * part_bytes : number * part_bytes] for number in numbers}
    wanted = [{"number": number, "sha256": Digest.of(part)} for number, part in cut.items()]
    answer = client.post(f"{API}/parts", json={"session": session, "parts": wanted})
    assert answer.status_code == 200, answer.text
    return [send(link, cut[link["number"]]) for link in answer.json()["parts"]]


@contextlib.contextmanager
def publishing(world: World, sent: list[httpx2.Request]) -> Iterator[Registry]:
    """Our own client as the publisher, and what it sends."""
    authorization = world.client().headers["Authorization"]

    def authorise(request: httpx2.Request) -> None:
        sent.append(request)
        if str(request.url).startswith(world.url):
            request.headers["Authorization"] = authorization

    with httpx2.Client(trust_env=False, verify=NO_TLS, event_hooks={"request": [authorise]}) as client:
        yield Registry(RegistryAddress.parse(world.url), client)


def test_an_object_that_no_row_knows_of_costs_another_plan_and_is_nobodys_by_its_name(world: World) -> None:
    """As after a database was put back that is older than its bucket: no claim says that the store must be asked."""
    client, digest = world.client(), Digest.of(DATA)
    world.services.blobs.put(BlobKey("acme", digest), DATA, size=len(DATA), sha256=digest)
    [planned] = plan(client, DATA)
    assert (planned["session"], send(planned["put"], DATA)) == (None, 412)
    assert commit(client, announce(DATA)) == ["missing"]
    [again] = plan(client, DATA)
    session = str(again["session"])
    assert send(again["put"], DATA) == 200
    assert commit(client, announce(DATA, session)) == ["present"]


def test_missing_blobs_go_straight_to_the_store_and_are_linked_once(world: World) -> None:
    client, other = world.client(), b"another"
    planned = plan(client, DATA, b"", other)
    assert [blob["state"] for blob in planned] == ["missing"] * 3
    assert [blob["session"] for blob in planned] == [None] * 3
    assert [send(blob["put"], data) for blob, data in zip(planned, (DATA, b"", other), strict=True)] == [200] * 3
    blobs = [announce(data) for data in (DATA, b"", other)]
    for _ in range(2):
        assert commit(client, *blobs) == ["present"] * 3
    assert len(world.events("blob.stored")) == 3
    link = client.get(f"/v2/{AGENT}/blobs/{Digest.of(DATA)}").headers["location"]
    assert httpx2.get(link, trust_env=False, verify=NO_TLS).content == DATA
    assert plan(client, DATA)[0] == announce(DATA) | {"state": "present"}


def test_what_was_sent_and_not_committed_need_not_be_sent_again(world: World) -> None:
    client = world.client()
    send(plan(client, DATA)[0]["put"], DATA)
    assert plan(client, DATA)[0]["state"] == "present"
    assert commit(client, announce(DATA)) == ["present"]


def test_a_blob_that_did_not_arrive_is_missing_and_the_others_are_linked(world: World) -> None:
    client = world.client()
    first, _ = plan(client, DATA, b"never sent")
    send(first["put"], DATA)
    assert commit(client, announce(DATA), announce(b"never sent")) == ["present", "missing"]
    assert client.head(f"/v2/{AGENT}/blobs/{Digest.of(b'never sent')}").status_code == 404


def test_of_eight_that_send_one_blob_all_have_it(world: World) -> None:
    clients = [world.client() for _ in range(8)]
    plans = [plan(client, DATA)[0] for client in clients]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(lambda one: send(one["put"], DATA), plans)) == [200] + [412] * 7
        assert list(pool.map(lambda one: commit(one, announce(DATA)), clients)) == [["present"]] * 8
    assert len(world.events("blob.stored")) == 1


def test_links_and_headers_are_what_the_client_must_send(world: World) -> None:
    put = plan(world.client(), DATA)[0]["put"]
    assert isinstance(put, dict)
    assert {"Content-Length", "If-None-Match", "x-amz-checksum-sha256"} < put["headers"].keys()
    assert put["expiresAt"].endswith("Z")
    for left_out in put["headers"].keys() - {"Content-Length"}:
        headers = {name: value for name, value in put["headers"].items() if name != left_out}
        assert send(put | {"headers": headers}, DATA) == 403


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"blobs": []}', (422, "parameter-invalid")),
        (b'{"blobs": [{"digest": "sha256:x", "size": 1}]}', (422, "parameter-invalid")),
        (b'{"blobs": [{"digest": "sha512:%s", "size": 1}]}' % (b"0" * 128), (422, "parameter-invalid")),
        (b'{"blobs": [{"digest": "sha256:%s", "size": -1}]}' % (b"0" * 64), (422, "parameter-invalid")),
        (b'{"blobs": [{"digest": "sha256:%s", "size": "1"}]}' % (b"0" * 64), (422, "parameter-invalid")),
        (b'{"blobs": [], "blobs": []}', (400, "json-invalid")),
        (b'{"blobs": [' + b" " * (1 << 20) + b"]}", (413, "body-too-large")),
        (b"[" * 200 + b"]" * 200, (400, "json-invalid")),
        (b"", (422, "parameter-invalid")),
    ],
)
def test_a_body_that_is_not_what_it_must_be_is_refused(world: World, body: bytes, code: tuple[int, str]) -> None:
    answer = world.client().post(API, content=body, headers={"Content-Type": "application/json"})
    assert problem_of(answer) == code


def test_a_digest_twice_and_a_size_that_is_not_the_blobs_are_refused(world: World) -> None:
    client = world.client()
    world.push_blob(client, DATA)
    twice = client.post(API, json={"blobs": [announce(b"x"), announce(b"x")]})
    assert problem_of(twice) == (400, "upload-invalid")
    other = client.post(API, json={"blobs": [announce(DATA) | {"size": 1}]})
    assert problem_of(other) == (400, "size-differs")


def test_the_store_is_reached_under_the_name_that_fits_the_registrys(
    s3: S3Endpoint, database_url: str, tmp_path: Path
) -> None:
    store = store_settings(s3).model_copy(
        update={
            "presign_endpoint": "https://blobs.acme.example",
            "presign_endpoints": {"registry.internal:5000": "http://store.internal:8333"},
        }
    )
    with running_world(s3, database_url, tmp_path, store=store) as world:
        client = world.client()
        for host, begins in (("Registry.Internal:5000", "http://store.internal:8333/"), ("x", "https://blobs.acme.")):
            answer = client.post(API, json={"blobs": [announce(DATA)]}, headers={"Host": host})
            assert answer.json()["blobs"][0]["put"]["url"].startswith(begins)


class TestLarge:
    """Blobs beyond the largest single PUT go in parts."""

    @pytest.fixture(scope="class")
    @classmethod
    def shared_world(cls, s3: S3Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
        folder = tmp_path_factory.mktemp("large")
        store = store_settings(s3).model_copy(update={"single_put_bytes": MIN_PART_BYTES})
        limits = Limits(uploads_in_flight=2, staged_bytes=3 * len(LARGE) // 2)
        with running_world(s3, f"sqlite:///{folder}/registry.db", folder, limits=limits, store=store) as running:
            yield running

    def test_parts_become_the_blob_and_leave_nothing_behind(self, world: World) -> None:
        client = world.client()
        (planned,) = plan(client, LARGE)
        assert planned["multipart"] == {"partBytes": MIN_PART_BYTES, "parts": 2}
        session = str(planned["session"])
        assert send_parts(client, session, LARGE, MIN_PART_BYTES, 1, 2) == [200, 200]
        for _ in range(2):
            assert commit(client, announce(LARGE, session)) == ["present"]
        link = client.get(f"/v2/{AGENT}/blobs/{Digest.of(LARGE)}").headers["location"]
        assert httpx2.get(link, trust_env=False, verify=NO_TLS).content == LARGE
        assert staged(world) == []
        assert list(world.services.staging.unfinished()) == []

    def test_our_own_client_sends_small_blobs_and_parts_and_only_what_is_not_there(self, world: World) -> None:
        contents = {Digest.of(data): data for data in (b"", DATA, LARGE)}
        blobs = [Descriptor("application/octet-stream", digest, len(data)) for digest, data in contents.items()]
        session = str(plan(world.client(), LARGE)[0]["session"])
        send_parts(world.client(), session, LARGE, MIN_PART_BYTES, 1)
        sent: list[httpx2.Request] = []
        with publishing(world, sent) as registry:
            assert registry.push_blobs(AGENT, blobs, lambda digest: io.BytesIO(contents[digest])) == 3
            assert registry.push_blobs(AGENT, blobs, lambda digest: io.BytesIO(contents[digest])) == 0
        puts = [request for request in sent if request.method == "PUT"]
        assert len(puts) == 3  # two blobs, and the part that was not there
        assert not any(str(request.url).startswith(world.url) for request in puts)
        link = world.client().get(f"/v2/{AGENT}/blobs/{Digest.of(LARGE)}").headers["location"]
        assert httpx2.get(link, trust_env=False, verify=NO_TLS).content == LARGE

    def test_a_broken_transfer_goes_on_where_it_was(self, world: World) -> None:
        client = world.client()
        session = str(plan(client, LARGE)[0]["session"])
        for _ in range(2):  # as after an answer that was lost: some stores list both
            send_parts(client, session, LARGE, MIN_PART_BYTES, 1)
        assert commit(client, announce(LARGE, session)) == ["missing"]
        assert plan(client, LARGE)[0]["session"] == session
        progress = client.get(f"{API}/{session}").json()
        assert progress["stored"] == [{"number": 1, "size": MIN_PART_BYTES}]
        assert progress["multipart"] == {"partBytes": MIN_PART_BYTES, "parts": 2}
        send_parts(client, session, LARGE, MIN_PART_BYTES, 2)
        assert commit(client, announce(LARGE, session)) == ["present"]

    def test_several_runs_of_one_publisher_may_send_the_same_blobs_at_once(self, world: World) -> None:
        world.push_blob(world.client(NEIGHBOUR), DATA, SIBLING)  # so that these go to a staging key
        contents = {Digest.of(data): data for data in (DATA, LARGE, b"small")}
        blobs = [Descriptor("application/octet-stream", digest, len(data)) for digest, data in contents.items()]
        plan(world.client(), DATA, LARGE)  # and all runs go on with the same sessions
        started = threading.Barrier(RUNS)

        def run(registry: Registry) -> int:
            started.wait()
            return registry.push_blobs(AGENT, blobs, lambda digest: io.BytesIO(contents[digest]))

        with contextlib.ExitStack() as open_now, concurrent.futures.ThreadPoolExecutor(RUNS) as pool:
            registries = [open_now.enter_context(publishing(world, [])) for _ in range(RUNS)]
            assert all(sent <= len(blobs) for sent in pool.map(run, registries))
        assert len(world.events("blob.stored")) == 1 + len(blobs)
        assert staged(world) == []

    def test_a_commit_whose_session_another_one_has_just_ended_says_missing(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = world.client()
        session = str(plan(client, LARGE)[0]["session"])
        send_parts(client, session, LARGE, MIN_PART_BYTES, 1, 2)
        blobs = world.services.blobs
        promote = blobs.promote

        def overtaken(*args: Any, **named: Any) -> None:
            with world.services.db.read() as tx:
                row = tx.get_one(UploadRow, session)
            drop_session(world.services, row)
            promote(*args, **named)

        monkeypatch.setattr(blobs, "promote", overtaken)
        assert commit(client, announce(LARGE, session)) == ["missing"]

    def test_parts_that_make_other_bytes_are_refused_and_end_the_session(self, world: World) -> None:
        client = world.client()
        session = str(plan(client, LARGE)[0]["session"])
        other = LARGE[:-1] + b"?"
        assert send_parts(client, session, other, MIN_PART_BYTES, 1, 2) == [200, 200]
        answer = client.post(f"{API}/commit", json={"blobs": [announce(LARGE, session)]})
        assert problem_of(answer) == (400, "digest-differs")
        assert client.get(f"{API}/{session}").status_code == 404
        assert staged(world) == []
        assert world.services.blobs.stat(BlobKey("acme", Digest.of(LARGE))) is None

    @pytest.mark.parametrize("number", [3, 10_000])
    def test_a_part_that_there_is_not_gets_no_link(self, world: World, number: int) -> None:
        client = world.client()
        session = plan(client, LARGE)[0]["session"]
        wanted = [{"number": number, "sha256": Digest.of(b"x")}]
        answer = client.post(f"{API}/parts", json={"session": session, "parts": wanted})
        assert problem_of(answer) == (400, "upload-invalid")

    def test_a_callers_unfinished_uploads_are_bounded_in_number_and_bytes(self, world: World) -> None:
        client = world.client()
        plan(client, LARGE)
        more = client.post(API, json={"blobs": [announce(LARGE[::-1])]})
        assert problem_of(more) == (429, "too-much-staged")
        assert int(more.headers["retry-after"]) > 0
        client.post(f"/v2/{AGENT}/blobs/uploads/")
        assert client.post(f"/v2/{AGENT}/blobs/uploads/").status_code == 429

    def test_a_session_that_nobody_continued_is_dropped_with_its_parts(self, world: World) -> None:
        client = world.client()
        session = plan(client, LARGE)[0]["session"]
        send_parts(client, session, LARGE, MIN_PART_BYTES, 1)
        world.clock.tick(seconds=world.services.settings.limits.upload_session_seconds + 1)
        for row in stale_sessions(world.services, 10):
            drop_session(world.services, row)
        assert client.get(f"{API}/{session}").status_code == 404
        assert wait_for(lambda: not list(world.services.staging.unfinished()))

    def test_a_direct_session_is_none_of_the_oci_uploads_and_the_other_way_round(self, world: World) -> None:
        client = world.client(PUBLISHER)
        session = plan(client, LARGE)[0]["session"]
        assert client.get(f"/v2/{AGENT}/blobs/uploads/{session}").status_code == 404
        stock = client.post(f"/v2/{AGENT}/blobs/uploads/").headers["docker-upload-uuid"]
        assert client.get(f"{API}/{stock}").status_code == 404


def test_long_json_is_not_parsed_where_all_requests_wait_and_never_for_strangers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_the_loop: list[bool] = []

    def noting(raw: bytes, *, limit: int, what: str) -> object:
        in_the_loop.append(asyncio._get_running_loop() is not None)
        return parse_json(raw, limit=limit, what=what)

    monkeypatch.setattr(strict, "parse_json", noting)
    body = b'{"blobs": [' + b"1," * strict.SHORT_JSON_BYTES + b"1]}"
    for who, status in ((None, 401), (PUBLISHER, 422)):
        answer = world.client(who).post(API, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status
    assert in_the_loop == [False]
