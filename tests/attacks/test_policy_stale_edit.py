"""An edit of an old version undoes what others agreed on since, or slips in under agreements that were for another."""

from __future__ import annotations

from tests.registry.policies.documents import policy
from tests.registry.policies.helpers import COMPANY_URL, founded, refused
from tests.registry.world import World

STRICTER = policy(channels=["dev", "staging", "stable", "vault"])


def test_what_was_made_from_an_older_version_is_refused_with_the_difference(world: World) -> None:
    company = founded(world)
    tag = company.tag()
    proposal = company.propose(company.admin("anna"), STRICTER, tag=tag).json()["id"]
    assert company.approve(company.admin("ben"), proposal).json()["applied"] == 2
    undoing = company.propose(company.admin("ben"), policy(description="without the vault"), tag=tag)
    assert refused(undoing) == (412, "policy-stale")
    assert "channels are now dev, staging, stable, vault" in undoing.json()["reasons"][0]["found"]


def test_agreements_are_for_a_text_on_a_version_and_for_no_other(world: World) -> None:
    """Two proposals from one version: when the one is in force, what was agreed to the other comes to nothing."""
    company = founded(world)
    tag = company.tag()
    first = company.propose(company.admin("anna"), policy(description="first"), tag=tag).json()["id"]
    second = company.propose(company.admin("anna"), STRICTER, tag=tag).json()["id"]
    assert company.approve(company.admin("ben"), second).json()["applied"] == 2
    assert refused(company.approve(company.admin("ben"), first)) == (412, "policy-stale")
    assert refused(company.apply(company.admin("anna"), first)) == (412, "policy-stale")
    assert company.admin("anna").get(COMPANY_URL).json()["number"] == 2


def test_a_tag_of_the_future_or_of_no_version_matches_nothing(world: World) -> None:
    company = founded(world)
    for tag in ('"99.00000000000000000000000000000000"', "*", '"1"'):
        assert refused(company.propose(company.admin("anna"), STRICTER, tag=tag)) == (412, "policy-stale"), tag
