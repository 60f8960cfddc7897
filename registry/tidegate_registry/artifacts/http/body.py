"""Request bodies: bounded in bytes, in time, and in the pauses between bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from tidegate.errors import LimitExceeded
from tidegate_registry.artifacts.errors import ManifestTooLarge, RequestTimeout

if TYPE_CHECKING:
    from fastapi import Request

    from tidegate_registry.settings import Limits


PIECE_BYTES = 1 << 20  # of what ASGI hands out in 64 KiB: a thread hop for each hash is paid once a MiB
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
    if (announced_length(request) or 0) > most:
        raise _too_large(error, most, what)
    parts, size = [], 0
    async for part in _timed(request, seconds=limits.request_seconds, idle=limits.idle_seconds):
        size += len(part)
        if size > most:
            raise _too_large(error, most, what)
        parts.append(part)
    return b"".join(parts)


def announced_length(request: Request) -> int | None:
    """Give the body's length as the client says it, None for a body that comes in chunks."""
    text = request.headers.get("content-length", "")
    if not text.isascii() or not text.isdigit():
        return None
    return int(text) if len(text) <= MAX_LENGTH_DIGITS else 10**MAX_LENGTH_DIGITS


async def pieces_of(request: Request, *, limits: Limits) -> AsyncIterator[bytes]:
    """Give a blob's bytes in pieces of PIECE_BYTES. Raises RequestTimeout, ClientDisconnect, after all that came."""
    pending = bytearray()
    try:
        async for part in _timed(request, seconds=limits.upload_seconds, idle=limits.idle_seconds):
            pending += part
            if len(pending) >= PIECE_BYTES:
                yield bytes(pending)
                pending = bytearray()
    except (RequestTimeout, ClientDisconnect):
        if pending:
            yield bytes(pending)
        raise
    if pending:
        yield bytes(pending)


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
