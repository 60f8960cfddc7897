"""What entries name is put beside the log, once, from the row or the blob; what cannot be is told, not waited for."""

from __future__ import annotations

import dataclasses
from threading import Barrier
from typing import TYPE_CHECKING, BinaryIO

import pytest
from sqlmodel import col, select, update

from tests.registry.world import World, store_settings
from tidegate.digest import Digest
from tidegate.formats.jcs import parse_object
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import SYSTEM, Refused
from tidegate_registry.audit.leader import acquire
from tidegate_registry.audit.objects import AT_ONCE, ROWS, ObjectMissing, store_objects
from tidegate_registry.audit.sequence import LOG, assign
from tidegate_registry.audit.service import LogObject
from tidegate_registry.audit.tables import LogObjectRow
from tidegate_registry.sandbox.ports import pick_ports
from tidegate_registry.storage.blobs import BlobKey, LogKey, StoreUnavailable
from tidegate_registry.storage.s3 import S3BlobStore

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint

TEXT = b"policy: text"


def write(world: World, *objects: LogObject) -> str:
    with world.services.db.begin() as tx:
        return audit.append(
            tx, Refused(at=world.clock(), actor=SYSTEM, operation="-", code="-", reasons=()), objects=objects
        )


def rows(world: World) -> list[LogObjectRow]:
    with world.services.db.read() as tx:
        return list(tx.exec(select(LogObjectRow).order_by(col(LogObjectRow.entry), col(LogObjectRow.digest))))


def stored(world: World, digest: Digest) -> bytes | None:
    found = world.services.blobs.read(LogKey.of_object(digest), limit=1 << 20)
    return None if found is None else found[0]


def told(world: World) -> list[object]:
    with world.services.db.read() as tx:
        found = audit.entries(tx, type_=ObjectMissing.type)
        return [parse_object(row.body, limit=1 << 16, what="an entry")["data"] for row in found]


def test_bytes_in_the_row_go_beside_the_log_and_leave_the_row(world: World) -> None:
    write(world, LogObject.of(TEXT))
    assert stored(world, Digest.of(TEXT)) is None
    assert store_objects(world.services) == 1
    assert stored(world, Digest.of(TEXT)) == TEXT
    (row,) = rows(world)
    assert (row.body, row.stored_at) == (None, world.clock())
    assert store_objects(world.services) == 0


def test_a_blob_is_copied_within_the_store(world: World) -> None:
    world.push_blob(world.client(), b"bundle")
    digest = Digest.of(b"bundle")
    write(world, LogObject(digest, source=BlobKey("acme", digest)))
    assert store_objects(world.services) == 1
    assert stored(world, digest) == b"bundle"


def test_what_is_beside_the_log_is_not_asked_for_again_and_what_is_not_yet_is_by_each_entry(world: World) -> None:
    entries = [write(world, LogObject.of(TEXT)), write(world, LogObject.of(TEXT), LogObject.of(b"more"))]
    assert [row.entry for row in rows(world)] == sorted([*entries, entries[1]])
    assert store_objects(world.services) == 2
    write(world, LogObject.of(TEXT))
    assert len(rows(world)) == 3


def test_what_cannot_be_stored_is_told_once_and_the_rest_goes_on(world: World) -> None:
    gone = Digest.of(b"gone")
    entry = write(world, LogObject(gone, source=BlobKey("acme", gone)), LogObject.of(TEXT))
    assert store_objects(world.services) == 1
    assert told(world) == [{"entry": entry, "digest": gone, "problem": "blob-missing"}]
    assert store_objects(world.services) == 0
    world.clock.tick(minutes=2)
    assert store_objects(world.services) == 0
    assert len(told(world)) == 1


def test_what_was_missing_is_stored_once_it_is_there_again(world: World) -> None:
    digest = Digest.of(b"late")
    write(world, LogObject(digest, source=BlobKey("acme", digest)))
    store_objects(world.services)
    world.push_blob(world.client(), b"late")
    world.clock.tick(minutes=2)
    assert store_objects(world.services) == 1
    assert stored(world, digest) == b"late"
    assert rows(world)[0].missing_at is None


