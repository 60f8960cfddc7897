"""What a caller may do: pure functions of the principal, the charter and two settings. No I/O, no clock, no headers.

Three things must agree: the setting or the charter gives the caller a standing with the agent, the standing carries
the permission, and the token was issued for it. A User-Agent, a path or a body never counts.
Source: docs/concepts/who-may-do-what.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from tidegate.errors import Reason
from tidegate.formats.charter import Charter
from tidegate_registry.access.principal import Grant, Principal

REPOSITORY = "repository"  # Docker token spec: the resource type of an OCI name
REGISTRY = "registry"  # Docker token spec: a resource of the registry itself
API = "api"
PULL, PUSH, ANY_ACTION = "pull", "push", "*"
MAX_LISTED_RULES = 8  # a refusal lists the signers that would do; a charter with more is read in the charter


class Permission(StrEnum):
    """One thing a caller may be allowed to do, `resource:action`."""

    REGISTRY_PING = "registry:ping"  # GET /v2/: is my credential good
    ACCOUNT_READ = "account:read"  # GET /api/v1/whoami
    AGENT_LIST = "agent:list"
    AGENT_READ = "agent:read"
    RELEASE_READ = "release:read"
    ARTIFACT_PULL = "artifact:pull"  # released manifests and the blobs they reach
    EVIDENCE_READ = "evidence:read"  # referrers of released manifests
    QUARANTINE_READ = "quarantine:read"  # manifests pushed by digest, not (yet) named, and what they reach
    WORKING_TAG_READ = "working-tag:read"
    WORKING_TAG_WRITE = "working-tag:write"
    BLOB_PUSH = "blob:push"  # uploads; an attester needs them for the bundle itself
    ARTIFACT_PUSH = "artifact:push"  # any manifest, by digest
    EVIDENCE_PUSH = "evidence:push"  # a referrer that holds a Sigstore bundle, by digest
    RELEASE_PUBLISH = "release:publish"  # PUT …/manifests/<version>: naming


class Standing(StrEnum):
    """How a caller stands to one agent."""

    PUBLISHER = "publisher"
    ATTESTER = "attester"
    READER = "reader"


@dataclass(frozen=True, slots=True)
class AccessRules:
    """The two settings that open reading: released things only, never quarantine, never working tags."""

    anonymous_pull: bool = False
    authenticated_pull: bool = True


@dataclass(frozen=True, slots=True)
class Permitted:
    """Yes; `why` is a sentence for whoami and logs."""

    why: str

    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Forbidden:
    """No. `login`: a credential could help. `scope`: what a token must be issued for.

    A `scope` without `login` says that the caller may get such a token; the one shown is for less.
    """

    reasons: tuple[Reason, ...]
    login: bool = False
    scope: Grant | None = None

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class _Rule:
    standings: frozenset[Standing]
    action: str | None  # what the token must have been issued for on the agent; None: it is about no agent
    api: bool = False  # a token for the API as a whole will do too

    @property
    def on_agent(self) -> bool:
        """Whether the permission is about one agent."""
        return self.action is not None


_ALL = frozenset(Standing)
_SIGNERS = frozenset({Standing.PUBLISHER, Standing.ATTESTER})
_PUBLISHERS = frozenset({Standing.PUBLISHER})

RULES: dict[Permission, _Rule] = {
    Permission.REGISTRY_PING: _Rule(_ALL, None),
    Permission.ACCOUNT_READ: _Rule(_ALL, None),
    Permission.AGENT_LIST: _Rule(_ALL, None, api=True),
    Permission.AGENT_READ: _Rule(_ALL, PULL, api=True),
    Permission.RELEASE_READ: _Rule(_ALL, PULL, api=True),
    Permission.ARTIFACT_PULL: _Rule(_ALL, PULL),
    Permission.EVIDENCE_READ: _Rule(_ALL, PULL, api=True),
    Permission.QUARANTINE_READ: _Rule(_SIGNERS, PULL, api=True),
    Permission.WORKING_TAG_READ: _Rule(_PUBLISHERS, PULL),
    Permission.WORKING_TAG_WRITE: _Rule(_PUBLISHERS, PUSH),
    Permission.BLOB_PUSH: _Rule(_SIGNERS, PUSH),
    Permission.ARTIFACT_PUSH: _Rule(_PUBLISHERS, PUSH),
    Permission.EVIDENCE_PUSH: _Rule(_SIGNERS, PUSH),
    Permission.RELEASE_PUBLISH: _Rule(_PUBLISHERS, PUSH),
}


def standings(principal: Principal, charter: Charter | None, rules: AccessRules) -> dict[Standing, str]:
    """Give the caller's standings with the agent of `charter`, each with the sentence that says why."""
    found: dict[Standing, str] = {}
    if charter is not None and principal.identity is not None:
        identity = principal.identity
        for standing, signers in ((Standing.PUBLISHER, charter.publishers), (Standing.ATTESTER, charter.attesters)):
            named = [rule.name for rule in signers if rule.matches(identity)]
            if named:
                found[standing] = f"the charter for {charter.agent} names the caller as {standing} {', '.join(named)}"
    if principal.is_anonymous and rules.anonymous_pull:
        found[Standing.READER] = "anonymous pull is on"
    elif not principal.is_anonymous and rules.authenticated_pull:
        found[Standing.READER] = "everyone who is logged in may read what is released"
    elif found:
        found[Standing.READER] = next(iter(found.values()))
    return found


