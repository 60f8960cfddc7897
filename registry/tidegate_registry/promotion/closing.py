"""Requests that end without moving a channel, and holds that humans lift."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.policy.people import roles_of
from tidegate_registry.access.callers import owner_of
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts import naming
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import Actor
from tidegate_registry.promotion import channels
from tidegate_registry.promotion.asked import open_requests
from tidegate_registry.promotion.carrying import close, policy_for
from tidegate_registry.promotion.errors import HoldUnknown, RoleMissing
from tidegate_registry.promotion.events import HoldLifted
from tidegate_registry.promotion.filing import check_open
from tidegate_registry.promotion.lists import visible_promotion
from tidegate_registry.promotion.people import demand_person, note_caller
from tidegate_registry.promotion.settling import settle_quietly
from tidegate_registry.promotion.states import PromotionState
from tidegate_registry.promotion.tables import PromotionRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tidegate.policy.inputs import Caller
    from tidegate.policy.load import LoadedPolicy
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.services import Services


def reject(app: Services, who: Principal, promotion: str, *, reason: str) -> None:
    """End a request with a no: by an approver of the charter for that channel, or by a role that may ask for it.

    Raises LoginNeeded, AccessDenied, PromotionUnknown, PromotionClosed, RoleMissing, NoPolicy.
    """
    row = visible_promotion(app, who, promotion)
    app.access.demand(who, Permission.PROMOTION_REJECT, row.repository)
    charter = app.trust.charters().for_agent(row.repository) if app.trust is not None else None
    approves = who.identity is not None and any(
        rule.is_for(row.channel) and rule.matches(who.identity) for rule in (charter.approvers if charter else ())
    )
    with app.db.begin() as tx:
        now = app.clock()
        naming.lock_agent(tx, row.repository, now)
        current = tx.get_one(PromotionRow, promotion)
        check_open(current)
        policy = policy_for(app, tx, row.repository)
        caller = note_caller(tx, who, now)
        if not approves:
            _demand_role(policy, caller, _movers(policy, row), f"reject a request for {row.channel}")
        close(tx, app, current, PromotionState.REJECTED, reason=reason, actor=Actor.of(who), now=now)


def withdraw(app: Services, who: Principal, promotion: str, *, reason: str | None) -> None:
    """Take a request back: by who opened it, or by who may edit the policy.

    Raises LoginNeeded, AccessDenied, PromotionUnknown, PromotionClosed, RoleMissing, NoPolicy.
    """
    row = visible_promotion(app, who, promotion)
    app.access.demand(who, Permission.PROMOTION_WITHDRAW, row.repository)
    with app.db.begin() as tx:
        now = app.clock()
        naming.lock_agent(tx, row.repository, now)
        current = tx.get_one(PromotionRow, promotion)
        check_open(current)
        caller = note_caller(tx, who, now)
        if owner_of(caller) != row.owner:
            policy = policy_for(app, tx, row.repository)
            _demand_role(policy, caller, policy.document.editors.allow, "withdraw what somebody else asked for")
        close(tx, app, current, PromotionState.WITHDRAWN, reason=reason, actor=Actor.of(who), now=now)


def lift_holds(app: Services, who: Principal, repository: str, channel: str, *, reason: str) -> None:
    """Let a channel go again to what a rollback left, and decide again about what waits for it.

    Raises LoginNeeded, AccessDenied, NotAPerson, HoldUnknown, RoleMissing, NoPolicy.
    """
    app.access.demand(who, Permission.CHANNEL_LIFT_HOLD, repository)
    demand_person(who, f"lift the hold of {channel}")
    with app.db.begin() as tx:
        now = app.clock()
        naming.lock_agent(tx, repository, now)
        holds = channels.holds_of(tx, repository, channel)
        if not holds:
            raise HoldUnknown("nothing holds that channel", found=f"{channel} of {repository}")
        policy = policy_for(app, tx, repository)
        caller = note_caller(tx, who, now)
        allowed = [role for rule in policy.rules_to(repository, channel) for role in rule.allow]
        _demand_role(policy, caller, allowed, f"lift the hold of {channel}")
        versions, all_versions = audit.listed([each.version for each in holds])
        event = HoldLifted(
            at=now,
            actor=Actor.of(who),
            repository=repository,
            channel=channel,
            versions=versions,
            versions_object=all_versions.digest if all_versions else None,
            reason=reason,
        )
        audit.append(tx, event, objects=[all_versions] if all_versions else (), entropy=app.entropy)
        for each in holds:
            tx.delete(each)
        waiting = [row.id for row in open_requests(tx, repository) if row.channel == channel]
    for promotion in waiting:
        settle_quietly(app, promotion, Actor.of(who), repository)


def _movers(policy: LoadedPolicy, row: PromotionRow) -> tuple[str, ...]:
    rules = policy.rules_to(row.repository, row.channel)
    return tuple(dict.fromkeys(role for rule in rules for role in rule.allow))


def _demand_role(policy: LoadedPolicy, caller: Caller, allowed: Iterable[str], what: str) -> None:
    has, wanted = roles_of(caller, policy), tuple(dict.fromkeys(allowed))
    if has.isdisjoint(wanted):
        raise RoleMissing(
            f"{caller.identity} may not {what}",
            found=", ".join(sorted(has)) or "no role in this policy",
            expected=" or ".join(wanted) or "a role that the policy allows it",
            hint="let somebody do it who has one of these roles",
        )
