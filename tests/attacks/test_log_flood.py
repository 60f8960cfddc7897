"""Somebody without a credential makes the audit log endless, or hides in it by pretending to be many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.registry.world import World, running_world
from tidegate_registry.settings import Limits

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint

PER_CALLER, TOGETHER = 2, 5
REFUSED, ROLL_UP = "request.refused", "request.refusals-suppressed"
Start = Callable[..., World]


@pytest.fixture
def start(s3: S3Endpoint, database_url: str, tmp_path: Path) -> Iterator[Start]:
    limits = Limits(refusals_per_minute=PER_CALLER, anonymous_refusals_per_minute=TOGETHER)
    with ExitStack() as stack:

        def begin(*trusted: str) -> World:
            networks = tuple(ip_network(each) for each in trusted)
            return stack.enter_context(
                running_world(s3, database_url, tmp_path, limits=limits, trusted_proxies=networks)
            )

        yield begin


def knock(world: World, *claimed: str) -> None:
    """Show a token that is none, once for each address that the caller claims to have."""
    client = world.client(None)
    for address in claimed:
        answer = client.get("/v2/", headers={"Authorization": "Bearer a.b.c", "X-Forwarded-For": address})
        assert answer.status_code == 401


def test_a_made_up_forwarded_address_opens_no_new_account(start: Start) -> None:
    world = start()
    knock(world, *(f"198.51.100.{number}" for number in range(10)))
    assert len(world.events(REFUSED)) == PER_CALLER


def test_behind_a_proxy_the_hop_that_it_wrote_counts_and_what_the_caller_put_before_it_does_not(start: Start) -> None:
    world = start("127.0.0.0/8")
    knock(world, *(f"203.0.113.{number}, 198.51.100.7" for number in range(5)))
    assert len(world.events(REFUSED)) == PER_CALLER
    knock(world, "198.51.100.8")
    assert len(world.events(REFUSED)) == PER_CALLER + 1


def test_all_addresses_of_one_ipv6_site_are_one_caller(start: Start) -> None:
    world = start("127.0.0.0/8")
    knock(world, *(f"2001:db8:1:2:{number:x}::1" for number in range(1, 6)))
    assert len(world.events(REFUSED)) == PER_CALLER


def test_many_real_addresses_share_one_budget_and_what_it_left_out_is_one_entry(start: Start) -> None:
    world = start("127.0.0.0/8")
    knock(world, *(f"198.51.100.{number}" for number in range(12)))
    assert len(world.events(REFUSED)) == TOGETHER
    assert world.events(ROLL_UP) == []
    world.clock.tick(seconds=61)
    knock(world, "198.51.100.200")
    (entry,) = world.events(ROLL_UP)
    assert entry["actor"] == {"kind": "anonymous", "issuer": "", "name": "anonymous"}
    assert entry["data"] == {
        "count": 12 - TOGETHER,
        "since": "2026-03-01T12:00:00.000000Z",
        "until": "2026-03-01T12:01:00.000000Z",
    }
    assert len(world.events(REFUSED)) == TOGETHER + 1


def test_no_flood_of_strangers_hides_a_named_caller(start: Start) -> None:
    world = start("127.0.0.0/8")
    knock(world, *(f"198.51.100.{number}" for number in range(12)))
    world.client("somebody").post("/v2/acme/support-agent/blobs/uploads/")
    assert world.events(REFUSED)[-1]["actor"] == {
        "kind": "human",
        "issuer": "https://login.acme.example",
        "name": "somebody",
    }
