"""Registry tokens: what this registry issues after a credential was checked, and reads on every other request.

Short-lived JWTs of their own type, signed by a key file that only this registry holds; they carry the caller's mapped
identity, so that no request needs the OIDC issuer, and the access that was asked for and granted. The steps K1…K7 are
those of docs/spec/registry-tokens.md. Two kinds of token never stand in for each other: the type, the issuer and the
keys all differ, and each reader demands its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tidegate.errors import InvalidInput
from tidegate.formats.identity import CertificateIdentity, ClaimName
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.verify.steps import Step
from tidegate_registry.access.jwt import (
    TokenRefused,
    UncheckedToken,
    parse_token,
    sign_token,
    verify_signature,
)
from tidegate_registry.access.principal import Grant, Principal, PrincipalKind, describe
from tidegate_registry.access.token_keys import TokenKey

TOKEN_TYPE = "tidegate-registry+jwt"  # noqa: S105 - a header value
_EXCHANGE = "exchange an OIDC token at the token endpoint that WWW-Authenticate names"
MAX_SKEW_SECONDS = 60.0  # between replicas; expiry itself is not stretched


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A registry token as the token endpoint answers it. `expires_in` in seconds."""

    text: str
    issued_at: datetime
    expires_in: int
    grants: tuple[Grant, ...]

    @property
    def scope(self) -> str:
        """What it was issued for, as scopes separated by spaces (RFC 6749 section 5.1)."""
        return describe(self.grants)


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class _IdentityClaims(_Closed):
    issuer: str
    identity: str
    claims: dict[str, str]


class _AccessClaims(_Closed):
    type: str
    name: str
    actions: list[str]


class _Claims(_Closed):
    iss: str
    aud: str
    sub: str
    iat: int
    nbf: int
    exp: int
    kind: Literal["anonymous", "human", "ci"]
    subject: str
    identity: _IdentityClaims | None
    attributes: dict[str, list[str]]
    access: list[_AccessClaims]


