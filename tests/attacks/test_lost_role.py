"""An approver who loses the role between their approval and the moment it would count."""

from __future__ import annotations

from typing import Any

from tests.registry.promotion.world import POLICY, Promotions, finding, missing
from tidegate_registry.promotion.settling import take_turn
from tidegate_registry.sandbox.users import demo_user


def waiting_for_an_evaluation(promotions: Promotions) -> dict[str, Any]:
    promotions.publish("1.0.0")
    promotions.promote("1.0.0", "dev", "alice")
    promotion = promotions.ask("carol", "1.0.0", "staging").json()
    approved: dict[str, Any] = promotions.approve("bob", promotion).json()
    assert missing(approved) == ["evaluated"]
    return approved


def test_by_their_identity_provider_which_a_new_login_shows(promotions: Promotions) -> None:
    promotion = waiting_for_an_evaluation(promotions)
    promotions.client(demo_user("bob").claims() | {"groups": ["visitors"]})  # and does nothing with it
    promotions.evaluate("1.0.0")
    shown = promotions.show(promotion)
    assert (shown["state"], missing(shown)) == ("open", ["reviewed"])
    assert "bob" in str(finding(shown, "reviewed")["found"]), "people are told whose approval does not count any more"
    promotions.client("bob")  # and has the role again
    take_turn(promotions.gate.services)
    assert promotions.show(promotion)["state"] == "done"


def test_by_the_policy(promotions: Promotions) -> None:
    promotion = waiting_for_an_evaluation(promotions)
    promotions.install(POLICY.replace("claims: {groups: reviewers}", "claims: {groups: seniors}"))
    promotions.evaluate("1.0.0")
    shown = promotions.show(promotion)
    assert (shown["state"], "reviewed" in missing(shown)) == ("open", True)


def test_by_the_charter(promotions: Promotions) -> None:
    promotion = waiting_for_an_evaluation(promotions)
    promotions.govern(approvers=(promotions.approver("alice"), promotions.approver("carol")))
    promotions.evaluate("1.0.0")
    shown = promotions.show(promotion)
    assert (shown["state"], {"approvals", "reviewed"} <= set(missing(shown))) == ("open", True)
    assert promotions.serves("staging") is None


def test_the_requester_too(promotions: Promotions) -> None:
    promotion = waiting_for_an_evaluation(promotions)
    promotions.client(demo_user("carol").claims() | {"groups": ["visitors"]})
    promotions.evaluate("1.0.0")
    answer = promotions.client("bob").get(f"/api/v1/promotions/{promotion['id']}").json()
    assert (answer["state"], missing(answer)) == ("open", ["requester"])
