"""The allowlist of OIDC issuers: one rule each, part of the settings. A token of any other issuer is refused."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tidegate_registry.access.principal import PrincipalKind

MAX_CLAIM_DEPTH = 4  # Keycloak's deepest, `resource_access.CLIENT.roles`, has three

IssuerKind = Literal["email", "github", "gitlab"]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "Ed25519"]
ClaimName = Annotated[str, Field(min_length=1, max_length=128)]
ClaimPath = Annotated[tuple[ClaimName, ...], Field(min_length=1, max_length=MAX_CLAIM_DEPTH)]
ClaimText = Annotated[str, Field(min_length=1, max_length=1024)]

FULCIO_AUDIENCE = "sigstore"  # what Fulcio demands; a token made for it is never ours

# carried along from a CI token although the certificate does not say them: who pushed the button
_CARRIED = {"email": (), "github": ("actor", "actor_id"), "gitlab": ("user_login", "user_id")}
_TAKEN = frozenset({"identity", "issuer", "kind"})  # a policy's words for what the token itself proves


class IssuerRule(BaseModel):
    """One OIDC issuer whose tokens count here, and how they are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(description="exactly the token's `iss`; https, or http on loopback")
    kind: IssuerKind = Field(description="whose claims these are, so that they map as Fulcio maps them")
    server_url: str | None = Field(None, description="a self-hosted forge's base URL; default: github.com, gitlab.com")
    client_id: str | None = Field(
        None,
        min_length=1,
        max_length=256,
        description="the public OAuth client that `tidegate login` uses at this issuer; its tokens carry it as `aud`. "
        "None: no login with this issuer",
    )
    login_scopes: tuple[ClaimName, ...] = Field(
        ("openid", "email", "profile"),
        description="what `tidegate login` asks for; with `offline_access` most issuers keep a person logged in",
    )
    audience: str | None = Field(
        None, description="the token's `aud`; default: the `client_id`, then the registry's public URL"
    )
    algorithms: tuple[Algorithm, ...] = Field(("RS256",), min_length=1, description="signature algorithms accepted")
    authorized_parties: tuple[str, ...] = Field(
        (), description="values of `azp` accepted when the token has one; default: the audience itself"
    )
    required_claims: dict[ClaimName, ClaimText] = Field(
        default_factory=dict, description="claims that must be there with exactly this text, such as `hd` or `tid`"
    )
    carried_claims: Mapping[ClaimName, ClaimPath] | None = Field(
        None,
        description="further claims to keep for roles: a list such as `groups`, or a table from the name that policies "
        'use to the claim, `groups = "cognito:groups"`, or to where it stands in one, '
        '`groups = ["realm_access", "roles"]`; default: the actor of a CI run',
    )

    @field_validator("issuer")
    @classmethod
    def _issuer_is_an_origin_we_may_trust(cls, issuer: str) -> str:
        parts = urlsplit(issuer)
        if parts.query or parts.fragment or parts.username or not parts.hostname:
            raise ValueError("an issuer is a URL without query, fragment or user")
        if not is_trustworthy_url(issuer):
            raise ValueError("an issuer is https, or http on loopback")
        return issuer

    @field_validator("carried_claims", mode="before")
    @classmethod
    def _paths_of_claims(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            return {name: (name,) for name in value}
        if isinstance(value, dict):
            return {name: (path,) if isinstance(path, str) else path for name, path in value.items()}
        return value

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        if FULCIO_AUDIENCE in (self.audience, self.client_id):
            raise ValueError("`sigstore` is Fulcio's audience: a token for it must never be accepted by a registry")
        if self.client_id is not None and self.audience not in (None, self.client_id):
            raise ValueError("`audience` differs from `client_id`, which is what an ID token carries as `aud`")
        if self.client_id is not None and self.principal_kind is not PrincipalKind.HUMAN:
            raise ValueError("`client_id` is for people: only an issuer of kind `email` has a login")
        if taken := _TAKEN.intersection(self.carried_claims or ()):
            raise ValueError(f"`carried_claims` may not call a claim {', '.join(sorted(taken))}")
        return self

    def audience_at(self, public_url: str) -> str:
        """Give what `aud` must be in a registry at `public_url`."""
        return self.audience or self.client_id or public_url

    @property
    def principal_kind(self) -> PrincipalKind:
        """What stands behind this issuer's tokens."""
        return PrincipalKind.HUMAN if self.kind == "email" else PrincipalKind.CI

    @property
    def carried(self) -> Mapping[str, tuple[str, ...]]:
        """The attributes of a principal, each with where its claim stands in the token."""
        if self.carried_claims is None:
            return {name: (name,) for name in _CARRIED[self.kind]}
        return self.carried_claims


def is_trustworthy_url(url: str) -> bool:
    """Whether what `url` serves cannot be replaced on the way: https, or http that never leaves this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:  # brackets that hold no IPv6 address
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its very name; no name is looked up."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
