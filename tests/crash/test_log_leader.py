"""`kill -9` of whoever leads the log, fifty times, while entries are written: one log, no gap, nothing twice."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr
from sqlalchemy import text

from tests.crash.log_worker import forking, start_worker
from tests.postgres import empty_database
from tests.registry.audit.logworld import ORIGIN, Happened, verify_log
from tests.registry.world import store_settings, wait_for
from tidegate_registry import migrations
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import SYSTEM
from tidegate_registry.audit.keys import open_log_signer
from tidegate_registry.audit.leader import LEASE_SECONDS, TAKE_SECONDS
from tidegate_registry.audit.sequence import load_state
from tidegate_registry.db import Db
from tidegate_registry.key_files import create_private_key
from tidegate_registry.services import utc_now
from tidegate_registry.settings import Mode, Settings
from tidegate_registry.settings_log import LogSettings
from tidegate_registry.storage.blobs import LOG
from tidegate_registry.storage.s3 import S3BlobStore

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

KILLS = 50
BY_ITSELF = 2  # kills after which the lease runs out in its own time; after the others it is ended
TAKEN_OVER_SECONDS = 5.0


@dataclass
class Workers:
    """Two worker processes over one database and one store, and somebody who writes entries all the time."""

    db: Db
    settings: Settings
    context: ForkServerContext
    processes: list[BaseProcess] = field(default_factory=list)
    written: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        self.processes.append(start_worker(self.context, self.settings))

    def write(self) -> None:
        while not self.over.is_set():
            with self.db.begin() as tx:
                audit.append(tx, Happened(at=utc_now(), actor=SYSTEM, number=self.written))
            self.written += 1

    def published(self) -> int:
        with self.db.read() as tx:
            return load_state(tx).published

    def leader(self) -> tuple[int, int]:
        """The leader's process and epoch; (0, 0) while there is none."""
        with self.db.read() as tx:
            found = "SELECT holder, epoch, expires_at FROM leadership WHERE name = 'log'"
            row = tx.connection().execute(text(found)).one_or_none()
        if row is None or row.expires_at == 0:
            return 0, 0
        return int(row.holder.split(":")[1]), int(row.epoch)

    def kill_leader(self, *, ends_by_itself: bool) -> None:
        wait_for(lambda: self.leader()[0], seconds=60)
        pid, epoch = self.leader()
        (process,) = (each for each in self.processes if each.pid == pid)
        os.kill(pid, signal.SIGKILL)
        process.join()
        killed = time.monotonic()
        self.processes.remove(process)
        if not ends_by_itself:
            with self.db.connect() as connection:
                ended = "UPDATE leadership SET expires_at = 0 WHERE name = 'log' AND epoch = :epoch"
                connection.execute(text(ended), {"epoch": epoch})
        wait_for(lambda: self.leader()[1] > epoch, seconds=60)
        if ends_by_itself:
            assert time.monotonic() - killed < 2 * TAKEN_OVER_SECONDS, "on a busy machine, twice what is promised"
        self.start()


@pytest.fixture
def workers(s3: S3Endpoint, postgres_server: str, tmp_path: Path) -> Iterator[Workers]:
    with empty_database(postgres_server) as url:
        store = store_settings(s3)
        key = tmp_path / "log.key"
        create_private_key(key, Ed25519PrivateKey.generate())
        settings = Settings(
            mode=Mode.SANDBOX,
            database_url=SecretStr(url),
            s3=store,
            log=LogSettings(origin=ORIGIN, key=f"file:{key}", batch=50, checkpoint_seconds=0.1),
        )
        db = Db(url)
        migrations.upgrade(db)
        running = Workers(db, settings, forking())
        for _ in range(2):
            running.start()
        try:
            yield running
        finally:
            running.over.set()
            for process in running.processes:
                process.kill()
                process.join()
            db.close()


def files_of(settings: Settings) -> dict[str, bytes]:
    """Read all of the log's files from the store."""
    store = S3BlobStore(settings.s3)
    prefix = f"{settings.s3.prefix}{LOG}"
    return {
        each.path.removeprefix(LOG): store.client.get_object(
            Bucket=store.bucket, Key=prefix + each.path.removeprefix(LOG)
        )["Body"].read()
        for each in store.list(LOG)
    }


def test_a_leader_that_is_killed_fifty_times_leaves_one_log(workers: Workers) -> None:
    running, settings = workers, workers.settings
    assert LEASE_SECONDS + TAKE_SECONDS < TAKEN_OVER_SECONDS
    key = open_log_signer(settings).key
    with contextlib.closing(Db(settings.database_url.get_secret_value())) as own:
        writer = threading.Thread(target=running.write)
        writer.start()
        for number in range(KILLS):
            before = running.published()
            running.kill_leader(ends_by_itself=number < BY_ITSELF)
            wait_for(lambda before=before: running.published() > before, seconds=60)  # type: ignore[misc]
        running.over.set()
        writer.join()
        wait_for(lambda: running.published() == running.written, seconds=60)
        assert verify_log(files_of(settings), key, own) == running.written
    assert running.leader()[1] > KILLS
    leader = running.leader()[0]
    for process in running.processes:  # whoever is asked to end gives the lead back
        process.terminate()
        process.join(30)
    assert {each.pid: each.exitcode for each in running.processes}[leader] == 0
    assert running.leader() == (0, 0)
