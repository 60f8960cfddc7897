"""Identity tokens as their owner sees them: read, not verified. Who they are shown to verifies them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tidegate.errors import IdentityInvalid, JsonInvalid, Unauthenticated
from tidegate.formats.identity import CertificateIdentity, TokenKind, from_oidc_claims
from tidegate.formats.jcs import JsonObject, parse_object

MAX_TOKEN_CHARACTERS = 64 << 10  # CI tokens are 1 to 2 KiB; a header line of a proxy holds 8 to 64 KiB
MIN_VALIDITY = timedelta(seconds=10)  # a token that expires on its way is not sent
_PARTS = 3  # RFC 7519: header, payload, signature

SIGSTORE_AUDIENCE = "sigstore"


@dataclass(frozen=True, slots=True, repr=False)
class IdentityToken:
    """A signed JWT and what it says. `str()` and `repr()` never show the token itself."""

    raw: str
    claims: JsonObject
    issuer: str
    audience: str
    expires_at: datetime

    @classmethod
    def parse(cls, raw: str, *, audience: str) -> IdentityToken:
        """Read a token that is meant for `audience` and for nobody else. Raises Unauthenticated.

        A token for two audiences lets one of them use it at the other: it is refused (code "token-audience").
        """
        claims = _claims(raw.strip())
        named = claims.get("aud")
        audiences = named if isinstance(named, list) else [named]
        if audiences != [audience]:
            raise Unauthenticated(
                "the identity token is not for this audience alone, so it is not sent",
                code="token-audience",
                found=", ".join(str(item)[:200] for item in audiences),
                expected=audience,
                hint=f"ask your CI or identity provider for a token whose only audience is {audience}",
            )
        issuer, expires = claims.get("iss"), claims.get("exp")
        if not isinstance(issuer, str) or not isinstance(expires, int | float) or not 0 < expires < 1 << 40:
            raise _malformed("no `iss` or `exp` claim")
        return cls(raw.strip(), claims, issuer, audience, datetime.fromtimestamp(expires, UTC))

    def is_fresh(self, now: datetime) -> bool:
        """Whether the token lives long enough to be used."""
        return now + MIN_VALIDITY < self.expires_at

    def identity(self, server_url: str | None = None) -> CertificateIdentity | None:
        """Give what Fulcio would certify for this token, or None when it is of a kind not known here.

        `server_url`: base of the forge's URLs in a CI job. A token of Sigstore's own login names the real issuer in
        `federated_claims`, and so does the certificate.
        """
        kind = self.kind
        if kind is None:
            return None
        try:
            identity = from_oidc_claims(kind, self.claims, server_url=server_url)
        except IdentityInvalid:
            return None
        federated = self.claims.get("federated_claims")
        connector = federated.get("connector_id") if isinstance(federated, dict) else None
        if isinstance(connector, str) and connector:
            return CertificateIdentity(connector, identity.san, identity.claims)
        return identity

    @property
    def kind(self) -> TokenKind | None:
        """Which of Fulcio's kinds of issuer writes such tokens."""
        if "job_workflow_ref" in self.claims:
            return "github"
        if "ci_config_ref_uri" in self.claims:
            return "gitlab"
        return "email" if "email" in self.claims else None

    def __repr__(self) -> str:
        return f"IdentityToken(issuer={self.issuer!r}, audience={self.audience!r}, expires_at={self.expires_at})"


def _claims(raw: str) -> JsonObject:
    parts = raw.split(".")
    if len(raw) > MAX_TOKEN_CHARACTERS or len(parts) != _PARTS:
        raise _malformed("not three parts separated by dots")
    try:
        payload = base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True)
        return parse_object(payload, limit=MAX_TOKEN_CHARACTERS, what="the identity token's payload")
    except (JsonInvalid, binascii.Error, ValueError) as error:
        raise _malformed("its payload is not base64url of a JSON object") from error


def _malformed(found: str) -> Unauthenticated:
    return Unauthenticated(
        "that is not an identity token", code="token-malformed", found=found, expected="a signed JWT"
    )
