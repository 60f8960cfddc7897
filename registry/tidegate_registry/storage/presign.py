"""Links that the store honours without asking us: who holds one can GET an object, or PUT exactly the bytes it names.

A client reaches the store under the name that fits the name under which it reaches the registry: `presign_endpoints`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from tidegate_registry.storage.blobs import OCTETS, PresignedPut
from tidegate_registry.storage.bucket import make_client, translated
from tidegate_registry.storage.signing import Signer

if TYPE_CHECKING:
    from tidegate.digest import Digest
    from tidegate_registry.settings import S3Settings

MARK = "tidegate-mark"  # user metadata of an object
NO_QUERY: Mapping[str, str] = MappingProxyType({})


class Presigner:
    """Signs links (SigV4) for one bucket. Blocks only while the machine's own role is asked for fresh keys."""

    def __init__(self, signer: Signer, settings: S3Settings) -> None:
        self._own = signer
        self._seconds = settings.presign_seconds
        public = settings.presign_endpoint
        self._public = signer if public is None else _signer_for(settings, public)
        self._by_host = {host: _signer_for(settings, url) for host, url in settings.presign_endpoints.items()}

    def get(self, key: str, host: str) -> str:
        """Sign a GET of `key`."""
        # whoever sent the object by a link has chosen its headers, and others of the namespace share it
        ours = {"response-content-type": OCTETS, "response-content-encoding": "identity"}
        return self._sign("GET", key, host, {}, ours).url

    def put(self, key: str, *, size: int, sha256: Digest, host: str | None, mark: str) -> PresignedPut:
        """Sign the creation of `key` from `size` bytes with this sha256."""
        headers = {"Content-Length": str(size), "If-None-Match": "*", "x-amz-checksum-sha256": checksum(sha256)}
        return self._sign("PUT", key, host, headers | ({f"x-amz-meta-{MARK}": mark} if mark else {}))

    def part(self, key: str, upload: str, number: int, *, size: int, sha256: Digest, host: str | None) -> PresignedPut:
        """Sign part `number` of a multipart upload."""
        headers = {"Content-Length": str(size), "x-amz-checksum-sha256": checksum(sha256)}
        return self._sign("PUT", key, host, headers, {"uploadId": upload, "partNumber": str(number)})

    def _sign(
        self, method: str, key: str, host: str | None, headers: Mapping[str, str], query: Mapping[str, str] = NO_QUERY
    ) -> PresignedPut:
        signer = self._own if host is None else self._by_host.get(host.lower(), self._public)
        with translated("sign a link"):
            url, expires_at = signer.link(method, key, headers=headers, query=query, seconds=self._seconds)
        return PresignedPut(url, headers, expires_at)


def _signer_for(settings: S3Settings, url: str) -> Signer:
    return Signer(make_client(settings, url), settings)


def checksum(sha256: Digest) -> str:
    """Write a digest as S3 does in x-amz-checksum-sha256."""
    return base64.b64encode(sha256.raw).decode()
