"""Requests, decisions, channels and debts as a caller may see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import TYPE_CHECKING

from sqlmodel import col, func, select

from tidegate.formats.predicates.approval import Action
from tidegate.policy.decide import rule_for
from tidegate.policy.rollout import not_full_before
from tidegate_registry.access.rights import Permission
from tidegate_registry.admission.lists import find_agent
from tidegate_registry.promotion import channels, glass
from tidegate_registry.promotion.asked import newest_sequence, open_requests
from tidegate_registry.promotion.errors import ChannelUnknown, PromotionUnknown
from tidegate_registry.promotion.tables import (
    BrokenGlassRow,
    ChannelRow,
    DecisionRow,
    FilingRow,
    HoldRow,
    PromotionRow,
    RevocationRow,
    TenureRow,
)

if TYPE_CHECKING:
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

PAGE_BYTES = 4 << 20  # of records in one page of decisions; one that is larger makes a page of its own
HISTORY = 50  # tenures that a channel is shown with


@dataclass(frozen=True, slots=True)
class PromotionDetail:
    """A request with its last decision and what was filed for it.

    `not_full_before`: when a rollout that began when it was opened could serve everybody, by the rule in force.
    """

    row: PromotionRow
    decision: DecisionRow | None
    filings: Sequence[FilingRow]
    debt: BrokenGlassRow | None
    not_full_before: datetime | None


@dataclass(frozen=True, slots=True)
class ChannelDetail:
    """A channel with its past and what holds it up. `row`: None as long as it serves nothing.

    `sequence`: of the last request. `debts`: uses of break-glass of the agent that await a review.
    """

    repository: str
    name: str
    row: ChannelRow | None
    sequence: int
    history: Sequence[TenureRow]
    holds: Sequence[HoldRow]
    debts: Sequence[BrokenGlassRow]
    revocation: RevocationRow | None
    waiting: PromotionRow | None


def visible_promotion(app: Services, who: Principal, promotion: str) -> PromotionRow:
    """Give a request. Raises PromotionUnknown, also for one of an agent whose promotions the caller may not read."""
    with app.db.read() as tx:
        row = tx.get(PromotionRow, promotion)
    if row is None or not app.access.may(who, Permission.PROMOTION_READ, row.repository):
        raise PromotionUnknown("there is no such request, or none that you may see", found=promotion[:64])
    return row


def find_promotion(app: Services, who: Principal, promotion: str) -> PromotionDetail:
    """Give a request with what belongs to it. Raises PromotionUnknown."""
    visible_promotion(app, who, promotion)
    with app.db.read() as tx:
        return _detail(app, tx, tx.get_one(PromotionRow, promotion))


def list_promotions(
    app: Services,
    who: Principal,
    *,
    agent: str | None,
    channel: str | None,
    state: str | None,
    after: str,
    size: int,
) -> tuple[Sequence[PromotionDetail], str | None]:
    """Give a page, the last opened first; what the caller may not see is left out of it, so it may be short."""
    query = select(PromotionRow)
    for column, value in (
        (PromotionRow.repository, agent),
        (PromotionRow.channel, channel),
        (PromotionRow.state, state),
    ):
        if value is not None:
            query = query.where(column == value)
    if after:
        query = query.where(PromotionRow.id < after)
    with app.db.read() as tx:
        rows = tx.exec(query.order_by(col(PromotionRow.id).desc()).limit(size + 1)).all()
        seen = [row for row in rows[:size] if app.access.may(who, Permission.PROMOTION_READ, row.repository)]
        details = [_detail(app, tx, row) for row in seen]
    return details, rows[size - 1].id if len(rows) > size else None


def list_decisions(
    app: Services, who: Principal, promotion: str, *, after: str, size: int
) -> tuple[Sequence[DecisionRow], str | None]:
    """Give a page of the decisions about a request, the last first; it ends early where their records are large.

    Raises PromotionUnknown, AccessDenied.
    """
    row = visible_promotion(app, who, promotion)
    app.access.demand(who, Permission.DECISION_READ, row.repository)
    query = select(DecisionRow.id, func.length(DecisionRow.record)).where(DecisionRow.promotion == promotion)
    if after:
        query = query.where(DecisionRow.id < after)
    with app.db.read() as tx:
        found = tx.exec(query.order_by(col(DecisionRow.id).desc()).limit(size + 1)).all()
        totals = accumulate(length for _, length in found)
        fitting = sum(1 for total in totals if total <= PAGE_BYTES)
        shown = [id_ for id_, _ in found[: min(size, max(fitting, 1))]]
        rows = tx.exec(
            select(DecisionRow).where(col(DecisionRow.id).in_(shown)).order_by(col(DecisionRow.id).desc())
        ).all()
    return rows, shown[-1] if len(found) > len(shown) else None


def list_channels(app: Services, who: Principal, repository: str) -> Sequence[ChannelDetail]:
    """Give the channels of an agent in the order of the policy, then those that it does not know any more.

    Raises AgentUnknown.
    """
    find_agent(app, who, repository)
    with app.db.read() as tx:
        policy = app.policies.for_agent(tx, repository)
        known = policy.document.channels if policy is not None else ()
        served = [row.name for row in channels.channels_of(tx, repository)]
        return [_channel(tx, repository, name) for name in dict.fromkeys((*known, *served))]


def find_channel(app: Services, who: Principal, repository: str, name: str) -> ChannelDetail:
    """Give a channel. Raises AgentUnknown, ChannelUnknown for one that is not in the policy and serves nothing."""
    found = next((each for each in list_channels(app, who, repository) if each.name == name), None)
    if found is None:
        raise ChannelUnknown("there is no such channel", found=f"{name[:128]} of {repository}")
    return found


def list_broken_glass(
    app: Services, who: Principal, *, unreviewed: bool, after: str, size: int
) -> tuple[Sequence[BrokenGlassRow], str | None]:
    """Give a page of uses of break-glass, the last first, or of those that nobody has reviewed."""
    query = select(BrokenGlassRow)
    if unreviewed:
        query = query.where(col(BrokenGlassRow.reviewed_at).is_(None))
    if after:
        query = query.where(BrokenGlassRow.id < after)
    with app.db.read() as tx:
        rows = tx.exec(query.order_by(col(BrokenGlassRow.id).desc()).limit(size + 1)).all()
    seen = [row for row in rows[:size] if app.access.may(who, Permission.PROMOTION_READ, row.repository)]
    return seen, rows[size - 1].id if len(rows) > size else None


def find_broken_glass(app: Services, promotion: str) -> BrokenGlassRow:
    """Give a use of break-glass that there is."""
    with app.db.read() as tx:
        return tx.get_one(BrokenGlassRow, promotion)


def _channel(tx: Tx, repository: str, name: str) -> ChannelDetail:
    row = channels.find_channel(tx, repository, name)
    waiting = [each for each in open_requests(tx, repository) if each.channel == name]
    return ChannelDetail(
        repository=repository,
        name=name,
        row=row,
        sequence=newest_sequence(tx, repository, name),
        history=channels.history_of(tx, repository, name, limit=HISTORY),
        holds=channels.holds_of(tx, repository, name),
        debts=glass.unreviewed(tx, repository),
        revocation=None if row is None else tx.get(RevocationRow, (repository, row.digest)),
        waiting=waiting[0] if waiting else None,
    )


def _detail(app: Services, tx: Tx, row: PromotionRow) -> PromotionDetail:
    filings = tx.exec(select(FilingRow).where(FilingRow.promotion == row.id).order_by(FilingRow.event_id)).all()
    policy = app.policies.for_agent(tx, row.repository)
    rule = rule_for(policy, Action(row.action), row.repository, row.source, row.channel) if policy is not None else None
    return PromotionDetail(
        row=row,
        decision=None if row.decision is None else tx.get(DecisionRow, row.decision),
        filings=filings,
        debt=tx.get(BrokenGlassRow, row.id),
        not_full_before=None if rule is None else not_full_before(rule.rollout, row.opened_at),
    )
