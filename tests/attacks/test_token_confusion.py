"""A token is used where it does not belong, or says what its holder wishes: confused deputies and forged claims.

Threat (docs/threats.md): a token is used where it does not belong (audience, issuer, algorithm, time). Each case
changes one thing about a credential that works (`test_the_honest_case`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import httpx2
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws, jwt
from joserfc.jwk import RSAKey

from tests.registry.access.charters import AGENT, WORKFLOW, grant
from tests.registry.access.issuer import (
    NO_TLS,
    NOW,
    REGISTRY,
    Clock,
    FakeIssuer,
    alice,
    ec_key,
    github,
    rsa_key,
    running_issuer,
)
from tidegate.errors import AccessDenied, InvalidInput
from tidegate.formats.charter import Charter, CharterSet, SignerRule
from tidegate.formats.jcs import JsonValue
from tidegate_registry.access.challenge import LoginNeeded
from tidegate_registry.access.gatekeeper import Gatekeeper
from tidegate_registry.access.issuers import IssuerRule
from tidegate_registry.access.jwks import HttpFetch
from tidegate_registry.access.jwt import TokenRefused, parse_token, sign_token
from tidegate_registry.access.oidc import OidcVerifier
from tidegate_registry.access.rights import AccessRules, Permission
from tidegate_registry.access.token_keys import TokenKey, generate_token_key
from tidegate_registry.access.tokens import TOKEN_TYPE, RegistryTokens


@dataclass
class Registry:
    """A gatekeeper whose charter names one workflow and one person, and the two issuers it believes."""

    gate: Gatekeeper
    ci: FakeIssuer
    login: FakeIssuer
    clock: Clock
    key: TokenKey

    def exchange(self, credential: str | None, actions: str = "pull,push", agent: str = AGENT) -> str:
        return self.gate.exchange(credential, [grant(actions, agent)], service=REGISTRY).text

    def refusal(self, credential: str) -> str:
        with pytest.raises(LoginNeeded) as caught:
            self.exchange(credential)
        assert caught.value.challenge == f'Basic realm="{REGISTRY}"'
        return caught.value.reasons[0].code

    def require(self, token: str, permission: Permission = Permission.RELEASE_PUBLISH, agent: str = AGENT) -> str:
        return self.gate.require(f"Bearer {token}", permission, agent).name

    def turned_away(self, token: str, permission: Permission = Permission.RELEASE_PUBLISH, agent: str = AGENT) -> str:
        with pytest.raises((LoginNeeded, AccessDenied)) as caught:
            self.require(token, permission, agent)
        return caught.value.reasons[0].code


@pytest.fixture
def registry() -> Iterator[Registry]:
    clock, key = Clock(), generate_token_key()
    with running_issuer(rsa_key("k1")) as ci, running_issuer(ec_key("k1")) as login:
        rules = [
            IssuerRule(issuer=ci.url, kind="github", algorithms=("RS256",)),
            IssuerRule(issuer=login.url, kind="email", algorithms=("ES256",)),
        ]
        charter = Charter(
            agent=AGENT,
            publishers=(
                SignerRule(name="ci", root="public", issuer=ci.url, workflow=WORKFLOW, refs=("refs/tags/v*",)),
                SignerRule(name="alice", root="public", issuer=login.url, identity="alice@acme.example"),
            ),
        )
        gate = Gatekeeper(
            public_url=REGISTRY,
            oidc=OidcVerifier(
                rules, audience=REGISTRY, fetch=HttpFetch(httpx2.Client(trust_env=False, verify=NO_TLS)), clock=clock
            ),
            tokens=RegistryTokens(signing=key, audience=REGISTRY, lifetime=timedelta(minutes=5), clock=clock),
            rules=AccessRules(),
            charters=lambda: CharterSet([charter]),
        )
        yield Registry(gate, ci, login, clock, key)


def resigned(token: str, claims: dict[str, object]) -> str:
    """Change claims and keep the signature, as somebody without a key would."""
    header, payload, signature = token.split(".")
    body = json.loads(base64.urlsafe_b64decode(payload + "=="))  # noqa: TID251 - our own token
    return f"{header}.{b64(json.dumps({**body, **claims}).encode())}.{signature}"


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unsigned(header: Mapping[str, object], claims: Mapping[str, object]) -> str:
    return f"{b64(json.dumps(header).encode())}.{b64(json.dumps(claims).encode())}"


def sound(issuer: FakeIssuer, **claims: object) -> dict[str, object]:
    seconds = int(NOW.timestamp())
    base = {"iss": issuer.url, "aud": REGISTRY, "sub": "s", "iat": seconds, "nbf": seconds, "exp": seconds + 300}
    return {**base, **claims}


def ci_token(registry: Registry, **claims: object) -> str:
    return registry.ci.token(github(**claims), alg="RS256")


def test_the_honest_case(registry: Registry) -> None:
    assert registry.require(registry.exchange(ci_token(registry))) == f"{WORKFLOW}@refs/tags/v1.0.0"
    assert registry.require(registry.exchange(registry.login.token(alice()))) == "alice@acme.example"


@pytest.mark.parametrize(
    "audience",
    [
        "sigstore",
        ["sigstore", REGISTRY],
        [REGISTRY, "sigstore"],
        [REGISTRY, "https://other.example"],
        f"{REGISTRY}/",
        f"{REGISTRY}.evil.example",
        REGISTRY.upper(),
        "https://other.example",
        [],
        [[REGISTRY]],
        {REGISTRY: True},
    ],
)
def test_a_token_made_for_somebody_else_is_refused(registry: Registry, audience: object) -> None:
    assert registry.refusal(ci_token(registry, aud=audience)) in {"audience-wrong", "claim-missing"}


def test_a_token_for_fulcio_is_refused_with_the_advice_to_keep_it_away(registry: Registry) -> None:
    with pytest.raises(LoginNeeded) as caught:
        registry.exchange(ci_token(registry, aud="sigstore"))
    assert caught.value.reasons[0].code == "audience-wrong"
    assert "must never see it" in (caught.value.hint or "")


def test_a_credential_is_no_registry_token(registry: Registry) -> None:
    assert registry.turned_away(ci_token(registry)) == "token-type"
    assert registry.turned_away(registry.ci.token(github(), alg="RS256", header={"typ": TOKEN_TYPE})) == "token-key"


def test_a_registry_token_is_no_credential(registry: Registry) -> None:
    token = registry.exchange(ci_token(registry))
    assert registry.refusal(token) == "issuer-unknown"


def test_a_registry_token_is_no_credential_even_where_the_registry_is_a_configured_issuer(registry: Registry) -> None:
    text = registry.exchange(ci_token(registry))
    rule = IssuerRule(issuer=REGISTRY, kind="email", algorithms=("Ed25519", "RS256"))
    verifier = OidcVerifier([rule], audience=REGISTRY, fetch=lambda _: b"{}", clock=registry.clock)
    with pytest.raises(TokenRefused) as caught:
        verifier.verify(text)
    assert caught.value.reasons[0].code == "token-type"


def test_an_unsigned_token_is_refused(registry: Registry) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        claims = sound(registry.ci, **github())
        header = {"alg": algorithm, "kid": "k1", "typ": "JWT"}
        assert registry.refusal(unsigned(header, claims) + ".") == "token-malformed"
        assert registry.refusal(unsigned(header, claims) + ".AAAA") == "token-algorithm"


def test_the_public_key_is_no_hmac_secret(registry: Registry) -> None:
    key = registry.ci.keys[0]
    assert isinstance(key, RSAKey)
    signed = unsigned({"alg": "HS256", "kid": "k1", "typ": "JWT"}, sound(registry.ci, **github()))
    for encoding in (Encoding.PEM, Encoding.DER):
        secret = key.public_key.public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)
        mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        assert registry.refusal(f"{signed}.{b64(mac)}") == "token-algorithm"


def test_an_algorithm_the_issuer_is_not_allowed_is_refused_though_its_key_could(registry: Registry) -> None:
    assert registry.refusal(registry.ci.token(github(), alg="PS256")) == "token-algorithm"


@pytest.mark.parametrize("suffix", ["/", "/hammer-time", ".evil.example", "?x", "#x", "%2f"])
def test_an_issuer_that_only_begins_like_a_known_one_is_unknown(registry: Registry, suffix: str) -> None:
    assert registry.refusal(ci_token(registry, iss=registry.ci.url + suffix)) == "issuer-unknown"


@pytest.mark.parametrize("issuer", [None, "", 7, ["x"], "https://token.actions.githubusercontent.com"])
def test_another_issuer_is_unknown(registry: Registry, issuer: object) -> None:
    assert registry.refusal(ci_token(registry, iss=issuer)) == "issuer-unknown"


def test_an_issuer_cannot_speak_for_another_one(registry: Registry) -> None:
    """The login server signs what a pipeline would say, first as itself and then in the other's name."""
    as_itself = registry.login.token({**github(), **alice(email="mallory@acme.example")})
    assert registry.turned_away(registry.exchange(as_itself)) == "not-in-charter"
    assert registry.refusal(registry.login.token(github(iss=registry.ci.url))) == "token-algorithm"
    key = rsa_key("k1")  # the same key id under another key
    assert registry.refusal(registry.ci.token(github(), key=key, alg="RS256")) == "token-signature"


