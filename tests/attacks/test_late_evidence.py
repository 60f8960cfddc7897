"""Evidence and approvals that come after a revocation change nothing."""

from __future__ import annotations

from tests.registry.admission.world import codes_of
from tests.registry.promotion.world import Promotions
from tests.workshop import AGENT
from tidegate_registry.promotion.settling import take_turn


def test_a_revoked_release_goes_nowhere_whatever_is_attached_to_it_since(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    promotions.promote("1.0.0", "dev", "alice")
    promotion = promotions.ask("carol", "1.0.0", "staging").json()
    document = {"agent": AGENT, "version": "1.0.0", "reason": "it leaks"}
    assert promotions.client("carol").post("/api/v1/revocations", json=document).status_code == 201
    assert promotions.evaluate("1.0.0").status_code == 201
    assert codes_of(promotions.approve("bob", promotion)) == ["promotion-closed"]
    take_turn(promotions.gate.services)
    assert promotions.serves("staging") is None
    refused = promotions.ask("carol", "1.0.0", "staging")
    assert (refused.status_code, codes_of(refused)[0]) == (403, "revoked")
    assert codes_of(promotions.client("bob").get(f"/v2/{AGENT}/manifests/1.0.0")) == ["release-revoked"]
    assert promotions.roll_back("dev", "1.0.0").status_code == 403
