"""The shell of the room: headers in, principals or challenges out."""

from __future__ import annotations

from datetime import timedelta

import httpx2
import pytest

from tests.registry.access.charters import AGENT, charters, grant, person
from tests.registry.access.issuer import NO_TLS, REGISTRY, Clock, FakeIssuer, alice
from tidegate.errors import AccessDenied, Unreachable
from tidegate_registry.access.challenge import LoginNeeded
from tidegate_registry.access.gatekeeper import Gatekeeper
from tidegate_registry.access.issuers import IssuerRule
from tidegate_registry.access.jwks import HttpFetch
from tidegate_registry.access.oidc import OidcVerifier
from tidegate_registry.access.principal import ANONYMOUS, PrincipalKind
from tidegate_registry.access.rights import AccessRules, Permission
from tidegate_registry.access.token_keys import generate_token_key
from tidegate_registry.access.tokens import RegistryTokens


def make_gatekeeper(issuer: FakeIssuer, clock: Clock, *, anonymous_pull: bool = False) -> Gatekeeper:
    rule = IssuerRule(issuer=issuer.url, kind="email", algorithms=("ES256",))
    fetch = HttpFetch(httpx2.Client(trust_env=False, verify=NO_TLS))
    return Gatekeeper(
        public_url=REGISTRY,
        oidc=OidcVerifier([rule], audience=REGISTRY, fetch=fetch, clock=clock),
        tokens=RegistryTokens(
            signing=generate_token_key(), audience=REGISTRY, lifetime=timedelta(minutes=5), clock=clock
        ),
        rules=AccessRules(anonymous_pull=anonymous_pull),
        charters=charters,
    )


def test_no_header_is_anonymous_and_is_challenged_for_what_it_may_not_do(issuer: FakeIssuer, clock: Clock) -> None:
    gate = make_gatekeeper(issuer, clock)
    assert gate.authenticate(None) is ANONYMOUS
    with pytest.raises(LoginNeeded) as caught:
        gate.require(None, Permission.BLOB_PUSH, AGENT)
    assert caught.value.challenge == (
        f'Bearer realm="{REGISTRY}/v2/token",service="{REGISTRY}",scope="repository:{AGENT}:pull,push"'
    )
    with pytest.raises(LoginNeeded) as caught:
        gate.require(None, Permission.REGISTRY_PING)
    assert caught.value.challenge == f'Bearer realm="{REGISTRY}/v2/token",service="{REGISTRY}"'


@pytest.mark.parametrize("header", ["Basic b2lkYzp4", "Bearer", "Bearer ", "Bearer a.b.c", "", "Token x"])
def test_a_header_that_does_not_count_is_not_taken_for_anonymous(issuer: FakeIssuer, clock: Clock, header: str) -> None:
    with pytest.raises(LoginNeeded) as caught:
        make_gatekeeper(issuer, clock, anonymous_pull=True).authenticate(header)
    assert 'error="invalid_token"' in caught.value.challenge
    assert caught.value.reasons[0].code in {"token-scheme", "token-malformed"}


def test_a_token_for_less_is_challenged_and_a_stranger_is_denied(issuer: FakeIssuer, clock: Clock) -> None:
    gate = make_gatekeeper(issuer, clock)
    bob, mallory = person("bob@acme.example", grant("pull")), person("mallory@acme.example")
    with pytest.raises(LoginNeeded) as caught:
        gate.demand(bob, Permission.EVIDENCE_PUSH, AGENT)
    assert 'error="insufficient_scope"' in caught.value.challenge
    assert f'scope="repository:{AGENT}:pull,push"' in caught.value.challenge
    assert not gate.may(bob, Permission.EVIDENCE_PUSH, AGENT)
    with pytest.raises(AccessDenied) as denied:
        gate.demand(mallory, Permission.EVIDENCE_PUSH, AGENT)
    assert denied.value.reasons[0].code == "not-in-charter"
    assert gate.may(mallory, Permission.ARTIFACT_PULL, AGENT)


def test_docker_login_works_without_any_scope(issuer: FakeIssuer, clock: Clock) -> None:
    gate = make_gatekeeper(issuer, clock)
    token = gate.exchange(issuer.token(alice()), [], service=REGISTRY)
    assert token.grants == ()
    assert gate.require(f"bearer {token.text}", Permission.REGISTRY_PING).name == "alice@acme.example"


def test_a_credential_may_be_exchanged_again_for_other_scopes(issuer: FakeIssuer, clock: Clock) -> None:
    gate, credential = make_gatekeeper(issuer, clock), issuer.token(alice())
    for _ in range(3):
        issued = gate.exchange(credential, [grant("pull", "acme/a"), grant("pull,push", "acme/b")], service=None)
        assert issued.scope == "repository:acme/a:pull repository:acme/b:pull"


def test_anonymous_tokens_are_given_only_where_anonymous_pull_is_on(issuer: FakeIssuer, clock: Clock) -> None:
    with pytest.raises(LoginNeeded) as caught:
        make_gatekeeper(issuer, clock).exchange(None, [grant()], service=None)
    assert caught.value.reasons[0].code == "login-needed"
    gate = make_gatekeeper(issuer, clock, anonymous_pull=True)
    issued = gate.exchange(None, [grant()], service=None)
    assert issued.scope == f"repository:{AGENT}:pull"
    assert gate.require(f"Bearer {issued.text}", Permission.ARTIFACT_PULL, AGENT).kind is PrincipalKind.ANONYMOUS
    with pytest.raises(LoginNeeded):
        gate.require(f"Bearer {issued.text}", Permission.REGISTRY_PING)


def test_an_issuer_that_is_down_is_not_the_callers_fault(issuer: FakeIssuer, clock: Clock) -> None:
    issuer.answer = lambda _: (503, {}, b"")
    with pytest.raises(Unreachable) as caught:
        make_gatekeeper(issuer, clock).exchange(issuer.token(alice()), [], service=None)
    assert caught.value.reasons[0].code == "issuer-unreachable"
