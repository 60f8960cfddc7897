"""Broken glass: each use is a debt until a second person has looked at it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sqlmodel import col, select

from tidegate_registry.access.callers import caller_bytes
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import timestamp
from tidegate_registry.audit.fields import MAX_SENTENCE
from tidegate_registry.promotion.events import GlassBroken
from tidegate_registry.promotion.tables import BrokenGlassRow

if TYPE_CHECKING:
    from tidegate_registry.audit.events import Actor
    from tidegate_registry.db import Tx
    from tidegate_registry.promotion.decisions import Decided
    from tidegate_registry.promotion.tables import PromotionRow
    from tidegate_registry.services import Services

MAX_UNREVIEWED: Final = 1000
MAX_NAMED: Final = 64  # requirements that were passed over, in an entry; the decision's record has all


class GlassFinding(StrEnum):
    """What a second person says of a use of break-glass."""

    JUSTIFIED = "justified"
    UNJUSTIFIED = "unjustified"


def unreviewed(tx: Tx, repository: str) -> Sequence[BrokenGlassRow]:
    """Give the uses of break-glass for an agent that nobody else has looked at, in order."""
    query = select(BrokenGlassRow).where(
        BrokenGlassRow.repository == repository, col(BrokenGlassRow.reviewed_at).is_(None)
    )
    return tx.exec(query.order_by(BrokenGlassRow.id)).all()


def all_unreviewed(tx: Tx) -> Sequence[BrokenGlassRow]:
    """Give the uses of break-glass for every agent that nobody else has looked at, the oldest first."""
    query = select(BrokenGlassRow).where(col(BrokenGlassRow.reviewed_at).is_(None))
    return tx.exec(query.order_by(BrokenGlassRow.id).limit(MAX_UNREVIEWED)).all()


def overdue(tx: Tx, repository: str, now: datetime) -> tuple[str, ...]:
    """Say each use whose review is late: they block the agent's next promotion."""
    return tuple(described(row) for row in unreviewed(tx, repository) if row.review_by <= now)


def described(row: BrokenGlassRow) -> str:
    """Say a use of break-glass in one line."""
    return (
        f"{row.person} moved {row.channel} to {row.version} past the policy on {timestamp(row.used_at)}, "
        f"to be reviewed by {timestamp(row.review_by)}: {row.id}"
    )


def record_use(tx: Tx, app: Services, row: PromotionRow, decided: Decided, *, actor: Actor, now: datetime) -> None:
    """Write down that `row` went past its policy, in the transaction that moves the channel."""
    broken, allowed = decided.inputs.request.glass, decided.policy.document.break_glass
    if broken is None or broken.filed_by is None or allowed is None:
        raise ValueError("no glass was broken")
    event = GlassBroken(
        at=now,
        actor=actor,
        repository=row.repository,
        promotion=row.id,
        channel=row.channel,
        version=row.version,
        digest=row.digest,
        action=row.action,
        person=broken.person,
        reason=str((broken.attested.view or {}).get("reason"))[:MAX_SENTENCE],
        passed_over=tuple(each.id for each in decided.verdict.findings if "passedOver" in each.measured)[:MAX_NAMED],
        review_by=now + allowed.review.within,
    )
    tx.add(
        BrokenGlassRow(
            id=row.id,
            repository=row.repository,
            channel=row.channel,
            version=row.version,
            digest=row.digest,
            action=row.action,
            reason=event.reason,
            person=broken.person,
            user=caller_bytes(broken.filed_by),
            used_at=now,
            review_by=event.review_by,
            event_id=audit.append(tx, event, entropy=app.entropy),
        )
    )
    tx.flush()
