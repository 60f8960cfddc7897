"""Requests: what they lack, who supplies it, and how they move a channel."""

from __future__ import annotations

import pytest
from sqlmodel import col, delete, update

from tests.registry.admission.world import GateWorld, codes_of
from tests.registry.promotion.walk import two_in_dev
from tests.registry.promotion.world import CHANNELS, FREEZE, POLICY, PROMOTIONS, Promotions, missing
from tests.workshop import AGENT
from tidegate_registry.policies.tables import PolicyHeadRow, PolicyVersionRow
from tidegate_registry.promotion import lists
from tidegate_registry.promotion.settling import take_turn
from tidegate_registry.promotion.tables import PromotionRow


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


def test_a_newer_request_supersedes_the_older_open_one(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    promotions.publish("1.1.0")
    older = promotions.ask("carol", "1.0.0", "stable").json()
    newer = promotions.ask("carol", "1.1.0", "stable").json()
    assert (older["sequence"], newer["sequence"]) == (1, 2)
    assert (promotions.show(older)["state"], promotions.show(newer)["state"]) == ("superseded", "open")
    assert codes_of(promotions.approve("bob", older)) == ["promotion-closed"]


def test_the_same_request_under_the_same_key_is_one_request(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    client, document = promotions.client("carol"), {"agent": AGENT, "version": "1.0.0", "channel": "staging"}
    first, again = (client.post(PROMOTIONS, json=document, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert first.json()["id"] == again.json()["id"]
    other = client.post(PROMOTIONS, json=document | {"channel": "stable"}, headers={"Idempotency-Key": "k"})
    assert (other.status_code, codes_of(other)) == (409, ["idempotency-key-reused"])
    assert len(client.get(PROMOTIONS).json()["items"]) == 1
    somebody_else = promotions.client("alice").post(PROMOTIONS, json=document, headers={"Idempotency-Key": "k"})
    assert codes_of(somebody_else)[0] == "requester"


@pytest.mark.parametrize(
    ("who", "version", "channel", "code"),
    [
        ("alice", "1.0.0", "staging", "requester"),  # no role that may ask
        ("carol", "1.0.0", "nowhere", "transition"),  # no such way
        ("carol", "0.9.0", "dev", "forward"),  # older than what dev serves
        ("carol", "1.0.0", "dev", "forward"),  # dev serves it
    ],
)
def test_what_nothing_can_mend_is_refused_recorded_and_opens_nothing(
    promotions: Promotions, who: str, version: str, channel: str, code: str
) -> None:
    promotions.publish("0.9.0")
    promotions.publish("1.0.0")
    promotions.promote("1.0.0", "dev", "alice")
    waiting = promotions.ask("carol", "1.0.0", "staging").json()
    before = len(promotions.client("carol").get(PROMOTIONS).json()["items"])
    answer = promotions.ask(who, version, channel)
    assert (answer.status_code, codes_of(answer)[0]) == (403, code)
    assert "tidegate approve" not in answer.text, "there is no request that could be approved"
    assert len(promotions.client("carol").get(PROMOTIONS).json()["items"]) == before
    assert promotions.show(waiting)["state"] == "open", "whoever may not ask supersedes nobody"
    refused = promotions.gate.data_of("promotion.decided")[-1]
    assert (refused["allowed"], "promotion" in refused) == (False, False)


def test_refusals_that_nothing_mends_are_told_as_often_as_a_caller_may_and_then_counted(promotions: Promotions) -> None:
    gate = promotions.gate
    promotions.publish("1.0.0")
    vars(gate.services).pop("refusals", None)
    gate.limit(refusals_per_minute=3)
    answers = [promotions.ask("alice", "1.0.0", "staging") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [403] * 5
    assert [each["allowed"] for each in gate.data_of("promotion.decided")] == [False] * 3
    assert gate.events("request.refused") == gate.events("promotion.opened") == [], "each is told once"
    (counts,) = gate.services.refusals.take(gate.services.clock(), closing=True)
    assert counts.count == 2
    vars(gate.services).pop("refusals", None)


def test_an_older_release_is_not_promoted_and_the_answer_says_how_to_go_back(promotions: Promotions) -> None:
    promotions.publish("0.9.0")
    promotions.publish("1.0.0")
    promotions.promote("1.0.0", "dev", "alice")
    assert f"tidegate rollback {AGENT} dev --to 0.9.0" in promotions.ask("alice", "0.9.0", "dev").json()["hint"]


def test_without_a_policy_nothing_is_promoted(gate_world: GateWorld) -> None:
    world = Promotions(gate_world)
    world.publish("1.0.0")
    client = world.client("carol")
    with gate_world.services.db.engine.begin() as connection:
        connection.execute(delete(PolicyVersionRow))
        connection.execute(delete(PolicyHeadRow))
    answer = client.post(PROMOTIONS, json={"agent": AGENT, "version": "1.0.0", "channel": "dev"})
    assert (answer.status_code, codes_of(answer)) == (409, ["no-policy"])


def test_a_freeze_holds_up_a_promotion_until_it_ends_and_never_a_rollback(promotions: Promotions) -> None:
    two_in_dev(promotions)
    promotions.publish("1.2.0")
    promotions.install(POLICY, freezes=FREEZE)
    waiting = promotions.ask("alice", "1.2.0", "dev").json()
    assert (waiting["state"], missing(waiting)) == ("open", ["freeze"])
    promotions.install(POLICY)
    take_turn(promotions.gate.services)
    assert promotions.show(waiting)["state"] == "done"
    promotions.install(POLICY, freezes=FREEZE)
    assert promotions.roll_back("dev").json()["state"] == "done"


def test_one_who_may_rejects_and_one_who_may_withdraws(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    promotion = promotions.ask("carol", "1.0.0", "staging").json()
    url = f"{PROMOTIONS}/{promotion['id']}"
    stranger = promotions.client("dave").post(f"{url}/rejection", json={"reason": "no"})
    assert codes_of(stranger) == ["role-missing"]
    not_theirs = promotions.client("bob").post(f"{url}/withdrawal", json={})
    assert codes_of(not_theirs) == ["role-missing"]
    rejected = promotions.client("bob").post(f"{url}/rejection", json={"reason": "the texts are wrong"}).json()
    assert (rejected["state"], rejected["outcome"]) == ("rejected", "the texts are wrong")
    again = promotions.client("carol").post(f"{url}/withdrawal", json={})
    assert (again.status_code, codes_of(again)) == (409, ["promotion-closed"])
    second = promotions.ask("carol", "1.0.0", "staging").json()
    by_editor = promotions.client("dave").post(f"{PROMOTIONS}/{second['id']}/withdrawal", json={"reason": "frozen"})
    assert by_editor.json()["state"] == "withdrawn"


def test_requests_channels_and_decisions_are_listed(promotions: Promotions) -> None:
    two_in_dev(promotions)
    client = promotions.client("bob")
    listed = client.get(PROMOTIONS, params={"agent": AGENT, "channel": "dev", "limit": 1}).json()
    assert [each["version"] for each in listed["items"]] == ["1.1.0"]
    rest = client.get(PROMOTIONS, params={"after": listed["next"]}).json()
    assert [each["version"] for each in rest["items"]] == ["1.0.0"]
    assert client.get(PROMOTIONS, params={"state": "open"}).json()["items"] == []
    channels = client.get(CHANNELS).json()["items"]
    assert [(each["name"], bool(each["serving"])) for each in channels] == [
        ("dev", True),
        ("staging", False),
        ("stable", False),
    ]
    assert [each["version"] for each in channels[0]["history"]] == ["1.1.0", "1.0.0"]
    decisions = client.get(f"{PROMOTIONS}/{listed['items'][0]['id']}/decisions").json()["items"]
    assert [each["record"]["verdict"] for each in decisions] == ["allowed"]
    for unknown in (f"{CHANNELS}/nowhere", f"{PROMOTIONS}/none", f"{PROMOTIONS}/none/decisions"):
        assert client.get(unknown).status_code == 404


def test_a_page_of_decisions_ends_where_their_records_get_too_large(
    promotions: Promotions, monkeypatch: pytest.MonkeyPatch
) -> None:
    promotions.publish("1.0.0")
    promotion = promotions.ask("carol", "1.0.0", "stable").json()
    assert promotions.approve("bob", promotion).status_code == 201
    client, url = promotions.client("bob"), f"{PROMOTIONS}/{promotion['id']}/decisions"
    decided = [each["id"] for each in client.get(url).json()["items"]]
    assert promotion["decision"]["id"] == decided[-1] != decided[0]
    monkeypatch.setattr(lists, "PAGE_BYTES", 1)
    first = client.get(url).json()
    rest = client.get(url, params={"after": decided[-2]}).json()
    assert ([each["id"] for each in first["items"]], first["next"]) == (decided[:1], decided[0])
    assert ([each["id"] for each in rest["items"]], rest["next"]) == (decided[-1:], None)


def test_what_waits_for_the_channel_before_goes_on_when_that_is_reached(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    staging = promotions.ask("carol", "1.0.0", "staging").json()
    promotions.evaluate("1.0.0")
    approved = promotions.approve("bob", staging).json()
    assert (approved["state"], missing(approved)) == ("open", ["source"])
    promotions.promote("1.0.0", "dev", "alice")
    assert promotions.show(staging)["state"] == "done"


def test_one_request_that_cannot_be_read_holds_up_no_other(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    promotions.promote("1.0.0", "dev", "alice")
    unreadable = promotions.ask("carol", "1.0.0", "stable").json()
    waiting = promotions.ask("carol", "1.0.0", "staging").json()
    promotions.approve("bob", waiting)
    with promotions.gate.services.db.engine.begin() as connection:
        connection.execute(update(PromotionRow).where(col(PromotionRow.id) == unreadable["id"]).values(requester=b"{}"))
    assert promotions.evaluate("1.0.0").status_code == 201
    assert promotions.serves("staging") == "1.0.0"
    assert take_turn(promotions.gate.services) == 1
