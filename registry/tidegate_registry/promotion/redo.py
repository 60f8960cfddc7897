"""What requests, channels and withdrawals were, written again from the entries that tell of them.

What must not be forgotten comes back whole: what channels serve and how often they were moved, holds, withdrawals,
decisions, uses of break-glass. A request that was open comes back closed: its statements were filed with tokens that no
entry holds. Its number stays taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlmodel import col, delete, select, update

from tidegate.digest import Digest
from tidegate.formats.jcs import canonical_bytes
from tidegate.policy.inputs import Caller
from tidegate.policy.record import MAX_RECORD_BYTES, parse_record
from tidegate.policy.verdict import Allowed
from tidegate_registry.access.callers import caller_bytes, owner_of
from tidegate_registry.artifacts.naming import find_release
from tidegate_registry.promotion.channels import find_channel, write_move
from tidegate_registry.promotion.events import (
    ChannelMoved,
    GlassBroken,
    GlassReviewed,
    HoldLifted,
    PromotionClosed,
    PromotionDecided,
    PromotionOpened,
    ReleaseRevoked,
)
from tidegate_registry.promotion.states import PromotionState
from tidegate_registry.promotion.tables import (
    BrokenGlassRow,
    DecisionRow,
    HoldRow,
    PromotionRow,
    RevocationRow,
    TenureRow,
)

if TYPE_CHECKING:
    from tidegate_registry.audit.events import Actor
    from tidegate_registry.audit.redo import Redoing, RedoTable

LOST: Final = "the database was restored from a dump of before this was decided: ask again"


def _opened(doing: Redoing) -> str | None:
    said = doing.event(PromotionOpened)
    if doing.tx.get(PromotionRow, said.promotion) is not None:
        return None
    if find_release(doing.tx, said.repository, said.version) is None:
        return f"request {said.sequence} for {said.channel} of {said.repository}: there is no release {said.version}"
    requester = _caller(said.actor)
    doing.tx.add(
        PromotionRow(
            id=said.promotion,
            repository=said.repository,
            channel=said.channel,
            source=said.source,
            version=said.version,
            digest=said.digest,
            sequence=said.sequence,
            action=said.action,
            state=PromotionState.WITHDRAWN,
            requester=caller_bytes(requester),
            owner=owner_of(requester),
            reason=said.reason,
            outcome=LOST,
            opened_at=said.at,
            closed_at=said.at,
            event_id=doing.entry.id,
        )
    )
    doing.tx.flush()
    return None


def _closed(doing: Redoing) -> str | None:
    said = doing.event(PromotionClosed)
    _end(doing, said.promotion, said.state, said.reason)
    return None


def _decided(doing: Redoing) -> str | None:
    said = doing.event(PromotionDecided)
    if doing.tx.get(DecisionRow, said.decision) is not None:
        return None
    raw = doing.fetch(Digest.parse(said.record), MAX_RECORD_BYTES)
    if raw is None:
        return f"decision {said.decision}: its record {said.record} is not beside the log"
    record = parse_record(raw)
    doing.tx.add(
        DecisionRow(
            id=said.decision,
            promotion=said.promotion,
            repository=said.repository,
            channel=said.channel,
            allowed=isinstance(record.verdict, Allowed),
            digest=said.record,
            record=raw,
            findings=canonical_bytes([each.as_json() for each in record.verdict.findings]),
            decided_at=said.at,
            event_id=doing.entry.id,
        )
    )
    row = None if said.promotion is None else doing.tx.get(PromotionRow, said.promotion)
    if row is not None:
        row.decision = said.decision
        doing.tx.add(row)
    doing.tx.flush()
    return None


def _moved(doing: Redoing) -> str | None:
    said = doing.event(ChannelMoved)
    channel = find_channel(doing.tx, said.repository, said.channel)
    if channel is not None and channel.counter >= said.counter:
        there = doing.tx.get(TenureRow, (said.repository, said.channel, said.counter))
        if there is not None and (there.digest, there.promotion) == (said.digest, said.promotion):
            return None
        return f"move {said.counter} of {said.channel} of {said.repository}, to {said.version}: here it was another one"
    if find_release(doing.tx, said.repository, said.version) is None:
        return f"{said.channel} of {said.repository} serves {said.version}, and there is no such release"
    request = doing.tx.get(PromotionRow, said.promotion)
    rolled_back = request is not None and request.action == "rollback"
    write_move(doing.tx, said, doing.entry.id, rolled_back=rolled_back, reason=request.reason if request else None)
    _end(doing, said.promotion, PromotionState.DONE, None)
    return None


def _lifted(doing: Redoing) -> str | None:
    said = doing.event(HoldLifted)
    doing.tx.exec(
        delete(HoldRow).where(
            col(HoldRow.repository) == said.repository,
            col(HoldRow.channel) == said.channel,
            col(HoldRow.version).in_(said.versions),
            col(HoldRow.since) <= said.at,
        )
    )
    return None


def _revoked(doing: Redoing) -> str | None:
    said = doing.event(ReleaseRevoked)
    if doing.tx.get(RevocationRow, (said.repository, said.digest)) is None:
        doing.tx.add(
            RevocationRow(
                repository=said.repository,
                digest=said.digest,
                version=said.version,
                reason=said.reason,
                actor=f"{said.actor.issuer} {said.actor.name}"[:1200],
                revoked_at=said.at,
                event_id=doing.entry.id,
            )
        )
    open_for_it = select(PromotionRow).where(
        PromotionRow.repository == said.repository,
        PromotionRow.digest == said.digest,
        PromotionRow.state == str(PromotionState.OPEN),
    )
    for row in doing.tx.exec(open_for_it).all():
        row.state, row.closed_at = PromotionState.REJECTED, said.at
        row.outcome = f"the release was revoked: {said.reason}"[:4000]
        doing.tx.add(row)
    doing.tx.flush()
    return None


def _broken(doing: Redoing) -> str | None:
    said = doing.event(GlassBroken)
    if doing.tx.get(BrokenGlassRow, said.promotion) is not None:
        return None
    if doing.tx.get(PromotionRow, said.promotion) is None:
        return f"a use of break-glass for {said.channel} of {said.repository}: its request {said.promotion} is unknown"
    doing.tx.add(
        BrokenGlassRow(
            id=said.promotion,
            repository=said.repository,
            channel=said.channel,
            version=said.version,
            digest=said.digest,
            action=said.action,
            reason=said.reason[:4000],
            person=said.person,
            user=caller_bytes(_caller(said.actor)),
            used_at=said.at,
            review_by=said.review_by,
            event_id=doing.entry.id,
        )
    )
    doing.tx.flush()
    return None


def _reviewed(doing: Redoing) -> str | None:
    said = doing.event(GlassReviewed)
    row = doing.tx.get(BrokenGlassRow, said.promotion)
    if row is None:
        return f"a review of break-glass: the use {said.promotion} is unknown"
    row.reviewed_at, row.reviewer = said.at, caller_bytes(_caller(said.actor))
    row.finding, row.review = said.finding, said.reason[:4000]
    doing.tx.add(row)
    doing.tx.flush()
    return None


def _end(doing: Redoing, promotion: str, state: str, outcome: str | None) -> None:
    doing.tx.exec(
        update(PromotionRow)
        .where(col(PromotionRow.id) == promotion)
        .values(state=state, closed_at=doing.entry.at, outcome=outcome)
    )


def _caller(actor: Actor) -> Caller:
    """Give as much of who asked as the entry says: roles and claims are in the records of decisions alone."""
    return Caller(actor.kind, actor.issuer, actor.name)


REDO: Final[RedoTable] = {
    PromotionOpened.type: _opened,
    PromotionClosed.type: _closed,
    PromotionDecided.type: _decided,
    ChannelMoved.type: _moved,
    HoldLifted.type: _lifted,
    ReleaseRevoked.type: _revoked,
    GlassBroken.type: _broken,
    GlassReviewed.type: _reviewed,
}
