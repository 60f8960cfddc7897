"""One human plays both persons that a change of the policy needs: by another identity, or by one nobody knows."""

from __future__ import annotations

from tests.registry.policies.documents import person, policy
from tests.registry.policies.helpers import COMPANY_URL, founded, refused
from tests.registry.world import World

WISHED = policy(description="what anna alone would like")


def test_the_author_agrees_by_no_identity_of_hers(world: World) -> None:
    company = founded(world)
    assert person("anna-2") in policy()["persons"]["anna"]
    for author, other in (("anna", "anna-2"), ("anna-2", "anna"), ("anna", "anna")):
        proposal = company.propose(company.admin(author), policy(description=f"of {author}")).json()["id"]
        answer = company.approve(company.admin(other), proposal)
        assert refused(answer) == (403, "policy-approver-is-author")
    assert company.admin("ben").get(COMPANY_URL).json()["number"] == 1


def test_an_identity_that_is_nobody_in_persons_is_no_further_person(world: World) -> None:
    """It could be the author's: with the role, and without a name."""
    company = founded(world)
    proposal = company.propose(company.admin("anna"), WISHED).json()["id"]
    assert refused(company.approve(company.admin("anna-at-home"), proposal)) == (403, "policy-person-unknown")


def test_an_author_who_is_nobody_cannot_be_told_from_who_agrees(world: World) -> None:
    company = founded(world)
    proposed = company.propose(company.admin("anna-at-home"), WISHED).json()
    assert [reason["code"] for reason in proposed["missing"]] == ["policy-person-unknown"]
    agreed = company.approve(company.admin("anna"), proposed["id"]).json()
    assert (agreed["state"], agreed["agreed"]) == ("open", [])


def test_two_identities_of_one_person_are_not_two(world: World) -> None:
    company = founded(world, policy(editors={"allow": ["admin"], "approvals": 2}))
    company.meet("cleo")
    proposal = company.propose(company.admin("anna"), WISHED).json()["id"]
    for identity in ("ben", "ben-2"):
        agreed = company.approve(company.admin(identity), proposal).json()
        assert (agreed["state"], agreed["agreed"]) == ("open", ["ben"])
