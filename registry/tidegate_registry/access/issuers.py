"""The allowlist of OIDC issuers: one rule each, part of the settings. A token of any other issuer is refused."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tidegate_registry.access.principal import PrincipalKind

IssuerKind = Literal["email", "github", "gitlab"]
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "Ed25519"]
ClaimName = Annotated[str, Field(min_length=1, max_length=128)]
ClaimText = Annotated[str, Field(min_length=1, max_length=1024)]

FULCIO_AUDIENCE = "sigstore"  # what Fulcio demands; a token made for it is never ours

# carried along from a CI token although the certificate does not say them: who pushed the button
_CARRIED = {"email": (), "github": ("actor", "actor_id"), "gitlab": ("user_login", "user_id")}


class IssuerRule(BaseModel):
    """One OIDC issuer whose tokens count here, and how they are read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(description="exactly the token's `iss`; https, or http on loopback")
    kind: IssuerKind = Field(description="whose claims these are, so that they map as Fulcio maps them")
    server_url: str | None = Field(None, description="a self-hosted forge's base URL; default: github.com, gitlab.com")
    audience: str | None = Field(None, description="the token's `aud`; default: the registry's public URL")
    algorithms: tuple[Algorithm, ...] = Field(("RS256",), min_length=1, description="signature algorithms accepted")
    authorized_parties: tuple[str, ...] = Field(
        (), description="values of `azp` accepted when the token has one; default: the audience itself"
    )
    required_claims: dict[ClaimName, ClaimText] = Field(
        default_factory=dict, description="claims that must be there with exactly this text, such as `hd` or `tid`"
    )
    carried_claims: tuple[ClaimName, ...] | None = Field(
        None, description="further claims to keep for roles, such as `groups`; default: the actor of a CI run"
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

    @model_validator(mode="after")
    def _audience_is_not_fulcios(self) -> Self:
        if self.audience == FULCIO_AUDIENCE:
            raise ValueError("`sigstore` is Fulcio's audience: a token for it must never be accepted by a registry")
        return self

    @property
    def principal_kind(self) -> PrincipalKind:
        """What stands behind this issuer's tokens."""
        return PrincipalKind.HUMAN if self.kind == "email" else PrincipalKind.CI

    @property
    def carried(self) -> tuple[str, ...]:
        """The claims kept as the principal's attributes."""
        return _CARRIED[self.kind] if self.carried_claims is None else self.carried_claims


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
