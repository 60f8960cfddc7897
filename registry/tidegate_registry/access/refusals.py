"""The words of a refusal: what was found, what would do, and who can give it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from tidegate.errors import Reason
from tidegate.formats.charter import Charter, Role
from tidegate_registry.access.principal import Grant, Principal, describe

if TYPE_CHECKING:
    from tidegate_registry.access.rights import Permission, Standing

MAX_LISTED_RULES = 8  # a refusal lists the signers that would do; a charter with more is read in the charter


def login_needed(permission: Permission) -> Reason:
    """Say that only a known caller may."""
    return Reason(
        code="login-needed",
        message=f"{permission} needs a credential",
        found="no credential",
        expected="a registry token",
        hint="run `tidegate login`, or `docker login -u oidc -p TOKEN` with a token made for this registry",
    )


def scope_missing(principal: Principal, permission: Permission, agent: str | None, needed: Grant) -> Reason:
    """Say that the caller may, with a token for more."""
    return Reason(
        code="scope-missing",
        message=f"this token was not issued for {permission}" + (f" on {agent}" if agent else ""),
        found=describe(principal.grants) or "a token without any access",
        expected=describe([needed]),
        hint="ask the token endpoint again with the scope from the WWW-Authenticate header",
    )


def no_charter(agent: str) -> Reason:
    """Say that nobody may, as nobody is named."""
    return Reason(
        code="no-charter",
        message=f"there is no charter for {agent}, so nobody may publish or attest there",
        found="no charter for the agent or its namespace",
        expected=f"a charter for {agent} or {agent.partition('/')[0]}/*",
        hint="have the registry's operator add a charter that names the publishers",
    )


def not_known(principal: Principal, permission: Permission) -> Reason:
    """Say that a login alone opens nothing in this registry."""
    return Reason(
        code="role-missing",
        message=f"{principal.name} may not do {permission}: neither a charter nor the policy names it",
        found=str(principal.identity),
        expected="an identity that a charter names, or one that a role of the policy is bound to",
        hint="have the owners of the charter add this identity, or the editors of the policy a role",
    )


def no_role(principal: Principal, permission: Permission, agent: str | None, needed: Collection[Standing]) -> Reason:
    """Say that the caller is nothing of what could do this."""
    names = ", ".join(sorted(standing.described for standing in needed))
    return Reason(
        code="role-missing",
        message=f"{principal.name} may not do {permission}" + (f" on {agent}" if agent else ""),
        found=f"{principal.identity}, {principal.told_claims or 'no further claims'}",
        expected=f"one of: {names}",
        hint="have the editors of the policy bind a role to this identity or one of its claims"
        + (f", or the owners of the charter for {agent} name it" if agent else ""),
    )


def not_in_charter(
    principal: Principal, permission: Permission, agent: str, charter: Charter, roles: Collection[Role]
) -> Reason:
    """Say which rules of the charter would do, and how the caller differs from the nearest one."""
    able = [rule for role, rule in charter.rules if role in roles]
    names = " or ".join(sorted(roles))
    listed = [f"{rule.name} ({rule.identity or rule.workflow}, issued by {rule.issuer})" for rule in able]
    more = f"; and {len(listed) - MAX_LISTED_RULES} more" if len(listed) > MAX_LISTED_RULES else ""
    hint = f"have the owners of the charter for {charter.agent} add this identity as {names}"
    if principal.identity is not None and able:
        identity = principal.identity
        nearest = min(able, key=lambda rule: len(rule.differences(identity)))
        hint = f"nearest is {nearest.name}: {'; '.join(nearest.differences(identity))}. Or {hint}"
    return Reason(
        code="not-in-charter",
        message=f"{principal.name} may not do {permission} on {agent}: the charter does not name it as {names}",
        found=str(principal.identity),
        expected="; ".join(listed[:MAX_LISTED_RULES]) + more or f"a {names}; the charter lists none",
        hint=hint,
    )
