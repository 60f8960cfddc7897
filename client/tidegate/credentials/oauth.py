"""What a login ends with: tokens from the issuer's token endpoint, checked before they are kept.

The registry verifies the signature; here it is enough that the token came over TLS from the issuer itself
(OpenID Connect Core 1.0 section 3.1.3.7, point 6). That it is ours, and nobody else's, is checked.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from tidegate.credentials.provider import Issuer, Provider
from tidegate.credentials.token import IdentityToken
from tidegate.errors import Unauthenticated
from tidegate.formats.jcs import JsonObject
from tidegate.remote.answers import clean_text

MAX_REFRESH_CHARACTERS = 16 << 10


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """What an issuer gave. `refresh`: buys the next ID token without a person."""

    identity: IdentityToken
    refresh: str | None = None


class OAuthRefused(Unauthenticated):
    """The issuer said no. `error`: its word for it, of RFC 6749 section 5.2 or RFC 8628 section 3.5."""

    code = "login-refused"

    def __init__(self, issuer: str, answer: Mapping[str, object], *, hint: str | None = None) -> None:
        word, text = answer.get("error"), answer.get("error_description")
        self.error = word if isinstance(word, str) else ""
        said = [clean_text(part)[:300] for part in (word, text) if isinstance(part, str)]
        super().__init__(f"{issuer} refused the login", found=": ".join(said) or "no reason given", hint=hint)


def request_tokens(issuer: Issuer, provider: Provider, form: Mapping[str, str]) -> JsonObject:
    """Ask the token endpoint. Raises OAuthRefused, Unreachable."""
    status, answer = issuer.post(provider.token_endpoint, form)
    if status != HTTPStatus.OK:
        raise OAuthRefused(provider.issuer, answer)
    return answer


def check_tokens(
    answer: JsonObject,
    *,
    issuer: str,
    client_id: str,
    now: datetime,
    nonce: str | None = None,
    subject: str | None = None,
) -> Tokens:
    """Check a token answer: an ID token of `issuer`, for `client_id` alone, fresh; `nonce` and `subject` as given.

    Raises Unauthenticated. Source: OpenID Connect Core 1.0 sections 3.1.3.7 and 12.2.
    """
    raw, refresh = answer.get("id_token"), answer.get("refresh_token")
    if not isinstance(raw, str):
        raise _wrong(
            "an answer without an ID token", "id_token", "ask for the scope `openid`, with a client for people"
        )
    token = IdentityToken.parse(raw, audience=client_id)
    party = token.claims.get("azp")
    if token.issuer != issuer:
        raise _wrong(f"a token of {token.issuer}"[:300], issuer)
    if party not in (None, client_id):
        raise _wrong(f"a token issued to {party!r}"[:300], client_id)
    if nonce is not None and not hmac.compare_digest(str(token.claims.get("nonce")), nonce):
        raise _wrong("a token with another nonce", "the nonce of this login")
    if subject is not None and token.claims.get("sub") != subject:
        raise _wrong("a token of somebody else", f"sub {subject}"[:300])
    if not token.is_fresh(now):
        raise _wrong(f"a token that ended {token.expires_at:%Y-%m-%d %H:%M:%S} UTC", "one that is valid now")
    is_usable = isinstance(refresh, str) and refresh.isprintable() and 0 < len(refresh) <= MAX_REFRESH_CHARACTERS
    return Tokens(token, refresh if isinstance(refresh, str) and is_usable else None)


def _wrong(found: str, expected: str, hint: str | None = None) -> Unauthenticated:
    return Unauthenticated(
        "the issuer's token is not the one that was asked for",
        code="login-token",
        found=found,
        expected=expected,
        hint=hint,
    )
