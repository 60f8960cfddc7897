"""Somebody writes to the bucket behind the registry: another tile, another entry bundle, or one before its time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.registry.audit.logworld import LogWorld, log_world
from tidegate.tlog.edge import Edge
from tidegate_registry.audit.compare import demand_same_log
from tidegate_registry.audit.halt import demand_not_halted
from tidegate_registry.audit.problems import LogForked
from tidegate_registry.audit.publish import fetch_checkpoint
from tidegate_registry.audit.sequence import load_state

LIE = b'{"type":"nothing.happened"}'


@pytest.fixture
def world(database_url: str) -> Iterator[LogWorld]:
    with log_world(database_url) as made:
        made.append(300)
        made.finish()
        yield made


def refused(world: LogWorld) -> str:
    """The integrator stops, and every replica hears of it; gives what was found."""
    before = world.bucket.files["checkpoint"]
    world.append(1)
    with pytest.raises(LogForked) as caught:
        world.finish()
    assert caught.value.reasons[0].code == "log-forked"
    with pytest.raises(LogForked):
        demand_not_halted(world.app)
    assert world.bucket.files["checkpoint"] == before, "nothing is published on top of it"
    return caught.value.reasons[0].found or ""


@pytest.mark.parametrize("path", ["tile/0/001.p/44", "tile/1/000.p/1"])
def test_a_tile_that_was_swapped_is_found_by_whoever_leads_next(world: LogWorld, path: str) -> None:
    world.bucket.files[path] = bytes(len(world.bucket.files[path]))
    assert "from the tiles" in refused(world)


def test_an_entry_bundle_that_was_swapped_is_found_by_whoever_leads_next(world: LogWorld) -> None:
    lies = dict(Edge().grow([LIE] * 300))
    world.bucket.files["tile/entries/001.p/44"] = lies["tile/entries/001.p/44"]
    assert "no root from the tiles" in refused(world)


def test_a_bundle_and_its_tile_that_fit_each_other_still_contradict_the_checkpoint(world: LogWorld) -> None:
    world.bucket.files |= dict(Edge().grow([LIE] * 300))
    assert "from the tiles" in refused(world)


def test_a_tile_that_is_gone_is_found_too(world: LogWorld) -> None:
    del world.bucket.files["tile/0/001.p/44"]
    assert "no root from the tiles" in refused(world)


@pytest.mark.parametrize("path", ["tile/entries/001.p/45", "tile/0/001.p/45"])
def test_a_file_that_was_put_there_before_its_time_is_not_covered(world: LogWorld, path: str) -> None:
    world.bucket.files[path] = LIE
    assert path in refused(world)


def test_an_entry_that_was_changed_before_it_was_published_is_not_signed_over(world: LogWorld) -> None:
    """The database and the files that a dead leader left differ."""
    world.append(5)
    lies = Edge.load(300, world.bucket.files.get)
    world.bucket.files |= dict(lies.grow([LIE] * 6))
    assert "001.p/50" in refused(world)


def test_it_stays_told_while_the_next_leader_tries_again(world: LogWorld) -> None:
    """Between its look at the checkpoint and the file in its way, nobody may take the log for one that goes on."""
    world.bucket.files["tile/0/001.p/45"] = LIE
    refused(world)
    looks: list[str | None] = []

    def look() -> None:
        with world.db.read() as tx:
            looks.append(load_state(tx).halted)

    world.bucket.asked = look
    with pytest.raises(LogForked):
        world.finish()
    assert set(looks) == {"log-forked"}


def test_nothing_of_it_is_needed_to_go_on_once_the_file_is_put_back(world: LogWorld) -> None:
    path = "tile/0/001.p/44"
    good, world.bucket.files[path] = world.bucket.files[path], b"\0" * 44 * 32
    refused(world)
    world.bucket.files[path] = good
    world.finish()
    demand_not_halted(world.app)
    assert world.everything_is_in()
    assert demand_same_log(world.app, world.signer.key).checkpoint == fetch_checkpoint(world.app, None)
