"""The sandbox's OIDC issuers: one for people at URL, one for CI jobs at URL/ci, both signing RS256 with one key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate.errors import InvalidInput, Unauthenticated
from tidegate_registry.sandbox.certificates import key_id
from tidegate_registry.sandbox.keys import KeyStore

ALGORITHM = "RS256"
TOKEN_LIFETIME = timedelta(minutes=5)  # what GitHub's CI issuer gives
MAX_AUDIENCE_CHARACTERS = 256
TOKEN_ID_BYTES = 16
SIGSTORE_AUDIENCE = "sigstore"


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """The claims of a token whose signature, issuer, audience and times were checked."""

    issuer: str
    claims: Mapping[str, object]

    def text(self, name: str) -> str:
        """Give a claim that must be a non-empty string. Raises InvalidInput."""
        value = self.claims.get(name)
        if not isinstance(value, str) or not value:
            raise InvalidInput(f"the token has no `{name}` claim", code="claim-missing")
        return value


class Issuer:
    """Mints and checks tokens. Immutable once built: safe from any thread."""

    def __init__(
        self, url: str, keys: KeyStore, clock: Callable[[], datetime], entropy: Callable[[int], bytes]
    ) -> None:
        self.url = url
        self.ci_url = f"{url}/ci"
        self._clock, self._entropy = clock, entropy
        key = keys.rsa_key("oidc")
        self.key_id = key_id(key.public_key()).hex()[:16]
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._key = RSAKey.import_key(pem, {"kid": self.key_id, "use": "sig", "alg": ALGORITHM})

    def mint(
        self,
        claims: Mapping[str, object],
        audience: str,
        *,
        issuer: str | None = None,
        lifetime: timedelta = TOKEN_LIFETIME,
    ) -> str:
        """Sign `claims` with the times of the clock; `claims` may override any of them, which tests do.

        Raises InvalidInput on an audience that is empty or too long.
        """
        if not 0 < len(audience) <= MAX_AUDIENCE_CHARACTERS or not audience.isprintable():
            raise InvalidInput(
                "that audience cannot be in a token", expected=f"1 to {MAX_AUDIENCE_CHARACTERS} printable characters"
            )
        now = int(self._clock().timestamp())
        body: dict[str, object] = {
            "iss": issuer or self.url,
            "aud": audience,
            "iat": now,
            "nbf": now,
            "exp": now + int(lifetime.total_seconds()),
            "jti": self._entropy(TOKEN_ID_BYTES).hex(),
            **claims,
        }
        return jwt.encode({"alg": ALGORITHM, "kid": self.key_id}, body, self._key, algorithms=[ALGORITHM])

    def verify(self, token: str, audience: str) -> VerifiedToken:
        """Check a token of one of the two issuers. Raises Unauthenticated."""
        now = int(self._clock().timestamp())
        checks = jwt.JWTClaimsRegistry(
            now=now,
            iss={"essential": True, "values": [self.url, self.ci_url]},
            aud={"essential": True, "value": audience},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
        )
        try:
            decoded = jwt.decode(token, self._key, algorithms=[ALGORITHM])
            checks.validate(decoded.claims)
        except (JoseError, ValueError) as error:
            raise Unauthenticated("the identity token is not valid", found=str(error)[:200]) from error
        return VerifiedToken(str(decoded.claims["iss"]), decoded.claims)

    def key_set(self) -> dict[str, object]:
        return {"keys": [self._key.as_dict(private=False)]}

    def discovery(self, issuer: str) -> dict[str, object]:
        """OpenID Connect Discovery 1.0 section 3; the CI issuer has no browser flow, like GitHub's."""
        common: dict[str, object] = {
            "issuer": issuer,
            "jwks_uri": f"{self.url}/jwks",
            "subject_types_supported": ["public"],
            "response_types_supported": ["id_token"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "scopes_supported": ["openid"],
        }
        if issuer == self.ci_url:
            return common
        return common | {
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "response_types_supported": ["code"],
            "device_authorization_endpoint": f"{self.url}/device_authorization",
            "authorization_response_iss_parameter_supported": True,
            "grant_types_supported": [
                "authorization_code",
                "refresh_token",
                "urn:ietf:params:oauth:grant-type:device_code",
            ],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
            "scopes_supported": ["openid", "email", "profile", "offline_access"],
            "claims_supported": ["sub", "email", "email_verified", "name", "preferred_username", "groups"],
        }

    def routes(self) -> list[Route]:
        return [
            Route("/.well-known/openid-configuration", self._get_discovery),
            Route("/ci/.well-known/openid-configuration", self._get_ci_discovery),
            Route("/jwks", self._get_keys),
        ]

    def _get_discovery(self, _: Request) -> Response:
        return JSONResponse(self.discovery(self.url))

    def _get_ci_discovery(self, _: Request) -> Response:
        return JSONResponse(self.discovery(self.ci_url))

    def _get_keys(self, _: Request) -> Response:
        return JSONResponse(self.key_set())
