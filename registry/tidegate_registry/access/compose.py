"""Makes the Gatekeeper that the settings describe; called once, by the composition root."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import httpx2

from tidegate.errors import InvalidInput
from tidegate.formats.charter import CharterSet
from tidegate_registry.access.gatekeeper import Gatekeeper
from tidegate_registry.access.jwks import HttpFetch
from tidegate_registry.access.membership import Members
from tidegate_registry.access.oidc import OidcVerifier
from tidegate_registry.access.principal import Principal
from tidegate_registry.access.rights import AccessRules
from tidegate_registry.access.token_keys import TokenKey, generate_token_key, load_accepted_key, load_token_key
from tidegate_registry.access.tokens import RegistryTokens
from tidegate_registry.settings import Mode, Settings


def open_gatekeeper(
    settings: Settings,
    *,
    charters: Callable[[], CharterSet],
    charters_at_hand: Callable[[], CharterSet | None] | None = None,
    members: Members | None = None,
    on_exchange: Callable[[Principal], None] | None = None,
    http: httpx2.Client,
    clock: Callable[[], datetime],
) -> Gatekeeper:
    """Load the token keys and wire the access room. `http` fetches keys of OIDC issuers and belongs to the caller.

    `charters`, `charters_at_hand`, `members`, `on_exchange`: see Gatekeeper.
    Raises InvalidInput for a key file that is missing, readable by others or no key.
    """
    tokens = RegistryTokens(
        signing=_signing_key(settings),
        accepted=[load_accepted_key(path) for path in settings.accepted_token_key_files],
        audience=settings.public_url,
        lifetime=timedelta(seconds=settings.token_lifetime_seconds),
        clock=clock,
    )
    return Gatekeeper(
        public_url=settings.public_url,
        oidc=OidcVerifier(settings.issuers, audience=settings.public_url, fetch=HttpFetch(http), clock=clock),
        tokens=tokens,
        rules=AccessRules(
            anonymous_pull=settings.anonymous_pull,
            authenticated_pull=settings.authenticated_pull,
            public_log=settings.log.public_entries,
        ),
        charters=charters,
        charters_at_hand=charters_at_hand,
        members=members,
        on_exchange=on_exchange,
    )


def _signing_key(settings: Settings) -> TokenKey:
    if settings.token_key_file is not None:
        return load_token_key(settings.token_key_file)
    if settings.mode is Mode.SANDBOX:
        return generate_token_key()  # tokens die with the process, which a trial can bear
    raise InvalidInput(
        "there is no key to sign registry tokens with",
        code="key-file-missing",
        expected="token_key_file, the same for all replicas",
        hint="make one with `openssl genpkey -algorithm ed25519 -out token.pem` under umask 077",
    )