def test_a_persons_claims_in_a_pipelines_token_mean_nothing(registry: Registry) -> None:
    other = "evil/fork/.github/workflows/release.yml@refs/tags/v1.0.0"
    token = ci_token(registry, **alice(), job_workflow_ref=other)
    assert registry.turned_away(registry.exchange(token)) == "not-in-charter"


@pytest.mark.parametrize("kid", ["k2", "", "../k1", "k1 ", "K1"])
def test_a_key_id_that_the_issuer_does_not_publish_is_refused(registry: Registry, kid: str) -> None:
    assert registry.refusal(registry.ci.token(github(), alg="RS256", header={"kid": kid})) == "token-key"


def test_a_token_issued_to_another_client_is_refused(registry: Registry) -> None:
    assert registry.refusal(ci_token(registry, azp="https://other.example")) == "authorized-party"


def test_a_token_of_another_tenant_is_refused(registry: Registry) -> None:
    """An issuer that many companies share tells them apart by a claim, which the settings then demand."""
    rule = IssuerRule(issuer=registry.login.url, kind="email", algorithms=("ES256",), required_claims={"tid": "acme"})
    fetch = HttpFetch(httpx2.Client(trust_env=False, verify=NO_TLS))
    verifier = OidcVerifier([rule], audience=REGISTRY, fetch=fetch, clock=registry.clock)
    assert verifier.verify(registry.login.token(alice(tid="acme"))).name == "alice@acme.example"
    with pytest.raises(TokenRefused) as caught:
        verifier.verify(registry.login.token(alice(tid="evil")))
    assert caught.value.reasons[0].code == "claim-wrong"


