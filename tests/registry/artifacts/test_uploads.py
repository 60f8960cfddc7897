"""Uploads, each way the Distribution Spec knows, and what becomes of broken ones."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
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
    running_world,
    wait_for,
)
from tidegate.digest import Digest
from tidegate_registry.artifacts import sessions
from tidegate_registry.artifacts.sweep import sweep_uploads
from tidegate_registry.artifacts.tables import UploadRow
from tidegate_registry.settings import Limits
from tidegate_registry.storage.blobs import STAGING, StagingKey

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint
    from tidegate_registry.services import Services

UPLOADS = f"/v2/{AGENT}/blobs/uploads/"
DATA = bytes(range(256)) * 5000  # 1.28 MB: more than one piece


def begin(client: httpx2.Client) -> str:
    answer = client.post(UPLOADS)
    assert answer.status_code == 202
    assert answer.headers["docker-upload-uuid"] in answer.headers["location"]
    return answer.headers["location"]


def staged(world: World) -> list[str]:
    """What unfinished uploads keep in the store: objects, and multipart uploads."""
    objects = [found.path for found in world.services.blobs.list(STAGING)]
    return objects + [found.path for found in world.services.staging.unfinished()]


def read_back(world: World, client: httpx2.Client, digest: str) -> bytes:
    link = client.get(f"/v2/{AGENT}/blobs/{digest}").headers["location"]
    return httpx2.get(link, trust_env=False).content


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_blob_sent_with_post_then_put_is_read_back(world: World, algorithm: str) -> None:
    client, digest = world.client(), Digest.of(DATA, algorithm)
    answer = client.put(begin(client), params={"digest": digest}, content=DATA)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/v2/{AGENT}/blobs/{digest}"
    assert answer.headers["docker-content-digest"] == digest
    assert read_back(world, client, digest) == DATA
    assert staged(world) == []


def test_a_blob_sent_in_one_request_is_read_back(world: World) -> None:
    client = world.client()
    assert read_back(world, client, world.push_blob(client, DATA)) == DATA


def test_an_empty_blob_is_a_blob(world: World) -> None:
    client = world.client()
    assert read_back(world, client, world.push_blob(client, b"")) == b""


def test_chunks_in_order_make_the_blob(world: World) -> None:
    client, digest = world.client(), Digest.of(DATA)
    where = begin(client)
    cut = [0, 400_000, 900_000, len(DATA)]
    for start, end in itertools.pairwise(cut[:-1]):
        answer = client.patch(where, content=DATA[start:end], headers={"Content-Range": f"{start}-{end - 1}"})
        assert answer.status_code == 202
        assert answer.headers["range"] == f"0-{end - 1}"
        where = answer.headers["location"]
    last = {"Content-Range": f"{cut[-2]}-{cut[-1] - 1}"}
    assert client.put(where, params={"digest": digest}, content=DATA[cut[-2] :], headers=last).status_code == 201
    assert read_back(world, client, digest) == DATA


def test_one_chunk_without_a_range_and_an_empty_put_make_the_blob(world: World) -> None:
    client, digest = world.client(), Digest.of(DATA)
    where = begin(client)
    assert client.patch(where, content=DATA).status_code == 202
    assert client.put(where, params={"digest": digest}).status_code == 201
    assert read_back(world, client, digest) == DATA


@pytest.mark.parametrize("start", [0, 99, 101])
def test_a_chunk_out_of_order_is_416_and_changes_nothing(world: World, start: int) -> None:
    client = world.client()
    where = begin(client)
    client.patch(where, content=DATA[:100], headers={"Content-Range": "0-99"})
    answer = client.patch(where, content=DATA[:50], headers={"Content-Range": f"{start}-{start + 49}"})
    assert error_of(answer) == (416, "BLOB_UPLOAD_INVALID", "chunk-out-of-order")
    assert answer.headers["range"] == "0-99"
    asked = client.get(where)
    assert (asked.status_code, asked.headers["range"]) == (204, "0-99")
    finished = client.put(where, params={"digest": Digest.of(DATA[:100])})
    assert finished.status_code == 201


@pytest.mark.parametrize("text", ["x", "5-4", "0-", "bytes 0-1-2", "0-99999999999999999"])
def test_a_content_range_that_is_none_is_refused(world: World, text: str) -> None:
    client = world.client()
    answer = client.patch(begin(client), content=b"ab", headers={"Content-Range": text})
    assert error_of(answer) == (400, "BLOB_UPLOAD_INVALID", "upload-invalid")


def test_a_chunk_shorter_than_its_range_does_not_count(world: World) -> None:
    client = world.client()
    where = begin(client)
    answer = client.patch(where, content=b"abc", headers={"Content-Range": "0-99"})
    assert error_of(answer) == (400, "SIZE_INVALID", "size-differs")
    assert client.patch(where, content=b"abc", headers={"Content-Range": "0-2"}).status_code == 202
    assert client.put(where, params={"digest": Digest.of(b"abc")}).status_code == 201


def test_bytes_with_another_digest_are_refused_and_dropped(world: World) -> None:
    client, wrong = world.client(), Digest.of(b"something else")
    for answer in (
        client.post(UPLOADS, params={"digest": wrong}, content=DATA),
        client.put(begin(client), params={"digest": wrong}, content=DATA),
    ):
        assert error_of(answer) == (400, "DIGEST_INVALID", "digest-differs")
    assert client.head(f"/v2/{AGENT}/blobs/{wrong}").status_code == 404
    assert staged(world) == []


@pytest.mark.parametrize("text", ["sha256:abc", "md5:" + "0" * 32, "nonsense", "sha256:" + "G" * 64])
def test_a_digest_that_is_none_is_refused_before_anything_begins(world: World, text: str) -> None:
    client = world.client()
    assert error_of(client.post(UPLOADS, params={"digest": text}, content=b"x")) == (
        400,
        "DIGEST_INVALID",
        "digest-invalid",
    )
    assert error_of(client.put(begin(client), params={"digest": text}))[1] == "DIGEST_INVALID"


def test_a_cancelled_upload_is_gone(world: World) -> None:
    client = world.client()
    where = begin(client)
    client.patch(where, content=DATA)
    assert len(staged(world)) == 1
    assert client.delete(where).status_code == 204
    assert staged(world) == []
    for answer in (client.get(where), client.patch(where, content=b"x"), client.delete(where)):
        assert error_of(answer) == (404, "BLOB_UPLOAD_UNKNOWN", "upload-unknown")


def test_an_upload_belongs_to_who_began_it_and_to_its_repository(world: World) -> None:
    where = begin(world.client(PUBLISHER))
    other = world.client(ATTESTER)
    for answer in (other.get(where), other.patch(where, content=b"x"), other.delete(where)):
        assert error_of(answer) == (404, "BLOB_UPLOAD_UNKNOWN", "upload-unknown")
    elsewhere = world.client(NEIGHBOUR).get(where.replace(AGENT, SIBLING))
    assert error_of(elsewhere) == (404, "BLOB_UPLOAD_UNKNOWN", "upload-unknown")


@pytest.mark.parametrize("session", ["nonsense", "00000000-0000-4000-8000-000000000000", "..", "a" * 300])
def test_a_session_that_nobody_began_is_unknown(world: World, session: str) -> None:
    assert world.client().get(UPLOADS + session).status_code == 404
    assert staged(world) == []


def test_without_a_token_uploads_are_challenged_with_the_scope_they_need(world: World) -> None:
    answer = world.client(None).post(UPLOADS)
    assert error_of(answer)[:2] == (401, "UNAUTHORIZED")
    assert answer.headers["www-authenticate"] == (
        f'Bearer realm="{world.url}/v2/token",service="{world.url}",scope="repository:{AGENT}:pull,push"'
    )


def test_a_reader_may_not_upload(world: World) -> None:
    assert error_of(world.client(READER).post(UPLOADS)) == (403, "DENIED", "not-in-charter")


def test_an_upload_that_nobody_continued_is_swept_and_a_fresh_one_is_not(world: World) -> None:
    client = world.client()
    stale = begin(client)
    client.patch(stale, content=DATA)
    world.clock.tick(seconds=world.services.settings.limits.upload_session_seconds - 10)
    fresh = begin(client)
    world.clock.tick(seconds=20)
    assert sweep_uploads(world.services) == 1
    assert client.get(stale).status_code == 404
    assert client.get(fresh).status_code == 204
    assert staged(world) == []


def test_an_upload_that_goes_on_while_the_sweep_looks_is_not_dropped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, listed = world.client(), sessions.stale_sessions
    where = begin(client)
    world.clock.tick(seconds=world.services.settings.limits.upload_session_seconds + 10)
    client = world.client()  # the first token has expired

    def list_and_go_on(app: Services, limit: int) -> object:
        found = listed(app, limit)
        assert len(found) == 1
        assert client.patch(where, content=DATA).status_code == 202
        return found

    monkeypatch.setattr(sessions, "stale_sessions", list_and_go_on)
    assert sweep_uploads(world.services) == 0
    assert client.get(where).headers["range"] == f"0-{len(DATA) - 1}"


def test_a_broken_connection_keeps_what_arrived_and_the_client_goes_on(world: World) -> None:
    client = world.client()
    where = begin(client)

    def half() -> Iterator[bytes]:
        yield DATA[:700_000]
        raise ConnectionAbortedError

    with pytest.raises(ConnectionAbortedError):
        client.patch(where, content=half())
    wait_for(lambda: client.get(where).headers["range"] != "0-0")
    start = int(client.get(where).headers["range"].partition("-")[2]) + 1
    assert 0 < start <= 700_000
    headers = {"Content-Range": f"{start}-{len(DATA) - 1}"}
    assert client.patch(where, content=DATA[start:], headers=headers).status_code == 202
    assert client.put(where, params={"digest": Digest.of(DATA)}).status_code == 201
    assert read_back(world, client, Digest.of(DATA)) == DATA


def test_two_requests_never_write_to_one_upload_at_once(world: World) -> None:
    client, second = world.client(), world.client()
    where = begin(client)
    first_chunk_sent, go_on = threading.Event(), threading.Event()

    def slowly() -> Iterator[bytes]:
        yield DATA[:100]
        first_chunk_sent.set()
        assert go_on.wait(20)
        yield DATA[100:]

    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(client.patch(where, content=slowly()).status_code))
    thread.start()
    assert first_chunk_sent.wait(20)
    wait_for(lambda: _is_held(world))
    assert error_of(second.patch(where, content=b"meanwhile")) == (409, "BLOB_UPLOAD_INVALID", "upload-busy")
    go_on.set()
    thread.join(20)
    assert statuses == [202]
    assert client.put(where, params={"digest": Digest.of(DATA)}).status_code == 201


def test_bytes_lost_from_the_store_are_noticed(world: World) -> None:
    client = world.client()
    where = begin(client)
    client.patch(where, content=DATA)
    session = where.rpartition("/")[2]
    world.services.blobs.delete(StagingKey(session, f"tail-{len(DATA)}"))
    answer = client.patch(where, content=b"more")
    assert error_of(answer) == (404, "BLOB_UPLOAD_UNKNOWN", "upload-lost")


def _is_held(world: World) -> bool:
    from sqlmodel import select

    with world.services.db.read() as tx:
        return any(row.busy_until is not None for row in tx.exec(select(UploadRow)))


class TestLimits:
    @pytest.fixture
    def world(self, s3: S3Endpoint, database_url: str, tmp_path: Path) -> Iterator[World]:
        small = Limits(blob_bytes=1 << 20, evidence_bytes=1 << 16, uploads_in_flight=3, idle_seconds=1)
        with running_world(s3, database_url, tmp_path, limits=small) as running:
            yield running

    def test_a_blob_beyond_the_limit_is_413_and_dropped(self, world: World) -> None:
        client = world.client()
        for answer in (
            client.post(UPLOADS, params={"digest": Digest.of(DATA)}, content=DATA),
            client.patch(begin(client), content=DATA),
        ):
            assert error_of(answer) == (413, "SIZE_INVALID", "blob-too-large")
        assert staged(world) == []

    def test_chunks_do_not_add_up_to_more_than_the_limit(self, world: World) -> None:
        client = world.client()
        where = begin(client)
        assert client.patch(where, content=DATA[: 1 << 20]).status_code == 202
        assert error_of(client.patch(where, content=b"x")) == (413, "SIZE_INVALID", "blob-too-large")

    def test_an_attester_sends_no_more_than_evidence(self, world: World) -> None:
        client, data = world.client(ATTESTER), b"x" * ((1 << 16) + 1)
        answer = client.post(UPLOADS, params={"digest": Digest.of(data)}, content=data)
        assert error_of(answer) == (413, "SIZE_INVALID", "blob-too-large")
        world.push_blob(client, data[:-1])

    def test_unfinished_uploads_of_one_caller_are_bounded(self, world: World) -> None:
        client = world.client()
        open_uploads = [begin(client) for _ in range(3)]
        refused = client.post(UPLOADS)
        assert error_of(refused) == (429, "TOOMANYREQUESTS", "too-many-uploads")
        assert int(refused.headers["retry-after"]) > 0
        assert world.client(ATTESTER).post(UPLOADS).status_code == 202
        client.delete(open_uploads[0])
        assert client.post(UPLOADS).status_code == 202

    def test_a_body_that_stops_coming_is_timed_out_and_may_go_on(self, world: World) -> None:
        client = world.client()
        where = begin(client)
        stop = threading.Event()

        def stalling() -> Iterator[bytes]:
            yield b"some"
            stop.wait(20)

        outcome: list[httpx2.Response] = []

        def send() -> None:
            with contextlib.suppress(httpx2.HTTPError):  # the answer may come while the body is still being sent
                outcome.append(client.patch(where, content=stalling()))

        thread = threading.Thread(target=send)
        thread.start()
        asking = world.client()
        assert wait_for(lambda: asking.get(where).headers["range"] == "0-3")
        stop.set()
        thread.join(20)
        assert outcome == [] or outcome[0].status_code == 408
        assert asking.put(where, params={"digest": Digest.of(b"some")}).status_code == 201
