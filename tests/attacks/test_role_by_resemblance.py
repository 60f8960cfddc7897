"""A caller whose token only resembles the one that a role of the policy is bound to knocks at the registry's door."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from tests.registry.access.charters import LOGIN, charters, grant, person
from tests.registry.policies.documents import IDP, overlay, policy, text
from tests.registry.policies.test_source import OPERATOR, Room
from tidegate.errors import AccessDenied
from tidegate.formats.identity import ClaimName
from tidegate_registry.access.callers import caller_of
from tidegate_registry.access.gatekeeper import Gatekeeper
from tidegate_registry.access.membership import NO_ROLE, Membership
from tidegate_registry.access.oidc import OidcVerifier
from tidegate_registry.access.principal import ANONYMOUS, Principal
from tidegate_registry.access.rights import AccessRules, Permission
from tidegate_registry.access.token_keys import generate_token_key
from tidegate_registry.access.tokens import RegistryTokens
from tidegate_registry.db import Db
from tidegate_registry.policies.install import install
from tidegate_registry.policies.members import PolicyMembers

AGENT, OTHER = "acme/support-agent", "umbra/agent"
ALL = (grant("pull,push,promote"), grant("pull,push,promote", OTHER), grant("*,manage", "api", "registry"))
URL = "https://registry.example"
EVERYONE = AccessRules(authenticated_pull=False)


def holder(*groups: str, issuer: str = IDP, claim: str = "groups") -> Principal:
    return replace(person("erin@acme.example", *ALL, issuer=issuer), attributes={claim: groups})


@pytest.fixture
def room(database_url: str) -> Iterator[Room]:
    db = Db(database_url)
    db.create_all()
    yield Room(db)
    db.close()


@pytest.fixture
def members(room: Room) -> PolicyMembers:
    seconds = itertools.count()  # each question is late enough to see what another replica has changed
    install(room.app, OPERATOR, text(policy()), reason="first")
    return PolicyMembers(room.db, room.policies, lambda: next(seconds))


@pytest.fixture
def gate(members: PolicyMembers) -> Gatekeeper:
    """The door itself; no token is issued or read here."""
    return Gatekeeper(
        public_url=URL,
        oidc=cast("OidcVerifier", None),
        tokens=cast("RegistryTokens", None),
        rules=EVERYONE,
        charters=lambda: charters(AGENT),
        members=members,
    )


def test_whoever_has_the_claim_itself_is_let_in(gate: Gatekeeper, members: PolicyMembers) -> None:
    admin, developer = holder("admins"), holder("developers")
    members.refresh()
    assert members.of(admin, AGENT) == Membership(("admin",), ("admin",), ("admin",))
    assert members.of(developer, None) == Membership(("developer",))
    gate.demand(admin, Permission.ENROLMENT_CREATE)
    gate.demand(developer, Permission.PROMOTION_REQUEST, AGENT)
    gate.demand(developer, Permission.RELEASE_READ, AGENT)  # which only who holds a role may, here


@pytest.mark.parametrize(
    "who",
    [
        holder("admin"),
        holder("admins-of-another-team"),
        holder("Admins"),
        holder("admins "),
        holder("admins,developers"),
        holder("/admins"),
        holder("*"),
        holder(),
        holder("admins", claim="roles"),
        holder("admins", claim="groups "),
        holder("admins", issuer=f"{IDP}/"),
        holder("admins", issuer=f"{IDP}.evil.example"),
        holder("admins", issuer=LOGIN.replace("https", "http")),
    ],
)
def test_whoever_only_resembles_it_stays_outside(gate: Gatekeeper, members: PolicyMembers, who: Principal) -> None:
    members.refresh()
    assert members.of(who, AGENT) == NO_ROLE
    for permission, agent in (
        (Permission.ENROLMENT_CREATE, None),
        (Permission.POLICY_PROPOSE, None),
        (Permission.POLICY_READ, None),
        (Permission.PROMOTION_REQUEST, AGENT),
        (Permission.CHANNEL_ROLLBACK, AGENT),
        (Permission.RELEASE_READ, AGENT),
    ):
        with pytest.raises(AccessDenied) as caught:
            gate.demand(who, permission, agent)
        assert caught.value.reasons[0].code in ("role-missing", "not-in-charter")


def test_a_role_of_one_namespace_opens_nothing_in_another(room: Room, members: PolicyMembers, gate: Gatekeeper) -> None:
    ours = {"owner": [{"issuer": IDP, "claims": {"groups": "acme-owners"}}]}
    install(room.app, OPERATOR, text(overlay("acme", roles=ours)), name="acme", reason="ours")
    owner = holder("acme-owners")
    members.refresh()
    assert members.of(owner, AGENT) == Membership(("owner",))
    assert members.of(owner, OTHER) == NO_ROLE
    assert members.of(owner, None) == Membership(("owner",))
    gate.demand(owner, Permission.PROMOTION_REQUEST, AGENT)
    for permission in (Permission.PROMOTION_REQUEST, Permission.RELEASE_READ):
        with pytest.raises(AccessDenied) as caught:
            gate.demand(owner, permission, OTHER)
        assert caught.value.reasons[0].code in ("role-missing", "no-charter")


def test_what_a_role_opened_is_not_remembered_past_the_role(room: Room, members: PolicyMembers) -> None:
    held = charters(AGENT)
    tokens = RegistryTokens(
        signing=generate_token_key(),
        audience=URL,
        lifetime=timedelta(minutes=5),
        clock=lambda: datetime.now(UTC),
    )
    gate = Gatekeeper(
        public_url=URL,
        oidc=cast("OidcVerifier", None),
        tokens=tokens,
        rules=EVERYONE,
        charters=lambda: held,
        members=members,
    )
    header = f"Bearer {tokens.issue(holder('developers'), ALL).text}"
    gate.require(header, Permission.ARTIFACT_PULL, AGENT)
    for _ in range(2):  # found, and found again
        assert gate.recall(header.encode(), Permission.ARTIFACT_PULL, AGENT) is not None
    others = {**policy()["roles"], "developer": [{"issuer": IDP, "claims": {"groups": "other-developers"}}]}
    install(room.app, OPERATOR, text(policy(roles=others)), reason="second", recover=True)
    members.refresh()
    assert gate.recall(header.encode(), Permission.ARTIFACT_PULL, AGENT) is None


def test_a_claim_that_an_issuer_adds_never_stands_for_one_that_its_token_proves() -> None:
    """An operator carries a claim that has the name of one in a certificate: the latter counts."""
    proved = {ClaimName.RUNNER_ENVIRONMENT: "github-hosted"}
    who = holder("self-hosted", claim=str(ClaimName.RUNNER_ENVIRONMENT))
    assert who.identity is not None
    caller = caller_of(replace(who, identity=replace(who.identity, claims=proved)))
    assert caller.values(str(ClaimName.RUNNER_ENVIRONMENT)) == ("github-hosted",)


def test_a_role_that_is_taken_away_is_gone_with_the_next_look(room: Room, members: PolicyMembers) -> None:
    members.refresh()
    assert members.of(holder("admins"), None).edits == ("admin",)
    others = {**policy()["roles"], "admin": [{"issuer": IDP, "claims": {"groups": "other-admins"}}]}
    install(room.app, OPERATOR, text(policy(roles=others)), reason="second", recover=True)
    members.refresh()
    assert members.of(holder("admins"), None) == NO_ROLE
    assert members.of(ANONYMOUS, None) == NO_ROLE
