"""What a caller may do: pure functions of the principal, charter, policy roles and two settings. No I/O, no clock.

Three things must agree: setting, charter or policy give the caller a standing with the agent, the standing carries
the permission, and the token was issued for it. A User-Agent, a path or a body never counts.

To move a channel or to edit a policy, a permission opens the door and no more: whether *this* promotion may be asked
for, or *this* edit made, is the policy's to decide, which gives its reasons.
Source: docs/concepts/who-may-do-what.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum

from tidegate.errors import Reason
from tidegate.formats.charter import Charter, Role
from tidegate_registry.access import refusals
from tidegate_registry.access.membership import NO_ROLE, Membership
from tidegate_registry.access.principal import Grant, Principal

REPOSITORY = "repository"  # Docker token spec: the resource type of an OCI name
REGISTRY = "registry"  # Docker token spec: a resource of the registry itself
API = "api"
PULL, PUSH, ANY_ACTION = "pull", "push", "*"
PROMOTE = "promote"  # our own action on a repository: a token for pushing moves no channel
MANAGE = "manage"  # our own action on the API: writing about the registry itself; `*` there only reads


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
    RELEASE_REVOKE = "release:revoke"
    PROMOTION_READ = "promotion:read"
    PROMOTION_REQUEST = "promotion:request"
    PROMOTION_APPROVE = "promotion:approve"  # filing an approval; the signature in it is what counts
    PROMOTION_REJECT = "promotion:reject"
    PROMOTION_WITHDRAW = "promotion:withdraw"
    DECISION_READ = "decision:read"  # whole records, with every claim of the tokens that they rest on
    CHANNEL_READ = "channel:read"
    CHANNEL_ROLLBACK = "channel:rollback"
    CHANNEL_LIFT_HOLD = "channel:lift-hold"
    BREAK_GLASS_USE = "break-glass:use"
    BREAK_GLASS_REVIEW = "break-glass:review"
    POLICY_READ = "policy:read"
    POLICY_PROPOSE = "policy:propose"
    POLICY_APPROVE = "policy:approve"
    POLICY_APPLY = "policy:apply"
    ENROLMENT_CREATE = "enrolment:create"
    LOG_READ = "log:read"  # entries of the audit log and what they name; checkpoint and hashes are anybody's


class Standing(StrEnum):
    """How a caller stands to one agent, or to the registry as a whole."""

    PUBLISHER = "publisher"
    ATTESTER = "attester"
    APPROVER = "approver"
    BREAK_GLASS = "break-glass"
    EDITOR = "editor"  # holds a role that may edit the company-wide policy
    AUDITOR = "auditor"  # holds a role that the policy lets read the audit log
    MEMBER = "member"  # holds a role of the policy
    READER = "reader"

    @property
    def described(self) -> str:
        """Say what one must be, in a refusal."""
        if self is Standing.EDITOR:
            return "a role that may edit the company-wide policy"
        if self is Standing.AUDITOR:
            return "a role that the policy lists under `auditors` or `editors`"
        return "a role of the policy" if self is Standing.MEMBER else f"{self} in the charter"


@dataclass(frozen=True, slots=True)
class AccessRules:
    """The settings that open reading: released things only, never quarantine, never working tags; and the log."""

    anonymous_pull: bool = False
    authenticated_pull: bool = True
    public_log: bool = False


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
    standings: frozenset[Standing] | None  # None: every token that counts
    action: str | None = None  # what the token must have been issued for on the agent; None: it is about no agent
    api: str | None = None  # which action on the API as a whole will do too, or is needed where it is about no agent

    @property
    def on_agent(self) -> bool:
        """Whether the permission is about one agent."""
        return self.action is not None


_ALL = frozenset(Standing)
_INSIDERS = _ALL - {Standing.READER}
_SIGNERS = frozenset({Standing.PUBLISHER, Standing.ATTESTER, Standing.APPROVER, Standing.BREAK_GLASS})
_PUBLISHERS = frozenset({Standing.PUBLISHER})
_APPROVERS = frozenset({Standing.APPROVER})
_GLASS_BREAKERS = frozenset({Standing.BREAK_GLASS})
_MEMBERS = frozenset({Standing.MEMBER})
_EDITORS = frozenset({Standing.EDITOR})
_AUDITORS = frozenset({Standing.AUDITOR})
_BY_POLICY = _MEMBERS | _EDITORS | _AUDITORS
_MOVERS = _PUBLISHERS | _APPROVERS | _GLASS_BREAKERS | _MEMBERS  # whoever a policy's `allow` may turn out to mean
_REVIEWERS = _APPROVERS | _GLASS_BREAKERS | _MEMBERS

RULES: dict[Permission, _Rule] = {
    Permission.REGISTRY_PING: _Rule(None),
    Permission.ACCOUNT_READ: _Rule(None),
    Permission.AGENT_LIST: _Rule(None, api=ANY_ACTION),
    Permission.AGENT_READ: _Rule(_ALL, PULL, ANY_ACTION),
    Permission.RELEASE_READ: _Rule(_ALL, PULL, ANY_ACTION),
    Permission.ARTIFACT_PULL: _Rule(_ALL, PULL),
    Permission.EVIDENCE_READ: _Rule(_ALL, PULL, ANY_ACTION),
    Permission.QUARANTINE_READ: _Rule(_SIGNERS, PULL, ANY_ACTION),
    Permission.WORKING_TAG_READ: _Rule(_PUBLISHERS, PULL),
    Permission.WORKING_TAG_WRITE: _Rule(_PUBLISHERS, PUSH),
    Permission.BLOB_PUSH: _Rule(_SIGNERS, PUSH),
    Permission.ARTIFACT_PUSH: _Rule(_PUBLISHERS, PUSH),
    Permission.EVIDENCE_PUSH: _Rule(_SIGNERS, PUSH),
    Permission.RELEASE_PUBLISH: _Rule(_PUBLISHERS, PUSH),
    Permission.RELEASE_REVOKE: _Rule(_MOVERS, PROMOTE),
    Permission.PROMOTION_READ: _Rule(_ALL, PULL, ANY_ACTION),
    Permission.PROMOTION_REQUEST: _Rule(_MOVERS, PROMOTE),
    Permission.PROMOTION_APPROVE: _Rule(_APPROVERS, PROMOTE),
    Permission.PROMOTION_REJECT: _Rule(_REVIEWERS, PROMOTE),
    Permission.PROMOTION_WITHDRAW: _Rule(_MOVERS, PROMOTE),
    Permission.DECISION_READ: _Rule(_INSIDERS, PULL, ANY_ACTION),
    Permission.CHANNEL_READ: _Rule(_ALL, PULL, ANY_ACTION),
    Permission.CHANNEL_ROLLBACK: _Rule(_MOVERS, PROMOTE),
    Permission.CHANNEL_LIFT_HOLD: _Rule(_MOVERS, PROMOTE),
    Permission.BREAK_GLASS_USE: _Rule(_GLASS_BREAKERS, PROMOTE),
    Permission.BREAK_GLASS_REVIEW: _Rule(_REVIEWERS, PROMOTE),
    Permission.POLICY_READ: _Rule(_ALL, api=ANY_ACTION),
    Permission.POLICY_PROPOSE: _Rule(_MEMBERS, api=MANAGE),
    Permission.POLICY_APPROVE: _Rule(_MEMBERS, api=MANAGE),
    Permission.POLICY_APPLY: _Rule(_MEMBERS, api=MANAGE),
    Permission.ENROLMENT_CREATE: _Rule(_EDITORS, api=MANAGE),
    Permission.LOG_READ: _Rule(_AUDITORS, api=ANY_ACTION),
}


def standings(
    principal: Principal, charter: Charter | None, rules: AccessRules, membership: Membership = NO_ROLE
) -> dict[Standing, str]:
    """Give the caller's standings with the agent of `charter`, each with the sentence that says why.

    `membership`: the roles that the policy gives the caller for that agent.
    """
    found: dict[Standing, str] = {}
    if charter is not None and principal.identity is not None:
        for role in Role:
            named = [rule.name for held, rule in charter.rules if held is role and rule.matches(principal.identity)]
            if named:
                why = f"the charter for {charter.agent} names the caller as {role} {', '.join(named)}"
                found[Standing(role)] = why
    if membership.edits:
        found[Standing.EDITOR] = f"the policy lets {', '.join(membership.edits)} edit it, which the caller is"
    if membership.audits:
        found[Standing.AUDITOR] = f"the policy lets {', '.join(membership.audits)} read the log, which the caller is"
    if membership.roles:
        found[Standing.MEMBER] = f"the policy gives the caller the role {', '.join(membership.roles)}"
    if principal.is_anonymous and rules.anonymous_pull:
        found[Standing.READER] = "anonymous pull is on"
    elif not principal.is_anonymous and rules.authenticated_pull:
        found[Standing.READER] = "everyone who is logged in may read what is released"
    elif found:
        found[Standing.READER] = next(iter(found.values()))
    return found


def may(
    principal: Principal,
    permission: Permission,
    *,
    agent: str | None,
    charter: Charter | None,
    rules: AccessRules,
    membership: Membership = NO_ROLE,
) -> Permitted | Forbidden:
    """Decide. `agent`: the OCI name asked about, None where the permission is about none; `charter`: the one for it."""
    rule = RULES[permission]
    if permission is Permission.LOG_READ and rules.public_log:
        return Permitted("the entries of the log are public")
    if rule.on_agent and agent is None:
        raise ValueError(f"{permission} is about an agent")
    if rule.standings is None:
        entitled = _known(principal, permission, agent, rules)
    else:
        held = standings(principal, charter, rules, membership)
        entitled = _entitled(principal, permission, agent, charter, held)
    needed = _needed(permission, agent)
    if isinstance(entitled, Forbidden) or needed is None or _in_scope(principal.grants, rule, agent):
        return entitled
    if principal.is_anonymous:
        return entitled  # a caller without a token has no list of grants: the setting alone lets them read
    return Forbidden((refusals.scope_missing(principal, permission, agent, needed),), scope=needed)


def may_ask(principal: Principal, permission: Permission, rules: AccessRules) -> Permitted | Forbidden:
    """Whether a request about an agent that only its body names is worth reading; `may` decides once it is known."""
    if not principal.is_anonymous:
        return Permitted("the caller is logged in")
    if rules.anonymous_pull and RULES[permission].standings is _ALL:
        return Permitted("anonymous pull is on")
    return Forbidden((refusals.login_needed(permission),), login=True)


def grantable(
    principal: Principal,
    requested: Iterable[Grant],
    *,
    charter_for: Callable[[str], Charter | None],
    rules: AccessRules,
    membership_for: Callable[[str | None], Membership] = lambda _: NO_ROLE,
) -> tuple[Grant, ...]:
    """Give the part of `requested` that the caller may have, as the Docker token spec asks: less, never an error.

    `membership_for`: the caller's roles for an agent; for None those that they have anywhere.
    """
    granted = []
    for grant in requested:
        actions: set[str] = set()
        if grant.type == REPOSITORY:
            held = standings(principal, charter_for(grant.name), rules, membership_for(grant.name))
            actions = _actions_of(held.keys()) & ({PULL, PUSH} if ANY_ACTION in grant.actions else grant.actions)
        elif grant.type == REGISTRY and grant.name == API:
            if ANY_ACTION in grant.actions and (not principal.is_anonymous or rules.anonymous_pull):
                actions.add(ANY_ACTION)
            if MANAGE in grant.actions and membership_for(None).roles:
                actions.add(MANAGE)
        if actions:
            granted.append(Grant(grant.type, grant.name, frozenset(actions)))
    return tuple(granted)


def _actions_of(held: AbstractSet[Standing]) -> set[str]:
    """Give what a token may be issued for on an agent; `*` never means PROMOTE, as no stock client can mean it."""
    actions = {PULL} if held else set()
    if held & _SIGNERS:
        actions.add(PUSH)
    if held & _MOVERS:
        actions.add(PROMOTE)
    return actions


def _entitled(
    principal: Principal,
    permission: Permission,
    agent: str | None,
    charter: Charter | None,
    held: Mapping[Standing, str],
) -> Permitted | Forbidden:
    needed = RULES[permission].standings or _ALL
    is_open = agent is not None or not principal.is_anonymous  # anonymous pull opens releases, nothing else
    for standing in Standing:
        if is_open and standing in needed and standing in held:
            return Permitted(held[standing])
    if principal.is_anonymous:
        reason = refusals.login_needed(permission)
        return Forbidden((reason,), login=True, scope=_needed(permission, agent))
    if needed & _BY_POLICY and needed is not _ALL:
        return Forbidden((refusals.no_role(principal, permission, agent, needed),))
    if agent is None:
        return Forbidden((refusals.not_known(principal, permission),))
    if charter is None:
        return Forbidden((refusals.no_charter(agent),))
    roles = [role for role in Role if Standing(role) in needed]
    return Forbidden((refusals.not_in_charter(principal, permission, agent, charter, roles),))


def _known(
    principal: Principal, permission: Permission, agent: str | None, rules: AccessRules
) -> Permitted | Forbidden:
    if not principal.is_anonymous:
        return Permitted("the caller is logged in")
    if rules.anonymous_pull and permission is Permission.AGENT_LIST:
        return Permitted("anonymous pull is on")
    return Forbidden((refusals.login_needed(permission),), login=True, scope=_needed(permission, agent))


def _needed(permission: Permission, agent: str | None) -> Grant | None:
    """Give the scope to ask for: none where any token will do."""
    rule = RULES[permission]
    if rule.action is None:
        return Grant(REGISTRY, API, frozenset({rule.api})) if rule.api else None
    return Grant(REPOSITORY, agent or "", frozenset({PULL, rule.action}))


def _in_scope(grants: Iterable[Grant], rule: _Rule, agent: str | None) -> bool:
    for grant in grants:
        if grant.type == REPOSITORY and grant.name == agent and rule.action in grant.actions:
            return True
        if rule.api and grant.type == REGISTRY and grant.name == API and rule.api in grant.actions:
            return True
    return False
