"""Object Lock: that the bucket itself keeps everything for as long as the settings say, whoever has our credential.

The bucket's default retention does it, so that no way of writing can leave it out: links, copies, uploads in parts. A
DELETE then hides an object, and its bytes stay until their time is over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tidegate_registry.storage.blobs import StoreUnfit
from tidegate_registry.storage.bucket import NOT_FOUND, status_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from tidegate_registry.settings import S3Settings

DAYS_OF_A_YEAR = 365


class LockMissing(StoreUnfit):
    """The bucket does not lock objects as the settings say."""

    code = "object-lock-missing"


def check_lock(client: S3Client, settings: S3Settings) -> None:
    """Check the bucket's default retention, if the settings ask for one. Raises LockMissing."""
    wanted = settings.object_lock_days
    if not wanted:
        return
    mode, days = _default_retention(client, settings.bucket)
    allowed = {settings.object_lock.upper(), "COMPLIANCE"}  # the stricter one will always do
    if mode not in allowed or days < wanted:
        raise LockMissing(
            f"bucket {settings.bucket} does not lock what is written to it",
            found=f"{mode.lower()}, {days} days" if mode else "no default retention",
            expected=f"default retention {settings.object_lock}, at least {wanted} days",
            hint="make the bucket with Object Lock, and set its default retention; or change s3.object_lock",
        )


def _default_retention(client: S3Client, bucket: str) -> tuple[str, int]:
    try:
        found = client.get_object_lock_configuration(Bucket=bucket)
    except ClientError as error:
        if status_of(error) == NOT_FOUND:
            return "", 0
        raise
    retention = found.get("ObjectLockConfiguration", {}).get("Rule", {}).get("DefaultRetention", {})
    return retention.get("Mode", ""), retention.get("Days", 0) + DAYS_OF_A_YEAR * retention.get("Years", 0)
