"""The bucket or the database is away while entries are written: nothing is lost, and the log goes on by itself."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import sqlalchemy

from tests.faults.proxy import Fault, Proxy
from tests.postgres import empty_database
from tests.registry.audit.logworld import LogWorld, log_world, verify_log
from tests.registry.world import store_settings, wait_for
from tidegate_registry.audit.leader import Lease
from tidegate_registry.audit.sequence import LOG, load_state
from tidegate_registry.db import Db
from tidegate_registry.storage import blobs
from tidegate_registry.storage.s3 import S3BlobStore
from tidegate_registry.worker import Did, LedStep, Worker

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint

pytestmark = pytest.mark.slow


@contextlib.contextmanager
def working(world: LogWorld) -> Iterator[list[bool]]:
    """Run a worker in a thread; gives for each turn whether it went well."""
    turns: list[bool] = []
    over = threading.Event()
    integrator = world.integrator()

    def turn(lease: Lease) -> Did:
        turns.append(False)
        did = integrator.turn(lease)
        turns[-1] = True
        return did

    async def work() -> None:
        step = LedStep(LOG, 0.05, turn, world.db.entries_written, world.app.settings.log.batch)
        async with Worker(world.db, world.app.entropy, led=[step]):
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(work(),))
    thread.start()
    try:
        yield turns
    finally:
        over.set()
        thread.join()


def published(db: Db) -> int:
    with db.read() as tx:
        return load_state(tx).published


BUCKET_AWAY_SECONDS, DATABASE_AWAY_SECONDS = 30.0, 10.0  # how long an outage is that nobody should notice later


def failed(turns: list[bool], count: int, *, lasting: float = 0.0) -> Callable[[], bool]:
    """Whether that many more turns have begun and not gone well, and so many seconds are over since now."""
    before, until = turns.count(False), time.monotonic() + lasting
    return lambda: turns.count(False) >= before + count and time.monotonic() >= until


def test_entries_wait_in_the_database_while_the_bucket_is_away(
    s3: S3Endpoint, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate_registry.worker.FAILED_SECONDS", 0.05)
    port = urlsplit(s3.url).port
    assert port is not None
    with Proxy(port) as proxy, log_world(database_url) as world:
        behind = dataclasses.replace(s3, url=f"http://127.0.0.1:{proxy.port}")
        store = S3BlobStore(store_settings(behind).model_copy(update={"timeout_seconds": 1}))
        world.app = dataclasses.replace(world.app, blobs=store)
        with working(world) as turns:
            for fault in (Fault.AWAY, Fault.STILL, Fault.FULL):
                world.append(20)
                wait_for(lambda: published(world.db) == world.written)
                with proxy.having(fault):
                    world.append(20)  # whoever writes does not notice
                    lasting = BUCKET_AWAY_SECONDS if fault is Fault.AWAY else 0.0
                    wait_for(failed(turns, 2, lasting=lasting), seconds=90)
                    world.append(20)
                wait_for(lambda: published(world.db) == world.written)
        files = {
            each.path.removeprefix(blobs.LOG): store.open(blobs.LogKey(each.path.removeprefix(blobs.LOG))).read()
            for each in store.list(blobs.LOG)
        }
        assert verify_log(files, world.signer.key, world.db) == world.written == 180


def test_the_log_goes_on_when_the_database_is_back(postgres_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """So long that the lease is over, and not known to be."""
    monkeypatch.setattr("tidegate_registry.worker.FAILED_SECONDS", 0.05)
    with empty_database(postgres_server) as url:
        parsed = sqlalchemy.make_url(url)
        assert parsed.port is not None
        with Proxy(parsed.port) as proxy:
            behind = parsed.set(port=proxy.port).render_as_string(hide_password=False)
            with log_world(behind) as world, working(world) as turns, contextlib.closing(Db(url)) as direct:
                for lasting in (0.0, DATABASE_AWAY_SECONDS):
                    world.append(20)
                    wait_for(lambda: published(direct) == world.written)
                    with proxy.having(Fault.AWAY):
                        wait_for(failed(turns, 2, lasting=lasting), seconds=60)
                        with direct.begin() as tx:  # another replica can reach it
                            world.append_in(tx, 20)
                    wait_for(lambda: published(direct) == world.written, seconds=60)
            assert verify_log(world.bucket.files, world.signer.key, direct) == world.written == 80
