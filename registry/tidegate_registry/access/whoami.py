"""What a caller is told about themselves: pure, from the principal, the charters and the policies in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tidegate.formats.charter import Charter
from tidegate.formats.jcs import JsonObject
from tidegate.policy.load import LoadedPolicy
from tidegate_registry.access.callers import caller_of
from tidegate_registry.access.policy_rights import PolicyStanding, describe_standing
from tidegate_registry.access.principal import Principal, describe
from tidegate_registry.access.rights import RULES, AccessRules, Standing, standings

EVERY_AGENT = "*/*"  # what everyone may do everywhere is said once, not once for each charter


@dataclass(frozen=True, slots=True)
class CharterStanding:
    """What the caller is to `agents`: one agent, `namespace/*`, or `*/*` for what everyone may.

    `channels`: for which their approval, or their breaking the glass, counts; `*` is every one.
    """

    agents: str
    standing: Standing
    why: str
    permissions: tuple[str, ...]
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CallerDescription:
    """The caller as whoami shows them."""

    kind: str
    name: str
    identity: JsonObject | None
    attributes: Mapping[str, tuple[str, ...]]
    token_scope: str
    standings: tuple[CharterStanding, ...]
    policy: PolicyStanding


def describe_caller(
    principal: Principal,
    charters: Iterable[Charter],
    rules: AccessRules,
    policies: Mapping[str, LoadedPolicy] = MappingProxyType({}),
) -> CallerDescription:
    """List identity, the token's scope, every standing with its reason and permissions, and what policies allow."""
    everywhere = standings(principal, None, rules)
    found = [_standing(EVERY_AGENT, standing, why) for standing, why in everywhere.items()]
    for charter in charters:
        held = standings(principal, charter, rules)
        found += [
            _standing(charter.agent, standing, why, _channels(principal, charter, standing))
            for standing, why in held.items()
            if standing not in everywhere
        ]
    return CallerDescription(
        kind=str(principal.kind),
        name=principal.name,
        identity=None if principal.identity is None else principal.identity.as_json(),
        attributes=principal.attributes,
        token_scope=describe(principal.grants),
        standings=tuple(found),
        policy=PolicyStanding() if principal.is_anonymous else describe_standing(caller_of(principal), policies),
    )


def _channels(principal: Principal, charter: Charter, standing: Standing) -> tuple[str, ...]:
    rules = {Standing.APPROVER: charter.approvers, Standing.BREAK_GLASS: charter.break_glass}.get(standing, ())
    mine = [rule for rule in rules if principal.identity is not None and rule.matches(principal.identity)]
    return ("*",) if any(not rule.channels for rule in mine) else tuple(sorted({c for r in mine for c in r.channels}))


def _standing(agents: str, standing: Standing, why: str, channels: tuple[str, ...] = ()) -> CharterStanding:
    allowed = (
        str(permission)
        for permission, rule in RULES.items()
        if rule.on_agent and rule.standings and standing in rule.standings
    )
    return CharterStanding(agents, standing, why, tuple(allowed), channels)
