"""Bytes of unfinished uploads: kept in order, hashed once, never taken for what they are not."""

from __future__ import annotations

import os
import resource
import stat
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.registry.world import store_settings
from tidegate.digest import Digest
from tidegate_registry.storage.blobs import BlobKey
from tidegate_registry.storage.s3 import S3BlobStore
from tidegate_registry.storage.uploads import DigestDiffers, SpoolStage, SpoolUnavailable, UploadLost, UploadTooLarge

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint

SESSION = str(uuid.UUID(int=1))
LIMIT = 1000


@pytest.fixture
def stage(tmp_path: Path) -> SpoolStage:
    return SpoolStage(tmp_path / "spool")


@pytest.fixture
def store(s3: S3Endpoint) -> S3BlobStore:
    return S3BlobStore(store_settings(s3))


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_suspended_upload_goes_on_and_becomes_a_blob(stage: SpoolStage, store: S3BlobStore, algorithm: str) -> None:
    first = stage.open(SESSION, size=0, limit=LIMIT)
    first.write(b"one ")
    assert first.suspend() == 4
    second = stage.open(SESSION, size=4, limit=LIMIT)
    second.write(b"two")
    key = second.commit("acme", Digest.of(b"one two", algorithm), store)
    assert key == BlobKey("acme", Digest.of(b"one two", algorithm))
    with store.open(key) as body:
        assert body.read() == b"one two"
    assert list(stage.folder.iterdir()) == []


def test_bytes_beyond_what_counts_are_dropped(stage: SpoolStage, store: S3BlobStore) -> None:
    first = stage.open(SESSION, size=0, limit=LIMIT)
    first.write(b"counted, and not counted")
    first.suspend()
    again = stage.open(SESSION, size=7, limit=LIMIT)
    again.write(b"!")
    again.commit("acme", Digest.of(b"counted!"), store)


def test_fewer_bytes_than_count_are_noticed(stage: SpoolStage) -> None:
    stage.open(SESSION, size=0, limit=LIMIT).suspend()
    with pytest.raises(UploadLost) as caught:
        stage.open(SESSION, size=1, limit=LIMIT)
    assert caught.value.reasons[0].code == "upload-lost"


def test_another_digest_stores_nothing(stage: SpoolStage, store: S3BlobStore) -> None:
    sink = stage.open(SESSION, size=0, limit=LIMIT)
    sink.write(b"x")
    with pytest.raises(DigestDiffers) as caught:
        sink.commit("acme", Digest.of(b"y"), store)
    assert caught.value.reasons[0].code == "digest-differs"
    sink.discard()
    assert store.stat(BlobKey("acme", Digest.of(b"x"))) is None
    assert store.stat(BlobKey("acme", Digest.of(b"y"))) is None


def test_the_limit_counts_what_came_before(stage: SpoolStage) -> None:
    first = stage.open(SESSION, size=0, limit=LIMIT)
    first.write(b"x" * LIMIT)
    first.suspend()
    second = stage.open(SESSION, size=LIMIT, limit=LIMIT)
    with pytest.raises(UploadTooLarge) as caught:
        second.write(b"x")
    assert caught.value.reasons[0].code == "blob-too-large"
    second.discard()
    second.discard()
    assert list(stage.folder.iterdir()) == []


def test_files_are_for_the_registry_alone(stage: SpoolStage) -> None:
    stage.open(SESSION, size=0, limit=LIMIT).suspend()
    (file,) = stage.folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(stage.folder.stat().st_mode) == 0o700


def test_files_that_nobody_wrote_to_for_long_are_swept(stage: SpoolStage) -> None:
    other = str(uuid.UUID(int=2))
    for session in (SESSION, other):
        stage.open(session, size=0, limit=LIMIT).suspend()
    (stage.folder / "README").write_text("not ours")
    now = datetime.now(UTC)
    os.utime(stage.folder / other, (now.timestamp() - 3600,) * 2)
    stage.sweep(now - timedelta(minutes=30))
    assert {file.name for file in stage.folder.iterdir()} == {SESSION, "README"}
    SpoolStage(stage.folder / "not there").sweep(now)


@pytest.mark.parametrize("session", ["../../etc/passwd", "", ".", "x" * 36, "00000000-0000-0000-0000-00000000000/"])
def test_a_session_that_is_none_names_no_file(stage: SpoolStage, session: str) -> None:
    with pytest.raises(ValueError, match="not a session id"):
        stage.open(session, size=0, limit=LIMIT)
    with pytest.raises(ValueError, match="not a session id"):
        stage.discard(session)


def test_a_folder_that_cannot_be_written_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    stage = SpoolStage(tmp_path / "file" / "spool")
    for use in (stage.ping, lambda: stage.open(SESSION, size=0, limit=LIMIT)):
        with pytest.raises(SpoolUnavailable) as caught:
            use()
        assert caught.value.reasons[0].code == "spool-unavailable"


def test_a_full_disk_is_unavailable_and_not_a_fault(stage: SpoolStage) -> None:
    sink = stage.open(SESSION, size=0, limit=1 << 30)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(SpoolUnavailable) as caught:
            sink.write(b"x" * (1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.reasons[0].code == "spool-unavailable"
    sink.discard()
