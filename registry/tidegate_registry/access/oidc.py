"""A credential of a configured OIDC issuer in, a Principal out. The steps T1…T12 are those of the spec page.

Source: docs/spec/registry-tokens.md; OpenID Connect Core 1.0 section 3.1.3.7; RFC 8725.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tidegate.errors import InvalidInput, TidegateError
from tidegate.formats.identity import from_oidc_claims
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.verify.steps import Step
from tidegate_registry.access.issuers import FULCIO_AUDIENCE, IssuerRule
from tidegate_registry.access.jwks import FetchJson, IssuerKeys
from tidegate_registry.access.jwt import TokenRefused, UncheckedToken, parse_token, verify_signature
from tidegate_registry.access.principal import Principal

MAX_SKEW = timedelta(seconds=60)
MAX_CREDENTIAL_AGE = timedelta(hours=24)  # since `iat`: a credential with a far `exp` still ends
ID_TOKEN_TYPES = frozenset({"", "jwt"})  # `typ`, lower case; RFC 9068 access tokens and registry tokens say otherwise
MAX_CARRIED_TEXTS = 64
MAX_CARRIED_LENGTH = 256
MAX_UNIX_SECONDS = 253_370_764_800  # the year 9999: the skew added to any time before it is still a time
_REQUIRED = ("iss", "aud", "sub", "exp", "iat")


@dataclass(frozen=True, slots=True)
class CredentialCheck:
    """What the steps look at: a token taken apart, the rule of its issuer, and what it must say here and now."""

    token: UncheckedToken
    rule: IssuerRule
    keys: IssuerKeys
    audience: str
    now: datetime

    @property
    def claims(self) -> JsonObject:
        """The payload; true once T5 has passed."""
        return self.token.claims


class OidcVerifier:
    """Checks credentials against the allowlist of issuers. One per process, shared by all threads."""

    def __init__(
        self, rules: Iterable[IssuerRule], *, audience: str, fetch: FetchJson, clock: Callable[[], datetime]
    ) -> None:
        """`audience`: what `aud` must be where a rule names none, the registry's public URL."""
        self._audience = audience
        self._clock = clock
        self._rules: dict[str, tuple[IssuerRule, IssuerKeys]] = {}
        for rule in rules:
            if rule.issuer in self._rules:
                raise InvalidInput("an OIDC issuer is configured twice", found=rule.issuer, expected="one rule each")
            self._rules[rule.issuer] = (rule, IssuerKeys(rule.issuer, rule.algorithms, fetch, clock))

    def verify(self, text: str) -> Principal:
        """Check the credential `text`. Raises TokenRefused with the step's code, or Unreachable."""
        token = parse_token(text)  # T1
        issuer = token.claim_text("iss")
        known = self._rules.get(issuer)  # T2: the whole text, never its beginning
        if known is None:
            raise _refused(
                "T2",
                "issuer-unknown",
                "this registry does not take credentials of that issuer",
                found=issuer[:200] or "no `iss`",
                expected=" or ".join(self._rules) or "no issuer is configured",
                hint="an operator can add the issuer to the registry's settings",
            )
        rule, keys = known
        check = CredentialCheck(token, rule, keys, rule.audience_at(self._audience), self._clock())
        for step in CREDENTIAL_STEPS:
            step.check(check)
        return to_principal(token.claims, rule)


def _step_t3_algorithm(check: CredentialCheck) -> None:
    algorithm = check.token.header_text("alg")
    if algorithm not in check.rule.algorithms:
        raise _refused(
            "T3",
            "token-algorithm",
            "the credential is signed with an algorithm that this issuer is not allowed",
            found=algorithm or "none",
            expected=" or ".join(check.rule.algorithms),
        )


def _step_t4_type(check: CredentialCheck) -> None:
    declared = check.token.header.get("typ", "")
    if not isinstance(declared, str) or declared.lower() not in ID_TOKEN_TYPES:
        raise _refused(
            "T4",
            "token-type",
            "that is another kind of token, not an ID token",
            found=f"typ {declared!r}"[:120],
            expected="typ JWT, or none",
            hint="the token endpoint takes OIDC ID tokens only; a registry token cannot be exchanged again",
        )


def _step_t5_signature(check: CredentialCheck) -> None:
    algorithm, kid = check.token.header_text("alg"), check.token.header_text("kid")
    if not kid:
        raise _refused("T5", "token-key", "the credential names no key", found="no `kid`", expected="a `kid`")
    verify_signature(check.token, check.keys.key(kid, algorithm), algorithm)


def _step_t6_claims_present(check: CredentialCheck) -> None:
    claims = check.claims
    missing = [name for name in _REQUIRED if claims.get(name) in (None, "", [])]
    if missing or not isinstance(claims["sub"], str):
        found = f"no {', '.join(missing)}" if missing else "a `sub` that is no text"
        raise _refused(
            "T6", "claim-missing", "the credential lacks a claim", found=found, expected=", ".join(_REQUIRED)
        )


