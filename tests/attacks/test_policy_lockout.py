"""A change after which nobody could change the policy again: by mistake, or to keep what one has got for ever."""

from __future__ import annotations

from typing import Any

import pytest

from tests.registry.policies.documents import IDP, policy
from tests.registry.policies.helpers import COMPANY_URL, founded, refused
from tests.registry.world import World

NOBODY: dict[str, dict[str, Any]] = {
    "a group that nobody is in": {
        "roles": {**policy()["roles"], "admin": [{"issuer": IDP, "claims": {"groups": "admin"}}]}
    },
    "an issuer whose tokens nobody has": {
        "roles": {**policy()["roles"], "admin": [{"issuer": "https://other.example", "claims": {"groups": "admins"}}]}
    },
    "named persons whose issuer this registry does not ask": {
        "roles": {
            **policy()["roles"],
            "admin": [
                {"issuer": "https://other.example", "claims": {"identity": f"{name}@acme.example"}}
                for name in ("anna", "ben")
            ],
        },
        "persons": {
            name: [{"issuer": "https://other.example", "identity": f"{name}@acme.example"}] for name in ("anna", "ben")
        },
    },
    "a role of others": {"editors": {"allow": ["reviewer"], "approvals": 1}},
}


@pytest.mark.parametrize("members", NOBODY.values(), ids=NOBODY)
def test_a_document_that_locks_everybody_out_is_not_even_kept(world: World, members: dict[str, Any]) -> None:
    company = founded(world)
    answer = company.propose(company.admin("anna"), policy(**members))
    assert refused(answer) == (403, "policy-lockout")


def test_a_document_that_leaves_too_few_is_not_put_in_force_though_all_agree(world: World) -> None:
    """Three further persons are more than there are: nobody could ever complete a change again."""
    company = founded(world)
    proposal = company.propose(company.admin("anna"), policy(editors={"allow": ["admin"], "approvals": 3})).json()["id"]
    agreed = company.approve(company.admin("ben"), proposal).json()
    assert (agreed["state"], [reason["code"] for reason in agreed["missing"]]) == ("open", ["policy-lockout"])
    assert refused(company.apply(company.admin("ben"), proposal)) == (403, "policy-lockout")
    assert company.admin("ben").get(COMPANY_URL).json()["number"] == 1


def test_who_has_left_since_is_not_counted_among_those_who_could(world: World) -> None:
    company = founded(world)
    company.meet("cleo")
    two = policy(editors={"allow": ["admin"], "approvals": 2})
    proposal = company.propose(company.admin("anna"), two).json()["id"]
    company.seen_as("cleo", "developers")
    agreed = company.approve(company.admin("ben"), proposal).json()
    assert (agreed["state"], [reason["code"] for reason in agreed["missing"]]) == ("open", ["policy-lockout"])
