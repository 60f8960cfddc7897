"""A login for one registry, from its first question to tokens that are kept, and their renewal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from tidegate.credentials.oauth import OAuthRefused, check_tokens, request_tokens
from tidegate.credentials.provider import Issuer, LoginOption, Provider, new_issuer_client
from tidegate.credentials.store import RegistryLogin
from tidegate.credentials.token import IdentityToken
from tidegate.errors import InvalidInput, Unauthenticated

if TYPE_CHECKING:
    import httpx2

LOGIN_AGAIN = "run `tidegate login` again"


def demand_own_client(option: LoginOption, registry: str, clients: Mapping[str, tuple[str, str]]) -> None:
    """Check that no other registry's login is made with this client: its tokens would be good there too.

    `clients`: issuer and client of each login there is, by registry. Raises InvalidInput (code `login-client-shared`).
    """
    shared = [url for url, client in clients.items() if url != registry and client == (option.issuer, option.client_id)]
    if shared:
        raise InvalidInput(
            f"{registry} names the client that another registry uses, so each could use your token at the other",
            code="login-client-shared",
            found=f"client {option.client_id} at {option.issuer}, as for {', '.join(shared)}",
            expected="a client of its own for each registry",
            hint="if both are run by people you trust alike, pass --issuer and --client-id to say so",
        )


def renew(login: RegistryLogin, *, clock: Callable[[], datetime], client: httpx2.Client | None = None) -> RegistryLogin:
    """Give the login with a new ID token, bought with its refresh token. Raises Unauthenticated, Unreachable."""
    old = IdentityToken.parse(login.id_token, audience=login.client_id)
    if login.refresh_token is None:
        raise Unauthenticated(
            f"the login for {login.registry} has ended",
            code="token-expired",
            found=f"{old.expires_at:%Y-%m-%d %H:%M:%S} UTC, without a refresh token",
            hint=LOGIN_AGAIN,
        )
    subject = old.claims.get("sub")
    form = {"grant_type": "refresh_token", "refresh_token": login.refresh_token, "client_id": login.client_id}
    with client or new_issuer_client(login.issuer) as http:
        issuer = Issuer(http, login.issuer)
        try:
            answer = request_tokens(issuer, Provider(login.issuer, login.token_endpoint), form)
        except OAuthRefused as refused:
            raise Unauthenticated(
                f"the login for {login.registry} has ended",
                code="token-expired",
                found=refused.reasons[0].found,
                hint=LOGIN_AGAIN,
            ) from refused
    tokens = check_tokens(
        answer,
        issuer=login.issuer,
        client_id=login.client_id,
        now=clock(),
        subject=subject if isinstance(subject, str) else "",
    )
    return replace(login, id_token=tokens.identity.raw, refresh_token=tokens.refresh or login.refresh_token)