def test_a_token_that_lacks_a_claim_is_refused(registry: Registry) -> None:
    for name in ("aud", "sub", "exp", "iat"):
        assert registry.refusal(ci_token(registry, **{name: None})) == "claim-missing"


def test_keys_that_the_token_brings_along_are_not_used(registry: Registry) -> None:
    evil = rsa_key("k1")
    with running_issuer(evil) as server:
        for header in (
            {"jwk": evil.as_dict(private=False)},
            {"jku": f"{server.url}/keys"},
            {"x5u": f"{server.url}/keys"},
        ):
            token = registry.ci.token(github(), key=evil, alg="RS256", header=header)
            assert registry.refusal(token) == "token-signature"
        assert server.requests == []


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": int(NOW.timestamp()) - 60}, "token-expired"),
        ({"exp": 0}, "token-expired"),
        ({"nbf": int(NOW.timestamp()) + 61}, "token-not-yet-valid"),
        ({"iat": int(NOW.timestamp()) + 61}, "token-not-yet-valid"),
        ({"iat": int(NOW.timestamp()) - 90_000}, "token-expired"),
    ],
)
def test_a_token_outside_its_time_is_refused(registry: Registry, claims: dict[str, object], code: str) -> None:
    assert registry.refusal(ci_token(registry, **claims)) == code


@pytest.mark.parametrize("verified", [False, None, "true", 1])
def test_an_address_that_nobody_verified_is_nobodys(registry: Registry, verified: object) -> None:
    assert registry.refusal(registry.login.token(alice(email_verified=verified))) == "email-unverified"


