"""Files of the audit log in the store: created once, replaced only knowingly, with the headers that caches need."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.registry.world import store_settings
from tidegate.digest import Digest
from tidegate.tlog.tiles import CHECKPOINT_PATH
from tidegate_registry.storage.blobs import LogKey, StateKey, StoredBytesDiffer
from tidegate_registry.storage.s3 import S3BlobStore

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint

TILE, PARTIAL, BUNDLE = LogKey("tile/0/x001/234.p/17"), LogKey("tile/0/000.p/3"), LogKey("tile/entries/000")
OBJECT = LogKey(f"objects/sha256/ab/ab{'0' * 62}")
HEAD = LogKey(CHECKPOINT_PATH)


@pytest.fixture
def store(s3: S3Endpoint) -> S3BlobStore:
    return S3BlobStore(store_settings(s3))


def put(store: S3BlobStore, key: LogKey, raw: bytes) -> bool:
    return store.put(key, raw, size=len(raw), sha256=Digest.of(raw))


@pytest.mark.parametrize("key", [TILE, PARTIAL, BUNDLE, OBJECT])
def test_a_tile_is_written_once_and_never_with_other_bytes(store: S3BlobStore, key: LogKey) -> None:
    assert [put(store, key, b"hashes"), put(store, key, b"hashes")] == [True, False]
    with pytest.raises(StoredBytesDiffer) as caught:
        put(store, key, b"hushes")
    assert caught.value.reasons[0].code == "stored-bytes-differ"
    found = store.read(key, limit=6)
    assert found is not None
    assert found[0] == b"hashes"


def test_the_checkpoint_is_replaced_only_by_who_has_read_the_one_that_is_there(store: S3BlobStore) -> None:
    assert store.read(HEAD, limit=10) is None
    assert store.write(HEAD, b"one", replaces=None)
    assert not store.write(HEAD, b"uno", replaces=None)
    first = store.read(HEAD, limit=10)
    assert first is not None
    assert store.write(HEAD, b"two", replaces=first[1])
    assert not store.write(HEAD, b"zwei", replaces=first[1])
    second = store.read(HEAD, limit=10)
    assert second is not None
    assert second[0] == b"two"


def test_what_is_longer_than_it_may_be_is_not_read_in_part(store: S3BlobStore) -> None:
    assert put(store, TILE, b"hashes")
    with pytest.raises(StoredBytesDiffer) as caught:
        store.read(TILE, limit=5)
    assert caught.value.reasons[0].code == "stored-bytes-differ"


@pytest.mark.parametrize(
    ("key", "content_type", "cache_control"),
    [
        (HEAD, "text/plain; charset=utf-8", "public, max-age=1"),
        (TILE, "application/octet-stream", "public, max-age=31536000, immutable"),
        (BUNDLE, "application/octet-stream", "private, max-age=31536000, immutable"),
        (OBJECT, "application/octet-stream", "private, max-age=31536000, immutable"),
    ],
)
def test_the_bucket_itself_can_serve_the_log_with_the_right_headers(
    store: S3BlobStore, key: LogKey, content_type: str, cache_control: str
) -> None:
    if key == HEAD:
        store.write(key, b"note", replaces=None)
    else:
        put(store, key, b"note")
    told = store.client.head_object(Bucket=store.bucket, Key=store.full_key(key))
    assert (told["ContentType"], told["CacheControl"]) == (content_type, cache_control)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "checkpoint/",
        "tile/0/../../blobs/acme",
        "tile/64/000",
        "tile/00/000",
        "tile/0/1",
        "tile/0/x000/000.p/0",
        "tile/0/000\n",
        "tile/entries/000.p/",
        f"objects/sha256/ab/cd{'0' * 62}",
        f"objects/sha256/AB/AB{'0' * 62}",
        f"objects/sha512/ab/ab{'0' * 62}",
        "state/high-water.json",
    ],
)
def test_no_other_object_has_a_name_as_a_file_of_the_log(name: str) -> None:
    with pytest.raises(ValueError, match="not a file of the log"):
        LogKey(name)


def test_state_stays_where_it_was() -> None:
    assert StateKey("high-water.json").path == "state/high-water.json"
