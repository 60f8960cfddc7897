"""A database that is full, away or stands still: what callers are told, and that it all goes on by itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
import sqlalchemy
from sqlalchemy import event

from tests.faults.proxy import Fault, Proxy
from tests.postgres import empty_database
from tests.registry.world import AGENT, World, error_of, running_world, wait_for
from tidegate.formats.manifest import Manifest
from tidegate_registry import health

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection

    from tidegate_registry.sandbox.s3 import S3Endpoint

pytestmark = pytest.mark.slow

HUGE = 1 << 30  # pages


@dataclass
class Room:
    """How far the SQLite file may grow."""

    pages: int = HUGE

    @contextlib.contextmanager
    def none_left(self, world: World) -> Iterator[None]:
        with world.services.db.read() as tx:
            self.pages = int(tx.connection().exec_driver_sql("PRAGMA page_count").scalar_one())
        yield
        self.pages = HUGE


def ready(world: World, client: httpx2.Client) -> tuple[int, str]:
    """Ask anew whether it is ready, and what it says of the database."""
    world.clock.tick(seconds=health.READY_FOR.total_seconds())
    answer = client.get("/readyz")
    return answer.status_code, answer.json()["checks"].get("database", "-")


def test_a_full_disk_is_told_and_half_of_nothing_is_written(s3: S3Endpoint, tmp_path: Path) -> None:
    with running_world(s3, f"sqlite:///{tmp_path}/registry.db", tmp_path) as world:
        room = Room()

        @event.listens_for(world.services.db.engine, "checkout")
        def _limit(connection: DBAPIConnection, *_: object) -> None:
            connection.execute(f"PRAGMA max_page_count = {room.pages}")

        client = world.client()
        small = world.make_manifest(client, b"small")
        assert world.put(client, small, "1.0.0").status_code == 201
        large = world.make_manifest(client, b"large", annotations={"example.text": "x" * 3_000_000})
        entries = len(world.events())
        with room.none_left(world):
            answer = world.put(client, large, "1.1.0")
            assert error_of(answer) == (507, "TOOMANYREQUESTS", "database-full")
            assert answer.headers["Retry-After"]
            assert client.get(f"/v2/{AGENT}/manifests/1.0.0").content == small.raw
            assert ready(world, client) == (200, "ok"), "it serves those who read"
        assert client.get(f"/v2/{AGENT}/manifests/1.1.0").status_code == 404
        assert client.get(f"/v2/{AGENT}/manifests/{large.digest}").status_code == 404
        assert [entry["type"] for entry in world.events()[entries:]] in ([], ["request.refused"])
        assert world.put(client, large, "1.1.0").status_code == 201


@dataclass
class Remote:
    """A registry whose PostgreSQL is behind `proxy`, and a release that was read once."""

    world: World
    proxy: Proxy
    client: httpx2.Client
    release: Manifest

    def read(self) -> httpx2.Response:
        return self.client.get(f"/v2/{AGENT}/manifests/{self.release.digest}")


@pytest.fixture
def remote(s3: S3Endpoint, postgres_server: str, tmp_path: Path) -> Iterator[Remote]:
    with empty_database(postgres_server) as database_url:
        url = sqlalchemy.make_url(database_url)
        assert url.port is not None
        with Proxy(url.port) as proxy:
            behind = url.set(port=proxy.port).render_as_string(hide_password=False)
            with running_world(s3, behind, tmp_path) as world:
                client = world.client()
                release = world.make_manifest(client, b"released")
                assert world.put(client, release, "1.0.0").status_code == 201
                yield Remote(world, proxy, client, release)


def test_a_database_that_is_away_is_told_and_what_was_read_is_still_served(remote: Remote) -> None:
    assert remote.read().content == remote.release.raw
    other = remote.world.make_manifest(remote.client, b"other")
    for _ in range(2):  # connections of the pool break first, then none can be made
        with remote.proxy.having(Fault.AWAY):
            answer = remote.world.put(remote.client, other, "1.1.0")
            assert error_of(answer) == (503, "TOOMANYREQUESTS", "database-unavailable")
            assert answer.headers["Retry-After"]
            assert remote.client.get(f"/v2/{AGENT}/tags/list").status_code == 503
            assert remote.read().content == remote.release.raw
            assert ready(remote.world, remote.client) == (503, "database-unavailable")
        assert remote.client.get(f"/v2/{AGENT}/manifests/1.1.0").status_code == 404
        assert ready(remote.world, remote.client) == (200, "ok")
    assert remote.world.put(remote.client, other, "1.1.0").status_code == 201
    assert len(remote.world.events("release.admitted")) == 2


def test_a_database_that_stands_still_delays_what_needs_it_and_nothing_else(remote: Remote) -> None:
    other = remote.world.make_manifest(remote.client, b"other")
    assert remote.read().content == remote.release.raw
    with ThreadPoolExecutor(2) as pool:
        with remote.proxy.having(Fault.STILL):
            naming = pool.submit(remote.world.put, remote.client, other, "1.1.0")
            asking = pool.submit(ready, remote.world, remote.world.client(None))
            cache = remote.world.app.state.readiness
            wait_for(cache._trying.locked)
            remote.world.clock.tick(seconds=health.BELIEVED_FOR.total_seconds())
            answer = remote.client.get("/readyz")
            assert (answer.status_code, answer.json()["checks"]) == (503, {"readiness": "being-tried"})
            assert remote.read().content == remote.release.raw
            assert not naming.done()
        assert naming.result(30).status_code == 201
        assert asking.result(30) == (200, "ok")
