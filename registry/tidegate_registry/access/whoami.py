"""What a caller is told about themselves: pure, from the principal and the charters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tidegate.formats.charter import Charter
from tidegate.formats.jcs import JsonObject
from tidegate_registry.access.principal import Principal, describe
from tidegate_registry.access.rights import RULES, AccessRules, Standing, standings

EVERY_AGENT = "*/*"  # what everyone may do everywhere is said once, not once for each charter


@dataclass(frozen=True, slots=True)
class CharterStanding:
    """What the caller is to `agents`: one agent, `namespace/*`, or `*/*` for what everyone may."""

    agents: str
    standing: Standing
    why: str
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CallerDescription:
    """The caller as whoami shows them."""

    kind: str
    name: str
    identity: JsonObject | None
    attributes: Mapping[str, tuple[str, ...]]
    token_scope: str
    standings: tuple[CharterStanding, ...]


def describe_caller(principal: Principal, charters: Iterable[Charter], rules: AccessRules) -> CallerDescription:
    """List identity, the token's scope, and every standing with its reason and permissions."""
    everywhere = standings(principal, None, rules)
    found = [_standing(EVERY_AGENT, standing, why) for standing, why in everywhere.items()]
    for charter in charters:
        held = standings(principal, charter, rules)
        found += [
            _standing(charter.agent, standing, why) for standing, why in held.items() if standing not in everywhere
        ]
    return CallerDescription(
        kind=str(principal.kind),
        name=principal.name,
        identity=None if principal.identity is None else principal.identity.as_json(),
        attributes=principal.attributes,
        token_scope=describe(principal.grants),
        standings=tuple(found),
    )


def _standing(agents: str, standing: Standing, why: str) -> CharterStanding:
    allowed = (
        str(permission)
        for permission, rule in RULES.items()
        if rule.on_agent and rule.standings and standing in rule.standings
    )
    return CharterStanding(agents, standing, why, tuple(allowed))
