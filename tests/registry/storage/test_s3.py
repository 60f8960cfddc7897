"""The store, for real: create-only, checked by length and checksum, content-addressed by namespace."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import io
import threading
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.registry.world import store_settings
from tidegate.digest import Digest
from tidegate_registry.storage.blobs import BlobKey, BlobMissing, StagingKey, StoredBytesDiffer, StoreUnavailable
from tidegate_registry.storage.s3 import S3BlobStore

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint

DATA = b"some content\n" * 1000


@pytest.fixture
def store(s3: S3Endpoint) -> S3BlobStore:
    return S3BlobStore(store_settings(s3))


def put(store: S3BlobStore, data: bytes, namespace: str = "acme") -> tuple[BlobKey, bool]:
    key = BlobKey(namespace, Digest.of(data))
    return key, store.put(key, io.BytesIO(data), size=len(data), sha256=Digest.of(data))


def test_what_is_put_is_there_with_its_checksum(store: S3BlobStore) -> None:
    key, created = put(store, DATA)
    assert created
    stored = store.stat(key)
    assert stored is not None
    assert (stored.size, stored.sha256) == (len(DATA), key.digest)
    with store.open(key) as body:
        assert body.read() == DATA
    assert httpx2.get(store.presign_get(key), trust_env=False).content == DATA


def test_the_same_again_is_no_second_object(store: S3BlobStore) -> None:
    assert [put(store, DATA)[1], put(store, DATA)[1]] == [True, False]


def test_of_sixteen_at_once_one_creates(store: S3BlobStore) -> None:
    start = threading.Barrier(16)

    def one(_: int) -> bool:
        start.wait(20)
        return put(store, DATA)[1]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(one, range(16))) == 1


def test_bytes_that_are_not_the_checksum_are_refused_by_the_store(store: S3BlobStore) -> None:
    key = BlobKey("acme", Digest.of(DATA))
    with pytest.raises(StoreUnavailable) as caught:
        store.put(key, io.BytesIO(b"other"), size=5, sha256=key.digest)
    assert caught.value.reasons[0].code == "store-unavailable"
    assert store.stat(key) is None


def test_a_key_that_holds_other_bytes_is_noticed(store: S3BlobStore) -> None:
    key = BlobKey("acme", Digest.of(DATA))
    store.client.put_object(Bucket=store.bucket, Key=store.prefix + key.path, Body=b"planted")
    with pytest.raises(StoredBytesDiffer) as caught:
        put(store, DATA)
    assert caught.value.reasons[0].code == "stored-bytes-differ"


def test_namespaces_do_not_share_objects_and_copies_are_exact(store: S3BlobStore) -> None:
    key, _ = put(store, DATA)
    other = dataclasses.replace(key, namespace="umbra")
    assert store.stat(other) is None
    store.copy(key, other)
    store.copy(key, other)
    assert store.stat(other) == store.stat(key)


def test_a_copy_onto_other_bytes_is_noticed_and_one_of_nothing_is_refused(store: S3BlobStore) -> None:
    key, _ = put(store, DATA)
    target = dataclasses.replace(key, namespace="umbra")
    store.client.put_object(Bucket=store.bucket, Key=store.prefix + target.path, Body=b"planted")
    with pytest.raises(StoredBytesDiffer) as caught:
        store.copy(key, target)
    assert caught.value.reasons[0].code == "stored-bytes-differ"
    with pytest.raises(BlobMissing) as missing:
        store.copy(BlobKey("acme", Digest.of(b"nothing")), target)
    assert missing.value.reasons[0].code == "blob-missing"


def test_altered_bytes_are_not_copied_to_another_namespace(store: S3BlobStore) -> None:
    key, _ = put(store, DATA)
    target = dataclasses.replace(key, namespace="umbra")
    store.client.put_object(
        Bucket=store.bucket, Key=store.prefix + key.path, Body=b"altered", ChecksumAlgorithm="SHA256"
    )
    with pytest.raises(StoredBytesDiffer) as caught:
        store.copy(key, target)
    assert caught.value.reasons[0].code == "stored-bytes-differ"
    assert store.stat(target) is None


def stage(store: S3BlobStore, data: bytes) -> StagingKey:
    key = StagingKey("00000000-0000-4000-8000-000000000000")
    store.client.put_object(Bucket=store.bucket, Key=store.prefix + key.path, Body=data)
    return key


def test_a_staged_object_becomes_a_blob_without_the_mark_it_came_with(store: S3BlobStore) -> None:
    source, target = stage(store, DATA), BlobKey("acme", Digest.of(DATA))
    staged = store.stat(source)
    assert staged is not None
    for _ in range(2):
        store.promote(source, target, staged=staged, sha256=target.digest)
    with store.open(target) as body:
        assert body.read() == DATA


def test_a_staged_object_that_was_replaced_since_it_was_hashed_is_not_copied(store: S3BlobStore) -> None:
    source, target = stage(store, DATA), BlobKey("acme", Digest.of(DATA))
    staged = store.stat(source)
    assert staged is not None
    stage(store, b"?" * len(DATA))
    with pytest.raises(BlobMissing) as caught:
        store.promote(source, target, staged=staged, sha256=target.digest)
    assert caught.value.reasons[0].code == "blob-missing"
    assert store.stat(target) is None


def test_a_staged_object_is_not_taken_for_what_is_planted_at_its_key(store: S3BlobStore) -> None:
    source, target = stage(store, DATA), BlobKey("acme", Digest.of(DATA))
    store.client.put_object(Bucket=store.bucket, Key=store.prefix + target.path, Body=b"?" * len(DATA))
    staged = store.stat(source)
    assert staged is not None
    with pytest.raises(StoredBytesDiffer) as caught:
        store.promote(source, target, staged=staged, sha256=target.digest)
    assert caught.value.reasons[0].code == "stored-bytes-differ"


def test_what_was_sent_in_parts_is_hashed_before_another_namespace_gets_it(store: S3BlobStore) -> None:
    source = BlobKey("acme", Digest.of(DATA))
    store.client.put_object(Bucket=store.bucket, Key=store.prefix + source.path, Body=DATA)  # no checksum of the whole
    target = dataclasses.replace(source, namespace="umbra")
    store.copy(source, target)
    assert store.stat(target) is not None
    altered = BlobKey("acme", Digest.of(b"altered"))
    store.client.put_object(Bucket=store.bucket, Key=store.prefix + altered.path, Body=DATA)
    with pytest.raises(StoredBytesDiffer) as caught:
        store.copy(altered, dataclasses.replace(altered, namespace="umbra"))
    assert caught.value.reasons[0].code == "stored-bytes-differ"


def test_what_is_not_there_is_missing(store: S3BlobStore) -> None:
    key = BlobKey("acme", Digest.of(b"nothing"))
    assert store.stat(key) is None
    with pytest.raises(BlobMissing) as caught:
        store.open(key)
    assert caught.value.reasons[0].code == "blob-missing"


def test_sha512_blobs_are_kept_beside_the_others(store: S3BlobStore) -> None:
    key = BlobKey("acme", Digest.of(DATA, "sha512"))
    store.put(key, io.BytesIO(DATA), size=len(DATA), sha256=Digest.of(DATA))
    assert key.path.startswith("blobs/acme/sha512/")
    stored = store.stat(key)
    assert stored is not None
    assert stored.sha256 == Digest.of(DATA)


def test_links_name_the_public_endpoint_where_there_is_one(s3: S3Endpoint) -> None:
    settings = store_settings(s3).model_copy(update={"presign_endpoint": "https://blobs.acme.example"})
    link = S3BlobStore(settings).presign_get(BlobKey("acme", Digest.of(DATA)))
    assert link.startswith(f"https://blobs.acme.example/{s3.bucket}/")
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in link
    assert "X-Amz-Expires=900" in link


@pytest.mark.parametrize("namespace", ["", "..", "a/b", "Acme", "a b"])
def test_a_namespace_that_could_leave_its_folder_makes_no_key(namespace: str) -> None:
    with pytest.raises(ValueError, match="not a namespace"):
        BlobKey(namespace, Digest.of(b""))


def test_a_wrong_secret_is_a_store_that_is_unavailable(s3: S3Endpoint) -> None:
    settings = store_settings(dataclasses.replace(s3, secret_key=hashlib.sha256(b"wrong").hexdigest()))
    with pytest.raises(StoreUnavailable) as caught:
        S3BlobStore(settings).ping()
    assert caught.value.reasons[0].code == "store-unavailable"
    assert "403" in (caught.value.reasons[0].found or "")
