"""Compact JSON Web Tokens, taken apart strictly and checked against one key and one algorithm that we chose.

joserfc does the cryptography. What it leaves open is closed here: `typ` is the caller's to demand, keys named or
carried by the token (`jwk`, `jku`, `x5c`, `x5u`) are never used, `crit` and `b64` are refused, both JSON parts are
read by the strict parser, and base64url means exactly that. Source: RFC 7515, RFC 7519, RFC 8725.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tidegate.errors import JsonInvalid, Unauthenticated
from tidegate.formats.jcs import JsonObject, canonical_bytes, parse_object

MAX_TOKEN_BYTES = (
    16 << 10
)  # the largest real ones carry a page of groups; servers commonly cap a header line at 8-16 KiB
MAX_HEADER_BYTES = 4 << 10
_SEGMENTS = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_FORBIDDEN_HEADERS = ("crit", "b64", "zip")

PublicKey = RSAKey | ECKey | OKPKey

# alg -> the JWK members that a key for it must have: an HMAC "key" or a curve of the wrong kind never gets to verify
KEY_SHAPES: dict[str, dict[str, str]] = {
    "RS256": {"kty": "RSA"},
    "RS384": {"kty": "RSA"},
    "RS512": {"kty": "RSA"},
    "PS256": {"kty": "RSA"},
    "ES256": {"kty": "EC", "crv": "P-256"},
    "ES384": {"kty": "EC", "crv": "P-384"},
    "ES512": {"kty": "EC", "crv": "P-521"},
    "Ed25519": {"kty": "OKP", "crv": "Ed25519"},  # RFC 9864; the older name `EdDSA` does not say which curve
}


class TokenRefused(Unauthenticated):
    """A token was shown that does not count here; the code says which check it failed."""

    code = "token-refused"


@dataclass(frozen=True, slots=True)
class UncheckedToken:
    """A token taken apart. Nothing in it is true before `verify_signature` returned."""

    text: str
    header: JsonObject
    claims: JsonObject

    def header_text(self, name: str) -> str:
        """Give a text header, or an empty one."""
        value = self.header.get(name)
        return value if isinstance(value, str) else ""

    def claim_text(self, name: str) -> str:
        """Give a text claim, or an empty one."""
        value = self.claims.get(name)
        return value if isinstance(value, str) else ""


def parse_token(text: str) -> UncheckedToken:
    """Take `text` apart. Raises TokenRefused (code `token-malformed`)."""
    if len(text) > MAX_TOKEN_BYTES:
        raise _malformed("the token is too large", f"{len(text)} bytes", f"at most {MAX_TOKEN_BYTES} bytes")
    match = _SEGMENTS.fullmatch(text)
    if match is None:
        raise _malformed("that is not a signed token", "other text", "header.payload.signature, each in base64url")
    try:
        header = parse_object(_decode(match[1]), limit=MAX_HEADER_BYTES, what="the token's header")
        claims = parse_object(_decode(match[2]), limit=MAX_TOKEN_BYTES, what="the token's payload")
    except (JsonInvalid, ValueError) as error:
        raise _malformed("a part of the token is not JSON in base64url", str(error)[:200], "an object each") from error
    forbidden = [name for name in _FORBIDDEN_HEADERS if name in header]
    if forbidden:
        raise _malformed("the token's header asks for an extension", ", ".join(forbidden), "none of them")
    return UncheckedToken(text, header, claims)


def verify_signature(token: UncheckedToken, key: PublicKey, algorithm: str) -> None:
    """Check the signature of `token` with `key` under `algorithm`, which is ours and not the header's to choose.

    Raises TokenRefused with code `token-algorithm` or `token-signature`.
    """
    if token.header.get("alg") != algorithm:
        raise TokenRefused(
            "the token is signed with another algorithm than this key is for",
            code="token-algorithm",
            found=token.header_text("alg") or "none",
            expected=algorithm,
        )
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    registry.max_header_length = MAX_HEADER_BYTES  # its default of 512 bytes is too small for headers with `x5c`
    try:
        jws.deserialize_compact(token.text, key, registry=registry)
    except (JoseError, ValueError, TypeError) as error:  # ValueError and TypeError escape on odd signature bytes
        raise TokenRefused(
            "the token's signature is not valid",
            code="token-signature",
            found=type(error).__name__,
            expected=f"a {algorithm} signature by key {key.kid}",
        ) from error


def sign_token(header: JsonObject, claims: JsonObject, key: PublicKey, algorithm: str) -> str:
    """Sign `claims`; `header` gets `alg` added. The caller's key must be a private one."""
    registry = jws.JWSRegistry(algorithms=[algorithm])
    return jws.serialize_compact({"alg": algorithm, **header}, canonical_bytes(claims), key, registry=registry)


def _decode(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def _malformed(message: str, found: str, expected: str) -> TokenRefused:
    return TokenRefused(message, code="token-malformed", found=found, expected=expected)
