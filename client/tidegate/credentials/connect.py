"""Open a registry as whoever the environment says we are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tidegate.credentials.sources import Credentials
from tidegate.errors import InvalidInput
from tidegate.formats.reference import Reference
from tidegate.remote.address import RegistryAddress, new_client
from tidegate.remote.registry import Registry
from tidegate.remote.tokens import Identity


def address_for(reference: Reference, default: str | None, *, plain_http: bool = False) -> RegistryAddress:
    """Give the registry that `reference` names, else the default one. Raises InvalidInput when there is neither."""
    host = reference.registry or default
    if not host:
        raise InvalidInput(
            f"which registry is {reference} in?",
            code="registry-missing",
            expected=f"HOST/{reference.name}",
            hint="write the registry in front, pass --registry HOST, or set TIDEGATE_REGISTRY",
        )
    return RegistryAddress.parse(host, plain_http=plain_http)


def default_address(host: str | None, *, plain_http: bool = False) -> RegistryAddress:
    """Give the registry `host` for a command that names no release. Raises InvalidInput when there is none."""
    if not host:
        raise InvalidInput(
            "which registry?",
            code="registry-missing",
            hint="pass --registry HOST, or set TIDEGATE_REGISTRY",
        )
    return RegistryAddress.parse(host, plain_http=plain_http)


@contextmanager
def open_registry(address: RegistryAddress, credentials: Credentials | Identity | None) -> Iterator[Registry]:
    """Give a registry's client, with the identity that `credentials` has for it; None stays anonymous."""
    identity = credentials.registry_token if isinstance(credentials, Credentials) else credentials
    with new_client(address) as client:
        yield Registry(address, client, identity)
