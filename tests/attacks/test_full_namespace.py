"""A namespace keeps no more than it may, however many push at once; those who push there can see how much it is."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import TYPE_CHECKING

import pytest
import sqlalchemy

from tests.registry.keeping.helpers import OPERATOR, collect
from tests.registry.world import (
    AGENT,
    FOREIGN,
    PUBLISHER,
    PUBLISHER_OF_BOTH,
    READER,
    SIBLING,
    STRANGER,
    World,
    error_of,
    identity_of,
    running_world,
    wait_for,
)
from tidegate.formats.manifest import EMPTY_BLOB
from tidegate_registry.access.principal import Grant, Principal, PrincipalKind
from tidegate_registry.artifacts import naming
from tidegate_registry.artifacts.store import insert_manifest
from tidegate_registry.audit import service as audit
from tidegate_registry.keeping.events import ObjectRestored
from tidegate_registry.keeping.plan import Named
from tidegate_registry.settings import Keeping

if TYPE_CHECKING:
    from tidegate.formats.manifest import Manifest
    from tidegate_registry.sandbox.s3 import S3Endpoint

LIMIT, PADDING = 50_000, 10_000
WRITERS = 6


@pytest.fixture
def world(s3: S3Endpoint, database_url: str, tmp_path: Path) -> Iterator[World]:
    """A registry in which one namespace may keep LIMIT bytes, and the others nothing at all."""
    keeping = Keeping(quota_bytes=0, quotas={"acme": LIMIT})
    with running_world(s3, database_url, tmp_path, keeping=keeping) as running:
        yield running


def padded(world: World, number: int, repository: str = AGENT) -> Manifest:
    """A manifest of little more than PADDING bytes, whose one blob is the empty one."""
    return world.make_manifest(
        world.client(PUBLISHER_OF_BOTH),
        repository=repository,
        annotations={"number": str(number), "padding": "x" * PADDING},
    )


def usage(world: World, name: str | None, namespace: str = "acme") -> tuple[int, dict[str, object]]:
    headers = {}
    if name is not None:
        who = Principal(PrincipalKind.HUMAN, identity_of(name), name, {}, ())
        token = world.tokens.issue(who, (Grant("registry", "api", frozenset({"*"})),))
        headers["Authorization"] = f"Bearer {token.text}"
    answer = world.client(None).get(f"/api/v1/namespaces/{namespace}/usage", headers=headers)
    return answer.status_code, answer.json()


def test_a_manifest_that_has_no_room_is_refused_with_what_is_used_and_what_may_go(world: World) -> None:
    client = world.client()
    first = padded(world, 0)
    assert world.put(client, first).status_code == 201
    world.push_blob(client, bytes(LIMIT))
    second = padded(world, 1)
    for reference in (None, "1.0.0", "working"):
        refused = world.put(client, second, reference)
        assert error_of(refused) == (403, "DENIED", "quota-exceeded")
    used = LIMIT + len(EMPTY_BLOB) + len(first.raw)
    (reason,) = refused.json()["errors"][0]["detail"]["reasons"]
    assert reason["found"].startswith(f"{used} bytes are used")
    assert reason["found"].endswith(f"the manifest adds {len(second.raw)}")
    assert f"{AGENT}@{first.digest} ({len(first.raw) + len(EMPTY_BLOB)} bytes, 2026-03-01)" in reason["hint"]
    assert world.put(client, first).status_code == 201  # it is there already
    world.clock.tick(hours=25)
    collect(world.services, Named(AGENT, first.digest))
    assert world.put(client, padded(world, 2)).status_code == 201


def test_many_that_push_at_once_to_several_agents_take_no_more_than_there_is(world: World) -> None:
    agents = [(AGENT, SIBLING)[number % 2] for number in range(WRITERS)]
    manifests = [padded(world, number, agent) for number, agent in enumerate(agents)]
    clients = [world.client(PUBLISHER_OF_BOTH) for _ in agents]
    start = Barrier(WRITERS)

    def push(number: int) -> int:
        start.wait(30)
        return world.put(clients[number], manifests[number], None, agents[number]).status_code

    with ThreadPoolExecutor(WRITERS) as pool:
        statuses = sorted(pool.map(push, range(WRITERS)))
    fit = LIMIT // len(manifests[0].raw)
    assert statuses == [201] * fit + [403] * (WRITERS - fit)
    assert usage(world, PUBLISHER_OF_BOTH)[1]["manifests"] == fit


def test_a_push_waits_for_another_one_to_take_what_is_left(world: World) -> None:
    client, mine, other = world.client(PUBLISHER_OF_BOTH), padded(world, 0), padded(world, 1, SIBLING)
    world.push_blob(client, bytes(LIMIT - 2 * PADDING))  # room for one of the two
    app, now = world.services, world.clock()
    with ThreadPoolExecutor(1) as pool:
        with app.db.begin() as tx:
            naming.lock_agent(tx, AGENT, now)
            insert_manifest(tx, app, AGENT, mine, now=now)
            event = ObjectRestored(at=now, actor=OPERATOR, namespace="", digest="", size=0, was="", source="")
            audit.append(tx, event)
            tx.flush()
            answer = pool.submit(world.put, client, other, None, SIBLING)
            wait_for(lambda: answer.done() or waits_for_a_lock(world))
            assert not answer.done()
        assert error_of(answer.result(30)) == (403, "DENIED", "quota-exceeded")


def waits_for_a_lock(world: World) -> bool:
    """Whether some other transaction waits; SQLite has one writer anyway."""
    if world.services.db.is_sqlite:
        return True
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with world.services.db.engine.connect() as connection:
        return bool(connection.execute(sqlalchemy.text(waiting)).scalar())


def test_a_namespace_without_a_quota_of_its_own_has_the_default(world: World) -> None:
    client = world.client(STRANGER)
    manifest = world.make_manifest(client, repository=FOREIGN)
    assert error_of(world.put(client, manifest, None, FOREIGN)) == (403, "DENIED", "quota-exceeded")


def test_usage_is_told_to_those_who_may_push_there(world: World) -> None:
    manifest = padded(world, 0)
    assert world.put(world.client(), manifest).status_code == 201
    status, document = usage(world, PUBLISHER)
    assert (status, document) == (
        200,
        {
            "namespace": "acme",
            "used": len(manifest.raw) + len(EMPTY_BLOB),
            "limit": LIMIT,
            "blobs": 1,
            "blobBytes": len(EMPTY_BLOB),
            "manifests": 1,
            "manifestBytes": len(manifest.raw),
        },
    )
    for name, namespace in ((READER, "acme"), (STRANGER, "acme"), (PUBLISHER, "nobody")):
        status, problem = usage(world, name, namespace)
        assert (status, problem["code"]) == (404, "namespace-unknown")
    assert usage(world, None)[0] == 401
