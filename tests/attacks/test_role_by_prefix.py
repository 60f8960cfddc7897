"""Somebody gets themselves a group, an address or an issuer that looks like the one a role is bound to."""

from __future__ import annotations

import pytest

from tests.client.policy.documents import FORGE, IDP, POLICY, loaded
from tidegate.policy.inputs import Caller
from tidegate.policy.people import roles_of


@pytest.mark.parametrize(
    ("issuer", "identity", "groups"),
    [
        (IDP, "mallory@acme.example", ("developers-of-nothing", "xdevelopers", "developer", "Developers", "")),
        (
            IDP,
            "mallory@acme.example",
            ("developers ", " developers", "developers\n", "deve\u200blopers", "developers*"),
        ),
        (IDP, "mallory@acme.example", ("my-review-eu", "review", "xreview-", "Review-eu")),
        (IDP, "bob@acme.example.evil.example", ()),
        (IDP, "xbob@acme.example", ()),
        (IDP, "Bob@acme.example", ()),
        (f"{IDP}/", "bob@acme.example", ("developers", "review-eu")),
        (f"{IDP}.evil.example", "bob@acme.example", ("developers", "review-eu")),
        (FORGE, "bob@acme.example", ("developers", "review-eu")),
    ],
)
def test_what_only_looks_like_a_claim_gives_no_role(issuer: str, identity: str, groups: tuple[str, ...]) -> None:
    assert roles_of(Caller("person", issuer, identity, {"groups": groups}), loaded()) == frozenset()


def test_a_claim_cannot_stand_in_for_the_identity_itself() -> None:
    claims = {"identity": ("bob@acme.example",), "email": ("bob@acme.example",), "sub": ("bob@acme.example",)}
    assert roles_of(Caller("person", IDP, "mallory@acme.example", claims), loaded()) == frozenset()


def test_claims_of_two_groups_do_not_add_up_to_one_binding() -> None:
    half = Caller("person", IDP, "mallory@acme.example", {"groups": ("managers",), "email_verified": ("false",)})
    assert "release-manager" not in roles_of(half, loaded())


def test_a_star_in_a_policy_is_no_pattern_unless_it_says_so() -> None:
    policy = loaded(POLICY.replace("{groups: developers}", '{groups: "*"}'))
    assert roles_of(Caller("person", IDP, "mallory@acme.example", {"groups": ("anything",)}), policy) == frozenset()
