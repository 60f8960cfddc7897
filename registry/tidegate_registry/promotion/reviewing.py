"""The second person: whoever broke the glass owes the look of somebody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tidegate.errors import Reason
from tidegate.policy.judge.humans import Humans
from tidegate.policy.people import roles_of
from tidegate_registry.access.callers import caller_bytes, parse_caller
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts import naming
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import Actor, timestamp
from tidegate_registry.promotion.asked import open_requests
from tidegate_registry.promotion.carrying import policy_for
from tidegate_registry.promotion.errors import AlreadyReviewed, GlassUnknown, RoleMissing
from tidegate_registry.promotion.events import GlassReviewed
from tidegate_registry.promotion.people import demand_person, note_caller
from tidegate_registry.promotion.settling import settle_quietly
from tidegate_registry.promotion.tables import BrokenGlassRow

if TYPE_CHECKING:
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.promotion.glass import GlassFinding
    from tidegate_registry.services import Services


def review(app: Services, who: Principal, glass_id: str, *, finding: GlassFinding, reason: str) -> None:
    """Pay the debt: a second person has looked at it, whatever they found.

    Raises LoginNeeded, AccessDenied, GlassUnknown, NotAPerson, RoleMissing (also for the person who broke the glass),
    AlreadyReviewed, NoPolicy.
    """
    with app.db.read() as tx:
        known = tx.get(BrokenGlassRow, glass_id)
    if known is None or not app.access.may(who, Permission.PROMOTION_READ, known.repository):
        raise GlassUnknown("there is no such use of break-glass, or none that you may see", found=glass_id)
    app.access.demand(who, Permission.BREAK_GLASS_REVIEW, known.repository)
    demand_person(who, "review a use of break-glass")
    with app.db.begin() as tx:
        now = app.clock()
        naming.lock_agent(tx, known.repository, now)
        policy = policy_for(app, tx, known.repository)
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
        humans = Humans(policy, charter)
        user = humans.of(parse_caller(row.user)) | {humans.human(row.person)}
        if not user.isdisjoint(humans.of(caller)):
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
        waiting = [request.id for request in open_requests(tx, row.repository)]
    for promotion in waiting:
        settle_quietly(app, promotion, Actor.of(who), known.repository)
