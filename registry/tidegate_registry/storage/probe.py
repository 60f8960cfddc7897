"""Tries on the real bucket what the design rests on; stores that answer 200 and ignore a condition do exist."""

from __future__ import annotations

import base64
from secrets import token_hex
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tidegate.digest import Digest
from tidegate_registry.storage.blobs import StoreUnfit

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

OTHER_ETAG = '"0123456789abcdef0123456789abcdef"'  # of the form of an MD5, and of nothing that exists
_FIRST, _SECOND = b"tidegate probe, first\n", b"tidegate probe, second\n"


def probe(client: S3Client, bucket: str, prefix: str) -> None:
    """Write, and remove again, three small objects under `<prefix>probe/`.

    Raises StoreUnfit naming every property that the store lacks: create-only PUT (If-None-Match), conditional replace
    (If-Match), refusal of a wrong checksum.
    """
    folder = f"{prefix}probe/{token_hex(8)}"
    created, replaced, summed = f"{folder}/create", f"{folder}/replace", f"{folder}/checksum"
    missing = []
    try:
        client.put_object(Bucket=bucket, Key=created, Body=_FIRST, IfNoneMatch="*", ChecksumSHA256=_checksum(_FIRST))
        if _accepts(lambda: client.put_object(Bucket=bucket, Key=created, Body=_SECOND, IfNoneMatch="*")):
            missing.append("create-only PUT (If-None-Match: *): it replaced an object that was there")
        etag = client.put_object(Bucket=bucket, Key=replaced, Body=_FIRST)["ETag"]
        if _accepts(lambda: client.put_object(Bucket=bucket, Key=replaced, Body=_SECOND, IfMatch=OTHER_ETAG)):
            missing.append("conditional replace (If-Match): it replaced an object although the ETag was another")
        elif not _accepts(lambda: client.put_object(Bucket=bucket, Key=replaced, Body=_SECOND, IfMatch=etag)):
            missing.append("conditional replace (If-Match): it refused to replace an object with the right ETag")
        if _accepts(
            lambda: client.put_object(Bucket=bucket, Key=summed, Body=_FIRST, ChecksumSHA256=_checksum(_SECOND))
        ):
            missing.append("checksum refusal (x-amz-checksum-sha256): it stored bytes that have another sha256")
    finally:
        for key in (created, replaced, summed):
            client.delete_object(Bucket=bucket, Key=key)
    if missing:
        raise StoreUnfit(
            f"the object store lacks: {'; '.join(missing)}",
            expected="an S3 that honours conditional writes and checksums, such as AWS, MinIO, Ceph or SeaweedFS 4.48",
        )


def _checksum(body: bytes) -> str:
    return base64.b64encode(Digest.of(body).raw).decode()


def _accepts(write: Callable[[], object]) -> bool:
    try:
        write()
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status in (400, 409, 412):
            return False
        raise
    return True