def test_other_bytes_under_the_digest_are_told(world: World) -> None:
    digest = Digest.of(TEXT)
    world.services.blobs.put(LogKey.of_object(digest), b"other", size=5, sha256=Digest.of(b"other"))
    entry = write(world, LogObject.of(TEXT))
    assert store_objects(world.services) == 0
    assert told(world) == [{"entry": entry, "digest": digest, "problem": "stored-bytes-differ"}]


def test_a_row_that_was_altered_is_not_put_under_its_digest(world: World) -> None:
    write(world, LogObject.of(TEXT))
    with world.services.db.scratch() as tx:
        tx.exec(update(LogObjectRow).values(body=b"altered"))
    assert store_objects(world.services) == 0
    assert stored(world, Digest.of(TEXT)) is None
    assert len(told(world)) == 1


def test_a_store_that_is_away_keeps_everything_for_the_next_try(world: World, s3: S3Endpoint) -> None:
    write(world, LogObject.of(TEXT))
    nowhere = dataclasses.replace(s3, url=f"http://127.0.0.1:{pick_ports(1)[0]}")
    away = dataclasses.replace(world.services, blobs=S3BlobStore(store_settings(nowhere)))
    with pytest.raises(StoreUnavailable) as caught:
        store_objects(away)
    assert caught.value.reasons[0].code == "store-unavailable"
    assert told(world) == []
    assert store_objects(world.services) == 1


def test_many_are_stored_a_few_rows_at_a_time(world: World) -> None:
    with world.services.db.scratch() as tx:
        for number in range(ROWS + 1):
            body = b"%d" % number
            tx.add(LogObjectRow(entry=f"{number:036}", digest=Digest.of(body), body=body))
    assert store_objects(world.services) == ROWS + 1
    assert store_objects(world.services) == 0


def test_what_comes_meanwhile_is_left_to_the_next_checkpoint(world: World) -> None:
    """Else whoever has entries written faster than a store takes their objects would keep the log from going on."""
    app = world.services
    write(world, LogObject.of(TEXT))
    lease = acquire(app.db, LOG, "leader")
    assert lease is not None
    size = assign(app.db, lease, limit=100, at_least=0)

    class Busy(S3BlobStore):
        def put(self, key: BlobKey | LogKey, body: BinaryIO | bytes, *, size: int, sha256: Digest) -> bool:
            if len(rows(world)) < 3:
                world.clock.tick(seconds=1)
                write(world, LogObject.of(sha256.encode()))
            return super().put(key, body, size=size, sha256=sha256)

    assert isinstance(app.blobs, S3BlobStore)
    busy = dataclasses.replace(app, blobs=Busy(app.settings.s3))
    assert store_objects(busy, below=size) == 1
    assert [row.stored_at is None for row in rows(world)] == [False, True]


def test_several_are_stored_at_the_same_time(world: World) -> None:
    meeting = Barrier(AT_ONCE, timeout=30)

    class Met(S3BlobStore):
        def put(self, key: BlobKey | LogKey, body: BinaryIO | bytes, *, size: int, sha256: Digest) -> bool:
            meeting.wait()
            return super().put(key, body, size=size, sha256=sha256)

    write(world, *(LogObject.of(b"%d" % number) for number in range(AT_ONCE)))
    assert store_objects(dataclasses.replace(world.services, blobs=Met(world.services.settings.s3))) == AT_ONCE


def test_an_object_belongs_to_the_transaction_of_its_entry(world: World) -> None:
    def fail_late() -> None:
        with world.services.db.begin() as tx:
            event = Refused(at=world.clock(), actor=SYSTEM, operation="-", code="-", reasons=())
            audit.append(tx, event, objects=[LogObject.of(TEXT)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_late()
    assert rows(world) == []


@pytest.mark.parametrize(
    ("body", "source"),
    [(None, None), (b"x", BlobKey("acme", Digest.of(b"x"))), (b"y", None), (None, BlobKey("acme", Digest.of(b"y")))],
)
def test_an_object_is_its_digests_bytes_or_blob(body: bytes | None, source: BlobKey | None) -> None:
    with pytest.raises(ValueError, match="object of the log"):
        LogObject(Digest.of(b"x"), body, source)
