"""Blobs through the registry: the setting `downloads = "stream"`."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from tests.registry.replicas import Replica, replica
from tests.registry.world import AGENT, PUBLISHER, READER, World, error_of, wait_for
from tidegate.digest import Digest
from tidegate_registry.artifacts.errors import RangeNotSatisfiable
from tidegate_registry.artifacts.http.streams import PIECE_BYTES, parse_range
from tidegate_registry.settings import Downloads
from tidegate_registry.storage.blobs import BlobKey, BlobStore

DATA = bytes(range(256)) * 4


@pytest.fixture
def streaming(world: World) -> Iterator[Replica]:
    with replica(world, change=lambda settings: settings.model_copy(update={"downloads": Downloads.STREAM})) as running:
        yield running


@pytest.fixture
def reader(streaming: Replica) -> Iterator[httpx2.Client]:
    with streaming.client(streaming.token(READER)) as client:
        yield client


def test_nobody_is_sent_to_a_store_that_clients_cannot_reach(streaming: Replica, world: World) -> None:
    blobs = {"blobs": [{"digest": Digest.of(DATA), "size": len(DATA)}]}
    with streaming.client(streaming.token(PUBLISHER)) as client:
        answer = client.post(f"/api/v1/agents/{AGENT}/uploads", json=blobs)
        assert (answer.status_code, answer.json()["code"]) == (404, "direct-uploads-off")
    assert world.client().post(f"/api/v1/agents/{AGENT}/uploads", json=blobs).status_code == 200


def release(world: World, data: bytes) -> str:
    client = world.client()
    manifest = world.make_manifest(client, data)
    assert world.put(client, manifest, "1.0.0").status_code == 201
    return f"/v2/{AGENT}/blobs/{manifest.layers[0].digest}"


def test_a_blob_comes_through_the_registry_with_what_head_says_of_it(world: World, reader: httpx2.Client) -> None:
    path = release(world, DATA)
    for _ in range(2):
        answer, head = reader.get(path), reader.head(path)
        assert (answer.status_code, answer.content) == (200, DATA)
        assert head.status_code == 200
        for name in ("content-length", "content-type", "docker-content-digest", "etag", "accept-ranges"):
            assert answer.headers[name] == head.headers[name]
    assert reader.get(path, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    ("asked", "content_range", "expected"),
    [
        ("bytes=0-9", "bytes 0-9/1024", DATA[:10]),
        ("bytes=-3", "bytes 1021-1023/1024", DATA[-3:]),
        ("bytes=1000-9999", "bytes 1000-1023/1024", DATA[1000:]),
        ("bytes=0-1,5-6", None, DATA),
        ("lines=0-9", None, DATA),
        ("bytes=9-3", None, DATA),
    ],
)
def test_ranges(world: World, reader: httpx2.Client, asked: str, content_range: str | None, expected: bytes) -> None:
    answer = reader.get(release(world, DATA), headers={"Range": asked})
    assert answer.status_code == (200 if content_range is None else 206)
    assert answer.headers.get("content-range") == content_range
    assert answer.content == expected


def test_a_rest_is_sent_only_of_the_content_that_the_caller_has_the_beginning_of(
    world: World, reader: httpx2.Client
) -> None:
    path = release(world, DATA)
    etag = reader.head(path).headers["etag"]
    for condition, status in (
        (etag, 206),
        (f"W/{etag}", 200),
        ('"other"', 200),
        ("Sat, 21 Nov 2026 12:00:00 GMT", 200),
    ):
        answer = reader.get(path, headers={"Range": "bytes=1000-", "If-Range": condition})
        assert (answer.status_code, answer.content) == (status, DATA[1000:] if status == 206 else DATA), condition
    beyond = {"Range": "bytes=1024-", "If-Range": '"other"'}
    assert reader.get(path, headers=beyond).content == DATA
    head = reader.head(path, headers={"Range": "bytes=1000-"})  # is for GET alone; the second answer is from memory
    assert (head.status_code, head.headers["content-length"]) == (200, "1024")


def test_a_range_behind_the_end_is_416_and_says_how_long_the_blob_is(world: World, reader: httpx2.Client) -> None:
    answer = reader.get(release(world, DATA), headers={"Range": "bytes=1024-"})
    assert error_of(answer) == (416, "SIZE_INVALID", "range-not-satisfiable")
    assert answer.headers["content-range"] == "bytes */1024"
    assert not world.events("request.refused")


@pytest.mark.parametrize("asked", [None, "", "bytes=-", "bytes=a-b", "bytes=1", "bytes=" + "1" * 30 + "-", "bytes=٣-"])
def test_what_is_no_range_asks_for_everything(asked: str | None) -> None:
    assert parse_range(asked, 10) is None


@pytest.mark.parametrize(("asked", "size"), [("bytes=0-", 0), ("bytes=-5", 0), ("bytes=10-", 10), ("bytes=-0", 10)])
def test_no_range_of_nothing(asked: str, size: int) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        parse_range(asked, size)
    assert caught.value.code == "range-not-satisfiable"


def test_an_empty_blob_streams_as_nothing(world: World, reader: httpx2.Client) -> None:
    answer = reader.get(release(world, b""))
    assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "0", b"")


def test_quarantine_holds_for_streams_too(world: World, streaming: Replica, reader: httpx2.Client) -> None:
    digest = world.push_blob(world.client(), DATA)
    path = f"/v2/{AGENT}/blobs/{digest}"
    with streaming.client(streaming.token(PUBLISHER)) as publisher:
        assert publisher.get(path).content == DATA
    assert error_of(reader.get(path)) == (404, "BLOB_UNKNOWN", "blob-unknown")


class SlowlyRead:
    """The store, which notes how much of an object was taken and whether it was closed."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self.taken, self.closed = 0, 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def open(self, key: BlobKey, span: range | None = None) -> object:
        store, body = self, self._store.open(key, span)

        class Noted:
            def read(self, size: int) -> bytes:
                piece = body.read(size)
                store.taken += len(piece)
                assert len(piece) <= PIECE_BYTES
                return piece

            def close(self) -> None:
                store.closed += 1
                body.close()

        return Noted()


def test_the_store_is_read_as_fast_as_the_client_and_let_go_when_it_goes(world: World) -> None:
    size = 48 << 20
    path = release(world, bytes(size))
    store = SlowlyRead(world.services.blobs)
    with (
        replica(
            world,
            change=lambda settings: settings.model_copy(update={"downloads": Downloads.STREAM}),
            blobs=store,  # type: ignore[arg-type]  # passes everything on
        ) as running,
        running.client(running.token(READER)) as client,
    ):
        with client.stream("GET", path) as answer:
            assert answer.status_code == 200
            next(answer.iter_raw(1 << 16))  # and no more: the rest is in nobody's memory
            wait_for(lambda: store.taken)
            assert store.taken < size
        wait_for(lambda: store.closed)
        assert store.taken < size, "who went away is sent nothing more"
        assert Digest.of(client.get(path).content) == path.rpartition("/")[2]
        wait_for(lambda: store.closed == 2)
