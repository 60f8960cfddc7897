"""Broken glass: each use is a debt until a second person has looked at it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sqlmodel import col, select

from tidegate.errors import Reason
from tidegate.policy.people import roles_of
from tidegate_registry.access.callers import caller_bytes, parse_caller
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts import naming
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import Actor, timestamp
from tidegate_registry.policies.errors import NoPolicy
from tidegate_registry.promotion.errors import AlreadyReviewed, GlassUnknown, RoleMissing
from tidegate_registry.promotion.events import GlassBroken, GlassReviewed
from tidegate_registry.promotion.people import humans_of, note_caller
from tidegate_registry.promotion.tables import BrokenGlassRow

if TYPE_CHECKING:
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.db import Tx
    from tidegate_registry.promotion.decisions import Decided
    from tidegate_registry.promotion.tables import PromotionRow
    from tidegate_registry.services import Services

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
        reason=str((broken.attested.view or {}).get("reason")),
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
            reason=event.reason[:4000],
            person=broken.person,
            user=caller_bytes(broken.filed_by),
            used_at=now,
            review_by=event.review_by,
            event_id=audit.append(tx, event, entropy=app.entropy),
        )
    )
    tx.flush()


def review(app: Services, who: Principal, glass_id: str, *, finding: GlassFinding, reason: str) -> None:
    """Pay the debt: a second person has looked at it, whatever they found.

    Raises LoginNeeded, AccessDenied, GlassUnknown, RoleMissing (also for the person who broke the glass),
    AlreadyReviewed, NoPolicy.
    """
    with app.db.read() as tx:
        known = tx.get(BrokenGlassRow, glass_id)
    if known is None or not app.access.may(who, Permission.PROMOTION_READ, known.repository):
        raise GlassUnknown("there is no such use of break-glass, or none that you may see", found=glass_id)
    app.access.demand(who, Permission.BREAK_GLASS_REVIEW, known.repository)
    with app.db.begin() as tx:
        now = app.clock()
        naming.lock_agent(tx, known.repository, now)
        policy = app.policies.for_agent(tx, known.repository, hold=True)
        if policy is None:
            raise NoPolicy.told()
        row = tx.get_one(BrokenGlassRow, glass_id)
        if row.reviewed_at is not None:
            raise AlreadyReviewed("somebody has reviewed it before", found=timestamp(row.reviewed_at))
        caller = note_caller(tx, who, now)
        allowed = policy.document.break_glass.review.allow if policy.document.break_glass else ()
        charter = app.trust.charters().for_agent(row.repository) if app.trust is not None else None
        if roles_of(caller, policy).isdisjoint(allowed):
            raise RoleMissing(
                f"{who.name} may not review a use of break-glass",
                found=", ".join(sorted(roles_of(caller, policy))) or "no role in this policy",
                expected=" or ".join(allowed) or "a role under breakGlass.review.allow",
                hint="let somebody review it who has one of these roles",
            )
        user = humans_of(parse_caller(row.user), policy, charter) | {row.person}
        if not user.isdisjoint(humans_of(caller, policy, charter)):
            raise RoleMissing.because(
                f"{who.name} broke the glass and cannot be the second person",
                (Reason("same-person", "who broke the glass does not review it", who.name, "a second person"),),
            )
        row.reviewed_at, row.reviewer, row.finding, row.review = now, caller_bytes(caller), str(finding), reason
        event = GlassReviewed(
            at=now,
            actor=Actor.of(who),
            repository=row.repository,
            promotion=row.id,
            channel=row.channel,
            finding=finding,
            reason=reason,
        )
        audit.append(tx, event, entropy=app.entropy)
        tx.add(row)
