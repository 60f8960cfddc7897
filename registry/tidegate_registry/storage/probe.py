"""Tries on the real bucket what the design rests on; there are stores that answer 501 to a condition, and others that
answer 200 and ignore it.
"""

from __future__ import annotations

import base64
from enum import Enum, auto
from secrets import token_hex
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tidegate.digest import Digest
from tidegate_registry.storage.blobs import StoreUnfit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mypy_boto3_s3 import S3Client

OTHER_ETAG = '"0123456789abcdef0123456789abcdef"'  # of the form of an MD5, and of nothing that exists
NOT_IMPLEMENTED = 501
_FIRST, _SECOND = b"tidegate probe, first\n", b"tidegate probe, second\n"
_CREATE = "create-only PUT (If-None-Match: *)"
_REPLACE = "conditional replace (If-Match)"
_CHECKSUM = "checksum refusal (x-amz-checksum-sha256)"


class _Answer(Enum):
    """What the store made of a request."""

    DONE = auto()
    REFUSED = auto()
    UNKNOWN = auto()  # it does not implement that


def probe(client: S3Client, bucket: str, prefix: str) -> None:
    """Write, and remove again, three small objects under `<prefix>probe/`.

    Raises StoreUnfit naming every property that the store lacks: create-only PUT (If-None-Match), conditional replace
    (If-Match), refusal of a wrong checksum.
    """
    folder = f"{prefix}probe/{token_hex(8)}"
    keys = [f"{folder}/{name}" for name in ("create", "replace", "checksum")]
    try:
        missing = [
            *_lacks_create(client, bucket, keys[0]),
            *_lacks_replace(client, bucket, keys[1]),
            *_lacks_checksum(client, bucket, keys[2]),
        ]
    finally:
        for key in keys:
            client.delete_object(Bucket=bucket, Key=key)
    if missing:
        raise StoreUnfit(
            f"the object store lacks: {'; '.join(missing)}",
            found=client.meta.endpoint_url,
            expected="an S3 that honours conditional writes and checksums, such as AWS, MinIO, Ceph or SeaweedFS 4.48",
            hint="upgrade that store or choose another: without this two writers could overwrite each other unnoticed, "
            "so nothing is served",
        )


def _lacks_create(client: S3Client, bucket: str, key: str) -> Iterator[str]:
    first = _try(
        lambda: client.put_object(
            Bucket=bucket, Key=key, Body=_FIRST, IfNoneMatch="*", ChecksumSHA256=_checksum(_FIRST)
        )
    )
    if first is not _Answer.DONE:
        yield f"{_CREATE}: {_SAID[first]} a new object"
    elif _try(lambda: client.put_object(Bucket=bucket, Key=key, Body=_SECOND, IfNoneMatch="*")) is _Answer.DONE:
        yield f"{_CREATE}: it replaced an object that was there"


def _lacks_replace(client: S3Client, bucket: str, key: str) -> Iterator[str]:
    etag = client.put_object(Bucket=bucket, Key=key, Body=_FIRST)["ETag"]
    other = _try(lambda: client.put_object(Bucket=bucket, Key=key, Body=_SECOND, IfMatch=OTHER_ETAG))
    if other is _Answer.DONE:
        yield f"{_REPLACE}: it replaced an object although the ETag was another"
        return
    same = _try(lambda: client.put_object(Bucket=bucket, Key=key, Body=_SECOND, IfMatch=etag))
    if same is not _Answer.DONE:
        yield f"{_REPLACE}: {_SAID[same]} a PUT with the right ETag"


def _lacks_checksum(client: S3Client, bucket: str, key: str) -> Iterator[str]:
    wrong = _try(lambda: client.put_object(Bucket=bucket, Key=key, Body=_FIRST, ChecksumSHA256=_checksum(_SECOND)))
    if wrong is _Answer.DONE:
        yield f"{_CHECKSUM}: it stored bytes that have another sha256"
    elif wrong is _Answer.UNKNOWN:
        yield f"{_CHECKSUM}: {_SAID[wrong]} it"


def _checksum(body: bytes) -> str:
    return base64.b64encode(Digest.of(body).raw).decode()


_SAID = {_Answer.REFUSED: "it refused", _Answer.UNKNOWN: "it answers 501, not implemented, to"}


def _try(write: Callable[[], object]) -> _Answer:
    try:
        write()
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status == NOT_IMPLEMENTED:
            return _Answer.UNKNOWN
        if status in (400, 409, 412):
            return _Answer.REFUSED
        raise
    return _Answer.DONE
