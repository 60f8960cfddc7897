"""Request bodies: bounded in bytes, in time, and in the pauses between bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from tidegate.errors import LimitExceeded
from tidegate_registry.artifacts.errors import ManifestTooLarge, RequestTimeout
from tidegate_registry.storage.uploads import SINK_BYTES

if TYPE_CHECKING:
    from fastapi import Request

    from tidegate_registry.settings import Limits
    from tidegate_registry.storage.uploads import UploadSink


MAX_LENGTH_DIGITS = 19  # of 2^63-1; a longer number is too large for anything, and costly to read


async def read_body(
    request: Request,
    *,
    most: int,
    limits: Limits,
    what: str = "a manifest",
    error: type[LimitExceeded] = ManifestTooLarge,
) -> bytes:
    """Read a body of at most `most` bytes into memory. Raises `error` for more, RequestTimeout."""
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and (len(announced) > MAX_LENGTH_DIGITS or int(announced) > most):
        raise _too_large(error, most, what)
    parts, size = [], 0
    async for part in _timed(request, seconds=limits.request_seconds, idle=limits.idle_seconds):
        size += len(part)
        if size > most:
            raise _too_large(error, most, what)
        parts.append(part)
    return b"".join(parts)


async def stream_into(sink: UploadSink, request: Request, *, limits: Limits) -> int:
    """Write the body into `sink` in pieces of SINK_BYTES, off the event loop; give how many bytes came.

    What came before a failure is in the sink. Raises RequestTimeout, ClientDisconnect, UploadTooLarge.
    """
    pending, received = bytearray(), 0
    try:
        async for part in _timed(request, seconds=limits.upload_seconds, idle=limits.idle_seconds):
            received += len(part)
            pending += part
            if len(pending) >= SINK_BYTES:
                full, pending = bytes(pending), bytearray()
                await run_in_threadpool(sink.write, full)
    finally:
        if pending:
            await run_in_threadpool(sink.write, bytes(pending))
    return received


async def _timed(request: Request, *, seconds: int, idle: int) -> AsyncIterator[bytes]:
    ends = time.monotonic() + seconds
    stream = request.stream().__aiter__()
    while True:
        wait = min(float(idle), ends - time.monotonic())
        try:
            async with asyncio.timeout(max(wait, 0)):
                part = await anext(stream, None)
        except TimeoutError:
            raise RequestTimeout(
                "the request's body did not arrive in time",
                expected=f"at most {seconds} s in all and {idle} s between bytes",
            ) from None
        if part is None:
            return
        yield part


def _too_large(error: type[LimitExceeded], most: int, what: str) -> LimitExceeded:
    return error(f"that is more than {what} may have", expected=f"at most {most} bytes")
