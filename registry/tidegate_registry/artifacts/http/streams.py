"""Blobs through the registry, for stores that clients cannot reach: setting `downloads = "stream"`.

The store is read only as fast as the client takes: one piece is in memory for each download.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from tidegate_registry.artifacts.errors import RangeNotSatisfiable
from tidegate_registry.storage.blobs import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from tidegate_registry.artifacts.blobs import Blob
    from tidegate_registry.services import Services

PIECE_BYTES = 1 << 20  # smaller ones cost a thread hop more often, larger ones memory
MAX_POSITION_DIGITS = 19  # 2**63 has as many
_RANGE = re.compile(r"bytes=\s*(\d*)-(\d*)\s*", re.ASCII | re.IGNORECASE)


def parse_range(asked: str | None, size: int) -> range | None:
    """Give the bytes that a Range header asks for, None for all of them. `size`: of the blob, in bytes.

    What is malformed, of another unit or more than one range is ignored, as it may be. Raises RangeNotSatisfiable.
    Source: RFC 9110 section 14.
    """
    found = _RANGE.fullmatch(asked or "")
    if found is None or found.groups() == ("", "") or max(map(len, found.groups())) > MAX_POSITION_DIGITS:
        return None
    first, last = found.groups()
    if first == "":
        begin, end = max(size - int(last), 0), size
    else:
        begin, end = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < begin:
            return None
    if begin >= end:
        raise RangeNotSatisfiable(size, found=asked)
    return range(begin, end)


def stream_blob(app: Services, blob: Blob, headers: Mapping[str, str], asked: str | None) -> Response:
    """Answer with the bytes, or those of them that `asked` names. Blocks until the store begins to answer.

    Raises RangeNotSatisfiable, BlobMissing, StoreUnavailable.
    """
    span = parse_range(asked, blob.size)
    wanted = range(blob.size) if span is None else span
    status = HTTPStatus.OK if span is None else HTTPStatus.PARTIAL_CONTENT
    own = {"Content-Length": str(len(wanted))}
    if span is not None:
        own["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{blob.size}"
    body = app.blobs.open(blob.key, span)
    return _BlobStream(body, len(wanted), status, {**headers, **own})


class _BlobStream(StreamingResponse):
    """Sends `size` bytes of `body`, and closes it however that ends."""

    def __init__(self, body: BinaryIO, size: int, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(_pieces(body, size), status, headers)
        self._body = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._body.close()


async def _pieces(body: BinaryIO, size: int) -> AsyncIterator[bytes]:
    while size > 0:
        piece = await run_in_threadpool(body.read, min(size, PIECE_BYTES))
        if not piece:
            raise StoreUnavailable("the object store did not send a blob to its end", found=f"{size} bytes are missing")
        size -= len(piece)
        yield piece
