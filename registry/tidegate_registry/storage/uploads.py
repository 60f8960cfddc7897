"""The bytes of one upload on their way into the store, while their digest is not known yet.

Full parts go to a multipart upload as they fill; what is left when a request ends becomes a small object, the tail,
and is read back by the next request, on whichever replica. Two parts are in memory at most: one on its way, one
filling. A blob that fits into one part is PUT to its final key at once and needs no staging.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from starlette.concurrency import run_in_threadpool

from tidegate.digest import Digest, Hasher
from tidegate.errors import DigestInvalid, LimitExceeded, NotFound
from tidegate_registry.storage.blobs import BlobKey, BlobMissing, BlobStore, StagingKey, StoredBlob, StoreUnavailable
from tidegate_registry.storage.bucket import NOT_FOUND, store_fault
from tidegate_registry.storage.hashing import SHORT_TAIL_BYTES, Hashed, HashStates
from tidegate_registry.storage.parts import split
from tidegate_registry.storage.staging import MultipartGone, Part, Staging

ATTEMPTS = 3  # for a part, which is in memory until the store has it
SLICE_BYTES = 256 << 10
INLINE_BYTES = 128 << 10  # hashed in 0.1 ms, which is what going to a thread and back takes
OK = 200


class DigestDiffers(DigestInvalid):
    """The bytes that came do not have the digest that was announced."""

    code = "digest-differs"


class UploadTooLarge(LimitExceeded):
    """More bytes than one blob may have."""

    code = "blob-too-large"


class UploadLost(NotFound):
    """The store does not hold the bytes of an upload that were sent before."""

    code = "upload-lost"


@dataclass(frozen=True, slots=True)
class Position:
    """Where an upload stands: `size` bytes count, in full parts of `part_bytes` and a tail."""

    session: str
    size: int
    part_bytes: int
    multipart: str | None = None

    @property
    def tail(self) -> StagingKey:
        """Where the bytes after the last full part are."""
        return StagingKey(self.session, f"tail-{self.size}")


@dataclass(frozen=True, slots=True)
class Stores:
    """What an upload needs of the store. `states`: what this process remembers."""

    blobs: BlobStore
    staging: Staging
    states: HashStates


class Owner(Protocol):
    """Whose upload it is."""

    def allow(self, size: int) -> None:
        """Raise what is to be raised where the upload may not have `size` bytes in all."""

    def sums(self) -> Mapping[int, Digest]:
        """Give the sha256 of the parts that earlier requests stored, by number."""


class StagedUpload:
    """Takes the bytes of one upload in order, and ends by `suspend`, `commit` or `discard`. For one task at a time.

    `new_sums`: the sha256 of each part that this request stored, for whoever goes on. All methods may raise
    StoreUnavailable or StoreFull.
    """

    def __init__(self, stores: Stores, position: Position, owner: Owner) -> None:
        self.new_sums: dict[int, Digest] = {}
        self._stores = stores
        self._start = position
        self._owner = owner
        self._key = StagingKey(position.session)
        self._multipart = position.multipart
        self._full, left = split(position.size, position.part_bytes)
        self._buffer = bytearray()
        self._size = position.size - left
        self._hasher: Hasher | None = None
        self._parts: list[Part] | None = None
        self._sending: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, stores: Stores, position: Position, owner: Owner) -> StagedUpload:
        """Go on at `position`. Raises UploadLost where the store does not hold what counts."""
        upload = cls(stores, position, owner)
        await run_in_threadpool(upload._load)
        return upload

    @property
    def size(self) -> int:
        """How many bytes are here."""
        return self._size

    @property
    def position(self) -> Position:
        """Where the upload stands after `suspend`."""
        return Position(self._start.session, self._size, self._start.part_bytes, self._multipart)

    @property
    def unchanged(self) -> Position:
        """Where it stood when it was opened, to go back there: parts stored since will be stored again."""
        return Position(self._start.session, self._start.size, self._start.part_bytes, self._multipart)

    async def write(self, piece: bytes) -> None:
        """Take the next bytes. Waits while two parts are full, so that the sender is read no faster than the store."""
        self._owner.allow(self._size + len(piece))
        self._buffer += piece
        self._size += len(piece)
        if self._hasher is not None:
            hasher, self._hasher = self._hasher, None  # cancelled here, it would not be known what it has seen
            if len(piece) <= INLINE_BYTES:
                hasher.update(piece)
            else:
                await run_in_threadpool(hasher.update, piece)
            self._hasher = hasher
        await self._send_full_parts()

    async def suspend(self) -> Position:
        """Keep what is here for a later request."""
        await self._send_full_parts()
        await self.settle()
        tail = bytes(self._buffer)
        if tail and self._size != self._start.size:
            await run_in_threadpool(self._stores.staging.put_tail, self.position.tail, tail)
        if self._hasher is not None and self._parts is not None:
            short = tail if len(tail) <= SHORT_TAIL_BYTES else None
            state = Hashed(self._hasher, self._parts, Digest.of(tail), short)
            self._stores.states.keep(self._start.session, state)
        return self.position

    async def forget_tail(self) -> None:
        """Remove the tail that was there before, after the new position has been written down."""
        if self._size != self._start.size and self._start.size % self._start.part_bytes:
            await run_in_threadpool(self._stores.blobs.delete, self._start.tail)

    async def commit(self, key: BlobKey) -> None:
        """Make the bytes the blob `key`. Raises DigestDiffers, and then nothing is stored under `key`.

        What is staged stays; `discard` removes it.
        """
        await self.settle()
        if self._full == 0:
            await run_in_threadpool(self._put_whole, key)
            return
        if self._hasher is not None and key.digest.algorithm == "sha256":
            _check(self._hasher.digest, key.digest)
        if self._buffer:
            with suppress(UploadLost):  # or put together before, by a request that did not come to its end
                await self._send(self._full + 1, bytes(self._buffer))
        await run_in_threadpool(self._promote, key)

    async def discard(self) -> None:
        """Remove what is staged."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
            self._sending = None
        await run_in_threadpool(self._discard)

    def _load(self) -> None:
        size = self._start.size
        known = self._stores.states.take(self._start.session, size) if size else Hashed(Hasher(), (), Digest.of(b""))
        tail = self._read_tail() if known is None or known.short_tail is None else known.short_tail
        if known is not None and known.tail.matches(tail):
            self._hasher, self._parts = known.hasher, list(known.parts)
        self._buffer += tail
        self._size += len(tail)

    def _read_tail(self) -> bytes:
        left = self._start.size % self._start.part_bytes
        if not left:
            return b""
        try:
            with self._stores.blobs.open(self._start.tail) as body:
                tail = body.read(left + 1)
        except BlobMissing as error:
            raise _lost() from error
        if len(tail) != left:
            raise _lost()
        return tail

    async def _send_full_parts(self) -> None:
        while len(self._buffer) >= self._start.part_bytes:
            await self.settle()
            part = bytes(memoryview(self._buffer)[: self._start.part_bytes])
            del self._buffer[: self._start.part_bytes]
            self._full += 1
            self._sending = asyncio.create_task(self._send(self._full, part))

    async def settle(self) -> None:
        """Wait for the part that is on its way; being cancelled meanwhile does not stop it.

        One that failed is kept, and fails again: without it, nothing after it counts.
        """
        if self._sending is not None:
            await asyncio.shield(self._sending)
            self._sending = None

    async def _send(self, number: int, part: bytes) -> None:
        staging = self._stores.staging
        if self._multipart is None:
            self._multipart = await run_in_threadpool(staging.begin, self._key)
        sha256 = await run_in_threadpool(Digest.of, part)
        for attempt in range(1, ATTEMPTS + 1):
            link = await run_in_threadpool(
                staging.presign_part, self._key, self._multipart, number, size=len(part), sha256=sha256
            )
            try:
                sent = await staging.send(link, _sliced(part))
                if sent.status == NOT_FOUND:
                    raise _lost()
                if sent.status != OK:
                    raise store_fault("take a part of an upload", status=sent.status)
                break
            except StoreUnavailable:
                if attempt == ATTEMPTS:
                    raise
        self.new_sums[number] = sha256
        if self._parts is not None:
            self._parts.append(Part(number, len(part), sent.etag, sha256))

    def _put_whole(self, key: BlobKey) -> None:
        whole = bytes(self._buffer)
        _check(Digest.of(whole, key.digest.algorithm), key.digest)
        self._stores.blobs.put(key, whole, size=len(whole), sha256=Digest.of(whole))

    def _promote(self, key: BlobKey) -> None:
        """Put the parts together, hash them unless that is done, and copy them to where blobs are."""
        staged = self._complete()
        if self._hasher is not None and key.digest.algorithm == "sha256":
            sha256 = self._hasher.digest
        else:
            staged, sha256, named = self._stores.blobs.measure(self._key, key.digest.algorithm)
            _check(named, key.digest)
        self._stores.blobs.promote(self._key, key, staged=staged, sha256=sha256)

    def _complete(self) -> StoredBlob:
        try:
            self._stores.staging.complete(self._key, self._multipart or "", self._parts or self._listed_parts())
        except MultipartGone:
            self._hasher = None  # put together before, by a request that did not come to its end: hash what is there
        staged = self._stores.blobs.stat(self._key)
        if staged is None or staged.size != self._size:
            raise _lost()
        return staged

    def _listed_parts(self) -> list[Part]:
        """Ask the store for what other requests stored; beyond the last are parts of a chunk that did not count."""
        last = self._full + bool(self._buffer)
        sums = {**self._owner.sums(), **self.new_sums}
        parts = self._stores.staging.parts(self._key, self._multipart or "")
        return [replace(part, sha256=sums.get(part.number)) for part in parts if part.number <= last]

    def _discard(self) -> None:
        if self._multipart is not None:
            self._stores.staging.abort(self._key, self._multipart)
            drop_staged(self._stores.blobs, self._start.session)
        elif self._start.size:
            self._stores.blobs.delete(self._start.tail)


def drop_staged(blobs: BlobStore, session: str) -> None:
    """Remove every object that was staged for `session`."""
    folder = StagingKey(session).path.rpartition("/")[0] + "/"
    for left in blobs.list(folder):
        blobs.delete(StagingKey(session, left.path.rpartition("/")[2]))


async def _sliced(part: bytes) -> AsyncIterator[bytes]:
    """Hand out a part in pieces: whole, it would be in the connection's buffer once more."""
    for start in range(0, len(part), SLICE_BYTES):
        yield part[start : start + SLICE_BYTES]


def _check(found: Digest, expected: Digest) -> None:
    if found != expected:
        raise DigestDiffers("the bytes have another digest", found=found, expected=expected)


def _lost() -> UploadLost:
    return UploadLost("the bytes sent before are not here", hint="begin another upload")
