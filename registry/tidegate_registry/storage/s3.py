"""BlobStore over any S3: create-only PUTs whose length and sha256 the store checks, and presigned GETs (SigV4)."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO, Self, cast

import boto3
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError

from tidegate.digest import Digest
from tidegate_registry.storage.blobs import BlobKey, BlobMissing, StoredBlob, StoredBytesDiffer, StoreUnavailable
from tidegate_registry.storage.credentials import store_keys

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client

    from tidegate_registry.settings import S3Settings

POOL_CONNECTIONS = 40  # as many as there are threads for handlers
ATTEMPTS = 3
PRECONDITION_FAILED, CONFLICT, NOT_FOUND = 412, 409, 404  # S3 may answer 409 to a create-only PUT that raced another


class S3BlobStore:
    """One bucket and prefix. Thread-safe, as boto3's low-level clients are."""

    def __init__(self, settings: S3Settings) -> None:
        self.bucket = settings.bucket
        self.prefix = settings.prefix
        self._presign_seconds = settings.presign_seconds
        self.client = _client(settings, settings.endpoint)
        public = settings.presign_endpoint
        self._presigner = self.client if public is None else _client(settings, public)

    def put(self, key: BlobKey, body: BinaryIO, *, size: int, sha256: Digest) -> bool:
        """Store create-only; see BlobStore.put."""
        with _translated("store a blob"):
            try:
                self.client.put_object(
                    Bucket=self.bucket,
                    Key=self._key(key),
                    Body=body,
                    ContentLength=size,
                    ContentType="application/octet-stream",
                    ChecksumSHA256=base64.b64encode(sha256.raw).decode(),
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if _status(error) not in (PRECONDITION_FAILED, CONFLICT):
                    raise
            else:
                return True
        self._check_same(key, size, sha256)
        return False

    def copy(self, source: BlobKey, target: BlobKey) -> None:
        """See BlobStore.copy."""
        original = self.stat(source)
        if original is None:
            raise BlobMissing("the store does not hold that blob", found=str(source.digest))
        if source.digest.algorithm == "sha256" and original.sha256 != source.digest:
            raise _differs(original, original.size, source.digest, self._key(source))  # never spread altered bytes
        with _translated("copy a blob"):
            try:
                self.client.copy_object(
                    Bucket=self.bucket,
                    Key=self._key(target),
                    CopySource={"Bucket": self.bucket, "Key": self._key(source)},
                    ChecksumAlgorithm="SHA256",
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if _status(error) not in (PRECONDITION_FAILED, CONFLICT):
                    raise
        self._check_same(target, original.size, original.sha256)

    def stat(self, key: BlobKey) -> StoredBlob | None:
        """See BlobStore.stat."""
        with _translated("look at a blob"):
            try:
                head = self.client.head_object(Bucket=self.bucket, Key=self._key(key), ChecksumMode="ENABLED")
            except ClientError as error:
                if _status(error) == NOT_FOUND:
                    return None
                raise
        checksum = head.get("ChecksumSHA256")
        return StoredBlob(
            size=head["ContentLength"],
            sha256=Digest(f"sha256:{base64.b64decode(checksum).hex()}") if checksum else None,
        )

    def open(self, key: BlobKey) -> BinaryIO:
        """See BlobStore.open."""
        with _translated("read a blob"):
            try:
                answer = self.client.get_object(Bucket=self.bucket, Key=self._key(key))
            except ClientError as error:
                if _status(error) == NOT_FOUND:
                    raise BlobMissing("the store does not hold that blob", found=str(key.digest)) from error
                raise
        return cast("BinaryIO", _Reading(answer["Body"]))

    def presign_get(self, key: BlobKey) -> str:
        """See BlobStore.presign_get."""
        return self._presigner.generate_presigned_url(
            "get_object", Params={"Bucket": self.bucket, "Key": self._key(key)}, ExpiresIn=self._presign_seconds
        )

    def ping(self) -> None:
        """See BlobStore.ping."""
        with _translated("answer for its bucket"):
            self.client.head_bucket(Bucket=self.bucket)

    def probe(self) -> None:
        """See BlobStore.probe."""
        from tidegate_registry.storage.probe import probe

        with _translated("be probed"):
            probe(self.client, self.bucket, self.prefix)

    def _check_same(self, key: BlobKey, size: int, sha256: Digest | None) -> None:
        stored = self.stat(key)
        if stored is None:
            raise StoreUnavailable("the store said that a blob is there, and then that it is not", hint="try again")
        if (stored.size, stored.sha256) != (size, sha256):
            raise _differs(stored, size, sha256, self._key(key))

    def _key(self, key: BlobKey) -> str:
        return self.prefix + key.path


class _Reading:
    """The bytes of an object on their way; what breaks on that way is the store not answering."""

    def __init__(self, body: StreamingBody) -> None:
        self._body = body

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, size: int = -1) -> bytes:
        with _translated("send a blob to its end"):
            return self._body.read(None if size < 0 else size)

    def close(self) -> None:
        self._body.close()


def _differs(stored: StoredBlob, size: int, sha256: Digest | None, key: str) -> StoredBytesDiffer:
    return StoredBytesDiffer(
        "the store holds other bytes under this digest",
        found=f"{stored.size} bytes, {stored.sha256 or 'no checksum'}",
        expected=f"{size} bytes, {sha256}",
        hint=f"someone wrote to {key} behind the registry; restore or remove that object",
    )


def _client(settings: S3Settings, endpoint: str | None) -> S3Client:
    keys = store_keys(settings, _session())
    return _session().client(
        "s3",
        endpoint_url=endpoint,
        region_name=settings.region,
        aws_access_key_id=keys.access if keys else None,
        aws_secret_access_key=keys.secret if keys else None,
        config=Config(
            signature_version="s3v4",  # boto3 presigns SigV2 on custom endpoints by default
            # over TLS the default stores `Content-Encoding: aws-chunked` on some engines
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={"addressing_style": "path" if endpoint else "auto"},
            max_pool_connections=POOL_CONNECTIONS,
            connect_timeout=settings.timeout_seconds,
            read_timeout=settings.timeout_seconds,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        ),
    )


@lru_cache(maxsize=1)
def _session() -> boto3.session.Session:
    """Give the one session of this process: it holds the parsed service model, which takes longer than all else."""
    return boto3.session.Session()


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        raise StoreUnavailable(
            f"the object store would not {doing}", found=f"{_status(error)} {code}", hint="try again in a moment"
        ) from error
    except BotoCoreError as error:
        raise StoreUnavailable(
            f"the object store did not {doing}", found=type(error).__name__, hint="try again in a moment"
        ) from error


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
