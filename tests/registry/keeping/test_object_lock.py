"""A bucket with Object Lock: its default retention is looked at, and nothing is collected before its time."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from tests.registry.keeping.helpers import collect, is_stored, released, store_of
from tests.registry.world import running_world, store_settings
from tidegate.digest import Digest
from tidegate_registry.keeping.fsck.run import check
from tidegate_registry.settings import ObjectLock, S3Settings
from tidegate_registry.storage.blobs import BlobKey
from tidegate_registry.storage.lock import LockMissing
from tidegate_registry.storage.s3 import S3BlobStore

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint

LAYER, LOOSE = b"what the agent does", b"sent, and never named"
DAYS = 7


def locked(s3: S3Endpoint, mode: ObjectLock, days: int, bucket: str) -> S3Settings:
    settings = store_settings(s3).model_dump() | {"object_lock": mode, "object_lock_days": days, "bucket": bucket}
    return S3Settings.model_validate(settings)


@pytest.fixture
def bucket(s3: S3Endpoint) -> str:
    """A bucket that keeps everything for a week, against those who may bypass it not."""
    name, client = f"lock-{uuid.uuid4().hex[:12]}", S3BlobStore(store_settings(s3)).client
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    client.put_object_lock_configuration(
        Bucket=name,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": DAYS}},
        },
    )
    return name


def test_the_start_is_refused_unless_the_bucket_locks_as_the_settings_say(s3: S3Endpoint, bucket: str) -> None:
    S3BlobStore(locked(s3, ObjectLock.GOVERNANCE, DAYS, bucket)).probe()
    for mode, days, name in (
        (ObjectLock.COMPLIANCE, DAYS, bucket),
        (ObjectLock.GOVERNANCE, DAYS + 1, bucket),
        (ObjectLock.GOVERNANCE, 1, s3.bucket),
    ):
        with pytest.raises(LockMissing) as caught:
            S3BlobStore(locked(s3, mode, days, name)).probe()
        assert caught.value.reasons[0].code == "object-lock-missing"
    with pytest.raises(ValidationError, match="go together"):
        locked(s3, ObjectLock.COMPLIANCE, 0, bucket)


def test_nothing_locked_is_collected_and_its_bytes_outlive_its_removal(
    s3: S3Endpoint, database_url: str, tmp_path: Path, bucket: str
) -> None:
    store = locked(s3, ObjectLock.GOVERNANCE, DAYS, bucket)
    with running_world(s3, database_url, tmp_path, store=store) as world:
        released(world, LAYER)
        world.push_blob(world.client(), LOOSE)
        world.clock.tick(hours=25)
        assert collect(world.services) == set()
        world.clock.tick(days=DAYS)
        assert collect(world.services) == {Digest.of(LOOSE)}
        assert not is_stored(world, LOOSE)
        assert check(world.services, rehash=True).findings == []
        s3_store, client = store_of(world)
        key = s3_store.full_key(BlobKey("acme", Digest.of(LOOSE)))
        versions = client.list_object_versions(Bucket=bucket, Prefix=key)
        assert (len(versions["Versions"]), len(versions["DeleteMarkers"])) == (1, 1)
        world.push_blob(world.client(), LOOSE)
        assert is_stored(world, LOOSE)
