"""Requests: what they lack, who supplies it, and how they move a channel."""

from __future__ import annotations

from tests.registry.promotion.world import Promotions, missing


def test_a_release_that_lacks_nothing_moves_its_channel_at_once(promotions: Promotions) -> None:
    manifest = promotions.publish("1.0.0")
    answer = promotions.ask("alice", "1.0.0", "dev", reason="try it")
    assert answer.status_code == 201, answer.text
    promotion = answer.json()
    assert (promotion["state"], promotion["sequence"], promotion["decision"]["allowed"]) == ("done", 1, True)
    assert promotions.channel("dev")["serving"]["digest"] == manifest.digest


def test_a_request_says_what_it_lacks_and_moves_when_the_last_of_it_comes(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    promotions.promote("1.0.0", "dev", "alice")
    promotion = promotions.ask("carol", "1.0.0", "staging").json()
    assert (promotion["state"], missing(promotion)) == ("open", ["approvals", "evaluated", "reviewed"])
    assert promotions.evaluate("1.0.0").status_code == 201
    assert missing(promotions.show(promotion)) == ["approvals", "reviewed"]
    answer = promotions.approve("bob", promotion)
    assert answer.status_code == 201, answer.text
    assert answer.json()["state"] == "done", missing(answer.json())
    assert promotions.serves("staging") == "1.0.0"
