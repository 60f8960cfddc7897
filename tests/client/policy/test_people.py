from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.policy.documents import FORGE, IDP, POLICY, loaded
from tidegate.policy.inputs import Caller
from tidegate.policy.people import has_role, holders, matches_glob, most_holders, roles_of


def caller(identity: str = "carol@acme.example", issuer: str = IDP, **claims: tuple[str, ...]) -> Caller:
    return Caller("person", issuer, identity, claims)


@pytest.mark.parametrize(
    ("who", "roles"),
    [
        (caller(groups=("developers",)), {"developer"}),
        (caller(groups=("staff", "review-eu", "developers")), {"developer", "reviewer"}),
        (caller(groups=("managers",)), set()),  # every claim of a binding must match
        (caller(groups=("managers",), email_verified=("true",)), {"release-manager"}),
        (caller(identity="bob@acme.example"), {"admin"}),
        (caller(identity="bob@acme.example", issuer=FORGE), set()),
        (caller(groups=("Developers",)), set()),
        (caller(groups=("review",)), set()),
        (caller(), set()),
    ],
)
def test_roles_come_from_claims_of_the_bound_issuer_that_all_match(who: Caller, roles: set[str]) -> None:
    assert roles_of(who, loaded()) == roles
    assert all(has_role(who, role, loaded()) == (role in roles) for role in loaded().roles)
    assert not has_role(who, "no-such-role", loaded())


def test_an_asterisk_is_an_asterisk_unless_it_is_written_as_a_glob() -> None:
    policy = loaded(POLICY.replace("{groups: developers}", '{groups: "dev*"}'))
    assert roles_of(caller(groups=("developers",)), policy) == set()
    assert roles_of(caller(groups=("dev*",)), policy) == {"developer"}


@given(st.text("ab*.", max_size=8), st.text("ab*.\n", max_size=8))
def test_a_glob_means_what_the_regular_expression_would(pattern: str, value: str) -> None:
    expression = ".*".join(re.escape(part) for part in pattern.split("*"))
    assert matches_glob(pattern, value) == bool(re.fullmatch(expression, value, re.DOTALL))


def test_a_glob_of_many_asterisks_takes_no_time_that_grows_with_their_combinations() -> None:
    assert not matches_glob("*a" * 400 + "b", "a" * 100_000)


def test_all_identities_of_a_human_are_one_person() -> None:
    people = loaded().people
    assert people.of(caller(identity="alice@acme.example")) == "alice"
    workflow = caller(identity="https://forge.example/acme/a/.github/w.yml@refs/heads/main", issuer=FORGE)
    assert people.of(workflow) is None
    assert people.of(caller(workflow.identity, FORGE, actor=("alice-gh",))) == "alice"
    assert people.of(caller(workflow.identity, IDP, actor=("alice-gh",))) is None
    assert people.of(caller(identity="ALICE@acme.example")) is None
    assert people.of_identity(IDP, "bob@acme.example") == "bob"


def test_a_token_that_speaks_for_two_persons_is_told_as_both() -> None:
    text = POLICY.replace("alice@acme.example}", "alice@acme.example}").replace(
        "bob: [", f'bob: [{{issuer: "{FORGE}", identity: "https://forge.example/bob"}}, '
    )
    both = caller("https://forge.example/bob", FORGE, actor=("alice-gh",))
    assert loaded(text).people.all_of(both) == ("bob", "alice")


def test_who_has_a_role_is_said_by_name_where_the_policy_has_names() -> None:
    policy = loaded()
    assert holders("admin", policy) == ("bob",)
    assert holders("reviewer", policy) == ("groups review-* at https://idp.example",)
    assert holders("release-manager", policy) == ("email_verified true and groups managers at https://idp.example",)
    assert most_holders(policy.roles["admin"], policy.people) == 1
    assert most_holders(policy.roles["reviewer"], policy.people) is None
