"""A namespace's editors take away what the company asks, through the overlay that only they write."""

from __future__ import annotations

from typing import Any

import pytest

from tests.registry.policies.documents import IDP, overlay, policy, text
from tests.registry.policies.helpers import founded, refused
from tests.registry.world import World

EDGE = {"from": "staging", "to": "stable"}
LOOSER: dict[str, dict[str, Any]] = {
    "more roles may ask": {"transitions": [{**EDGE, "allow": ["developer", "reviewer"]}]},
    "a role of the company is bound to others": {
        "roles": {"reviewer": [{"issuer": IDP, "claims": {"groups": "devs"}}]}
    },
    "a requirement of the company is said anew": {
        "transitions": [{**EDGE, "require": [{"id": "reviewed", "approvals": {"count": 1, "role": "developer"}}]}]
    },
    "a way around": {"transitions": [{"to": "stable", "allow": ["developer"]}]},
    "agents of others": {"transitions": [{**EDGE, "agents": ["umbra/*"], "allow": ["developer"]}]},
    "a key of the company-wide document": {"exceptions": []},
    "editors of its own": {"editors": {"allow": ["developer"]}},
}


@pytest.mark.parametrize("members", LOOSER.values(), ids=LOOSER)
def test_an_overlay_that_loosens_anything_is_refused_at_the_door(world: World, members: dict[str, Any]) -> None:
    company = founded(world, policy(overlayEditors={"acme": {"allow": ["developer"]}}))
    answer = company.as_("dev", "developers").post(
        "/api/v1/policies/acme/proposals",
        json={"document": text(overlay(**members)).decode(), "reason": "ours"},
        headers={"If-None-Match": "*"},
    )
    assert refused(answer) == (400, "policy-invalid"), answer.text
    assert company.as_("dev", "developers").get("/api/v1/policies/acme").status_code == 404


def test_an_overlay_of_one_namespace_is_not_put_in_force_for_another(world: World) -> None:
    company = founded(world, policy(overlayEditors={"acme": {"allow": ["developer"]}}))
    answer = company.as_("dev", "developers").post(
        "/api/v1/policies/acme/proposals",
        json={"document": text(overlay("umbra")).decode(), "reason": "ours"},
        headers={"If-None-Match": "*"},
    )
    assert refused(answer) == (400, "policy-name-differs")
