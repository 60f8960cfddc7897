"""Bytes of unfinished uploads in the store: in order, hashed once, never taken for what they are not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tracemalloc
import uuid
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

import pytest

from tests.registry.world import store_settings
from tidegate.digest import Digest
from tidegate_registry.storage.blobs import (
    STAGING,
    BlobKey,
    ObjectKey,
    PresignedPut,
    StagingKey,
    StoredBlob,
    StoreFull,
    StoreUnavailable,
)
from tidegate_registry.storage.hashing import HashStates
from tidegate_registry.storage.parts import MIN_PART_BYTES
from tidegate_registry.storage.pipe import Sent
from tidegate_registry.storage.s3 import S3BlobStore
from tidegate_registry.storage.staging import S3Staging
from tidegate_registry.storage.straight import put_straight
from tidegate_registry.storage.uploads import DigestDiffers, Position, StagedUpload, Stores, UploadLost

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint
    from tidegate_registry.settings import S3Settings

PART = MIN_PART_BYTES
DATA = os.urandom(64) * ((2 * PART + 300_000) // 64)  # two parts and a tail
PIECE = 1 << 20


@pytest.fixture
def settings(s3: S3Endpoint) -> S3Settings:
    return store_settings(s3)


@dataclass
class Replica:
    """A process of the registry, as far as uploads are concerned: the common store, and a memory of its own."""

    store: S3BlobStore
    rows: dict[int, Digest] = field(default_factory=dict)
    stores: Stores = field(init=False)

    def __post_init__(self) -> None:
        self.stores = Stores(self.store, self.store.staging, HashStates())

    def beside(self) -> Replica:
        """Another process, with the same database."""
        return Replica(self.store, self.rows)

    def allow(self, size: int) -> None:
        assert size >= 0

    def sums(self) -> dict[int, Digest]:
        return self.rows

    async def open(self, position: Position) -> StagedUpload:
        return await StagedUpload.open(self.stores, position, self)

    async def receive(self, position: Position, data: bytes) -> Position:
        """Take a chunk, as a request does."""
        upload = await self.open(position)
        await write(upload, data)
        position = await upload.suspend()
        self.rows |= upload.new_sums
        await upload.forget_tail()
        return position

    async def end(self, position: Position, digest: Digest, data: bytes = b"") -> None:
        upload = await self.open(position)
        await write(upload, data)
        await upload.commit(BlobKey("acme", digest))
        await upload.discard()


async def write(upload: StagedUpload, data: bytes) -> None:
    for start in range(0, len(data), PIECE):
        await upload.write(data[start : start + PIECE])


def begin() -> Position:
    return Position(str(uuid.uuid4()), 0, PART)


def staged(store: S3BlobStore) -> list[str]:
    return [each.path for each in store.list(STAGING)] + [each.path for each in store.staging.unfinished()]


def read(store: S3BlobStore, digest: Digest) -> bytes:
    with store.open(BlobKey("acme", digest)) as body:
        return body.read()


def run(settings: S3Settings, work: Callable[[S3BlobStore], Coroutine[None, None, None]]) -> None:
    """Run `work` on an event loop with a store of its own."""

    async def with_store() -> None:
        store = S3BlobStore(settings)
        try:
            await work(store)
        finally:
            await store.staging.close()

    asyncio.run(with_store())


class NeverRead(S3BlobStore):
    """A store from which no blob is read back, and, unless it `opens`, nothing at all."""

    opens = True

    def open(self, key: ObjectKey, span: range | None = None) -> BinaryIO:
        assert self.opens, f"{key} was read back"
        return super().open(key, span)

    def measure(self, key: ObjectKey, algorithm: str = "sha256") -> tuple[StoredBlob, Digest, Digest]:
        raise AssertionError(f"{key} was read back for its {algorithm}")


@pytest.mark.parametrize("cut", [0, 1, 200_000, PART, PART + 1, 2 * PART, len(DATA)])
def test_two_requests_to_two_replicas_make_one_blob(settings: S3Settings, cut: int) -> None:
    async def work(store: S3BlobStore) -> None:
        first = Replica(store)
        position = await first.receive(begin(), DATA[:cut])
        assert position.size == cut
        await first.beside().end(position, Digest.of(DATA), DATA[cut:])
        assert read(store, Digest.of(DATA)) == DATA
        stored = store.stat(BlobKey("acme", Digest.of(DATA)))
        assert stored is not None
        assert stored.size == len(DATA)
        assert staged(store) == []

    run(settings, work)


def test_the_process_that_took_the_bytes_does_not_read_them_again(settings: S3Settings) -> None:
    async def work(_: S3BlobStore) -> None:
        store = NeverRead(settings)
        replica, position = Replica(store), begin()
        for start in range(0, len(DATA), 3_000_000):
            position = await replica.receive(position, DATA[start : start + 3_000_000])
        await replica.end(position, Digest.of(DATA))
        store.opens = False  # a short blob is PATCHed, and named by a PUT without a body
        position = await replica.receive(begin(), b"short")
        await replica.end(position, Digest.of(b"short"))
        assert staged(store) == []
        await store.staging.close()

    run(settings, work)


@pytest.mark.parametrize("data", [DATA, b"small", b""])
def test_a_sha512_blob_is_stored_under_what_it_is(settings: S3Settings, data: bytes) -> None:
    async def work(store: S3BlobStore) -> None:
        digest = Digest.of(data, "sha512")
        await Replica(store).end(begin(), digest, data)
        stored = store.stat(BlobKey("acme", digest))
        assert stored is not None
        assert stored.size == len(data)
        assert stored.sha256 in (None, Digest.of(data))

    run(settings, work)


@pytest.mark.parametrize("data", [DATA, b"small"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_another_digest_stores_nothing(settings: S3Settings, data: bytes, algorithm: str, *, elsewhere: bool) -> None:
    async def work(store: S3BlobStore) -> None:
        first, wrong = Replica(store), Digest.of(b"other", algorithm)
        position = await first.receive(begin(), data)
        upload = await (first.beside() if elsewhere else first).open(position)
        with pytest.raises(DigestDiffers) as caught:
            await upload.commit(BlobKey("acme", wrong))
        assert caught.value.reasons[0].code == "digest-differs"
        assert store.stat(BlobKey("acme", wrong)) is None
        await upload.discard()
        assert staged(store) == []

    run(settings, work)


def test_bytes_beyond_what_counts_are_written_over(settings: S3Settings) -> None:
    async def work(store: S3BlobStore) -> None:
        replica = Replica(store)
        upload = await replica.open(begin())
        await write(upload, b"?" * len(DATA))
        await upload.settle()
        await replica.end(upload.unchanged, Digest.of(DATA[: PART + 5]), DATA[: PART + 5])
        assert staged(store) == []

    run(settings, work)


def test_a_tail_that_is_not_what_was_kept_is_hashed_anew(settings: S3Settings) -> None:
    async def work(store: S3BlobStore) -> None:
        replica = Replica(store)
        position = await replica.receive(begin(), DATA)
        tail = len(DATA) % PART
        store.staging.put_tail(position.tail, b"?" * tail)
        with pytest.raises(DigestDiffers) as caught:
            await replica.end(position, Digest.of(DATA))
        assert caught.value.reasons[0].code == "digest-differs"

    run(settings, work)


def test_a_part_that_another_request_replaced_is_not_taken_for_ours(settings: S3Settings) -> None:
    async def work(store: S3BlobStore) -> None:
        replica = Replica(store)
        position = await replica.receive(begin(), DATA)
        assert position.multipart is not None
        other = b"?" * PART
        link = store.staging.presign_part(
            StagingKey(position.session), position.multipart, 1, size=PART, sha256=Digest.of(other)
        )
        assert (await store.staging.send(link, other)).status == 200
        with contextlib.suppress(UploadLost):  # a store may keep both, and take the one that is named
            await replica.end(position, Digest.of(DATA))
            assert read(store, Digest.of(DATA)) == DATA
            return
        assert store.stat(BlobKey("acme", Digest.of(DATA))) is None

    run(settings, work)


@pytest.mark.parametrize("size", [PART - 1, PART])
def test_bytes_that_the_store_lost_are_noticed(settings: S3Settings, size: int) -> None:
    async def work(store: S3BlobStore) -> None:
        replica = Replica(store)
        position = await replica.receive(begin(), DATA[:size])
        if position.multipart is not None:
            store.staging.abort(StagingKey(position.session), position.multipart)
        else:
            store.delete(position.tail)
        with pytest.raises(UploadLost) as caught:
            await replica.end(position, Digest.of(DATA), DATA[size:])
        assert caught.value.reasons[0].code == "upload-lost"

    run(settings, work)


class Unsteady(S3Staging):
    """Staging whose connection breaks at these parts."""

    def __init__(self, store: S3BlobStore, *broken: int) -> None:
        self.__dict__ = store.staging.__dict__
        self.broken = set(broken)

    async def send(self, target: PresignedPut, body: bytes | AsyncIterable[bytes]) -> Sent:
        if any(f"partNumber={number}&" in target.url for number in self.broken):
            raise StoreUnavailable("the object store did not take the bytes")
        return await super().send(target, body)


def test_a_part_that_the_store_does_not_take_fails_the_upload_and_what_counted_before_counts(
    settings: S3Settings,
) -> None:
    async def work(store: S3BlobStore) -> None:
        replica = Replica(store)
        before = await replica.receive(begin(), DATA[: PART + 10])
        replica.stores = Stores(store, Unsteady(store, 2), replica.stores.states)
        upload = await replica.open(before)
        await write(upload, DATA[PART + 10 :])
        for attempt in (upload.suspend, upload.suspend, upload.settle):
            with pytest.raises(StoreUnavailable) as caught:
                await attempt()
            assert caught.value.reasons[0].code == "store-unavailable"
        assert upload.unchanged == before
        await replica.beside().end(before, Digest.of(DATA), DATA[PART + 10 :])

    run(settings, work)


class Full(S3Staging):
    """Staging in a store without room. It reads the body as far as `reads` says, and answers."""

    def __init__(self, store: S3BlobStore, reads: int) -> None:
        self.__dict__ = store.staging.__dict__
        self.reads = reads

    async def send(self, target: PresignedPut, body: bytes | AsyncIterable[bytes]) -> Sent:
        assert target.url
        assert not isinstance(body, bytes)
        pieces = aiter(body)
        for _ in range(self.reads):
            await anext(pieces, None)
        return Sent(507, "")


@pytest.mark.parametrize("reads", [0, 1, 100])
def test_a_store_without_room_is_told_as_such_wherever_it_says_so(settings: S3Settings, reads: int) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(DATA), PIECE):
            yield DATA[start : start + PIECE]

    async def work(store: S3BlobStore) -> None:
        replica, full, key = Replica(store), Full(store, reads), BlobKey("acme", Digest.of(DATA))
        replica.stores = Stores(store, full, replica.stores.states)
        upload = await replica.open(begin())
        await write(upload, DATA[: PART + 10])
        for refused in (upload.suspend(), put_straight(store, full, key, pieces(), size=len(DATA))):
            with pytest.raises(StoreFull) as caught:
                await refused
            assert caught.value.reasons[0].code == "store-full"
        await upload.discard()
        assert store.stat(key) is None
        assert staged(store) == []

    run(settings, work)


def test_an_upload_whose_end_was_interrupted_is_ended_by_the_next_request(settings: S3Settings) -> None:
    class Interrupted(S3BlobStore):
        def promote(self, source: StagingKey, target: BlobKey, *, staged: StoredBlob, sha256: Digest) -> None:
            raise StoreUnavailable(f"{source}, {target}, {staged}, {sha256}")

    async def work(store: S3BlobStore) -> None:
        first = Replica(store)
        position = await first.receive(begin(), DATA[:PART])
        broken = Interrupted(settings)
        upload = await Replica(broken, first.rows).open(position)
        await write(upload, DATA[PART:])
        with pytest.raises(StoreUnavailable) as caught:
            await upload.commit(BlobKey("acme", Digest.of(DATA)))
        assert caught.value.reasons[0].code == "store-unavailable"
        position = await upload.suspend()
        await broken.staging.close()
        await Replica(store).end(position, Digest.of(DATA))
        assert read(store, Digest.of(DATA)) == DATA
        assert staged(store) == []

    run(settings, work)


@pytest.mark.parametrize("session", ["../../blobs", "", ".", "x" * 36, "00000000-0000-0000-0000-00000000000/"])
def test_a_session_that_is_none_names_no_object(session: str) -> None:
    with pytest.raises(ValueError, match="not a session id"):
        StagingKey(session)


class TestMemory:
    """However large the blob, an upload has two parts in memory at most."""

    SIZE, LIMIT = 96 << 20, 16_000_000  # of one upload; docs/adr/0012

    async def pieces(self) -> AsyncIterator[bytes]:
        for _ in range(self.SIZE // PIECE):
            yield bytes(PIECE)

    def digest(self) -> Digest:
        return Digest.of(bytes(self.SIZE))

    def peak(self, settings: S3Settings, work: Callable[[S3BlobStore], Coroutine[None, None, None]]) -> int:
        async def measured(store: S3BlobStore) -> None:
            await Replica(store).end(begin(), Digest.of(b"warm"), b"warm")  # what is loaded once is not an upload's
            tracemalloc.start()
            await work(store)

        try:
            run(settings, measured)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    def test_of_a_patched_upload(self, settings: S3Settings) -> None:
        digest = self.digest()

        async def work(store: S3BlobStore) -> None:
            position = Position(str(uuid.uuid4()), 0, 6 << 20)
            upload = await Replica(store).open(position)
            async for piece in self.pieces():
                await upload.write(piece)
            await upload.commit(BlobKey("acme", digest))
            await upload.discard()

        assert self.peak(settings, work) < self.LIMIT

    def test_of_a_push_straight_to_where_the_blob_stays(self, settings: S3Settings) -> None:
        digest = self.digest()

        async def work(store: S3BlobStore) -> None:
            await put_straight(store, store.staging, BlobKey("acme", digest), self.pieces(), size=self.SIZE)

        assert self.peak(settings, work) < self.LIMIT