class RegistryTokens:
    """Issues and reads registry tokens. Immutable; share it between threads."""

    def __init__(
        self,
        *,
        signing: TokenKey,
        accepted: Iterable[TokenKey] = (),
        audience: str,
        lifetime: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        """`accepted`: further keys whose tokens still count, or count already, while keys are rotated."""
        if not signing.private:
            raise InvalidInput("the registry's token key cannot sign", expected="a private key")
        self._signing = signing
        self._keys = {key.kid: key for key in (signing, *accepted)}
        self._audience = audience
        self._lifetime = lifetime
        self._clock = clock

    def issue(self, principal: Principal, grants: Iterable[Grant]) -> IssuedToken:
        """Make a token for `principal` that may be used for `grants`, which the caller was found to be entitled to."""
        now, granted = self._clock(), tuple(grants)
        issued = int(now.timestamp())
        lifetime = int(self._lifetime.total_seconds())
        claims: JsonObject = {
            "iss": self._audience,
            "aud": self._audience,
            "sub": principal.name,
            "iat": issued,
            "nbf": issued,
            "exp": issued + lifetime,
            "kind": str(principal.kind),
            "subject": principal.subject,
            "identity": None if principal.identity is None else principal.identity.as_json(),
            "attributes": {name: list[JsonValue](texts) for name, texts in principal.attributes.items()},
            "access": [_grant_json(grant) for grant in granted],
        }
        header: JsonObject = {"typ": TOKEN_TYPE, "kid": self._signing.kid}
        text = sign_token(header, claims, self._signing.key, self._signing.algorithm)
        return IssuedToken(text, datetime.fromtimestamp(issued, UTC), lifetime, granted)

    def verify(self, text: str) -> Principal:
        """Check a registry token and give the principal with its grants. Raises TokenRefused."""
        token = self.check(text)
        self.demand_valid(token)
        return token.principal

    def check(self, text: str) -> CheckedToken:
        """Check all of a token that never changes, its times not. Raises TokenRefused."""
        check = TokenCheck(parse_token(text), self._keys, self._audience)  # K1
        for step in TOKEN_STEPS:
            step.check(check)
        return CheckedToken(_principal(check.claims), check)

    def demand_valid(self, token: CheckedToken) -> None:
        """Check the times of a token that `check` gave: at each use, as they are what changes. Raises TokenRefused."""
        now = self._clock()
        for step in TIME_STEPS:
            step.check((token.checked, now))


@dataclass(frozen=True)
class TokenCheck:
    """What the steps look at: a token taken apart, the keys that count by id, and the registry it must be of."""

    token: UncheckedToken
    keys: Mapping[str, TokenKey]
    audience: str

    @cached_property
    def claims(self) -> _Claims:
        """The payload; true once K4 has passed. Raises TokenRefused (K7)."""
        try:
            return _Claims.model_validate(self.token.claims)
        except ValidationError as error:
            raise _malformed(error) from error


@dataclass(frozen=True, slots=True)
class CheckedToken:
    """A token that this registry issued for itself, and whom it speaks for. Not yet: that it is valid now."""

    principal: Principal
    checked: TokenCheck


def _step_k2_type(check: TokenCheck) -> None:
    declared = check.token.header.get("typ")
    if declared != TOKEN_TYPE:
        raise _refused(
            "K2",
            "token-type",
            "that is no registry token",
            found=f"typ {declared!r}"[:120],
            expected=TOKEN_TYPE,
            hint=_EXCHANGE,
        )


def _step_k3_known_key(check: TokenCheck) -> None:
    kid = check.token.header_text("kid")
    if kid not in check.keys:
        raise _refused(
            "K3",
            "token-key",
            "signed by no key of this registry",
            found=kid[:120] or "no kid",
            expected=", ".join(check.keys),
        )


def _step_k4_signature(check: TokenCheck) -> None:
    key = check.keys[check.token.header_text("kid")]
    verify_signature(check.token, key.key, key.algorithm)


def _step_k5_audience(check: TokenCheck) -> None:
    issuer, audience = check.token.claims.get("iss"), check.token.claims.get("aud")
    if issuer != check.audience or audience != check.audience:
        raise _refused(
            "K5",
            "audience-wrong",
            "a token of another registry",
            found=f"iss {issuer}, aud {audience}"[:300],
            expected=check.audience,
        )


def _step_k6_times(now: tuple[TokenCheck, datetime]) -> None:
    claims, moment = now[0].claims, now[1].timestamp()
    if min(claims.nbf, claims.iat) - MAX_SKEW_SECONDS <= moment < claims.exp:
        return
    found, expected = f"valid from {claims.nbf} until {claims.exp}", f"valid at {moment:.0f}"
    if moment >= claims.exp:
        raise _refused("K6", "token-expired", "the registry token has expired", found=found, expected=expected)
    message = "the registry token is not valid yet"
    raise _refused("K6", "token-not-yet-valid", message, found=found, expected=expected)


TOKEN_STEPS: tuple[Step[TokenCheck], ...] = (
    Step("K2", "it is a registry token", _step_k2_type),
    Step("K3", "it names a key of this registry", _step_k3_known_key),
    Step("K4", "that key has signed it", _step_k4_signature),
    Step("K5", "this registry issued it, for itself", _step_k5_audience),
)
TIME_STEPS: tuple[Step[tuple[TokenCheck, datetime]], ...] = (Step("K6", "it is valid now", _step_k6_times),)


def _principal(claims: _Claims) -> Principal:
    grants = tuple(Grant(item.type, item.name, frozenset(item.actions)) for item in claims.access)
    try:
        if claims.identity is None:
            return Principal(PrincipalKind(claims.kind), grants=grants)
        named = {ClaimName(name): value for name, value in claims.identity.claims.items()}
        identity = CertificateIdentity(issuer=claims.identity.issuer, san=claims.identity.identity, claims=named)
        attributes = {name: tuple(texts) for name, texts in claims.attributes.items()}
        return Principal(PrincipalKind(claims.kind), identity, claims.subject, attributes, grants)
    except ValueError as error:
        raise _malformed(error) from error


def _grant_json(grant: Grant) -> JsonObject:
    return {"type": grant.type, "name": grant.name, "actions": list[JsonValue](sorted(grant.actions))}


def _malformed(error: ValueError) -> TokenRefused:
    return _refused(
        "K7",
        "token-malformed",
        "not the claims of a registry token",
        found=str(error)[:300],
        expected="claims as docs/spec/registry-tokens.md lists them",
    )


def _refused(
    step: str,
    code: str,
    message: str,
    *,
    found: str,
    expected: str,
    hint: str = "ask the token endpoint for another",
) -> TokenRefused:
    return TokenRefused(message, code=code, found=found, expected=expected, hint=hint, step=step)