def may(
    principal: Principal, permission: Permission, *, agent: str | None, charter: Charter | None, rules: AccessRules
) -> Permitted | Forbidden:
    """Decide. `agent`: the OCI name asked about, None where the permission is about none; `charter`: the one for it."""
    rule = RULES[permission]
    if rule.on_agent and agent is None:
        raise ValueError(f"{permission} is about an agent")
    entitled = _entitled(principal, permission, agent, charter, rules)
    needed = _needed(permission, agent)
    if isinstance(entitled, Forbidden) or needed is None or _in_scope(principal.grants, rule, agent):
        return entitled
    if principal.is_anonymous:
        return entitled  # a caller without a token has no list of grants: the setting alone lets them read
    reason = Reason(
        code="scope-missing",
        message=f"this token was not issued for {permission}" + (f" on {agent}" if agent else ""),
        found=describe(principal.grants) or "a token without any access",
        expected=describe([needed]),
        hint="ask the token endpoint again with the scope from the WWW-Authenticate header",
    )
    return Forbidden((reason,), scope=needed)


def grantable(
    principal: Principal,
    requested: Iterable[Grant],
    *,
    charter_for: Callable[[str], Charter | None],
    rules: AccessRules,
) -> tuple[Grant, ...]:
    """Give the part of `requested` that the caller may have, as the Docker token spec asks: less, never an error."""
    granted = []
    for grant in requested:
        wanted = {PULL, PUSH} if ANY_ACTION in grant.actions else grant.actions & {PULL, PUSH}
        if grant.type == REPOSITORY:
            held = standings(principal, charter_for(grant.name), rules)
            actions = {PULL} & wanted if held else set()
            if held.keys() & _SIGNERS:
                actions |= {PUSH} & wanted
        elif grant.type == REGISTRY and grant.name == API and ANY_ACTION in grant.actions:
            actions = set() if principal.is_anonymous and not rules.anonymous_pull else {ANY_ACTION}
        else:
            actions = set()
        if actions:
            granted.append(Grant(grant.type, grant.name, frozenset(actions)))
    return tuple(granted)


def describe(grants: Iterable[Grant]) -> str:
    """Write grants as scopes, `type:name:action,action`, separated by spaces."""
    return " ".join(f"{grant.type}:{grant.name}:{','.join(sorted(grant.actions))}" for grant in grants)


def _entitled(
    principal: Principal, permission: Permission, agent: str | None, charter: Charter | None, rules: AccessRules
) -> Permitted | Forbidden:
    rule = RULES[permission]
    if not rule.on_agent:
        return _known(principal, permission, agent, rules)
    held = standings(principal, charter, rules)
    for standing in Standing:
        if standing in rule.standings and standing in held:
            return Permitted(held[standing])
    if principal.is_anonymous:
        return Forbidden((_login_needed(permission),), login=True, scope=_needed(permission, agent))
    if charter is None:
        return Forbidden((_no_charter(agent or ""),))
    return Forbidden((_not_in_charter(principal, permission, agent or "", charter),))


def _known(
    principal: Principal, permission: Permission, agent: str | None, rules: AccessRules
) -> Permitted | Forbidden:
    if not principal.is_anonymous:
        return Permitted("the caller is logged in")
    if rules.anonymous_pull and permission is Permission.AGENT_LIST:
        return Permitted("anonymous pull is on")
    return Forbidden((_login_needed(permission),), login=True, scope=_needed(permission, agent))


def _needed(permission: Permission, agent: str | None) -> Grant | None:
    """Give the scope to ask for: none where any token will do."""
    rule = RULES[permission]
    if rule.action is None:
        return Grant(REGISTRY, API, frozenset({ANY_ACTION})) if rule.api else None
    return Grant(REPOSITORY, agent or "", frozenset({PULL, rule.action}))


def _in_scope(grants: Iterable[Grant], rule: _Rule, agent: str | None) -> bool:
    for grant in grants:
        if grant.type == REPOSITORY and grant.name == agent and rule.action in grant.actions:
            return True
        if rule.api and grant.type == REGISTRY and grant.name == API and ANY_ACTION in grant.actions:
            return True
    return False


def _login_needed(permission: Permission) -> Reason:
    return Reason(
        code="login-needed",
        message=f"{permission} needs a credential",
        found="no credential",
        expected="a registry token",
        hint="run `tidegate login`, or `docker login -u oidc -p TOKEN` with a token made for this registry",
    )


def _no_charter(agent: str) -> Reason:
    return Reason(
        code="no-charter",
        message=f"there is no charter for {agent}, so nobody may publish or attest there",
        found="no charter for the agent or its namespace",
        expected=f"a charter for {agent} or {agent.partition('/')[0]}/*",
        hint="have the registry's operator add a charter that names the publishers",
    )


def _not_in_charter(principal: Principal, permission: Permission, agent: str, charter: Charter) -> Reason:
    standings_needed = RULES[permission].standings
    able = [
        *(charter.publishers if Standing.PUBLISHER in standings_needed else ()),
        *(charter.attesters if Standing.ATTESTER in standings_needed else ()),
    ]
    names = " or ".join(sorted(standings_needed - {Standing.READER}))
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
