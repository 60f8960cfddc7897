"""Credentials of configured issuers become principals; everything else is refused with its step and code."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.registry.access.issuer import NOW, REGISTRY, Clock, FakeIssuer, alice, ed_key, github, make_verifier, rsa_key
from tidegate.errors import InvalidInput
from tidegate.formats.identity import ClaimName
from tidegate_registry.access.issuers import IssuerRule
from tidegate_registry.access.jwt import MAX_TOKEN_BYTES, TokenRefused
from tidegate_registry.access.principal import PrincipalKind


def email_rule(issuer: FakeIssuer, **more: object) -> IssuerRule:
    return IssuerRule.model_validate({"issuer": issuer.url, "kind": "email", "algorithms": ["ES256"], **more})


def refusal(clock: Clock, rule: IssuerRule, token: str) -> tuple[str | None, str]:
    with pytest.raises(TokenRefused) as caught:
        make_verifier(clock, rule).verify(token)
    reason = caught.value.reasons[0]
    return reason.step, reason.code


def test_a_persons_token_becomes_a_human_principal_named_by_the_verified_address(
    clock: Clock, issuer: FakeIssuer
) -> None:
    who = make_verifier(clock, email_rule(issuer)).verify(issuer.token(alice()))
    assert who.kind is PrincipalKind.HUMAN
    assert (who.name, who.issuer, who.subject) == ("alice@acme.example", issuer.url, "u-1")
    assert who.identity is not None
    assert not who.identity.claims


def test_a_pipelines_token_becomes_the_identity_that_fulcio_would_certify(clock: Clock, issuer: FakeIssuer) -> None:
    rule = email_rule(issuer, kind="github")
    who = make_verifier(clock, rule).verify(issuer.token(github()))
    assert who.kind is PrincipalKind.CI
    workflow = "https://github.com/acme/support-agent/.github/workflows/release.yml@refs/tags/v1.0.0"
    assert who.name == workflow
    assert who.identity is not None
    assert who.identity.claim(ClaimName.BUILD_SIGNER_URI) == workflow
    assert who.identity.claim(ClaimName.SOURCE_REPOSITORY_REF) == "refs/tags/v1.0.0"
    assert who.attributes == {"actor": ("alice",), "actor_id": ("11",)}


def test_claims_to_carry_are_taken_from_the_token_and_nothing_else_is(clock: Clock, issuer: FakeIssuer) -> None:
    rule = email_rule(issuer, carried_claims=["groups", "absent"])
    token = issuer.token(alice(groups=["developers", 7, "x" * 300], secret="s"))
    assert make_verifier(clock, rule).verify(token).attributes == {"groups": ("developers",)}


@pytest.mark.parametrize(
    ("mapping", "claims"),
    [
        ({"groups": "cognito:groups"}, {"cognito:groups": ["admins"]}),
        ({"groups": "roles"}, {"roles": "admins"}),
        ({"groups": ["realm_access", "roles"]}, {"realm_access": {"roles": ["admins"]}}),
        ({"groups": "https://acme.example/groups"}, {"https://acme.example/groups": ["admins"]}),
    ],
)
def test_a_claim_may_be_kept_under_the_name_that_policies_use(
    clock: Clock, issuer: FakeIssuer, mapping: object, claims: dict[str, object]
) -> None:
    """Cognito, Entra ID, Keycloak and Auth0 each put groups elsewhere; a policy is written once."""
    verifier = make_verifier(clock, email_rule(issuer, carried_claims=mapping))
    assert verifier.verify(issuer.token(alice(**claims))).attributes == {"groups": ("admins",)}
    wrong = {"groups": ["admins"], "realm_access": ["roles"], "realm_access.roles": ["admins"]}
    assert verifier.verify(issuer.token(alice(**wrong))).attributes == {}


@pytest.mark.parametrize(("algorithm", "key"), [("RS256", rsa_key("r")), ("Ed25519", ed_key("e"))])
def test_each_configured_algorithm_verifies(clock: Clock, issuer: FakeIssuer, algorithm: str, key: object) -> None:
    issuer.keys.append(key)  # type: ignore[arg-type]  # parametrised over key types
    rule = email_rule(issuer, algorithms=[algorithm])
    token = issuer.token(alice(), key=issuer.keys[-1], alg=algorithm)
    assert make_verifier(clock, rule).verify(token).name == "alice@acme.example"


@pytest.mark.parametrize(
    "text", ["", "abc", "a.b", "a.b.c.d", "e30.e30.", "e30.e30.!!", "e30.W10.AA", "e30=.e30=.AA", "e30.e30.AA"]
)
def test_what_is_no_signed_token_is_refused_as_malformed_or_nobodys(
    clock: Clock, issuer: FakeIssuer, text: str
) -> None:
    assert refusal(clock, email_rule(issuer), text)[1] in {"token-malformed", "issuer-unknown"}


def test_a_token_above_the_limit_is_not_even_taken_apart(clock: Clock, issuer: FakeIssuer) -> None:
    with pytest.raises(TokenRefused, match="too large") as caught:
        make_verifier(clock, email_rule(issuer)).verify(issuer.token(alice(filler="x" * MAX_TOKEN_BYTES)))
    assert caught.value.reasons[0].code == "token-malformed"


@pytest.mark.parametrize("header", [{"crit": ["b64"], "b64": True}, {"zip": "DEF"}])
def test_header_extensions_are_refused(clock: Clock, issuer: FakeIssuer, header: dict[str, object]) -> None:
    genuine = issuer.token(alice())
    assert refusal(clock, email_rule(issuer), with_header(genuine, header))[1] == "token-malformed"


def with_header(token: str, more: dict[str, object]) -> str:
    import base64
    import json

    from tidegate_registry.access.jwt import parse_token

    raw = json.dumps({**parse_token(token).header, **more}).encode()
    return ".".join([base64.urlsafe_b64encode(raw).rstrip(b"=").decode(), *token.split(".")[1:]])


@pytest.mark.parametrize("declared", ["at+jwt", "tidegate-registry+jwt", "JOSE", ["JWT"]])
def test_another_type_of_token_is_refused(clock: Clock, issuer: FakeIssuer, declared: object) -> None:
    token = with_header(issuer.token(alice()), {"typ": declared})
    assert refusal(clock, email_rule(issuer), token) == ("T4", "token-type")


@pytest.mark.parametrize("claim", ["aud", "sub", "exp", "iat"])
def test_a_missing_claim_is_refused(clock: Clock, issuer: FakeIssuer, claim: str) -> None:
    token = issuer.token({**alice(), claim: None})
    assert refusal(clock, email_rule(issuer), token) == ("T6", "claim-missing")


def test_the_clock_may_differ_by_a_minute_and_no_more(clock: Clock, issuer: FakeIssuer) -> None:
    verifier, token = make_verifier(clock, email_rule(issuer)), issuer.token(alice())
    for seconds in (-60, 0, 300, 359):
        clock.now = NOW + timedelta(seconds=seconds)
        verifier.verify(token)
    for seconds, code in ((-61, "token-not-yet-valid"), (360, "token-expired")):
        clock.now = NOW + timedelta(seconds=seconds)
        with pytest.raises(TokenRefused) as caught:
            verifier.verify(token)
        assert caught.value.reasons[0].code == code


def test_a_credential_ends_a_day_after_it_was_issued_whatever_it_says(clock: Clock, issuer: FakeIssuer) -> None:
    token = issuer.token(alice(exp=int((NOW + timedelta(days=3650)).timestamp())))
    clock.advance(days=1, seconds=61)
    assert refusal(clock, email_rule(issuer), token) == ("T9", "token-expired")


@pytest.mark.parametrize("value", ["soon", True, 1e300, [1], 253_402_300_799])
def test_a_time_that_is_none_is_refused(clock: Clock, issuer: FakeIssuer, value: object) -> None:
    assert refusal(clock, email_rule(issuer), issuer.token(alice(exp=value))) == ("T9", "claim-missing")


def test_the_authorized_party_must_be_the_audience_or_listed(clock: Clock, issuer: FakeIssuer) -> None:
    rule = email_rule(issuer)
    make_verifier(clock, rule).verify(issuer.token(alice(azp=REGISTRY)))
    assert refusal(clock, rule, issuer.token(alice(azp="other"))) == ("T8", "authorized-party")
    listed = email_rule(issuer, authorized_parties=["other"])
    make_verifier(clock, listed).verify(issuer.token(alice(azp="other")))
    assert refusal(clock, listed, issuer.token(alice(azp=REGISTRY))) == ("T8", "authorized-party")


def test_what_the_settings_demand_of_claims_is_demanded_exactly(clock: Clock, issuer: FakeIssuer) -> None:
    rule = email_rule(issuer, required_claims={"hd": "acme.example"})
    make_verifier(clock, rule).verify(issuer.token(alice(hd="acme.example")))
    for wrong in (None, "evil.acme.example", "acme.example.evil", ["acme.example"]):
        assert refusal(clock, rule, issuer.token(alice(hd=wrong))) == ("T10", "claim-wrong")


def test_a_pipelines_token_without_its_claims_makes_no_identity(clock: Clock, issuer: FakeIssuer) -> None:
    token = issuer.token(github(job_workflow_ref=None))
    assert refusal(clock, email_rule(issuer, kind="github"), token) == ("T12", "identity-unmapped")


def test_an_issuer_may_have_an_audience_of_its_own(clock: Clock, issuer: FakeIssuer) -> None:
    rule = email_rule(issuer, audience="tidegate-acme")
    make_verifier(clock, rule).verify(issuer.token(alice(aud="tidegate-acme")))
    make_verifier(clock, rule).verify(issuer.token(alice(aud=["tidegate-acme"])))
    assert refusal(clock, rule, issuer.token(alice())) == ("T7", "audience-wrong")
    login = email_rule(issuer, client_id="tidegate-acme")
    make_verifier(clock, login).verify(issuer.token(alice(aud="tidegate-acme", azp="tidegate-acme")))
    assert refusal(clock, login, issuer.token(alice())) == ("T7", "audience-wrong")


def test_two_rules_for_one_issuer_are_refused_at_start(clock: Clock, issuer: FakeIssuer) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_verifier(clock, email_rule(issuer), email_rule(issuer))
    assert caught.value.reasons[0].code == "invalid-input"


@pytest.mark.parametrize(
    "rule",
    [
        {"issuer": "http://issuer.example"},
        {"issuer": "https://issuer.example/?a=b"},
        {"issuer": "https://user@issuer.example"},
        {"issuer": "issuer.example"},
        {"issuer": "http://localhost.evil.example"},
        {"audience": "sigstore"},
        {"client_id": "sigstore"},
        {"client_id": "tidegate", "audience": "other"},
        {"client_id": "tidegate", "kind": "github"},
        {"carried_claims": {"identity": "email"}},
        {"carried_claims": {"groups": []}},
        {"carried_claims": "groups"},
        {"algorithms": ["none"]},
        {"algorithms": ["HS256"]},
        {"algorithms": []},
        {"kind": "any"},
        {"unknown": 1},
    ],
)
def test_a_rule_that_would_be_unsafe_is_refused_in_the_settings(rule: dict[str, object]) -> None:
    sound: dict[str, object] = {"issuer": "https://issuer.example", "kind": "email"}
    IssuerRule.model_validate(sound)
    with pytest.raises(ValueError, match=next(iter(rule))):
        IssuerRule.model_validate({**sound, **rule})
