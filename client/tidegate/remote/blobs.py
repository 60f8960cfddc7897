"""Blobs on their way from a registry: whole and hashed on the way, or in parts; resumed when the line breaks."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Generator, Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO, cast

from tidegate.digest import Hasher
from tidegate.errors import BundleRefused, Unreachable

if TYPE_CHECKING:
    import httpx2

    from tidegate.formats.manifest import Descriptor

READ_BYTES = 1 << 20
MAX_RESUMES = 4  # in a row, without a byte between them
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/(?:([0-9]{1,18})|\*)")  # RFC 9110 section 14.4

OpenSpan = Callable[[int, int], "httpx2.Response"]
"""Gives the answer that holds the bytes from the first number to before the second: 206, or 200 with all of them."""


class BlobStream(io.RawIOBase):
    """Reads a blob and refuses, at its end at the latest, bytes that are not what its descriptor names.

    Reading raises BundleRefused (code "blob-altered") and Unreachable. Who does not read to the end has not checked
    the digest. Who seeks reads parts, which are not hashed: to check these is for whoever takes them.
    """

    def __init__(self, open_span: OpenSpan, blob: Descriptor) -> None:
        super().__init__()
        self._open_span, self._blob = open_span, blob
        self._hasher: Hasher | None = Hasher(blob.digest.algorithm)
        self._chunks = chunks_between(open_span, blob, 0, blob.size)
        self._rest = memoryview(b"")
        self._at = 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes: a blob that is copied in parts is read in parts."""
        return True

    def tell(self) -> int:
        """Give the place in the blob."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to the byte `offset`, counted from the start."""
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("a blob that is fetched is sought from its start only")
        if offset != self._at:
            self._chunks.close()
            self._chunks = chunks_between(self._open_span, self._blob, offset, self._blob.size)
            self._rest, self._hasher, self._at = memoryview(b""), None, offset
        return self._at

    def readinto(self, buffer: object) -> int:
        """Give the next bytes; 0 at the end, when size and digest are right."""
        target = memoryview(cast("bytearray", buffer)).cast("B")
        if not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                if self._hasher is not None and self._hasher.digest != self._blob.digest:
                    raise _altered(self._hasher.digest, self._blob.digest)
                return 0
            if self._hasher is not None:
                self._hasher.update(chunk)
            self._rest = memoryview(chunk)
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        self._at += count
        return count

    def close(self) -> None:
        """Let go of the connection."""
        self._chunks.close()
        super().close()


def open_blob_stream(open_span: OpenSpan, blob: Descriptor) -> BinaryIO:
    """Give a buffered, self-checking stream of a blob."""
    return io.BufferedReader(BlobStream(open_span, blob), READ_BYTES)


def chunks_between(
    open_span: OpenSpan, blob: Descriptor, start: int, stop: int, on_partial: Callable[[], None] | None = None
) -> Generator[bytes, None, None]:
    """Give the bytes of `blob` from `start` to before `stop` as they arrive: exactly that many, but not hashed.

    `on_partial` is called before the first byte when the server can give parts. If it is given, `start` is 0 and the
    server cannot, then all bytes of the blob come, also those after `stop`: asking for the others would only make it
    send these again. Raises BundleRefused (code "blob-altered"), Unreachable.
    """
    import httpx2

    at, fruitless = start, 0
    while at < stop:
        response = open_span(at, stop)
        try:
            if on_partial is not None and response.status_code == HTTPStatus.PARTIAL_CONTENT:
                on_partial()
            elif on_partial is not None:
                stop = blob.size
            on_partial = None
            for chunk in _span_of(response, at, stop, blob.size):
                fruitless = 0
                at += len(chunk)
                yield chunk
            if at < stop:
                raise _altered(f"{at - start} bytes", f"{stop - start} bytes")
        except httpx2.TransportError as error:
            fruitless += 1
            if fruitless > MAX_RESUMES:
                raise Unreachable("the registry stopped sending a blob", found=blob.digest) from error
        finally:
            response.close()


def _span_of(response: httpx2.Response, at: int, stop: int, size: int) -> Iterator[bytes]:
    """Give what a 206 or 200 holds of the bytes from `at` to before `stop`, as it arrives: a break loses nothing."""
    skip, partial = at, response.status_code == HTTPStatus.PARTIAL_CONTENT
    if partial:
        _check_range(response.headers.get("content-range", ""), at, stop, size)
        skip = 0
    for received in response.iter_raw():
        chunk = received[skip:]
        skip -= min(skip, len(received))
        if at + len(chunk) > stop and (partial or stop == size):
            raise _altered(f"more than {stop} bytes", f"{stop} bytes")
        if chunk := chunk[: stop - at]:
            at += len(chunk)
            yield chunk
        if at == stop < size and not partial:
            return  # all bytes came where a part was asked for


def _check_range(header: str, start: int, stop: int, size: int) -> None:
    """Raise BundleRefused unless a 206 says that it holds just what was asked for. Source: RFC 9110 section 15.3.7."""
    match = _CONTENT_RANGE.fullmatch(header)
    if match is None or (int(match[1]), int(match[2]) + 1, int(match[3] or size)) != (start, stop, size):
        raise _altered(header[:100] or "no Content-Range", f"bytes {start}-{stop - 1}/{size}")


def _altered(found: object, expected: object) -> BundleRefused:
    return BundleRefused(
        "the registry sent other bytes than the digest names",
        code="blob-altered",
        found=found,
        expected=expected,
        hint="the registry or its store is damaged or dishonest: do not use what it sent, tell its operator",
    )
