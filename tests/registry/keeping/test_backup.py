"""A backup is a dump, then a copy of the bucket; a dump older than the published log is noticed, and not written to."""

from __future__ import annotations

import contextlib
import dataclasses
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from tests.postgres import empty_database
from tests.registry.audit.publishing import log_signer, publish_log
from tests.registry.keeping.helpers import OPERATOR, collect, command, released, store_of
from tests.registry.policies.documents import policy
from tests.registry.policies.documents import text as policy_text
from tests.registry.world import AGENT, World, store_settings
from tidegate.digest import Digest
from tidegate_registry import migrations
from tidegate_registry.app import check_start
from tidegate_registry.artifacts.tables import BlobRow, ManifestRow
from tidegate_registry.audit.compare import demand_own_log
from tidegate_registry.audit.halt import demand_not_halted
from tidegate_registry.audit.problems import LogAhead
from tidegate_registry.audit.service import entries
from tidegate_registry.db import Db
from tidegate_registry.keeping.fsck.run import check
from tidegate_registry.keeping.restoring import restore
from tidegate_registry.keeping.sweep import check_may_collect
from tidegate_registry.services import Services
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
    publish_log(own_world.services)
    dump = backup.dump()
    own_world.push_blob(own_world.client(), SECOND)  # it is in the copy, and no row says so
    restored = backup.restored(dump)
    demand_own_log(restored)
    assert {str(each.problem) for each in check(restored, rehash=True).findings} == {"object-without-row"}


def test_a_dump_older_than_the_published_log_is_noticed_and_not_written_to(own_world: World, backup: Backup) -> None:
    released(own_world, FIRST)
    publish_log(own_world.services)
    dump = backup.dump()
    released(own_world, SECOND, version="1.1.0")
    publish_log(own_world.services)
    restored = backup.restored(dump)
    check_start(restored)
    entries = entries_of(restored)
    with pytest.raises(LogAhead) as held, restored.db.begin():
        raise AssertionError("not reached")
    assert held.value.reasons[0].code == "log-ahead"
    own_world.clock.tick(days=400)
    for refused in (publish_log, check_may_collect):  # neither goes on, nor removes what may come back
        with pytest.raises(LogAhead):
            refused(restored)
    with pytest.raises(LogAhead):
        demand_not_halted(restored)
    assert [str(each.problem) for each in check(restored).problems] == ["log-ahead"]
    assert entries_of(restored) == entries
    newer = backup.restored(backup.dump())
    check_start(newer)
    with newer.db.begin():
        pass
    assert Digest.of(SECOND) not in collect(newer)


def entries_of(app: Services) -> list[str]:
    with app.db.read() as tx:
        return [row.type for row in entries(tx, limit=1000)]


def test_what_was_collected_since_the_dump_is_not_promised_again(own_world: World, backup: Backup) -> None:
    """Else the registry said of a blob that it has it, and a release could be named whose bytes are gone."""
    client = own_world.client()
    kept = released(own_world, FIRST)
    forgotten = own_world.make_manifest(client, SECOND)
    assert own_world.put(client, forgotten).status_code == 201
    own_world.push_blob(client, b"again")
    assert own_world.put(client, own_world.make_manifest(client, b"moved"), "working").status_code == 201
    dump = backup.dump()
    assert own_world.put(client, kept, "working").status_code == 201
    own_world.clock.tick(days=60)
    assert {forgotten.digest, Digest.of(SECOND), Digest.of(b"again")} <= collect(own_world.services)
    own_world.push_blob(client, b"again")
    publish_log(own_world.services)
    restored = backup.restored(dump)
    done = restore(restored, OPERATOR, log_signer(restored).key)
    assert not done.lacking
    assert {str(each.problem) for each in check(restored, rehash=True).problems} == set()
    with restored.db.read() as tx:
        assert tx.get(ManifestRow, (AGENT, forgotten.digest)) is None
        assert tx.get(BlobRow, ("acme", Digest.of(SECOND))) is None
        assert tx.get(BlobRow, ("acme", Digest.of(b"again"))) is not None


def test_no_command_of_the_operator_writes_either_while_the_database_is_behind(
    own_world: World, backup: Backup, tmp_path: Path
) -> None:
    released(own_world, FIRST)
    publish_log(own_world.services)
    with own_world.services.db.connect() as connection:  # as in a dump of before
        connection.execute(text("UPDATE log_state SET assigned = 0, published = 0, root = NULL"))
        connection.execute(text("UPDATE audit_event SET idx = NULL"))
    file = tmp_path / "policy.yaml"
    file.write_bytes(policy_text(policy()))
    code, _, said = command(own_world, "policy", "install", str(file))
    assert code != 0
    assert "log-ahead" in said
    assert not own_world.events("policy.applied")
