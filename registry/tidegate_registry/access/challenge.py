"""The 401 answer that tells an OCI client where to get a token. Source: Docker token spec, RFC 6750 section 3."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from tidegate.errors import Reason, TidegateError, Unauthenticated
from tidegate_registry.access.principal import Grant, describe

TOKEN_PATH = "/v2/token"  # noqa: S105 - a path

TokenError = Literal["invalid_token", "insufficient_scope"]


class LoginNeeded(Unauthenticated):
    """No token, one that does not count, or one issued for less; `challenge` is the WWW-Authenticate header."""

    code = "login-needed"

    def __init__(self, message: str, *, challenge: str, reasons: Iterable[Reason]) -> None:
        super().__init__(message)
        self.challenge = challenge
        self.reasons = tuple(reasons) or self.reasons

    @classmethod
    def after(cls, error: TidegateError, *, challenge: str) -> LoginNeeded:
        """Put a challenge on a refused token."""
        return cls(error.message, challenge=challenge, reasons=error.reasons)


def bearer_challenge(public_url: str, *, scope: Iterable[Grant] = (), error: TokenError | None = None) -> str:
    """Write the header. `service` is the public URL too: the token endpoint refuses to act for any other service."""
    parameters = [("realm", public_url + TOKEN_PATH), ("service", public_url)]
    if wanted := describe(scope):
        parameters.append(("scope", wanted))
    if error is not None:
        parameters.append(("error", error))
    return "Bearer " + ",".join(f'{name}="{value}"' for name, value in parameters)


def basic_challenge(public_url: str) -> str:
    """Write the header for the token endpoint itself, which takes `oidc` and an OIDC token as user and password."""
    return f'Basic realm="{public_url}"'
