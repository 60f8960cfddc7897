"""Going back, what may not be gone back to, and what a rollback leaves behind."""

from __future__ import annotations

import pytest

from tests.registry.admission.world import codes_of
from tests.registry.promotion.walk import two_in_dev
from tests.registry.promotion.world import CHANNELS, POLICY, Promotions, missing
from tests.workshop import RELEASE_JOB


def in_dev(promotions: Promotions, *versions: str) -> None:
    for version in versions:
        promotions.publish(version)
        promotions.promote(version, "dev", "alice")


def test_one_call_goes_back_to_the_last_release_that_was_healthy_there(promotions: Promotions) -> None:
    in_dev(promotions, "1.0.0", "1.1.0", "1.2.0")
    back = promotions.roll_back("dev").json()
    assert (back["state"], back["action"], back["version"]) == ("done", "rollback", "1.1.0")
    channel = promotions.channel("dev")
    assert (channel["serving"]["version"], channel["serving"]["counter"]) == ("1.1.0", 4)
    assert [(each["version"], each["how"], each["endedHow"]) for each in channel["history"][:2]] == [
        ("1.1.0", "rollback", None),
        ("1.2.0", "promote", "rollback"),
    ]


def test_a_second_one_goes_further_back_and_never_to_what_the_first_left(promotions: Promotions) -> None:
    in_dev(promotions, "1.0.0", "1.1.0", "1.2.0")
    assert promotions.roll_back("dev").json()["version"] == "1.1.0"
    assert promotions.roll_back("dev").json()["version"] == "1.0.0"
    answer = promotions.roll_back("dev")
    assert (answer.status_code, codes_of(answer)) == (409, ["nothing-to-roll-back-to"])


def test_what_was_left_by_a_rollback_takes_new_signatures(promotions: Promotions) -> None:
    two_in_dev(promotions)
    promotions.roll_back("dev")
    asked = promotions.roll_back("dev", "1.1.0")
    assert (asked.status_code, asked.json()["state"], missing(asked.json())) == (201, "open", ["approvals"])
    done = promotions.approve("bob", asked.json()).json()
    assert (done["state"], promotions.serves("dev")) == ("done", "1.1.0")


def test_beyond_the_window_it_waits_for_approvers(promotions: Promotions) -> None:
    in_dev(promotions, "1.0.0", "1.1.0", "1.2.0")
    promotions.govern(rollback_window=1)
    far = promotions.roll_back("dev", "1.0.0").json()
    assert (far["state"], missing(far)) == ("open", ["approvals"])
    assert promotions.roll_back("dev", "1.1.0").json()["state"] == "done"
    assert promotions.show(far)["state"] == "superseded"


def test_what_a_rollback_left_is_held_until_a_human_lets_it_go(promotions: Promotions) -> None:
    two_in_dev(promotions)
    promotions.roll_back("dev", reason="the answers are rude")
    held = promotions.channel("dev")["holds"]
    assert [(each["version"], each["reason"]) for each in held] == [("1.1.0", "the answers are rude")]
    asked = promotions.ask("alice", "1.1.0", "dev").json()
    assert (asked["state"], missing(asked)) == ("open", ["approvals", "hold"])
    assert promotions.approve("bob", asked).json()["state"] == "open"
    lift = f"{CHANNELS}/dev/hold"
    assert codes_of(promotions.client("bob").request("DELETE", lift, json={"reason": "x"})) == ["role-missing"]
    assert codes_of(promotions.client(RELEASE_JOB).request("DELETE", lift, json={"reason": "x"})) == ["not-a-person"]
    lifted = promotions.client("carol").request("DELETE", lift, json={"reason": "it was the network"})
    assert lifted.json()["holds"] == []
    assert (promotions.show(asked)["state"], promotions.serves("dev")) == ("done", "1.1.0")
    assert promotions.client("carol").request("DELETE", lift, json={"reason": "again"}).status_code == 404


@pytest.mark.parametrize(
    ("who", "version", "code"), [("bob", None, "requester"), ("carol", "2.0.0", "back"), ("carol", "1.1.0", "back")]
)
def test_it_is_refused_to_whoever_may_not_and_to_where_the_channel_never_was(
    promotions: Promotions, who: str, version: str | None, code: str
) -> None:
    two_in_dev(promotions)
    promotions.publish("2.0.0")
    answer = promotions.roll_back("dev", version, who)
    assert (answer.status_code, codes_of(answer)[0]) == (403, code)
    assert promotions.serves("dev") == "1.1.0"


def test_a_channel_that_serves_nothing_goes_back_nowhere(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    assert promotions.roll_back("dev").status_code == 404


def test_a_policy_that_changed_is_the_one_that_a_rollback_is_decided_by(promotions: Promotions) -> None:
    two_in_dev(promotions)
    promotions.install(POLICY.replace("{to: dev, allow: [developer, release-manager]}", "{to: dev, allow: [admin]}"))
    assert codes_of(promotions.roll_back("dev"))[0] == "requester"
