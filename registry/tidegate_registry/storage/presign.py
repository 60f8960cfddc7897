"""Links that the store honours without asking us: who holds one can GET an object, or PUT exactly the bytes it names.

A client reaches the store under the name that fits the name under which it reaches the registry: `presign_endpoints`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from tidegate_registry.storage.blobs import PresignedPut
from tidegate_registry.storage.bucket import make_client

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from tidegate.digest import Digest
    from tidegate_registry.settings import S3Settings
    from tidegate_registry.storage.bucket import S3Bucket

OCTETS = "application/octet-stream"
MARK = "tidegate-mark"  # user metadata of an object
AMZ_DATE = "%Y%m%dT%H%M%SZ"


class Presigner:
    """Signs links (SigV4) for one bucket. Blocks only while the machine's own role is asked for fresh keys."""

    def __init__(self, bucket: S3Bucket, settings: S3Settings) -> None:
        self._bucket = bucket
        self._seconds = settings.presign_seconds
        public = settings.presign_endpoint
        self._public = bucket.client if public is None else make_client(settings, public)
        self._by_host = {host: make_client(settings, url) for host, url in settings.presign_endpoints.items()}

    def get(self, key: str, host: str) -> str:
        """Sign a GET of `key`."""
        return self._client(host).generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._bucket.bucket,
                "Key": key,
                # whoever sent the object by a link has chosen its headers, and others of the namespace share it
                "ResponseContentType": OCTETS,
                "ResponseContentEncoding": "identity",
            },
            ExpiresIn=self._seconds,
        )

    def put(self, key: str, *, size: int, sha256: Digest, host: str | None, mark: str) -> PresignedPut:
        """Sign the creation of `key` from `size` bytes with this sha256."""
        headers = {"Content-Length": str(size), "If-None-Match": "*", "x-amz-checksum-sha256": checksum(sha256)}
        url = self._client(host).generate_presigned_url(
            "put_object",
            Params={
                "Bucket": self._bucket.bucket,
                "Key": key,
                "ContentLength": size,
                "ChecksumSHA256": checksum(sha256),
                "IfNoneMatch": "*",
                "Metadata": {MARK: mark} if mark else {},
            },
            ExpiresIn=self._seconds,
        )
        return _presigned(url, headers | ({f"x-amz-meta-{MARK}": mark} if mark else {}))

    def part(self, key: str, upload: str, number: int, *, size: int, sha256: Digest, host: str | None) -> PresignedPut:
        """Sign part `number` of a multipart upload."""
        url = self._client(host).generate_presigned_url(
            "upload_part",
            Params={
                "Bucket": self._bucket.bucket,
                "Key": key,
                "UploadId": upload,
                "PartNumber": number,
                "ContentLength": size,
                "ChecksumSHA256": checksum(sha256),
            },
            ExpiresIn=self._seconds,
        )
        return _presigned(url, {"Content-Length": str(size), "x-amz-checksum-sha256": checksum(sha256)})

    def _client(self, host: str | None) -> S3Client:
        return self._bucket.client if host is None else self._by_host.get(host.lower(), self._public)


def checksum(sha256: Digest) -> str:
    """Write a digest as S3 does in x-amz-checksum-sha256."""
    return base64.b64encode(sha256.raw).decode()


def _presigned(url: str, headers: Mapping[str, str]) -> PresignedPut:
    query = parse_qs(urlsplit(url).query)
    signed_at = datetime.strptime(query["X-Amz-Date"][0], AMZ_DATE).replace(tzinfo=UTC)
    return PresignedPut(url, headers, signed_at + timedelta(seconds=int(query["X-Amz-Expires"][0])))