def _step_t7_audience(check: CredentialCheck) -> None:
    found, expected = check.claims["aud"], check.audience
    alone = found[0] if isinstance(found, list) and len(found) == 1 else found
    if alone == expected:
        return
    listed = found if isinstance(found, list) else [found]
    hint = f"ask the issuer for a token with audience {expected} and nothing else"
    if FULCIO_AUDIENCE in listed:
        hint = f"this token can sign in your name, and the registry must never see it: {hint}"
    raise _refused(
        "T7",
        "audience-wrong",
        "the credential was made for somebody else as well" if expected in listed else "that is not our credential",
        found=", ".join(str(value)[:200] for value in listed[:8]),
        expected=expected,
        hint=hint,
    )


def _step_t8_authorized_party(check: CredentialCheck) -> None:
    party = check.claims.get("azp")
    parties = check.rule.authorized_parties or (check.audience,)
    if party is not None and party not in parties:
        raise _refused(
            "T8",
            "authorized-party",
            "the credential was issued to another client",
            found=f"azp {party!r}"[:200],
            expected=" or ".join(parties),
        )


def _step_t9_times(check: CredentialCheck) -> None:
    claims, now = check.claims, check.now
    issued, expires = _time(claims, "iat"), _time(claims, "exp")
    begins = _time(claims, "nbf") if "nbf" in claims else issued
    found = f"issued {issued.isoformat()}, valid from {begins.isoformat()} to {expires.isoformat()}"
    at = f"valid at {now.isoformat()}"
    if now >= expires + MAX_SKEW or now - issued > MAX_CREDENTIAL_AGE + MAX_SKEW:
        raise _refused(
            "T9", "token-expired", "the credential has expired", found=found, expected=at, hint="get another"
        )
    if max(begins, issued) > now + MAX_SKEW:
        raise _refused(
            "T9",
            "token-not-yet-valid",
            "the credential is not valid yet",
            found=found,
            expected=at,
            hint="compare the clocks of the issuer and the registry; 60 s of difference are tolerated",
        )


def _step_t10_demanded_claims(check: CredentialCheck) -> None:
    for name, expected in check.rule.required_claims.items():
        if check.claims.get(name) != expected:
            raise _refused(
                "T10",
                "claim-wrong",
                f"the registry demands another value of `{name}` from this issuer",
                found=repr(check.claims.get(name))[:200],
                expected=expected,
            )


def _step_t11_verified_address(check: CredentialCheck) -> None:
    verified = check.claims.get("email_verified")
    if check.rule.kind == "email" and verified is not True:
        raise _refused(
            "T11",
            "email-unverified",
            "the issuer does not say that this e-mail address is verified",
            found=f"email_verified {verified!r}"[:80],
            expected="true",
        )


CREDENTIAL_STEPS: tuple[Step[CredentialCheck], ...] = (
    Step("T3", "the algorithm is one that the issuer is allowed", _step_t3_algorithm),
    Step("T4", "it is an ID token", _step_t4_type),
    Step("T5", "a key that the issuer publishes has signed it", _step_t5_signature),
    Step("T6", "iss, aud, sub, exp and iat are there", _step_t6_claims_present),
    Step("T7", "it was made for this registry and nobody else", _step_t7_audience),
    Step("T8", "it was issued to a client that may use it here", _step_t8_authorized_party),
    Step("T9", "it is valid now", _step_t9_times),
    Step("T10", "it has the claims that the settings demand", _step_t10_demanded_claims),
    Step("T11", "the e-mail address is verified", _step_t11_verified_address),
)


def to_principal(claims: JsonObject, rule: IssuerRule) -> Principal:
    """T12: map the claims as Fulcio maps them. Raises TokenRefused (code `identity-unmapped`)."""
    try:
        identity = from_oidc_claims(rule.kind, claims, server_url=rule.server_url)
    except TidegateError as error:
        raise _refused(
            "T12",
            "identity-unmapped",
            f"the credential's claims do not make an identity: {error}",
            found=error.reasons[0].found,
            expected=error.reasons[0].expected or f"the claims of a {rule.kind} token",
        ) from error
    return Principal(rule.principal_kind, identity, str(claims["sub"]), _carried(claims, rule.carried))


def _time(claims: JsonObject, name: str) -> datetime:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or value >= MAX_UNIX_SECONDS:
        raise _refused("T9", "claim-missing", f"`{name}` is no time", found=repr(value)[:80], expected="Unix seconds")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise _refused("T9", "claim-missing", f"`{name}` is no time", found=value, expected="Unix seconds") from error


def _carried(claims: JsonObject, paths: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Keep the texts at `paths`; whatever is too long or too many is left out, which can only lose a role."""
    carried: dict[str, tuple[str, ...]] = {}
    for name, path in paths.items():
        value: JsonValue = claims
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
        if texts:
            carried[name] = tuple(text for text in texts[:MAX_CARRIED_TEXTS] if len(text) <= MAX_CARRIED_LENGTH)
    return carried


def _refused(
    step: str, code: str, message: str, *, found: object, expected: object, hint: str | None = None
) -> TokenRefused:
    return TokenRefused(message, code=code, found=found, expected=expected, hint=hint, step=step)
