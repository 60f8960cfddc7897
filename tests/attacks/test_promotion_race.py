"""Two promotions of one channel at the same moment: one wins, the other is told, and nothing is half done."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.registry.admission.world import codes_of
from tests.registry.promotion.walk import two_in_dev
from tests.registry.promotion.world import CHANNELS, PROMOTIONS, Promotions
from tests.registry.world import wait_for
from tests.workshop import AGENT
from tidegate_registry.artifacts.naming import Release
from tidegate_registry.promotion import rollback
from tidegate_registry.services import Services


@pytest.mark.parametrize("versions", [("1.0.0", "1.1.0"), ("1.1.0", "1.0.0")])
def test_exactly_one_of_two_promotions_wins(promotions: Promotions, versions: tuple[str, str]) -> None:
    for version in versions:
        promotions.publish(version)
    clients = [promotions.client("alice") for _ in versions]

    def ask(client: httpx2.Client, version: str) -> httpx2.Response:
        return client.post(PROMOTIONS, json={"agent": AGENT, "version": version, "channel": "dev"})

    answers = at_once(promotions, [(ask, client, version) for client, version in zip(clients, versions, strict=True)])
    assert sorted(each.status_code for each in answers) == [201, 409]
    (won,) = [each.json() for each in answers if each.status_code == 201]
    (lost,) = [each for each in answers if each.status_code == 409]
    assert codes_of(lost) == ["promotion-overtaken"]
    channel = promotions.channel("dev")
    assert (channel["serving"]["version"], channel["serving"]["counter"]) == (won["version"], 1)
    assert [each["id"] for each in promotions.client("alice").get(PROMOTIONS).json()["items"]] == [won["id"]]


def test_two_who_roll_back_at_once_go_back_once(promotions: Promotions) -> None:
    promotions.publish("0.9.0")
    promotions.promote("0.9.0", "dev", "alice")
    two_in_dev(promotions)
    clients = [promotions.client("carol"), promotions.client("alice")]

    def back(client: httpx2.Client, reason: str) -> httpx2.Response:
        return client.post(f"{CHANNELS}/dev/rollback", json={"reason": reason})

    answers = at_once(promotions, [(back, client, "it is down") for client in clients])
    assert sorted(each.status_code for each in answers) == [201, 409]
    assert promotions.serves("dev") == "1.0.0", "and not one further back"


def test_a_rollback_is_told_of_a_promotion_that_came_while_its_target_was_chosen(
    promotions: Promotions, monkeypatch: pytest.MonkeyPatch
) -> None:
    two_in_dev(promotions)
    promotions.publish("1.2.0")
    choose = rollback._healthy

    def meanwhile(app: Services, repository: str, channel: str) -> Release:
        chosen = choose(app, repository, channel)
        promotions.promote("1.2.0", "dev", "alice")
        return chosen

    monkeypatch.setattr(rollback, "_healthy", meanwhile)
    assert codes_of(promotions.roll_back("dev")) == ["promotion-overtaken"]
    assert promotions.serves("dev") == "1.2.0"


def at_once(promotions: Promotions, calls: list[tuple]) -> list[httpx2.Response]:  # type: ignore[type-arg]
    """Make the calls, and let none go on before each has read what it starts from and waits for the agent's turn."""
    turns = promotions.gate.services.turns
    with ThreadPoolExecutor(len(calls)) as pool:
        with turns.of(AGENT):
            asked = [pool.submit(call, *arguments) for call, *arguments in calls]
            wait_for(lambda: turns._queues[AGENT].users == len(calls) + 1)
        return [each.result() for each in asked]
