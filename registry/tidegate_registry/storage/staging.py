"""Unfinished uploads in the store: multipart uploads to a staging key, and tails too short to be a part."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError

from tidegate.digest import Digest
from tidegate_registry.storage.blobs import STAGING, BlobMissing, PresignedPut, StagingKey
from tidegate_registry.storage.bucket import NOT_FOUND, S3Bucket, status_of, translated
from tidegate_registry.storage.pipe import Pipe, Sent
from tidegate_registry.storage.presign import Presigner, checksum
from tidegate_registry.storage.signing import QuickRequests

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

OK = 200
GONE = frozenset({"NoSuchUpload", "InvalidPart", "InvalidPartOrder"})


@dataclass(frozen=True, slots=True)
class Part:
    """A part that the store holds. `sha256`: what it was sent with; the store does not say, but wants to hear it."""

    number: int
    size: int
    etag: str
    sha256: Digest | None = None


@dataclass(frozen=True, slots=True)
class DeadMultipart:
    """A multipart upload that was begun and not ended. `path`: below the prefix of the settings."""

    path: str
    upload: str
    begun_at: datetime


class MultipartGone(BlobMissing):
    """The store does not know that multipart upload (any more)."""

    code = "multipart-gone"


class Staging(Protocol):
    """What an upload does in the store before it is a blob. All may raise StoreUnavailable or StoreFull.

    All but `send` and `close` block: call them in a thread.
    """

    def begin(self, key: StagingKey) -> str:
        """Begin a multipart upload and give its id. The store will check each part by the sha256 it comes with."""

    def presign_part(
        self,
        key: StagingKey,
        upload: str,
        number: int,
        *,
        size: int,
        sha256: Digest,
        host: str | None = None,
    ) -> PresignedPut:
        """Make a link to send one part. `host` as in BlobStore.presign_put."""

    def parts(self, key: StagingKey, upload: str) -> Sequence[Part]:
        """List what is stored, in order, without what it hashes to. Raises MultipartGone."""

    def complete(self, key: StagingKey, upload: str, parts: Sequence[Part]) -> None:
        """Make the parts one object. Raises MultipartGone, also where a part was replaced by another."""

    def abort(self, key: StagingKey, upload: str) -> None:
        """Drop a multipart upload, if it is there."""

    def put_tail(self, key: StagingKey, tail: bytes) -> None:
        """Keep bytes that are no full part yet. Replaces what was there."""

    async def send(self, target: PresignedPut, body: bytes | AsyncIterable[bytes]) -> Sent:
        """PUT `body` to a link made for the registry itself; for the event loop. Raises what `body` raises, too."""

    async def close(self) -> None:
        """Close the connections of `send`."""

    def unfinished(self) -> Iterator[DeadMultipart]:
        """List the multipart uploads that nobody has ended."""

    def abort_dead(self, dead: DeadMultipart) -> None:
        """Drop what `unfinished` listed."""


class S3Staging:
    """Staging in the bucket of the blobs, so that a finished upload is copied within the store."""

    def __init__(self, bucket: S3Bucket, presigner: Presigner, quick: QuickRequests) -> None:
        self._bucket = bucket
        self._presigner = presigner
        self._quick = quick
        self._pipe = Pipe(bucket.settings)

    def begin(self, key: StagingKey) -> str:
        """See Staging.begin."""
        with translated("begin an upload"):
            begun = self._bucket.client.create_multipart_upload(
                Bucket=self._bucket.bucket, Key=self._bucket.full_key(key), ChecksumAlgorithm="SHA256"
            )
        return begun["UploadId"]

    def presign_part(
        self,
        key: StagingKey,
        upload: str,
        number: int,
        *,
        size: int,
        sha256: Digest,
        host: str | None = None,
    ) -> PresignedPut:
        """See Staging.presign_part."""
        return self._presigner.part(self._bucket.full_key(key), upload, number, size=size, sha256=sha256, host=host)

    def parts(self, key: StagingKey, upload: str) -> Sequence[Part]:
        """See Staging.parts."""
        pages = self._bucket.client.get_paginator("list_parts").paginate(
            Bucket=self._bucket.bucket, Key=self._bucket.full_key(key), UploadId=upload
        )
        with translated("list the parts of an upload"), _gone():
            listed = [part for page in pages for part in page.get("Parts", ())]
        # SeaweedFS lists a part that was sent again as often as it was; the last one counts, as everywhere
        last = {part["PartNumber"]: part for part in sorted(listed, key=lambda part: part["LastModified"])}
        return [Part(number, last[number]["Size"], last[number]["ETag"]) for number in sorted(last)]

    def complete(self, key: StagingKey, upload: str, parts: Sequence[Part]) -> None:
        """See Staging.complete."""
        with translated("put the parts of an upload together"), _gone():
            self._bucket.patient.complete_multipart_upload(
                Bucket=self._bucket.bucket,
                Key=self._bucket.full_key(key),
                UploadId=upload,
                MultipartUpload={"Parts": [_completed(part) for part in parts]},
            )

    def abort(self, key: StagingKey, upload: str) -> None:
        """See Staging.abort."""
        self._abort(self._bucket.full_key(key), upload)

    def put_tail(self, key: StagingKey, tail: bytes) -> None:
        """See Staging.put_tail."""
        headers = {"Content-Length": str(len(tail))}
        answer = self._quick.send("PutObject", self._bucket.full_key(key), headers=headers, body=tail)
        if answer is not None and answer.status == OK:
            return
        with translated("keep the end of an upload"):
            self._bucket.client.put_object(Bucket=self._bucket.bucket, Key=self._bucket.full_key(key), Body=tail)

    async def send(self, target: PresignedPut, body: bytes | AsyncIterable[bytes]) -> Sent:
        """See Staging.send."""
        return await self._pipe.put(target, body)

    async def close(self) -> None:
        """See Staging.close."""
        await self._pipe.close()

    def unfinished(self) -> Iterator[DeadMultipart]:
        """See Staging.unfinished."""
        pages = self._bucket.client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._bucket.bucket, Prefix=self._bucket.prefix + STAGING
        )
        with translated("list unfinished uploads"):
            for page in pages:
                for found in page.get("Uploads", ()):
                    path = found["Key"].removeprefix(self._bucket.prefix)
                    yield DeadMultipart(path, found["UploadId"], found["Initiated"])

    def abort_dead(self, dead: DeadMultipart) -> None:
        """Drop what `unfinished` listed."""
        self._abort(self._bucket.prefix + dead.path, dead.upload)

    def _abort(self, full_key: str, upload: str) -> None:
        with translated("drop an upload"):
            try:
                self._bucket.client.abort_multipart_upload(Bucket=self._bucket.bucket, Key=full_key, UploadId=upload)
            except ClientError as error:
                if status_of(error) != NOT_FOUND:
                    raise


@contextmanager
def _gone() -> Iterator[None]:
    """Turn the store's "no such upload" and "no such part" into MultipartGone."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code not in GONE:
            raise
        raise MultipartGone(
            "the store does not hold the parts of this upload", found=code, hint="begin another upload"
        ) from error


def _completed(part: Part) -> CompletedPartTypeDef:
    completed: CompletedPartTypeDef = {"PartNumber": part.number, "ETag": part.etag}
    if part.sha256 is not None:
        completed["ChecksumSHA256"] = checksum(part.sha256)
    return completed
