"""Blobs on their way from a registry: read once, hashed on the way, resumed when the line breaks."""

from __future__ import annotations

import io
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, BinaryIO, cast

from tidegate.digest import Digest, Hasher
from tidegate.errors import BundleRefused, Unreachable

if TYPE_CHECKING:
    import httpx2

READ_BYTES = 1 << 20
MAX_RESUMES = 4  # in a row, without a byte between them


class BlobStream(io.RawIOBase):
    """Reads a blob of `size` bytes and refuses, at its end at the latest, bytes that are not `digest`.

    `open_at(start)` gives the answer from byte `start` on. Reading raises BundleRefused (code "blob-altered") and
    Unreachable. Who does not read to the end has not checked the digest.
    """

    def __init__(self, open_at: Callable[[int], httpx2.Response], digest: Digest, size: int) -> None:
        super().__init__()
        self._open_at, self._digest, self._size = open_at, digest, size
        self._hasher = Hasher(digest.algorithm)
        self._chunks = self._resuming_chunks()
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Say yes."""
        return True

    def readinto(self, buffer: object) -> int:
        """Give the next bytes; 0 at the end, when size and digest are right."""
        target = memoryview(cast("bytearray", buffer)).cast("B")
        if not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                self._finish()
                return 0
            self._rest = memoryview(chunk)
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        """Let go of the connection."""
        self._chunks.close()
        super().close()

    def _resuming_chunks(self) -> Generator[bytes, None, None]:
        import httpx2

        fruitless = 0
        while True:
            response = self._open_at(self._hasher.size)
            try:
                for chunk in response.iter_raw():  # as they arrive: what was received before a break is kept
                    fruitless = 0
                    self._hasher.update(chunk)
                    if self._hasher.size > self._size:
                        raise self._altered(f"more than {self._size} bytes", f"{self._size} bytes")
                    yield chunk
            except httpx2.TransportError as error:
                fruitless += 1
                if fruitless > MAX_RESUMES:
                    raise Unreachable("the registry stopped sending a blob", found=self._digest) from error
            else:
                return
            finally:
                response.close()

    def _finish(self) -> None:
        if self._hasher.size != self._size:
            raise self._altered(f"{self._hasher.size} bytes", f"{self._size} bytes")
        if self._hasher.digest != self._digest:
            raise self._altered(self._hasher.digest, self._digest)

    def _altered(self, found: object, expected: object) -> BundleRefused:
        return BundleRefused(
            "the registry sent other bytes than the digest names",
            code="blob-altered",
            found=found,
            expected=expected,
            hint="the registry or its store is damaged or dishonest: do not use what it sent, tell its operator",
        )


def open_blob_stream(open_at: Callable[[int], httpx2.Response], digest: Digest, size: int) -> BinaryIO:
    """Give a buffered, self-checking stream of a blob."""
    return io.BufferedReader(BlobStream(open_at, digest, size), READ_BYTES)
