"""Registry tokens: what this registry issues after a credential was checked, and reads on every other request.

Short-lived JWTs of their own type, signed by a key file that only this registry holds; they carry the caller's mapped
identity, so that no request needs the OIDC issuer, and the access that was asked for and granted. The steps K1…K6 are
those of docs/spec/registry-tokens.md. Two kinds of token never stand in for each other: the type, the issuer and the
keys all differ, and each reader demands its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.jwk import ECKey, OKPKey
from pydantic import BaseModel, ConfigDict, ValidationError

from tidegate.errors import InvalidInput
from tidegate.formats.identity import CertificateIdentity, ClaimName
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate_registry.access.jwt import PublicKey, TokenRefused, parse_token, sign_token, verify_signature
from tidegate_registry.access.principal import Grant, Principal, PrincipalKind
from tidegate_registry.access.rights import describe

TOKEN_TYPE = "tidegate-registry+jwt"  # noqa: S105 - a header value
MAX_SKEW = timedelta(seconds=60)  # between replicas; expiry itself is not stretched
MAX_KEY_FILE_BYTES = 64 << 10
REMEMBERED_TOKENS = 2048  # checked tokens whose signature is not checked again; a pull sends hundreds of requests


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key and the one algorithm it is used with. `private` tells whether it can sign."""

    key: PublicKey
    algorithm: str
    private: bool

    @property
    def kid(self) -> str:
        """The key's RFC 7638 thumbprint (sha256): the same wherever the key is loaded."""
        return self.key.thumbprint()


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
        self._checked = lru_cache(maxsize=REMEMBERED_TOKENS)(self._check)

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
        claims, principal = self._checked(text)
        now = self._clock().timestamp()  # the one thing that changes about a token: looked at every time (K5)
        if now >= claims.exp:
            raise _refused(
                "K5",
                "token-expired",
                "the registry token has expired",
                found=f"exp {claims.exp}",
                expected=f"{now:.0f}",
            )
        if min(claims.nbf, claims.iat) > now + MAX_SKEW.total_seconds():
            raise _refused(
                "K5",
                "token-not-yet-valid",
                "the registry token is not valid yet",
                found=f"nbf {claims.nbf}",
                expected=f"{now:.0f}",
            )
        return principal

    def _check(self, text: str) -> tuple[_Claims, Principal]:
        token = parse_token(text)  # K1
        if token.header.get("typ") != TOKEN_TYPE:
            raise _refused(
                "K2",
                "token-type",
                "that is no registry token",
                found=f"typ {token.header.get('typ')!r}"[:120],
                expected=TOKEN_TYPE,
                hint="exchange an OIDC token at the token endpoint that WWW-Authenticate names",
            )
        key = self._keys.get(token.header_text("kid"))
        if key is None:
            raise _refused(
                "K3",
                "token-key",
                "signed by no key of this registry",
                found=token.header_text("kid")[:120] or "no kid",
                expected=", ".join(self._keys),
            )
        verify_signature(token, key.key, key.algorithm)  # K4
        try:
            claims = _Claims.model_validate(token.claims)
        except ValidationError as error:
            raise _malformed(error) from error
        if claims.iss != self._audience or claims.aud != self._audience:
            raise _refused(
                "K5",
                "audience-wrong",
                "a token of another registry",
                found=f"iss {claims.iss}, aud {claims.aud}"[:300],
                expected=self._audience,
            )
        return claims, _principal(claims)  # K6


def load_token_key(path: Path) -> TokenKey:
    """Read a PEM private key (Ed25519 or ECDSA P-256) that only its owner can read. Raises InvalidInput."""
    pem = _read(path)
    if path.stat().st_mode & 0o077:
        raise InvalidInput(
            "the token key can be read by others",
            code="key-file-mode",
            found=f"{path}: mode {path.stat().st_mode & 0o777:o}",
            expected="mode 600",
            hint=f"chmod 600 {path}; if others may have read it, make a new key",
        )
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError) as error:
        raise _unusable(path, str(error)) from error
    if isinstance(private, Ed25519PrivateKey):
        return TokenKey(OKPKey.import_key(_pem(private)), "Ed25519", private=True)
    if isinstance(private, EllipticCurvePrivateKey) and isinstance(private.curve, SECP256R1):
        return TokenKey(ECKey.import_key(_pem(private)), "ES256", private=True)
    raise _unusable(path, type(private).__name__)


def load_accepted_key(path: Path) -> TokenKey:
    """Read a PEM public key whose tokens are accepted beside our own while keys rotate. Raises InvalidInput."""
    try:
        public = serialization.load_pem_public_key(_read(path))
    except (ValueError, TypeError) as error:
        raise _unusable(path, str(error)) from error
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    if isinstance(public, Ed25519PublicKey):
        return TokenKey(OKPKey.import_key(pem), "Ed25519", private=False)
    if isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1):
        return TokenKey(ECKey.import_key(pem), "ES256", private=False)
    raise _unusable(path, type(public).__name__)


def generate_token_key() -> TokenKey:
    """Make a new Ed25519 key in memory; it is not kept anywhere."""
    return TokenKey(OKPKey.import_key(_pem(Ed25519PrivateKey.generate())), "Ed25519", private=True)


def create_token_key(path: Path) -> TokenKey:
    """Make a new Ed25519 key file with mode 0600; an existing file is never replaced (FileExistsError)."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(_pem(Ed25519PrivateKey.generate()))
    return load_token_key(path)


def _pem(private: Ed25519PrivateKey | EllipticCurvePrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_KEY_FILE_BYTES)
    except OSError as error:
        raise _unusable(path, error.strerror or type(error).__name__) from error


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


def _unusable(path: Path, found: str) -> InvalidInput:
    return InvalidInput(
        "that file holds no usable token key",
        code="key-file-invalid",
        found=f"{path}: {found[:200]}",
        expected="an Ed25519 or ECDSA P-256 key in PEM, not encrypted",
    )


def _malformed(error: ValueError) -> TokenRefused:
    return _refused(
        "K6",
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
