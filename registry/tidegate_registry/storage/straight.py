"""A blob whose digest and length are known before its bytes come streams on to its final key, through no staging."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from tidegate.digest import Hasher
from tidegate_registry.storage.blobs import BlobKey, BlobStore, StoreUnavailable
from tidegate_registry.storage.bucket import EXISTS, store_fault
from tidegate_registry.storage.uploads import OK, DigestDiffers

if TYPE_CHECKING:
    from tidegate_registry.storage.staging import Staging


async def put_straight(
    blobs: BlobStore, staging: Staging, key: BlobKey, body: AsyncIterator[bytes], *, size: int
) -> None:
    """Store `size` bytes of `body` as `key`, a sha256 blob, unless it is there.

    Returns when the store holds the blob, and *these* bytes are it: also where the store needs none of them, they are
    read and hashed to their end, since naming a digest shows nothing.
    Raises DigestDiffers, StoreUnavailable, StoreFull, StoredBytesDiffer, and whatever `body` raises.
    """
    passing = _Passing(body)
    status = next(iter(EXISTS))
    if await run_in_threadpool(blobs.stat, key) is None:
        link = await run_in_threadpool(blobs.presign_put, key, size=size, sha256=key.digest)
        try:
            status = (await staging.send(link, passing)).status
        except StoreUnavailable:
            # it may have hung up because it has the blob meanwhile
            if await run_in_threadpool(blobs.stat, key) is None:
                raise
    async for _ in passing:
        pass
    if (passing.hasher.size, passing.hasher.digest) != (size, key.digest):
        raise DigestDiffers("the bytes have another digest", found=passing.hasher.digest, expected=key.digest)
    if status in EXISTS:
        await run_in_threadpool(blobs.demand, key, size=size, sha256=key.digest)
    elif status != OK:
        raise store_fault("store a blob", status=status)


class _Passing:
    """Hashes what passes through, wherever it goes."""

    def __init__(self, body: AsyncIterator[bytes]) -> None:
        self._body = body
        self.hasher = Hasher()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        piece = await anext(self._body)
        await run_in_threadpool(self.hasher.update, piece)
        return piece
