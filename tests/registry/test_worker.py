"""The scheduler: one of several leads, the others wait, and whoever ends gives the lead back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.registry.audit.logworld import LogWorld, log_world
from tests.registry.world import wait_for
from tidegate_registry.audit.halt import LogWatch
from tidegate_registry.audit.leader import Lease, acquire
from tidegate_registry.audit.sequence import LOG, assign, load_state
from tidegate_registry.audit.tables import LeadershipRow
from tidegate_registry.bell import Bell
from tidegate_registry.db import DatabaseUnavailable
from tidegate_registry.metrics import Metrics
from tidegate_registry.worker import Did, LedStep, Step, Worker

HOUR = 3600.0


@pytest.fixture
def world(database_url: str) -> Iterator[LogWorld]:
    with log_world(database_url) as made:
        yield made


def worker_of(world: LogWorld, *led: LedStep, each: tuple[Step, ...] = ()) -> Worker:
    return Worker(world.db, world.app.entropy, each=each, led=led)


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_for, condition)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await test()

    asyncio.run(main())


def published(world: LogWorld) -> int:
    with world.db.read() as tx:
        return load_state(tx).published


def test_an_entry_after_a_pause_is_published_at_once_and_the_lease_is_given_back(world: LogWorld) -> None:
    """The step would come around in an hour; the entry itself wakes it."""
    step = LedStep(LOG, HOUR, world.integrator().turn, world.db.entries_written, 500)

    async def test() -> None:
        async with worker_of(world, step):
            await until(lambda: "checkpoint" in world.bucket.files)
            for _ in range(500):  # the first turn did something, so it waits for a batch
                await asyncio.to_thread(world.append, 1)
            await until(lambda: published(world) == 500)

    run(test)
    assert world.everything_is_in()
    assert acquire(world.db, LOG, "next") is not None, "nobody needs to wait for its end"


def test_of_two_workers_one_leads_and_the_other_takes_over(world: LogWorld) -> None:
    leading: list[str] = []

    def step(name: str) -> LedStep:
        def turn(_: Lease) -> Did:
            leading.append(name)
            return Did.NOTHING

        return LedStep(LOG, 0.01, turn)

    async def test() -> None:
        async with worker_of(world, step("second")):
            await until(lambda: "second" in leading)
            first = worker_of(world, step("first"))
            async with first:
                await until(lambda: leading.count("second") > 5)
                assert "first" not in leading
        leading.clear()
        async with worker_of(world, step("third")):
            await until(lambda: "third" in leading)

    run(test)
    assert set(leading) == {"third"}


def test_a_step_that_fails_comes_around_again_and_keeps_the_lease(
    world: LogWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate_registry.worker.FAILED_SECONDS", 0.01)
    epochs: list[int] = []

    def turn(lease: Lease) -> Did:
        epochs.append(lease.epoch)
        if len(epochs) == 1:
            raise DatabaseUnavailable("the database did not answer")
        if len(epochs) == 2:
            raise ZeroDivisionError("nobody foresaw this")
        return Did.NOTHING

    async def test() -> None:
        async with worker_of(world, LedStep(LOG, 0.01, turn)):
            await until(lambda: len(epochs) > 3)

    run(test)
    assert set(epochs) == {1}


def test_who_was_overtaken_asks_for_the_lead_again(world: LogWorld) -> None:
    integrator = world.integrator()

    async def test() -> None:
        async with worker_of(world, LedStep(LOG, 0.01, integrator.turn)):
            await until(lambda: "checkpoint" in world.bucket.files)
            other = await asyncio.to_thread(world.lead, "other")
            await asyncio.to_thread(world.append, 3)
            await asyncio.to_thread(world.finish, world.integrator(), other)
            with world.db.connect() as connection:
                connection.exec_driver_sql("UPDATE leadership SET expires_at = 0")
            await asyncio.to_thread(world.append, 3)
            await until(lambda: published(world) == 6)

    run(test)
    assert world.everything_is_in()
    with world.db.read() as tx:
        assert tx.get_one(LeadershipRow, LOG).epoch > 2


def test_a_bell_wakes_who_waits_for_so_many_rings() -> None:
    async def test() -> None:
        bell = Bell()
        bell.ring()
        await bell.reach(1)  # rung before
        waiting = asyncio.create_task(bell.reach(3))
        await asyncio.to_thread(bell.ring)
        await asyncio.sleep(0)
        assert not waiting.done()
        await asyncio.to_thread(bell.ring)
        async with asyncio.timeout(20):
            await waiting

    run(test)


def test_how_long_entries_wait_is_told_whoever_does_not_work(world: LogWorld) -> None:
    """No worker at all, or one that gives indices and publishes nothing: both must be seen."""
    metrics = Metrics()
    watch = LogWatch(world.app, metrics)

    def lag() -> float | None:
        watch.look()
        return metrics.registry.get_sample_value("tidegate_log_lag_seconds")

    assert lag() == 0
    world.append(2)
    world.clock.tick(seconds=90)
    assert lag() == 90
    lease = world.lead()
    assert assign(world.db, lease, limit=1, at_least=0) == 1
    assert lag() == 90
    world.finish(lease=lease)
    assert lag() == 0
