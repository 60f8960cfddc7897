"""The whole table of who may do what, and the words of each refusal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.registry.access.charters import AGENT, charter, charters, grant, person, pipeline
from tidegate.formats.charter import Charter
from tidegate_registry.access.membership import NO_ROLE, Membership
from tidegate_registry.access.principal import ANONYMOUS, Principal, PrincipalKind, describe
from tidegate_registry.access.rights import (
    RULES,
    AccessRules,
    Forbidden,
    Permission,
    grantable,
    may,
    may_ask,
    standings,
)

CLOSED = AccessRules(anonymous_pull=False, authenticated_pull=False)
DEFAULT = AccessRules()
OPEN = AccessRules(anonymous_pull=True)

READ = {
    Permission.AGENT_READ,
    Permission.RELEASE_READ,
    Permission.ARTIFACT_PULL,
    Permission.EVIDENCE_READ,
    Permission.PROMOTION_READ,
    Permission.CHANNEL_READ,
}
MOVE = {
    Permission.RELEASE_REVOKE,
    Permission.PROMOTION_REQUEST,
    Permission.PROMOTION_WITHDRAW,
    Permission.CHANNEL_ROLLBACK,
    Permission.CHANNEL_LIFT_HOLD,
}
JUDGE = {Permission.PROMOTION_REJECT, Permission.BREAK_GLASS_REVIEW}
ATTEST = READ | {Permission.DECISION_READ, Permission.QUARANTINE_READ, Permission.BLOB_PUSH, Permission.EVIDENCE_PUSH}
APPROVE = ATTEST | MOVE | JUDGE | {Permission.PROMOTION_APPROVE}
BREAK_GLASS = ATTEST | MOVE | JUDGE | {Permission.BREAK_GLASS_USE}
PUBLISH = (
    ATTEST
    | MOVE
    | {
        Permission.WORKING_TAG_READ,
        Permission.WORKING_TAG_WRITE,
        Permission.ARTIFACT_PUSH,
        Permission.RELEASE_PUBLISH,
    }
)
WRITE_POLICY = {Permission.POLICY_PROPOSE, Permission.POLICY_APPROVE, Permission.POLICY_APPLY}
EDIT = {Permission.ENROLMENT_CREATE, Permission.LOG_READ}
STRANGER = person("mallory@acme.example")
PUBLISHER, ATTESTER, APPROVER, DANA = pipeline(), person(), person("carol@acme.example"), person("dana@acme.example")
MEMBER, EDITOR = Membership(("release-manager",)), Membership(("admin",), ("admin",), ("admin",))
AUDITOR = Membership(("security",), (), ("security",))
PUBLIC_LOG = AccessRules(public_log=True)


def allowed(
    who: Principal,
    rules: AccessRules = DEFAULT,
    rule_book: Charter | None = None,
    agent: str = AGENT,
    membership: Membership = NO_ROLE,
) -> set[Permission]:
    return {
        permission
        for permission, rule in RULES.items()
        if rule.on_agent and may(who, permission, agent=agent, charter=rule_book, rules=rules, membership=membership)
    }


def refused(who: Principal, permission: Permission, *, rules: AccessRules = DEFAULT, known: bool = True) -> Forbidden:
    verdict = may(who, permission, agent=AGENT, charter=charter() if known else None, rules=rules)
    assert isinstance(verdict, Forbidden)
    return verdict


def test_every_permission_has_a_rule() -> None:
    assert set(RULES) == set(Permission)
    assert {permission for permission, rule in RULES.items() if rule.on_agent} == PUBLISH | APPROVE | BREAK_GLASS


@pytest.mark.parametrize(
    ("who", "rules", "expected"),
    [
        (PUBLISHER, DEFAULT, PUBLISH),
        (PUBLISHER, CLOSED, PUBLISH),
        (ATTESTER, DEFAULT, ATTEST),
        (ATTESTER, CLOSED, ATTEST),
        (APPROVER, CLOSED, APPROVE),
        (DANA, CLOSED, BREAK_GLASS),
        (STRANGER, DEFAULT, READ),
        (STRANGER, CLOSED, set()),
        (STRANGER, OPEN, READ),
        (ANONYMOUS, DEFAULT, set()),
        (ANONYMOUS, CLOSED, set()),
        (ANONYMOUS, OPEN, READ),
    ],
)
def test_the_table_of_rights(who: Principal, rules: AccessRules, expected: set[Permission]) -> None:
    assert allowed(who, rules, charter()) == expected


def test_a_role_of_the_policy_opens_the_door_to_promotions_and_never_to_pushing() -> None:
    for membership in (MEMBER, EDITOR):
        for rule_book in (charter(), None):
            found = allowed(STRANGER, CLOSED, rule_book, membership=membership)
            assert found == READ | {Permission.DECISION_READ} | MOVE | JUDGE
    reason = refused(STRANGER, Permission.PROMOTION_REQUEST).reasons[0]
    assert reason.code == "role-missing"
    assert "mallory@acme.example" in (reason.found or "")
    assert "publisher in the charter" in (reason.expected or "")
    assert "a role of the policy" in (reason.expected or "")


@pytest.mark.parametrize(
    ("who", "rules", "membership", "expected"),
    [
        (STRANGER, DEFAULT, NO_ROLE, {Permission.POLICY_READ}),
        (STRANGER, CLOSED, NO_ROLE, set()),
        (STRANGER, CLOSED, MEMBER, WRITE_POLICY | {Permission.POLICY_READ}),
        (STRANGER, CLOSED, EDITOR, WRITE_POLICY | EDIT | {Permission.POLICY_READ}),
        (STRANGER, CLOSED, AUDITOR, WRITE_POLICY | {Permission.POLICY_READ, Permission.LOG_READ}),
        (ANONYMOUS, PUBLIC_LOG, NO_ROLE, {Permission.LOG_READ}),
        (PUBLISHER, DEFAULT, NO_ROLE, {Permission.POLICY_READ}),
        (ANONYMOUS, DEFAULT, NO_ROLE, set()),
        (ANONYMOUS, OPEN, NO_ROLE, set()),
    ],
)
def test_what_is_about_no_agent_is_for_those_whom_the_policy_names(
    who: Principal, rules: AccessRules, membership: Membership, expected: set[Permission]
) -> None:
    who = replace(who, grants=(grant("*,manage", "api", "registry"),)) if who is not ANONYMOUS else who
    found = {
        permission
        for permission, rule in RULES.items()
        if not rule.on_agent
        and rule.standings is not None
        and may(who, permission, agent=None, charter=None, rules=rules, membership=membership)
    }
    assert found == expected


def test_a_request_whose_body_names_the_agent_is_read_from_somebody_only() -> None:
    assert may_ask(STRANGER, Permission.PROMOTION_REQUEST, CLOSED)
    assert not may_ask(ANONYMOUS, Permission.PROMOTION_REQUEST, OPEN)
    assert may_ask(ANONYMOUS, Permission.PROMOTION_READ, OPEN)
    verdict = may_ask(ANONYMOUS, Permission.PROMOTION_READ, DEFAULT)
    assert isinstance(verdict, Forbidden)
    assert verdict.login


def test_without_a_charter_nobody_publishes_and_releases_stay_readable() -> None:
    assert allowed(PUBLISHER, DEFAULT, None) == READ
    verdict = refused(PUBLISHER, Permission.RELEASE_PUBLISH, known=False)
    assert verdict.reasons[0].code == "no-charter"
    assert "charter" in (verdict.reasons[0].expected or "")


@pytest.mark.parametrize(
    "who",
    [
        pipeline("refs/heads/main"),
        pipeline("refs/tags/v1/x"),
        pipeline(workflow="https://github.com/acme/support-agent/.github/workflows/other.yml"),
        pipeline(issuer="https://token.actions.githubusercontent.com/acme"),
        pipeline(issuer="https://token.actions.githubusercontent.com/"),
        person("bob@acme.example.evil"),
        person("BOB@acme.example"),
        person(issuer="https://login.evil.example"),
    ],
)
def test_a_caller_who_differs_in_one_thing_is_a_stranger(who: Principal) -> None:
    assert allowed(who, CLOSED, charter()) == set()
    reason = refused(who, Permission.EVIDENCE_PUSH).reasons[0]
    assert reason.code == "not-in-charter"
    assert who.name in (reason.found or "")
    assert "release" in (reason.expected or "")
    assert "nearest is" in (reason.hint or "")


def test_an_attester_is_told_that_only_publishers_may_name_a_version() -> None:
    reason = refused(ATTESTER, Permission.RELEASE_PUBLISH).reasons[0]
    assert reason.code == "not-in-charter"
    assert "reviewer" not in (reason.expected or "")


@pytest.mark.parametrize(
    ("held", "permission"),
    [
        (grant("pull"), Permission.RELEASE_PUBLISH),
        (grant("push"), Permission.ARTIFACT_PULL),
        (grant("pull,push", "acme/other-agent"), Permission.RELEASE_PUBLISH),
        (grant("pull,push", "acme/support-agent/x"), Permission.RELEASE_PUBLISH),
        (grant("pull,push", "acme/*"), Permission.RELEASE_PUBLISH),
        (grant("*", "api", "registry"), Permission.RELEASE_PUBLISH),
        (grant("*", "api", "registry"), Permission.ARTIFACT_PULL),
        (grant("*"), Permission.RELEASE_PUBLISH),
        (grant("pull,push", AGENT, "registry"), Permission.RELEASE_PUBLISH),
        (grant("pull,push"), Permission.PROMOTION_REQUEST),
        (grant("*,manage", "api", "registry"), Permission.PROMOTION_REQUEST),
        (grant("pull,promote"), Permission.RELEASE_PUBLISH),
    ],
)
def test_a_token_issued_for_less_is_sent_back_for_more(held: object, permission: Permission) -> None:
    who = pipeline("refs/tags/v1.0.0", held)  # type: ignore[arg-type]  # parametrised
    verdict = refused(who, permission)
    assert verdict.reasons[0].code == "scope-missing"
    assert verdict.scope is not None
    assert not verdict.login
    assert may(pipeline("refs/tags/v1.0.0", verdict.scope), permission, agent=AGENT, charter=charter(), rules=DEFAULT)


def test_a_token_for_the_api_reads_there() -> None:
    who = person("mallory@acme.example", grant("*", "api", "registry"))
    assert allowed(who, DEFAULT, charter()) == READ - {Permission.ARTIFACT_PULL}
    editor = person("mallory@acme.example", grant("*", "api", "registry"))
    verdict = may(editor, Permission.POLICY_PROPOSE, agent=None, charter=None, rules=DEFAULT, membership=EDITOR)
    assert isinstance(verdict, Forbidden)
    assert verdict.scope == grant("manage", "api", "registry")


def test_anonymous_callers_are_asked_to_log_in_with_the_scope_they_need() -> None:
    verdict = refused(ANONYMOUS, Permission.RELEASE_PUBLISH, rules=OPEN)
    assert verdict.login
    assert verdict.scope == grant("pull,push")
    assert verdict.reasons[0].code == "login-needed"


def test_grants_are_the_part_that_the_caller_may_have() -> None:
    wanted = [
        grant("pull,push,promote,delete"),
        grant("pull,push,promote", "acme/other-agent"),
        grant("*,manage", "api", "registry"),
        grant("*", "catalog", "registry"),
        grant("pull", AGENT, "plugin"),
    ]

    def given(who: Principal, rules: AccessRules = DEFAULT) -> str:
        return describe(grantable(who, wanted, charter_for=charters().for_agent, rules=rules))

    assert given(PUBLISHER) == f"repository:{AGENT}:promote,pull,push repository:acme/other-agent:pull registry:api:*"
    assert given(PUBLISHER, CLOSED) == f"repository:{AGENT}:promote,pull,push registry:api:*"
    assert given(ATTESTER, CLOSED) == f"repository:{AGENT}:pull,push registry:api:*"
    assert given(STRANGER) == f"repository:{AGENT}:pull repository:acme/other-agent:pull registry:api:*"
    assert given(ANONYMOUS) == ""
    assert given(ANONYMOUS, OPEN) == f"repository:{AGENT}:pull repository:acme/other-agent:pull registry:api:*"
    roles = {AGENT: MEMBER, None: MEMBER}.get
    assert (
        describe(
            grantable(
                STRANGER,
                wanted,
                charter_for=charters().for_agent,
                rules=CLOSED,
                membership_for=lambda agent: roles(agent, NO_ROLE),
            )
        )
        == f"repository:{AGENT}:promote,pull registry:api:*,manage"
    )
    assert describe(grantable(PUBLISHER, [grant("*")], charter_for=charters().for_agent, rules=CLOSED)) == (
        f"repository:{AGENT}:pull,push"
    )


def test_the_agents_own_charter_wins_over_its_namespaces() -> None:
    both = charters("acme/*", "acme/other-agent")
    found = both.for_agent("acme/other-agent")
    assert found is not None
    assert found.agent == "acme/other-agent"
    assert standings(PUBLISHER, both.for_agent("acme/third"), CLOSED)


def test_a_principal_is_anonymous_exactly_when_it_has_no_identity() -> None:
    with pytest.raises(ValueError, match="anonymous"):
        Principal(PrincipalKind.HUMAN)
    with pytest.raises(ValueError, match="anonymous"):
        Principal(PrincipalKind.ANONYMOUS, PUBLISHER.identity)


def test_asking_about_no_agent_where_one_is_needed_is_our_own_mistake() -> None:
    with pytest.raises(ValueError, match="about an agent"):
        may(PUBLISHER, Permission.RELEASE_PUBLISH, agent=None, charter=None, rules=DEFAULT)
