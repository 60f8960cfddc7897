"""A backup is a dump and then a copy of the bucket; a dump that is older than the bucket is noticed, and not served."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.postgres import empty_database
from tests.registry.keeping.helpers import OPERATOR, collect, command, released, store_of
from tests.registry.world import World, store_settings
from tidegate.digest import Digest
from tidegate.errors import InvalidInput
from tidegate_registry import migrations
from tidegate_registry.app import check_start
from tidegate_registry.audit.service import entries
from tidegate_registry.db import Db
from tidegate_registry.keeping.fsck.run import check
from tidegate_registry.keeping.highwater import (
    MARK,
    DatabaseBehind,
    MarkInvalid,
    NothingLost,
    accept_loss,
    check_not_behind,
    last_entry,
    note_progress,
)
from tidegate_registry.services import Services
from tidegate_registry.settings import Mode
from tidegate_registry.storage.s3 import S3BlobStore

FIRST, SECOND = b"what the first release does", b"what the second one does"


class Backup:
    """Dumps and restores databases as the guide says, and copies the objects of a registry."""

    def __init__(self, world: World, folder: Path, request: pytest.FixtureRequest, stack: contextlib.ExitStack) -> None:
        self._world, self._folder, self._request, self._stack = world, folder, request, stack
        self._url = world.services.settings.database_url.get_secret_value()

    def dump(self) -> Path:
        file = self._folder / f"{uuid.uuid4().hex}.dump"
        if self._world.services.db.is_sqlite:
            name = make_url(self._url).database or ""
            with (
                contextlib.closing(sqlite3.connect(name)) as source,
                contextlib.closing(sqlite3.connect(file)) as target,
            ):
                source.backup(target)
        else:
            run("pg_dump", "--format=custom", f"--file={file}", f"--dbname={plain(self._url)}")
        return file

    def restored(self, dump: Path) -> Services:
        """A registry on what `dump` holds, and on a copy of the bucket as it is now."""
        if self._world.services.db.is_sqlite:
            url = f"sqlite:///{dump}"
        else:
            server = self._request.getfixturevalue("postgres_server")
            url = self._stack.enter_context(empty_database(server))
            run("pg_restore", "--no-owner", f"--dbname={plain(url)}", str(dump))
        db = Db(url)
        self._stack.callback(db.close)
        return dataclasses.replace(self._world.services, db=db, blobs=self._copied())

    def _copied(self) -> S3BlobStore:
        store, client = store_of(self._world)
        copy = S3BlobStore(store_settings(self._request.getfixturevalue("s3")))
        for each in store.list(""):
            source = f"{store.bucket}/{store.prefix}{each.path}"
            client.copy_object(Bucket=copy.bucket, Key=copy.prefix + each.path, CopySource=source)
        return copy


def plain(url: str) -> str:
    return url.replace("postgresql+psycopg", "postgresql")


def run(*command_line: str) -> None:
    subprocess.run(command_line, check=True, capture_output=True, timeout=60)


@pytest.fixture
def backup(own_world: World, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Backup]:
    migrations.upgrade(own_world.services.db)
    with contextlib.ExitStack() as stack:
        yield Backup(own_world, tmp_path, request, stack)


def test_a_dump_and_then_a_copy_of_the_bucket_make_a_registry_that_is_clean(own_world: World, backup: Backup) -> None:
    released(own_world, FIRST)
    note_progress(own_world.services)
    dump = backup.dump()
    own_world.push_blob(own_world.client(), SECOND)  # it is in the copy, and no row says so
    restored = backup.restored(dump)
    check_not_behind(restored)
    assert {str(each.problem) for each in check(restored, rehash=True).findings} == {"object-without-row"}


def test_a_dump_older_than_the_bucket_is_noticed_and_goes_on_only_when_the_loss_is_accepted(
    own_world: World, backup: Backup
) -> None:
    released(own_world, FIRST)
    dump = backup.dump()
    released(own_world, SECOND, version="1.1.0")
    note_progress(own_world.services)
    restored = backup.restored(dump)
    settings = restored.settings.model_copy(update={"mode": Mode.PRODUCTION})
    with pytest.raises(DatabaseBehind) as caught:
        check_start(dataclasses.replace(restored, settings=settings))
    (reason,) = caught.value.reasons
    missing = len(own_world.events()) - len(entries_of(restored))
    assert (reason.code, f"about {missing} entries are missing" in (reason.found or "")) == ("database-behind", True)
    assert "accept-loss" in (reason.hint or "")
    own_world.clock.tick(days=400)
    for refused in (collect, note_progress):  # neither removes what may come back, nor forgets that it was there
        with pytest.raises(DatabaseBehind):
            refused(restored)
    assert [str(each.problem) for each in check(restored).problems] == ["database-behind"]
    accept_loss(restored, OPERATOR, "the disk of the newer dump is gone")
    check_start(dataclasses.replace(restored, settings=settings))
    assert check(restored, rehash=True).problems == []
    assert entries_of(restored)[-1] == "loss.accepted"
    own_world.clock.tick(days=400)
    assert Digest.of(SECOND) in collect(restored)


def entries_of(app: Services) -> list[str]:
    with app.db.read() as tx:
        return [row.type for row in entries(tx, limit=1000)]


def test_the_mark_follows_the_last_entry_and_a_replica_that_lags_never_lowers_it(own_world: World) -> None:
    app, store = own_world.services, own_world.services.blobs
    note_progress(app)
    assert store.read(MARK, limit=1000) is None  # there is nothing to note
    released(own_world, FIRST)
    note_progress(app)
    first = store.read(MARK, limit=1000)
    assert first is not None
    released(own_world, SECOND, version="1.1.0")
    note_progress(app)
    newer = store.read(MARK, limit=1000)
    assert newer is not None
    assert not store.write(MARK, first[0], replaces=first[1])  # read before, written after
    assert not store.write(MARK, first[0], replaces=None)
    assert store.read(MARK, limit=1000) == newer
    with app.db.read() as tx:
        last = last_entry(tx)
    assert last is not None
    assert last.entry.encode() in newer[0]


def test_a_registry_that_stops_notes_how_far_it_came(own_world: World) -> None:
    released(own_world, FIRST)
    own_world.server.stop()
    found = own_world.services.blobs.read(MARK, limit=1000)
    assert found is not None
    with own_world.services.db.read() as tx:
        last = last_entry(tx)
    assert last is not None
    assert last.entry.encode() in found[0]


def test_there_is_no_loss_to_accept_where_nothing_is_lost(own_world: World) -> None:
    code, _, told = command(own_world, "accept-loss", "--reason", "just in case")
    assert (code, "no high-water mark" in told) == (1, True)
    released(own_world, FIRST)
    note_progress(own_world.services)
    with pytest.raises(NothingLost) as caught:
        accept_loss(own_world.services, OPERATOR, "just in case")
    assert caught.value.reasons[0].code == "nothing-lost"
    with pytest.raises(InvalidInput) as unsaid:
        accept_loss(own_world.services, OPERATOR, " ")
    assert unsaid.value.reasons[0].code == "reason-missing"


def test_a_mark_that_is_none_stops_the_start(own_world: World) -> None:
    assert own_world.services.blobs.write(MARK, b'{"position":"1"}', replaces=None)
    with pytest.raises(MarkInvalid) as caught:
        check_not_behind(own_world.services)
    assert caught.value.reasons[0].code == "high-water-mark-invalid"
