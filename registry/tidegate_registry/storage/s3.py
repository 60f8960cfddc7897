"""BlobStore over any S3: create-only writes whose length and sha256 the store checks, and links to them (SigV4)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, BinaryIO, NotRequired, Self, TypedDict, cast

from botocore.exceptions import ClientError

from tidegate.digest import CHUNK_BYTES, Digest
from tidegate.errors import LimitExceeded
from tidegate_registry.storage.blobs import (
    JSON,
    OCTETS,
    BlobKey,
    BlobMissing,
    LogKey,
    ObjectKey,
    PresignedPut,
    ReplacedKey,
    StagingKey,
    StateKey,
    StoredBlob,
    StoredBytesDiffer,
    StoredObject,
    StoreUnavailable,
)
from tidegate_registry.storage.bucket import EXISTS, NOT_FOUND, S3Bucket, status_of, translated
from tidegate_registry.storage.parts import MAX_SINGLE_PUT_BYTES
from tidegate_registry.storage.presign import MARK, Presigner, checksum
from tidegate_registry.storage.signing import QuickRequests, Signer
from tidegate_registry.storage.staging import S3Staging

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

    from tidegate_registry.settings import S3Settings

OK, NO_CONTENT, BAD_REQUEST = 200, 204, 400
DESCRIBED = frozenset({"content-length", "etag"})  # what every HEAD says


class CopyTooLarge(LimitExceeded):
    """The object store does not copy objects of that size. Source: Amazon S3 API, CopyObject."""

    code = "copy-too-large"


class S3BlobStore(S3Bucket):
    """See BlobStore. `staging` is for uploads that are not blobs yet."""

    def __init__(self, settings: S3Settings) -> None:
        super().__init__(settings)
        signer = Signer(self.client, settings)
        self._quick = QuickRequests(signer, self.client, settings)
        self._presigner = Presigner(signer, settings)
        self.staging = S3Staging(self, self._presigner, self._quick)

    def put(self, key: BlobKey | LogKey, body: BinaryIO | bytes, *, size: int, sha256: Digest) -> bool:
        """Store create-only; see BlobStore.put."""
        if isinstance(body, bytes) and (stored := self._put_quickly(key, body, size, sha256)) is not None:
            if not stored:
                self.demand(key, size=size, sha256=sha256)
            return stored
        with translated("store a blob"):
            try:
                self.client.put_object(
                    Bucket=self.bucket,
                    Key=self.full_key(key),
                    Body=body,
                    ContentLength=size,
                    ChecksumSHA256=checksum(sha256),
                    IfNoneMatch="*",
                    **_described(key),
                )
            except ClientError as error:
                if status_of(error) not in EXISTS:
                    raise
            else:
                return True
        self.demand(key, size=size, sha256=sha256)
        return False

    def replace(self, key: BlobKey, body: BinaryIO | bytes, *, size: int, sha256: Digest) -> None:
        """See BlobStore.replace."""
        with translated("put back a blob"):
            self.client.put_object(
                Bucket=self.bucket,
                Key=self.full_key(key),
                Body=body,
                ContentLength=size,
                ContentType=OCTETS,
                ChecksumSHA256=checksum(sha256),
            )

    def copy(self, source: BlobKey, target: BlobKey | LogKey) -> None:
        """See BlobStore.copy."""
        original = self.stat(source)
        if original is None:
            raise _missing(source)
        sha256 = original.sha256
        if sha256 is None:  # written in parts
            original, sha256, named = self.measure(source, source.digest.algorithm)
        else:
            named = sha256 if source.digest.algorithm == "sha256" else source.digest
        if named != source.digest:
            raise _differs(original, original.size, source.digest, self.full_key(source))  # never spread altered bytes
        self._copy(source, target, original, sha256)

    def promote(self, source: StagingKey, target: BlobKey, *, staged: StoredBlob, sha256: Digest) -> None:
        """See BlobStore.promote."""
        self._copy(source, target, staged, sha256)

    def demand(self, key: BlobKey | LogKey, *, size: int, sha256: Digest) -> None:
        """See BlobStore.demand."""
        stored = self.stat(key)
        if stored is None:
            raise StoreUnavailable("the store said that a blob is there, and then that it is not", hint="try again")
        if stored.sha256 is None and stored.size == size:  # written in parts: nobody but us has hashed the whole
            stored, _, _ = self.measure(key)
        if (stored.size, stored.sha256) != (size, sha256):
            raise _differs(stored, size, sha256, self.full_key(key))

    def stat(self, key: ObjectKey) -> StoredBlob | None:
        """See BlobStore.stat."""
        answer = self._quick.send("HeadObject", self.full_key(key), headers={"x-amz-checksum-mode": "ENABLED"})
        if answer is not None and answer.status == NOT_FOUND:
            return None
        if answer is not None and answer.status == OK and answer.headers.keys() >= DESCRIBED:
            return _stored(answer.headers)
        with translated("look at a blob"):
            try:
                head = self.client.head_object(Bucket=self.bucket, Key=self.full_key(key), ChecksumMode="ENABLED")
            except ClientError as error:
                if status_of(error) == NOT_FOUND:
                    return None
                raise
        return _stored(head["ResponseMetadata"]["HTTPHeaders"])

    def measure(self, key: ObjectKey, algorithm: str = "sha256") -> tuple[StoredBlob, Digest, Digest]:
        """See BlobStore.measure."""
        answer = self._get(key)
        hashes = {name: hashlib.new(name) for name in {"sha256", algorithm}}
        size = 0
        with _Reading(answer["Body"]) as body:
            while chunk := body.read(CHUNK_BYTES):
                size += len(chunk)
                for each in hashes.values():
                    each.update(chunk)
        sha256, named = (Digest(f"{name}:{hashes[name].hexdigest()}") for name in ("sha256", algorithm))
        return StoredBlob(size, sha256, answer["ETag"], answer["Metadata"].get(MARK, "")), sha256, named

    def open(self, key: ObjectKey, span: range | None = None) -> BinaryIO:
        """See BlobStore.open."""
        return cast("BinaryIO", _Reading(self._get(key, span)["Body"]))

    def delete(self, key: ObjectKey) -> None:
        """See BlobStore.delete."""
        answer = self._quick.send("DeleteObject", self.full_key(key), headers={})
        if answer is not None and answer.status == NO_CONTENT:
            return
        with translated("remove an object"):
            self.client.delete_object(Bucket=self.bucket, Key=self.full_key(key))

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """See BlobStore.list."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.prefix + prefix)
        with translated("list what it holds"):
            for page in pages:
                for found in page.get("Contents", ()):
                    path = found["Key"].removeprefix(self.prefix)
                    yield StoredObject(path, found["Size"], found["LastModified"])

    def presign_get(self, key: BlobKey, host: str = "") -> str:
        """See BlobStore.presign_get."""
        return self._presigner.get(self.full_key(key), host)

    def presign_put(
        self, key: ObjectKey, *, size: int, sha256: Digest, host: str | None = None, mark: str = ""
    ) -> PresignedPut:
        """See BlobStore.presign_put."""
        return self._presigner.put(self.full_key(key), size=size, sha256=sha256, host=host, mark=mark)

    def read(self, key: ReplacedKey, *, limit: int) -> tuple[bytes, str] | None:
        """See BlobStore.read."""
        try:
            answer = self._get(key)
        except BlobMissing:
            return None
        with _Reading(answer["Body"]) as body:
            raw = body.read(limit + 1)
        if len(raw) > limit:
            raise StoredBytesDiffer(
                "the store holds more than belongs there",
                found=f"{answer['ContentLength']} bytes in {self.full_key(key)}",
                expected=f"at most {limit} bytes",
                hint="someone wrote to the bucket behind the registry; restore that object",
            )
        return raw, answer["ETag"]

    def write(self, key: ReplacedKey, raw: bytes, *, replaces: str | None) -> bool:
        """See BlobStore.write."""
        condition: _Condition = {"IfNoneMatch": "*"} if replaces is None else {"IfMatch": replaces}
        with translated("replace an object"):
            try:
                self.client.put_object(
                    Bucket=self.bucket,
                    Key=self.full_key(key),
                    Body=raw,
                    ChecksumSHA256=checksum(Digest.of(raw)),
                    **_described(key),
                    **condition,
                )
            except ClientError as error:
                if status_of(error) in EXISTS or status_of(error) == NOT_FOUND:
                    return False
                raise
        return True

    def ping(self) -> None:
        """See BlobStore.ping."""
        with translated("answer for its bucket"):
            self.client.head_bucket(Bucket=self.bucket)

    def probe(self) -> None:
        """See BlobStore.probe."""
        from tidegate_registry.storage.lock import check_lock
        from tidegate_registry.storage.probe import probe

        with translated("be probed"):
            probe(self.client, self.bucket, self.prefix)
            check_lock(self.client, self.settings)

    def _put_quickly(self, key: BlobKey | LogKey, body: bytes, size: int, sha256: Digest) -> bool | None:
        """Say whether the blob was stored now, or is there; None where the store said something else."""
        described = _described(key)
        headers = {
            "Content-Length": str(size),
            "Content-Type": described["ContentType"],
            "If-None-Match": "*",
            "x-amz-checksum-sha256": checksum(sha256),
        }
        if "CacheControl" in described:
            headers["Cache-Control"] = described["CacheControl"]
        answer = self._quick.send("PutObject", self.full_key(key), headers=headers, body=body)
        if answer is None or answer.status not in {OK, *EXISTS}:
            return None
        return answer.status == OK

    def _copy(self, source: ObjectKey, target: BlobKey | LogKey, original: StoredBlob, sha256: Digest) -> None:
        """Copy create-only, and only the very object that `original` describes; then look at what is there."""
        with translated("copy a blob"):
            try:
                self.patient.copy_object(
                    Bucket=self.bucket,
                    Key=self.full_key(target),
                    CopySource={"Bucket": self.bucket, "Key": self.full_key(source)},
                    CopySourceIfMatch=original.etag,
                    ChecksumAlgorithm="SHA256",
                    IfNoneMatch="*",
                    MetadataDirective="REPLACE",
                    **_described(target),
                )
            except ClientError as error:
                status = status_of(error)
                if status == NOT_FOUND:
                    raise _missing(source) from error
                if status == BAD_REQUEST and original.size > MAX_SINGLE_PUT_BYTES:
                    raise CopyTooLarge(
                        "the object store does not copy an object of this size",
                        found=f"{original.size} bytes",
                        expected=f"at most {MAX_SINGLE_PUT_BYTES} bytes",
                        hint="send it as several layers, or have the operator lower limits.blob_bytes",
                    ) from error
                if status not in EXISTS:
                    raise
                if self.stat(target) is None:  # so the other condition did not hold
                    raise _missing(source) from error
                self.demand(target, size=original.size, sha256=sha256)
            else:
                self._look_at_copy(target, original.size, sha256)

    def _look_at_copy(self, target: BlobKey | LogKey, size: int, sha256: Digest) -> None:
        """Check what the store says of its own copy; not every store has a checksum of what came in parts."""
        stored = self.stat(target)
        if stored is None or stored.size != size or stored.sha256 not in (None, sha256):
            raise StoreUnavailable(
                "the store did not make a true copy", found=stored, expected=f"{size} bytes, {sha256}"
            )

    def _get(self, key: ObjectKey, span: range | None = None) -> GetObjectOutputTypeDef:
        part: _Part = {} if span is None else {"Range": f"bytes={span.start}-{span.stop - 1}"}
        with translated("read a blob"):
            try:
                return self.client.get_object(Bucket=self.bucket, Key=self.full_key(key), **part)
            except ClientError as error:
                if status_of(error) == NOT_FOUND:
                    raise _missing(key) from error
                raise


