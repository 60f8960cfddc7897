"""Somebody approves what is their own, or is counted twice: other issuers, other names, other people's tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.client.policy.deciding import FORGE, IDP, POLICY, RELEASES, ROOT, Case, charter, human, pipeline, policy
from tidegate.formats.jcs import JsonObject
from tidegate.policy.inputs import Caller
from tidegate.policy.verdict import State

OTHER_IDP = "https://login.example"
ONE: JsonObject = {"id": "it", "approvals": {"count": 1, "role": "reviewer"}}
TWO: JsonObject = {"id": "it", "approvals": {"count": 2, "role": "reviewer"}}
ROLES: dict[str, Any] = {
    "reviewer": [{"issuer": issuer, "claims": {"groups": "reviewers"}} for issuer in (IDP, OTHER_IDP)],
    "release-manager": [{"issuer": IDP, "claims": {"groups": "managers"}}],
    "on-call": [{"issuer": IDP, "claims": {"groups": "on-call"}}],
    "bot": [{"issuer": FORGE, "claims": {"actor": "alice-gh"}}],
}


def approver(name: str, issuer: str = IDP, **members: str) -> dict[str, str]:
    """Give an entry of the charter's approvers."""
    return {"name": name, "root": ROOT, "issuer": issuer, "identity": f"{name}@acme.example", **members}


def case_of(requirement: JsonObject, persons: dict[str, Any] | None = None, **members: Any) -> Case:
    """Give a promotion with that requirement; reviewers come from two issuers."""
    case = Case(policy(requirement, roles=ROLES, persons={**POLICY["persons"], **(persons or {})}))
    case.given(charter=charter(**members))
    case.approve()
    return case


def test_the_author_does_not_approve_what_their_pipeline_published() -> None:
    case = case_of(ONE, approvers=[approver("alice"), approver("bob")])
    case.approve(case.approval("alice"))
    assert case.lacks() == ["it"]
    assert "alice does not count: is the author" in (case.finding("it").found or "")


def test_nor_under_another_address_of_another_issuer() -> None:
    both = [{"issuer": OTHER_IDP, "identity": "alice-b@acme.example"}, *POLICY["persons"]["alice"]]
    case = case_of(ONE, {"alice": both}, approvers=[approver("alice-b", OTHER_IDP), approver("bob")])
    case.approve(case.approval("alice-b", issuer=OTHER_IDP))
    assert case.lacks() == ["it"]


def test_nor_where_only_the_charter_says_that_two_identities_are_one_person() -> None:
    case = case_of(
        ONE, approvers=[approver("alice", person="alice"), approver("al", OTHER_IDP, person="alice"), approver("bob")]
    )
    case.approve(case.approval("al", issuer=OTHER_IDP, person="alice"))
    assert case.lacks() == ["it"]


def test_nor_where_the_charter_calls_an_identity_by_the_name_that_the_policy_has_for_them() -> None:
    """The policy knows alice's pipeline, the charter her other address: nothing joins the two but her name."""
    case = case_of(ONE, approvers=[approver("al", OTHER_IDP, person="alice"), approver("bob")])
    case.approve(case.approval("al", issuer=OTHER_IDP, person="alice"))
    assert case.lacks() == ["it"]
    assert "alice does not count: is the author" in (case.finding("it").found or "")


def test_nor_with_the_claims_of_one_directory_that_two_issuers_pass_on() -> None:
    """The same groups and the same address from two issuers are two identities; unknown ones are not a new person."""
    case = case_of(ONE, approvers=[approver("eve", OTHER_IDP), approver("bob")])
    case.release(author=Caller("human", IDP, "eve@acme.example", {"groups": ("reviewers",)}))
    case.approve(case.approval("eve", issuer=OTHER_IDP))
    assert case.state("it") is State.INCONCLUSIVE
    assert "not known who the author eve@acme.example is" in case.finding("it").message


def test_the_pipeline_that_published_does_not_approve_either() -> None:
    machine = {"name": "bot", "root": ROOT, "issuer": FORGE, "identity": f"{RELEASES}@refs/heads/main"}
    case = case_of({"id": "it", "approvals": {"count": 1, "role": "bot"}}, approvers=[machine])
    own = case.approval("bot", issuer=FORGE, identity=f"{RELEASES}@refs/heads/main")
    run = pipeline(RELEASES, "alice-gh")
    case.approve(replace(own, filed_by=run, known_as=run))
    assert case.lacks() == ["it"]


def test_whoever_asks_for_a_promotion_does_not_approve_it() -> None:
    case = case_of(ONE, approvers=[approver("dave"), approver("bob")])
    case.approve(case.approval("dave"))
    assert "dave does not count: asked for the promotion" in (case.finding("it").found or "")
    assert case.lacks() == ["it"]


@pytest.mark.parametrize(
    ("persons", "people"),
    [
        ({"bob": [*POLICY["persons"]["bob"], {"issuer": OTHER_IDP, "identity": "bobby@acme.example"}]}, (None, None)),
        ({}, ("bob", "bob")),
        # the charter joins bobby with robert, the policy robert with bob: all are one
        ({"bob": [*POLICY["persons"]["bob"], {"issuer": IDP, "identity": "robert@acme.example"}]}, (None, "robert")),
    ],
    ids=["policy", "charter", "both together"],
)
def test_two_identities_of_one_person_are_counted_once(
    persons: dict[str, Any], people: tuple[str | None, str | None]
) -> None:
    named = [{"person": person} if person else {} for person in people]
    approvers = [approver("bob", **named[0]), approver("bobby", OTHER_IDP, **named[1]), approver("carol")]
    if people[1] == "robert":
        approvers.append(approver("robert"))
    case = case_of(TWO, persons, approvers=approvers, approvals={"stable": 2})
    case.approve(case.approval("bob"), case.approval("bobby", issuer=OTHER_IDP, person=people[1]))
    assert case.lacks() == ["approvals", "it"]
    case.approve(*case.inputs.approvals, case.approval("carol"))
    assert case.lacks() == []


def test_an_approval_that_another_filed_or_nobody_did_does_not_count() -> None:
    case = case_of(ONE)
    mine = case.approval("bob")
    case.approve(replace(mine, filed_by=human("carol", "reviewers"), known_as=human("carol", "reviewers")))
    assert case.lacks() == ["approvals", "it"]
    case.approve(replace(mine, filed_by=None, known_as=None))
    assert case.lacks() == ["approvals", "it"]


def test_a_role_that_was_lost_since_is_lost() -> None:
    case = case_of(ONE)
    case.approve(replace(case.approval("bob"), known_as=human("bob")))
    assert case.lacks() == ["it"]
    assert "bob does not count: has lost the role reviewer since" in (case.finding("it").found or "")


def test_what_only_publishers_or_outsiders_of_the_charter_sign_is_no_approval() -> None:
    case = case_of(ONE)
    stranger = case.approval("mallory")
    case.approve(
        stranger, replace(case.approval("bob"), attested=replace(stranger.attested, root="other", signers=("bob",)))
    )
    assert case.lacks() == ["approvals", "it"]


def test_an_approver_of_another_channel_does_not_count_here() -> None:
    case = case_of(ONE, approvers=[{**approver("bob"), "channels": ["staging"]}, approver("carol")])
    case.approve(case.approval("bob"))
    assert case.lacks() == ["approvals", "it"]
