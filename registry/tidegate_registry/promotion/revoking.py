"""Revocation: a manifest is withdrawn for ever, under every version of it, and channels can leave it at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import col, select

from tidegate.errors import Reason, TidegateError
from tidegate.policy.people import roles_of
from tidegate_registry.access.rights import Permission
from tidegate_registry.admission.lists import find_release
from tidegate_registry.artifacts import naming
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import Actor
from tidegate_registry.promotion import channels
from tidegate_registry.promotion.asked import open_requests
from tidegate_registry.promotion.carrying import close
from tidegate_registry.promotion.errors import AlreadyRevoked, RoleMissing
from tidegate_registry.promotion.events import ReleaseRevoked
from tidegate_registry.promotion.people import note_caller
from tidegate_registry.promotion.rollback import Back, roll_back
from tidegate_registry.promotion.states import PromotionState
from tidegate_registry.promotion.tables import PromotionRow, RevocationRow

if TYPE_CHECKING:
    from tidegate.policy.inputs import Caller
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services


@dataclass(frozen=True, slots=True)
class Left:
    """A channel that served the release when it was revoked, and what became of it.

    `promotion`: the rollback that was asked for; None where none was. `moved_to`: the version that it serves now; None:
    it still serves this one, and `why`, with `reasons` where there was a refusal.
    """

    channel: str
    promotion: str | None = None
    moved_to: str | None = None
    why: str | None = None
    reasons: tuple[Reason, ...] = ()


def revoke(
    app: Services, who: Principal, agent: str, version: str, *, reason: str, rollback: bool
) -> tuple[RevocationRow, tuple[Left, ...]]:
    """Withdraw a release; with `rollback`, move every channel that serves it, each by its own decision.

    Open requests for it end.
    Raises LoginNeeded, AccessDenied, AgentUnknown, ReleaseUnknown, AlreadyRevoked, RoleMissing.
    """
    app.access.demand(who, Permission.RELEASE_REVOKE, agent)
    release = find_release(app, who, agent, version)
    with app.db.begin() as tx:
        now = app.clock()
        naming.lock_agent(tx, agent, now)
        known = tx.get(RevocationRow, (agent, release.digest))
        if known is not None:
            raise AlreadyRevoked(f"{agent}:{version} was revoked before", found=known.reason, expected="no revocation")
        _demand_right(app, tx, who, note_caller(tx, who, now), agent)
        served = [channel.name for channel in channels.serving(tx, agent, release.digest)]
        named, all_named = audit.listed(served)
        event = ReleaseRevoked(
            at=now,
            actor=Actor.of(who),
            repository=agent,
            version=version,
            digest=release.digest,
            reason=reason,
            channels=named,
            channels_object=all_named.digest if all_named else None,
        )
        row = RevocationRow(
            repository=agent,
            digest=release.digest,
            version=version,
            reason=reason,
            actor=who.key[:1200],
            revoked_at=now,
            event_id=audit.append(tx, event, objects=[all_named] if all_named else (), entropy=app.entropy),
        )
        tx.add(row)
        for request in open_requests(tx, agent, digest=release.digest):
            words = f"the release was revoked: {reason}"
            close(tx, app, request, PromotionState.REJECTED, reason=words[:4000], actor=Actor.of(who), now=now)
    app.reads.drop(agent)
    return row, tuple(_leave(app, who, agent, channel, reason, rollback=rollback) for channel in served)


def list_revocations(
    app: Services, who: Principal, *, agent: str | None, after: str, size: int
) -> tuple[Sequence[RevocationRow], str | None]:
    """Give a page of revocations, the last first, after event id `after`; of agents that the caller may see."""
    query = select(RevocationRow)
    if agent is not None:
        query = query.where(RevocationRow.repository == agent)
    if after:
        query = query.where(RevocationRow.event_id < after)
    with app.db.read() as tx:
        rows = tx.exec(query.order_by(col(RevocationRow.event_id).desc()).limit(size + 1)).all()
    seen = [row for row in rows[:size] if app.access.may(who, Permission.PROMOTION_READ, row.repository)]
    return seen, rows[size - 1].event_id if len(rows) > size else None


def _leave(app: Services, who: Principal, agent: str, channel: str, reason: str, *, rollback: bool) -> Left:
    if not rollback:
        return Left(channel, why="no rollback was asked for")
    try:
        promotion = roll_back(app, who, Back(agent, channel, None, reason))
    except TidegateError as error:  # the revocation stands, and the answer says which channels still serve it
        return Left(channel, why=str(error), reasons=error.reasons)
    with app.db.read() as tx:
        row = tx.get_one(PromotionRow, promotion)
    if row.state == PromotionState.DONE:
        return Left(channel, promotion, row.version)
    return Left(channel, promotion, why=f"the rollback to {row.version} waits for approvals")


def _demand_right(app: Services, tx: Tx, who: Principal, caller: Caller, agent: str) -> None:
    """Whoever published or approves for the agent may withdraw; so may roles that move its channels or edit the policy.

    Revoking only takes away, and it is better done too early than too late.
    """
    charter = app.trust.charters().for_agent(agent) if app.trust is not None else None
    if charter is not None and who.identity is not None:
        rules = (*charter.publishers, *charter.approvers, *charter.break_glass)
        if any(rule.matches(who.identity) for rule in rules):
            return
    policy = app.policies.for_agent(tx, agent, hold=True)
    allowed: dict[str, None] = {}
    if policy is not None:
        document = policy.document
        for transition in document.transitions:
            rule = policy.rule(agent, transition.from_, transition.to)
            allowed |= dict.fromkeys(rule.allow if rule is not None else ())
        allowed |= dict.fromkeys(document.break_glass.allow if document.break_glass is not None else ())
        allowed |= dict.fromkeys(document.editors.allow)
        if not roles_of(caller, policy).isdisjoint(allowed):
            return
    raise RoleMissing(
        f"{who.name} may not revoke releases of {agent}",
        expected=" or ".join(["a publisher or approver of the charter", *allowed]),
        hint="let somebody do it who has one of these roles",
    )