def test_claims_changed_after_signing_are_refused(registry: Registry) -> None:
    token = registry.login.token(alice(email="mallory@acme.example"))
    assert registry.refusal(resigned(token, {"email": "alice@acme.example"})) == "token-signature"


def test_access_written_into_a_registry_token_is_refused(registry: Registry) -> None:
    token = registry.exchange(registry.login.token(alice(email="mallory@acme.example")))
    access = [{"type": "repository", "name": AGENT, "actions": ["pull", "push"]}]
    assert registry.turned_away(resigned(token, {"access": access})) == "token-signature"


def test_a_claim_named_access_in_a_credential_grants_nothing(registry: Registry) -> None:
    access = [{"type": "repository", "name": AGENT, "actions": ["pull", "push"]}]
    stranger = alice(email="mallory@acme.example", access=access, scope=f"repository:{AGENT}:push", kind="ci")
    assert registry.turned_away(registry.exchange(registry.login.token(stranger))) == "not-in-charter"


def test_what_the_token_key_signs_for_another_purpose_or_registry_is_no_token_here(registry: Registry) -> None:
    genuine = parse_token(registry.exchange(ci_token(registry)))
    kid = str(genuine.header["kid"])
    key = registry.key

    def signed(header: dict[str, JsonValue], claims: dict[str, JsonValue]) -> str:
        return sign_token({"typ": TOKEN_TYPE, "kid": kid, **header}, {**genuine.claims, **claims}, key.key, "Ed25519")

    assert registry.require(signed({}, {}))
    assert registry.turned_away(signed({"typ": "JWT"}, {})) == "token-type"
    assert registry.turned_away(signed({"kid": "other"}, {})) == "token-key"
    assert registry.turned_away(signed({}, {"iss": "https://other.example"})) == "audience-wrong"
    assert registry.turned_away(signed({}, {"aud": "https://other.example"})) == "audience-wrong"


def test_a_token_for_one_agent_opens_no_other(registry: Registry) -> None:
    token = registry.exchange(ci_token(registry), agent="acme/other-agent")
    assert registry.turned_away(token) == "scope-missing"
    assert registry.turned_away(token, agent="acme/other-agent") == "no-charter"
    assert registry.turned_away(registry.exchange(ci_token(registry)), agent="acme/other-agent") == "no-charter"


def test_a_token_for_reading_does_not_write(registry: Registry) -> None:
    token = registry.exchange(ci_token(registry), actions="pull")
    assert registry.require(token, Permission.QUARANTINE_READ)
    assert registry.turned_away(token) == "scope-missing"


def test_a_token_outlives_neither_the_charter_rule_nor_itself(registry: Registry) -> None:
    token = registry.exchange(ci_token(registry))
    assert registry.require(token)
    charters = registry.gate.charters
    registry.gate.charters = lambda: CharterSet([])
    assert registry.turned_away(token) == "no-charter"
    registry.gate.charters = charters
    registry.clock.advance(minutes=5)
    assert registry.turned_away(token) == "token-expired"


def test_the_token_endpoint_acts_for_no_other_service(registry: Registry) -> None:
    with pytest.raises(InvalidInput) as caught:
        registry.gate.exchange(ci_token(registry), [], service="https://other.example")
    assert caught.value.reasons[0].code == "service-unknown"


def test_repeated_claims_are_refused_whichever_comes_last(registry: Registry) -> None:
    key = registry.login.keys[0]
    body = json.dumps(sound(registry.login, **alice())).encode()
    doubled = body[:-1] + b', "email": "mallory@acme.example"}'
    token = jws.serialize_compact({"alg": "ES256", "kid": "k1"}, doubled, key, algorithms=["ES256"])
    assert registry.refusal(token) == "token-malformed"


def test_an_encrypted_or_nested_token_is_refused(registry: Registry) -> None:
    token = ci_token(registry)
    assert registry.refusal(f"{token}.{token}") == "token-malformed"
    nested = jwt.encode({"alg": "RS256", "kid": "k1", "cty": "JWT"}, {"jwt": token}, registry.ci.keys[0])
    assert registry.refusal(nested) == "issuer-unknown"
