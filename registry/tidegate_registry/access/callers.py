"""Callers as policies see them: what a checked token says, by claim names, and the same read back from a row."""

from __future__ import annotations

from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject, canonical_bytes, parse_object
from tidegate.policy.inputs import Caller
from tidegate.policy.inputs_json import caller_json
from tidegate_registry.access.principal import Principal

MAX_CALLER_BYTES = 256 << 10  # every claim that a token may carry, at its longest


def caller_of(who: Principal) -> Caller:
    """Describe a caller to a policy. Raises ValueError for an anonymous one, which no rule can mean."""
    if who.identity is None:
        raise ValueError("nobody is calling")
    claims = dict(who.attributes) | {str(name): (value,) for name, value in who.identity.claims.items()}
    return Caller(str(who.kind), who.issuer, who.name, claims)


def caller_bytes(caller: Caller) -> bytes:
    """Give what rows keep."""
    return canonical_bytes(caller_json(caller))


def parse_caller(raw: bytes) -> Caller:
    """Read what `caller_bytes` wrote."""
    return caller_from(parse_object(raw, limit=MAX_CALLER_BYTES, what="a caller that was kept"))


def caller_from(document: JsonObject) -> Caller:
    """Read what `caller_json` gave; unlike a record's, a row's caller may be the registry itself, with no issuer."""
    claims = document["claims"]
    if not isinstance(claims, dict):
        raise TypeError("the claims of a caller are an object")
    return Caller(
        str(document["kind"]),
        str(document["issuer"]),
        str(document["identity"]),
        {name: tuple(map(str, values)) for name, values in claims.items() if isinstance(values, list)},
    )


def owner_of(caller: Caller) -> Digest:
    """Give the name of an identity, of fixed length: its issuer is part of it."""
    return Digest.of(f"{caller.issuer} {caller.identity}".encode())
