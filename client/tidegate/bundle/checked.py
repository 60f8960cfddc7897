"""A blob that is hashed while somebody reads it, for bytes that leave a layout without being written anywhere here."""

from __future__ import annotations

import io
from typing import BinaryIO, cast

from tidegate.digest import CHUNK_BYTES, Hasher
from tidegate.errors import BundleRefused
from tidegate.formats.manifest import Descriptor


class CheckedStream(io.RawIOBase):
    """Reads a blob and keeps back its end when the bytes are not what its descriptor names.

    Reading raises BundleRefused (code "blob-digest"). Who seeks reads parts: to check these is for whoever takes them.
    """

    def __init__(self, stream: BinaryIO, blob: Descriptor) -> None:
        super().__init__()
        self._stream, self._blob = stream, blob
        self._hasher: Hasher | None = Hasher(blob.digest.algorithm)

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say what the file says."""
        return self._stream.seekable()

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go elsewhere: from then on nothing is hashed."""
        self._hasher = None
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """Give the place in the file."""
        return self._stream.tell()

    def readinto(self, buffer: object) -> int:
        """Give the next bytes; the last ones only when size and digest are right."""
        target = memoryview(cast("bytearray", buffer)).cast("B")
        chunk = self._stream.read(len(target))
        if self._hasher is not None:
            self._hasher.update(chunk)
            self._check(self._hasher, at_end=not chunk)
        target[: len(chunk)] = chunk
        return len(chunk)

    def _check(self, hasher: Hasher, *, at_end: bool) -> None:
        """Check all bytes when there are as many as there should be, else that there can still be as many."""
        if not at_end and hasher.size < self._blob.size:
            return
        if hasher.size != self._blob.size or hasher.digest != self._blob.digest:
            raise BundleRefused(
                "a blob in the layout is not what its name says",
                code="blob-digest",
                found=hasher.digest if hasher.size == self._blob.size else f"{hasher.size} bytes or more",
                expected=f"{self._blob.digest}, {self._blob.size} bytes",
                hint="build or fetch it again",
            )

    def close(self) -> None:
        """Let go of the file."""
        self._stream.close()
        super().close()


def open_checked(stream: BinaryIO, blob: Descriptor) -> BinaryIO:
    """Give a buffered, self-checking stream of a blob."""
    return io.BufferedReader(CheckedStream(stream, blob), CHUNK_BYTES)
