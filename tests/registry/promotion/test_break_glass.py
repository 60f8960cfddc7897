"""Past the policy on one's own word: who may, what it never passes, and the debt that it leaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from sqlmodel import col, update

from tests.registry.admission.world import codes_of
from tests.registry.promotion.world import CHANNELS, POLICY, PROMOTIONS, Promotions, finding
from tidegate_registry.promotion.tables import BrokenGlassRow


def broken(promotions: Promotions, version: str = "1.0.0") -> dict[str, Any]:
    promotions.publish(version)
    promotion = promotions.ask("dave", version, "stable", breakGlass=True).json()
    done = promotions.break_glass("dave", promotion)
    assert done.status_code == 201, done.text
    found: dict[str, Any] = done.json()
    return found


def review(promotions: Promotions, promotion: dict[str, Any], who: str) -> httpx2.Response:
    document = {"verdict": "justified", "reason": "there was a fire"}
    return promotions.client(who).post(f"/api/v1/break-glass/{promotion['id']}/review", json=document)


def make_overdue(promotions: Promotions, promotion: dict[str, Any]) -> None:
    with promotions.gate.services.db.engine.begin() as connection:
        late = datetime.now(UTC) - timedelta(minutes=1)
        owed = update(BrokenGlassRow).where(col(BrokenGlassRow.id) == promotion["id"])
        connection.execute(owed.values(review_by=late))


def test_a_signed_statement_moves_the_channel_and_is_shown_everywhere_until_reviewed(promotions: Promotions) -> None:
    done = broken(promotions)
    assert (done["state"], promotions.serves("stable")) == ("done", "1.0.0")
    assert finding(done, "source")["measured"]["passedOver"] == "unmet"
    assert (done["debt"]["person"], done["debt"]["reason"]) == ("dave", "it burns")
    channel = promotions.channel("dev")
    assert [each["id"] for each in channel["debts"]] == [done["id"]]
    assert promotions.channel("stable")["history"][0]["how"] == "break-glass"
    owed = promotions.client("bob").get("/api/v1/break-glass", params={"open": "true"}).json()["items"]
    assert [each["id"] for each in owed] == [done["id"]]
    whoami = promotions.client("alice").get("/api/v1/whoami").json()
    assert [(each["id"], each["person"]) for each in whoami["debts"]] == [(done["id"], "dave")]
    (used,) = promotions.gate.data_of("break-glass.used")
    assert isinstance(used["passed_over"], list)
    assert {"source", "approvals", "reviewed"} <= set(used["passed_over"])
    assert review(promotions, done, "bob").json()["reviewer"]["identity"] == "bob@sandbox.example"
    assert promotions.channel("stable")["debts"] == []
    assert promotions.client("bob").get("/api/v1/break-glass", params={"open": "true"}).json()["items"] == []
    assert codes_of(review(promotions, done, "carol")) == ["already-reviewed"]


def test_a_review_that_is_overdue_blocks_the_agents_next_promotion_until_it_is_done(promotions: Promotions) -> None:
    done = broken(promotions)
    promotions.publish("1.1.0")
    assert promotions.ask("alice", "1.1.0", "dev").json()["state"] == "done", "it is not yet late"
    make_overdue(promotions, done)
    promotions.publish("1.2.0")
    waiting = promotions.ask("alice", "1.2.0", "dev").json()
    assert (waiting["state"], finding(waiting, "debt")["state"]) == ("open", "unmet")
    assert review(promotions, done, "bob").status_code == 201
    assert promotions.show(waiting)["state"] == "done"


def test_who_broke_it_is_not_the_second_person_whatever_role_they_have(promotions: Promotions) -> None:
    done = broken(promotions)
    promotions.govern(approvers=(*promotions.charter.approvers, promotions.approver("dave")))
    assert codes_of(review(promotions, done, "dave")) == ["role-missing"]
    promotions.install(POLICY.replace("allow: [reviewer, release-manager]}", "allow: [reviewer, admin]}"))
    assert codes_of(review(promotions, done, "dave")) == ["same-person"]


def test_nor_under_a_name_that_policy_and_charter_only_together_say_is_theirs(promotions: Promotions) -> None:
    done = broken(promotions)
    bob, dave = "bob: [{issuer: ISSUER, identity: bob@sandbox.example}]", "dave: [{issuer: ISSUER"
    assert bob in POLICY
    promotions.install(
        POLICY.replace(f"  {bob}\n", "").replace(
            dave, "dave: [{issuer: ISSUER, identity: bob@sandbox.example}, {issuer: ISSUER"
        )
    )
    approvers = (promotions.approver("bob", person="rob"), promotions.approver("carol", person="rob"))
    promotions.govern(approvers=approvers)
    assert codes_of(review(promotions, done, "carol")) == ["same-person"]


@pytest.mark.parametrize("what", [{"sequence": 9}, {"channel": "staging"}, {"action": "rollback"}])
def test_a_statement_for_something_else_is_not_filed(promotions: Promotions, what: dict[str, object]) -> None:
    promotions.publish("1.0.0")
    promotion = promotions.ask("dave", "1.0.0", "stable", breakGlass=True).json()
    answer = promotions.break_glass("dave", promotion, **what)
    assert (answer.status_code, codes_of(answer)) == (403, ["statement-differs"])
    assert promotions.show(promotion)["state"] == "open"


def test_nobody_else_may_break_it_or_ask_to(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    assert promotions.ask("alice", "1.0.0", "stable", breakGlass=True).status_code == 403
    promotions.install(POLICY.replace("channels: [staging, stable]", "channels: [staging]"))
    refused = promotions.ask("dave", "1.0.0", "stable", breakGlass=True)
    assert codes_of(refused)[0] == "requester", "the policy lets nobody break the glass of stable"
    assert promotions.client("carol").get(PROMOTIONS).json()["items"] == []


def test_it_goes_back_too_where_the_window_ends(promotions: Promotions) -> None:
    for version in ("1.0.0", "1.1.0"):
        promotions.publish(version)
        promotions.promote(version, "dev", "alice")
        promotions.promote(version, "staging")
    promotions.govern(rollback_window=0)
    back = {"version": "1.0.0", "reason": "it burns"}
    client, url = promotions.client("dave"), f"{CHANNELS}/staging/rollback"
    assert codes_of(client.post(url, json=back))[0] == "requester"
    asked = client.post(url, json=back | {"breakGlass": True}).json()
    assert asked["state"] == "open"
    done = promotions.break_glass("dave", asked).json()
    assert (done["state"], done["debt"]["action"], promotions.serves("staging")) == ("done", "rollback", "1.0.0")
    assert promotions.channel("staging")["history"][0]["how"] == "break-glass"
    assert [each["version"] for each in promotions.channel("staging")["holds"]] == ["1.1.0"]
