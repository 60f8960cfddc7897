"""Large pushes of OCI clients stream into the store; what breaks leaves nothing that counts."""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tests.registry.world import AGENT, NO_TLS, World, error_of, running_world, store_settings, wait_for
from tidegate.digest import Digest
from tidegate_registry.artifacts.sweep import sweep_uploads
from tidegate_registry.artifacts.tables import UploadRow
from tidegate_registry.settings import Limits
from tidegate_registry.storage.blobs import STAGING, BlobKey, StagingKey
from tidegate_registry.storage.parts import STREAM_PART_BYTES
from tidegate_registry.storage.s3 import S3BlobStore

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest

    from tidegate_registry.sandbox.s3 import S3Endpoint

UPLOADS = f"/v2/{AGENT}/blobs/uploads/"
DATA = os.urandom(64) * ((2 * STREAM_PART_BYTES + 700_000) // 64)
DIGEST = Digest.of(DATA)


def begin(client: httpx2.Client) -> str:
    return str(client.post(UPLOADS).headers["location"])


def staged(world: World) -> list[str]:
    objects = [found.path for found in world.services.blobs.list(STAGING)]
    return objects + [found.path for found in world.services.staging.unfinished()]


def read_back(client: httpx2.Client, digest: str = DIGEST) -> bytes:
    link = client.get(f"/v2/{AGENT}/blobs/{digest}").headers["location"]
    return httpx2.get(link, trust_env=False, verify=NO_TLS).content


def chunked(data: bytes) -> Iterator[bytes]:
    """A body whose length is not told."""
    for start in range(0, len(data), 300_000):
        yield data[start : start + 300_000]


@pytest.mark.parametrize("known", [True, False], ids=["with-length", "chunked"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_large_blob_in_one_request_is_read_back(world: World, algorithm: str, *, known: bool) -> None:
    client, digest = world.client(), Digest.of(DATA, algorithm)
    body = DATA if known else chunked(DATA)
    assert client.put(begin(client), params={"digest": digest}, content=body).status_code == 201
    assert read_back(client, digest) == DATA
    assert staged(world) == []
    again = client.post(UPLOADS, params={"digest": digest}, content=DATA)
    assert again.status_code == 201
    assert staged(world) == []


def test_a_large_chunk_and_a_last_one_with_the_put_make_the_blob(world: World) -> None:
    client = world.client()
    where, cut = begin(client), len(DATA) - 800_000
    answer = client.patch(where, content=chunked(DATA[:cut]))
    assert answer.headers["range"] == f"0-{cut - 1}"
    last = {"Content-Range": f"{cut}-{len(DATA) - 1}"}
    assert client.put(where, params={"digest": DIGEST}, content=DATA[cut:], headers=last).status_code == 201
    assert read_back(client) == DATA
    assert staged(world) == []


def test_an_upload_goes_on_with_another_replica(s3: S3Endpoint, database_url: str, tmp_path: Path) -> None:
    store = store_settings(s3)
    with (
        running_world(s3, database_url, tmp_path, store=store) as one,
        running_world(s3, database_url, tmp_path, store=store) as other,
    ):
        first, second = one.client(), other.client()
        where, cut = begin(first), STREAM_PART_BYTES + 123_456
        assert first.patch(where, content=DATA[:cut]).status_code == 202
        assert second.get(where).headers["range"] == f"0-{cut - 1}"
        more = cut + 1_000_000
        assert second.patch(where, content=DATA[cut:more]).status_code == 202
        assert first.put(where, params={"digest": DIGEST}, content=DATA[more:]).status_code == 201
        assert read_back(second) == DATA
        assert staged(one) == []


def test_of_eight_that_push_one_large_blob_all_have_it(world: World) -> None:
    clients = [world.client() for _ in range(8)]

    def push(client: httpx2.Client) -> int:
        return client.post(UPLOADS, params={"digest": DIGEST}, content=DATA).status_code

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(push, clients)) == [201] * 8
    assert len(world.events("blob.stored")) == 1
    assert staged(world) == []


@pytest.mark.parametrize("present", [False, True])
def test_a_large_blob_with_other_bytes_is_refused_whether_the_right_one_is_there_or_not(
    world: World, *, present: bool
) -> None:
    client = world.client()
    if present:
        world.push_blob(client, DATA)
    other = DATA[:-1] + b"?"
    for body in (other, chunked(other)):
        answer = client.put(begin(client), params={"digest": DIGEST}, content=body)
        assert error_of(answer) == (400, "DIGEST_INVALID", "digest-differs")
    assert (world.services.blobs.stat(BlobKey("acme", DIGEST)) is not None) is present
    assert staged(world) == []


@pytest.mark.parametrize("told", [True, False], ids=["straight", "staged"])
def test_a_client_that_goes_away_in_the_middle_leaves_what_it_may_go_on_with(world: World, *, told: bool) -> None:
    client = world.client()
    where = begin(client)

    def half() -> Iterator[bytes]:
        yield from chunked(DATA[: len(DATA) // 2])
        raise ConnectionAbortedError

    headers = {"Content-Length": str(len(DATA))} if told else {}
    with pytest.raises(ConnectionAbortedError):
        client.put(where, params={"digest": DIGEST}, content=half(), headers=headers)
    wait_for(lambda: _is_free(world))
    assert world.services.blobs.stat(BlobKey("acme", DIGEST)) is None
    size = int(client.get(where).headers["range"].partition("-")[2])
    size += bool(size)
    assert (size == 0) is told
    assert client.put(where, params={"digest": DIGEST}, content=DATA[size:]).status_code == 201
    assert read_back(client) == DATA
    assert staged(world) == []


def _is_free(world: World) -> bool:
    from sqlmodel import select

    with world.services.db.read() as tx:
        return all(row.busy_until is None for row in tx.exec(select(UploadRow)))


def test_an_upload_cancelled_while_it_is_written_leaves_nothing(world: World) -> None:
    client, other = world.client(), world.client()
    where = begin(client)

    def cancelled() -> Iterator[bytes]:
        yield from chunked(DATA[: STREAM_PART_BYTES + (2 << 20)])
        wait_for(lambda: list(world.services.staging.unfinished()))
        assert other.delete(where).status_code == 204
        yield from chunked(DATA)

    with contextlib.suppress(httpx2.HTTPError):  # the answer may come while the body is still being sent
        answer = client.patch(where, content=cancelled())
        assert error_of(answer) == (404, "BLOB_UPLOAD_UNKNOWN", "upload-unknown")
    assert error_of(other.get(where)) == (404, "BLOB_UPLOAD_UNKNOWN", "upload-unknown")
    wait_for(lambda: not staged(world))


class TestBounds:
    @pytest.fixture
    def world(self, s3: S3Endpoint, database_url: str, tmp_path: Path) -> Iterator[World]:
        with running_world(s3, database_url, tmp_path, limits=Limits(staged_bytes=1 << 20)) as running:
            yield running

    def test_what_waits_in_the_store_is_bounded_for_each_caller_and_given_back(self, world: World) -> None:
        client = world.client()
        first, second = begin(client), begin(client)
        assert client.patch(first, content=DATA[:700_000]).status_code == 202
        answer = client.patch(second, content=DATA[:700_000])
        assert error_of(answer) == (429, "TOOMANYREQUESTS", "too-much-staged")
        assert client.delete(first).status_code == 204
        assert client.patch(second, content=DATA[:700_000]).status_code == 202

    def test_what_does_not_wait_is_not_counted(self, world: World) -> None:
        client = world.client()
        assert client.put(begin(client), params={"digest": DIGEST}, content=DATA).status_code == 201


class TestSweep:
    """What nobody will end is taken away; what somebody works on is left alone."""

    @pytest.fixture
    def world(self, world: World) -> World:
        world.clock.now = datetime.now(UTC)  # objects have the time of the store
        return world

    def later(self, world: World) -> None:
        world.clock.tick(seconds=world.services.settings.limits.upload_session_seconds + 60)

    def test_objects_and_parts_without_a_session_go_after_its_time(self, world: World) -> None:
        gone = StagingKey("00000000-0000-4000-8000-000000000000")
        world.services.staging.put_tail(gone, b"left behind")
        world.services.staging.begin(gone)
        sweep_uploads(world.services)
        assert len(staged(world)) == 2
        self.later(world)
        sweep_uploads(world.services)
        assert staged(world) == []

    def test_an_old_upload_that_goes_on_is_left_alone(self, world: World) -> None:
        client = world.client()
        where = begin(client)
        client.patch(where, content=DATA[: STREAM_PART_BYTES + 10])
        self.later(world)
        assert client.patch(where, content=b"").status_code == 202
        assert sweep_uploads(world.services) == 0
        answer = client.put(where, params={"digest": DIGEST}, content=DATA[STREAM_PART_BYTES + 10 :])
        assert answer.status_code == 201
        assert staged(world) == []

    def test_parts_that_a_sessions_row_does_not_know_go_and_its_own_stay(self, world: World) -> None:
        client = world.client()
        where = begin(client)
        client.patch(where, content=DATA[: STREAM_PART_BYTES + 10])
        world.services.staging.begin(StagingKey(where.rpartition("/")[2]))
        assert len(list(world.services.staging.unfinished())) == 2
        self.later(world)
        client.patch(where, content=b"")
        sweep_uploads(world.services)
        assert len(list(world.services.staging.unfinished())) == 1


class TestFaults:
    """A store that fails is told as such, with when to come back, and the upload goes on when it is back."""

    def failing(self, world: World, status: int, code: str, operation: str) -> contextlib.AbstractContextManager[None]:
        """Let the store answer `operation` so: on the wire, below everything of ours."""
        from botocore.awsrequest import AWSResponse, HTTPHeaders

        store = world.services.blobs
        text = f"<Error><Code>{code}</Code><Message>said so</Message></Error>".encode()

        class Raw:
            def stream(self, *_: object, **__: object) -> Iterator[bytes]:
                yield text

        def answer(request: AWSRequest, **_: object) -> Any:
            return AWSResponse(str(request.url), status, HTTPHeaders(), Raw())

        @contextlib.contextmanager
        def while_failing() -> Iterator[None]:
            assert isinstance(store, S3BlobStore)
            event = f"before-send.s3.{operation}"
            store.client.meta.events.register(event, answer)
            try:
                yield
            finally:
                store.client.meta.events.unregister(event, answer)

        return while_failing()

    @pytest.mark.parametrize(
        ("status", "code", "told"),
        [
            (507, "InsufficientStorage", (507, "TOOMANYREQUESTS", "store-full")),
            (403, "QuotaExceeded", (507, "TOOMANYREQUESTS", "store-full")),
            (403, "AccessDenied", (503, "TOOMANYREQUESTS", "store-unavailable")),
        ],
    )
    def test_a_full_or_unwilling_store(self, world: World, status: int, code: str, told: tuple[int, str, str]) -> None:
        client = world.client()
        where = begin(client)
        with self.failing(world, status, code, "PutObject"):
            for answer in (
                client.patch(where, content=b"a tail"),
                client.post(UPLOADS, params={"digest": Digest.of(b"small")}, content=b"small"),
            ):
                assert error_of(answer) == told
                assert int(answer.headers["retry-after"]) > 0
        assert client.get(where).headers["range"] == "0-0"
        assert client.put(where, params={"digest": Digest.of(b"whole")}, content=b"whole").status_code == 201

    @pytest.mark.slow
    def test_a_store_that_is_away_and_comes_back(self, database_url: str, tmp_path: Path) -> None:
        from tidegate_registry.sandbox.s3 import Weed

        weed = Weed(tmp_path / "s3")
        weed.start()
        weed.wait_ready()
        try:
            with running_world(weed.endpoint, database_url, tmp_path) as world:
                client = world.client()
                cut = STREAM_PART_BYTES + 10
                patched, straight = begin(client), begin(client)
                assert client.patch(patched, content=DATA[:cut]).status_code == 202
                weed.stop()
                for answer in (
                    client.put(straight, params={"digest": DIGEST}, content=DATA),
                    client.patch(patched, content=DATA[cut:]),
                    client.post(UPLOADS, params={"digest": Digest.of(b"small")}, content=b"small"),
                ):
                    assert error_of(answer) == (503, "TOOMANYREQUESTS", "store-unavailable")
                    assert int(answer.headers["retry-after"]) > 0
                weed.start()
                weed.wait_ready()
                assert client.get(patched).headers["range"] == f"0-{cut - 1}"
                assert client.put(patched, params={"digest": DIGEST}, content=DATA[cut:]).status_code == 201
                assert client.put(straight, params={"digest": DIGEST}, content=DATA).status_code == 201
                assert read_back(client) == DATA
        finally:
            weed.stop(seconds=0)
