"""Bytes from the event loop to the store: PUTs to presigned links, never more in memory than the store has yet to take.

boto3 needs a thread for each request and a file to read from; this needs neither, and half the processor time.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx2

from tidegate_registry.storage.blobs import PresignedPut, StoreUnavailable
from tidegate_registry.storage.bucket import authorities_file

if TYPE_CHECKING:
    from tidegate_registry.settings import S3Settings

MAX_CONNECTIONS = 256
KEPT_CONNECTIONS = 40
ANSWER_SECONDS = 120  # the store answers when it has written everything down


@dataclass(frozen=True, slots=True)
class Sent:
    """The store's answer. `etag`: as it names what it has taken, empty if it has not."""

    status: int
    etag: str


class Pipe:
    """One client for one event loop, made when it is first used."""

    def __init__(self, settings: S3Settings) -> None:
        self._seconds = settings.timeout_seconds
        self._is_tls = not (settings.endpoint or "https:").startswith("http:")
        self._client: httpx2.AsyncClient | None = None

    async def put(self, target: PresignedPut, body: bytes | AsyncIterable[bytes]) -> Sent:
        """PUT `body`, which is as long as `target` says. Raises StoreUnavailable, and whatever `body` raises."""
        if self._client is None:
            self._client = self._make_client()
        try:
            answer = await self._client.put(target.url, content=body, headers=dict(target.headers))
        except httpx2.HTTPError as error:
            raise StoreUnavailable(
                "the object store did not take the bytes", found=type(error).__name__, hint="try again in a moment"
            ) from error
        return Sent(answer.status_code, answer.headers.get("etag", ""))

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    def _make_client(self) -> httpx2.AsyncClient:
        # loading authorities takes 20 ms, and is for nothing on a private network without TLS
        context = (
            ssl.create_default_context(cafile=authorities_file())
            if self._is_tls
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        return httpx2.AsyncClient(
            verify=context,
            follow_redirects=False,
            timeout=httpx2.Timeout(self._seconds, read=ANSWER_SECONDS),
            limits=httpx2.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=KEPT_CONNECTIONS),
        )
