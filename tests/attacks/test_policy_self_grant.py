"""A document that gives its own author the right to write it: a change is judged under the policy in force."""

from __future__ import annotations

from tests.registry.policies.documents import IDP, person, policy, text
from tests.registry.policies.helpers import COMPANY_URL, founded, refused
from tests.registry.world import World

# all that mallory could wish for, in one document: the role, alone, and for every other role she might be asked for
HER_OWN = policy(
    persons={**policy()["persons"], "mallory": [person("mallory")]},
    roles={**policy()["roles"], "admin": [{"issuer": IDP, "claims": {"identity": "mallory@acme.example"}}]},
    editors={"allow": ["admin", "developer"], "approvals": 0},
)


def test_a_developer_cannot_propose_the_document_that_makes_her_an_admin(world: World) -> None:
    company = founded(world)
    mallory = company.as_("mallory", "developers")
    assert refused(company.propose(mallory, HER_OWN)) == (403, "policy-editor-missing")
    stranger = company.as_("mallory")
    answer = company.propose(stranger, HER_OWN)
    assert answer.status_code in {401, 403}, "who has no role at all does not even get so far"
    assert mallory.get(COMPANY_URL).json()["number"] == 1
    assert mallory.get(f"{COMPANY_URL}/proposals").json()["items"][0]["person"] == "ben", "nothing of hers was kept"


def test_an_admin_cannot_drop_the_second_person_alone(world: World) -> None:
    """The document itself needs nobody else; the one in force does, and counts."""
    company = founded(world)
    alone = policy(editors={"allow": ["admin"], "approvals": 0})
    proposed = company.propose(company.admin("anna"), alone).json()
    assert (proposed["state"], proposed["needed"]) == ("open", 1)
    assert refused(company.apply(company.admin("anna"), proposed["id"])) == (403, "policy-approvals-missing")


def test_an_overlay_gives_nobody_the_right_to_write_it(world: World) -> None:
    company = founded(world)
    own = {"format": "tidegate/policy-overlay/v1", "namespace": "acme"}
    roles = {"admin": [{"issuer": IDP, "claims": {"identity": "mallory@acme.example"}}]}
    mallory = company.as_("mallory", "developers")
    answer = mallory.post(
        "/api/v1/policies/acme/proposals",
        json={"document": text(own | {"roles": {"mine": roles["admin"]}}).decode(), "reason": "ours"},
        headers={"If-None-Match": "*"},
    )
    assert refused(answer) == (403, "policy-editor-missing")
    answer = company.admin("anna").post(
        "/api/v1/policies/acme/proposals",
        json={"document": text(own | {"roles": roles}).decode(), "reason": "hers"},
        headers={"If-None-Match": "*"},
    )
    assert refused(answer) == (400, "policy-invalid"), "a role of the company-wide policy is not bound to others"
