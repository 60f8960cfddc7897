"""The integrator: whatever becomes of it, the files are one log, and nothing that was committed is missing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from sqlalchemy import text

from tests.registry.audit.logworld import BATCH, Killed, LogWorld, answers_lost_at, dying_at, log_world
from tidegate.tlog.merkle import EMPTY_ROOT
from tidegate_registry.audit.integrate import TURN_BATCHES
from tidegate_registry.audit.leader import LeadershipLost
from tidegate_registry.audit.sequence import load_state
from tidegate_registry.storage.blobs import StoreUnavailable
from tidegate_registry.worker import Did


@pytest.fixture
def world(database_url: str) -> Iterator[LogWorld]:
    with log_world(database_url) as made:
        yield made


@contextlib.contextmanager
def pausing_at(world: LogWorld, request: int, meanwhile: Callable[[], None]) -> Iterator[list[bool]]:
    """Do `meanwhile` before request `request` to the bucket; gives a list that is not empty if it came to that."""
    reached: list[bool] = []
    seen = 0

    def asked() -> None:
        nonlocal seen
        seen += 1
        if seen == request:
            reached.append(True)
            world.bucket.asked = lambda: None
            meanwhile()

    world.bucket.asked = asked
    try:
        yield reached
    finally:
        world.bucket.asked = lambda: None


def test_an_empty_log_is_published_so_that_auditors_begin_with_it(world: LogWorld) -> None:
    integrator, lease = world.integrator(), world.lead()
    assert integrator.turn(lease) is Did.SOMETHING
    assert (world.checkpoint().size, world.checkpoint().root) == (0, EMPTY_ROOT)
    assert integrator.turn(lease) is Did.NOTHING


def test_what_was_committed_is_in_the_log_in_its_order(world: LogWorld) -> None:
    integrator, lease = world.integrator(), world.lead()
    for size in (1, 1, 254, 1, 300, BATCH * TURN_BATCHES * 2):
        world.append(size)
        world.finish(integrator, lease)
        assert world.everything_is_in()
    with world.db.read() as tx:
        state = load_state(tx)
        order = tx.connection().execute(text("SELECT position FROM audit_event ORDER BY idx")).scalars().all()
    assert (state.assigned, state.published, state.root) == (world.written, world.written, world.checkpoint().root)
    assert list(order) == sorted(order)


def test_a_leader_that_dies_at_any_line_leaves_what_the_next_one_continues(world: LogWorld) -> None:
    for line in count(1):
        world.append(5 + line * 7 % 60)
        with dying_at(world, line) as seen, contextlib.suppress(Killed):
            world.finish()
        world.append(3)
        world.finish()
        assert world.everything_is_in()
        if seen[0] < line:
            break
    assert line > 30, "all of a take-over, a turn and the one after it"


def test_an_answer_that_was_lost_is_not_taken_for_a_request_that_was(world: LogWorld) -> None:
    integrator, lease = world.integrator(), world.lead()
    for request in count(1):
        world.append(30)
        with answers_lost_at(world, request) as seen, contextlib.suppress(StoreUnavailable):
            world.finish(integrator, lease)
        world.finish(integrator, lease)
        assert world.everything_is_in()
        if seen[0] < request:
            break
    assert request == 5, "two files, the checkpoint read and written: each was lost once"


def test_a_leader_that_was_overtaken_writes_nothing_more(world: LogWorld) -> None:
    first, lease = world.integrator(), world.lead("first")
    world.append(10)
    world.finish(first, lease)
    second = world.lead("second")
    world.append(10)
    with pytest.raises(LeadershipLost):
        first.turn(lease)
    assert world.verify() == 10
    world.finish(world.integrator(), second)
    assert world.everything_is_in()


def test_two_leaders_that_both_believe_so_write_the_same_bytes(world: LogWorld) -> None:
    """One is paused before each of its requests in turn, while the other goes on."""
    for line in count(1):
        slow, lease = world.integrator(), world.lead("slow")
        world.append(25)

        def other_goes_on() -> None:
            world.append(11)
            world.finish()

        with pausing_at(world, line, other_goes_on) as reached, contextlib.suppress(LeadershipLost):
            world.finish(slow, lease)
        world.finish()
        assert world.everything_is_in()
        if not reached:
            break
    assert line > 5


def test_it_is_signed_anew_after_a_while_though_nothing_happened(world: LogWorld) -> None:
    integrator, lease = world.integrator(), world.lead()
    world.append(1)
    assert world.finish(integrator, lease) == 1
    world.ticks += world.app.settings.log.resign_seconds - 1
    assert integrator.turn(lease) is Did.NOTHING
    world.ticks += 1
    assert integrator.turn(lease) is Did.SOMETHING
    assert integrator.turn(lease) is Did.NOTHING


def test_a_clock_that_was_set_back_changes_no_order(world: LogWorld) -> None:
    world.append(3)
    world.clock.tick(days=-400)
    world.append(3)
    world.finish()
    assert world.everything_is_in()