class _Part(TypedDict, total=False):
    Range: str


class _Described(TypedDict):
    ContentType: str
    CacheControl: NotRequired[str]


class _Condition(TypedDict, total=False):
    IfMatch: str
    IfNoneMatch: str


class _Reading:
    """The bytes of an object on their way; what breaks on that way is the store not answering."""

    def __init__(self, body: StreamingBody) -> None:
        self._body = body

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, size: int = -1) -> bytes:
        with translated("send a blob to its end"):
            return self._body.read(None if size < 0 else size)

    def close(self) -> None:
        self._body.close()


def _described(key: BlobKey | ReplacedKey) -> _Described:
    """Give the headers that the object keeps."""
    if isinstance(key, LogKey):
        return {"ContentType": key.content_type, "CacheControl": key.cache_control}
    return {"ContentType": JSON if isinstance(key, StateKey) else OCTETS}


def _stored(headers: Mapping[str, str]) -> StoredBlob:
    """Read what HEAD says of an object. `headers`: names in lower case."""
    summed = headers.get("x-amz-checksum-sha256", "")
    whole = summed and "-" not in summed  # `<sum>-<parts>` is a checksum of checksums
    return StoredBlob(
        size=int(headers["content-length"]),
        sha256=Digest(f"sha256:{base64.b64decode(summed).hex()}") if whole else None,
        etag=headers["etag"],
        mark=headers.get(f"x-amz-meta-{MARK}", ""),
    )


def _missing(key: ObjectKey) -> BlobMissing:
    found = key.digest if isinstance(key, BlobKey) else key.path
    return BlobMissing("the store does not hold that blob", found=str(found))


def _differs(stored: StoredBlob, size: int, sha256: Digest, key: str) -> StoredBytesDiffer:
    return StoredBytesDiffer(
        "the store holds other bytes under this digest",
        found=f"{stored.size} bytes, {stored.sha256 or 'no checksum'}",
        expected=f"{size} bytes, {sha256}",
        hint=f"someone wrote to {key} behind the registry; restore or remove that object",
    )
