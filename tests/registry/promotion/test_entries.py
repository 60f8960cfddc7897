"""What each writing route leaves in the audit log, and that what a decision rests on is found by its digest."""

from __future__ import annotations

import pytest

from tests.registry.promotion.walk import WALK
from tests.registry.promotion.world import POLICY, Promotions
from tidegate.digest import Digest
from tidegate.policy.record import parse_record, redecide
from tidegate_registry.promotion.settling import take_turn
from tidegate_registry.promotion.tables import DecisionRow


@pytest.mark.parametrize("route", list(WALK), ids=" ".join)
def test_what_a_route_writes_are_entries(promotions: Promotions, route: tuple[str, str]) -> None:
    call, types = WALK[route]
    answer = call(promotions)
    assert answer.is_success, answer.text
    assert [event["type"] for event in promotions.gate.events()][-len(types) :] == types


def test_a_decision_can_be_made_again_from_its_record_which_its_entry_names(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    promotions.promote("1.0.0", "dev", "alice")
    promotions.promote("1.0.0", "staging")
    entries = promotions.gate.data_of("promotion.decided")
    with promotions.gate.services.db.read() as tx:
        rows = {entry["decision"]: tx.get_one(DecisionRow, entry["decision"]) for entry in entries}
    assert len(rows) >= 4
    for entry in entries:
        row = rows[entry["decision"]]
        assert entry["record"] == row.digest == Digest.of(row.record)
        record = parse_record(row.record)
        assert bool(redecide(record)) == row.allowed == entry["allowed"]
        assert redecide(record).findings == record.verdict.findings


def test_what_the_registry_decides_by_itself_names_the_registry(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    promotion = promotions.ask("carol", "1.0.0", "staging").json()
    before = len(promotions.gate.events())
    assert take_turn(promotions.gate.services) == 1
    assert len(promotions.gate.events()) == before, "nothing new was found, so there is nothing to write"
    promotions.install(POLICY.replace("- {id: evaluated, attestation: {type: evaluation, signer: evals}}\n", ""))
    assert take_turn(promotions.gate.services) == 1
    assert promotions.gate.events("promotion.decided")[-1]["actor"] == {
        "kind": "system",
        "issuer": "",
        "name": "registry",
    }
    assert promotions.gate.data_of("promotion.decided")[-1]["promotion"] == promotion["id"]
