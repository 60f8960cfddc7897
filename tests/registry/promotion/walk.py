"""Every writing route of this room, called once, with the entries that it must leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.registry.promotion.world import CHANNELS, PROMOTIONS, Promotions
from tests.workshop import AGENT

if TYPE_CHECKING:
    import httpx2

ONE = "/api/v1/promotions/{promotion}"
CHANNEL = "/api/v1/agents/{namespace}/{agent}/channels/{channel}"


def _open(world: Promotions) -> httpx2.Response:
    world.publish("1.0.0")
    return world.ask("alice", "1.0.0", "dev")


def _file(world: Promotions) -> httpx2.Response:
    world.publish("1.0.0")
    promotion = world.ask("carol", "1.0.0", "stable").json()
    return world.approve("bob", promotion)


def _reject(world: Promotions) -> httpx2.Response:
    world.publish("1.0.0")
    promotion = world.ask("carol", "1.0.0", "stable").json()
    return world.client("bob").post(f"{PROMOTIONS}/{promotion['id']}/rejection", json={"reason": "not now"})


def _withdraw(world: Promotions) -> httpx2.Response:
    world.publish("1.0.0")
    promotion = world.ask("carol", "1.0.0", "stable").json()
    return world.client("carol").post(f"{PROMOTIONS}/{promotion['id']}/withdrawal", json={})


def two_in_dev(world: Promotions) -> None:
    for version in ("1.0.0", "1.1.0"):
        world.publish(version)
        world.promote(version, "dev", "alice")


def _roll_back(world: Promotions) -> httpx2.Response:
    two_in_dev(world)
    return world.roll_back("dev")


def _lift_hold(world: Promotions) -> httpx2.Response:
    two_in_dev(world)
    assert world.roll_back("dev").status_code == 201
    return world.client("carol").request("DELETE", f"{CHANNELS}/dev/hold", json={"reason": "it was the network"})


def _revoke(world: Promotions) -> httpx2.Response:
    world.publish("1.0.0")
    document = {"agent": AGENT, "version": "1.0.0", "reason": "it leaks"}
    return world.client("carol").post("/api/v1/revocations", json=document)


def _review(world: Promotions) -> httpx2.Response:
    world.publish("1.0.0")
    promotion = world.ask("dave", "1.0.0", "stable", breakGlass=True).json()
    done = world.break_glass("dave", promotion)
    assert done.json()["state"] == "done", done.text
    review = {"verdict": "justified", "reason": "the old one was worse"}
    return world.client("bob").post(f"/api/v1/break-glass/{promotion['id']}/review", json=review)


WALK: dict[tuple[str, str], tuple[Callable[[Promotions], httpx2.Response], list[str]]] = {
    ("POST", "/api/v1/promotions"): (_open, ["promotion.opened", "promotion.decided", "channel.moved"]),
    ("POST", f"{ONE}/approvals"): (_file, ["promotion.statement-filed", "promotion.decided"]),
    ("POST", f"{ONE}/rejection"): (_reject, ["promotion.closed"]),
    ("POST", f"{ONE}/withdrawal"): (_withdraw, ["promotion.closed"]),
    ("POST", f"{CHANNEL}/rollback"): (_roll_back, ["promotion.opened", "promotion.decided", "channel.moved"]),
    ("DELETE", f"{CHANNEL}/hold"): (_lift_hold, ["channel.hold-lifted"]),
    ("POST", "/api/v1/revocations"): (_revoke, ["release.revoked"]),
    ("POST", "/api/v1/break-glass/{promotion}/review"): (_review, ["break-glass.reviewed"]),
}
