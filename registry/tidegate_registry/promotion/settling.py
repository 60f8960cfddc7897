"""Open requests, decided again: as evidence comes, as a channel is reached, and as time goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlmodel import col, select

from tidegate.digest import Digest
from tidegate.errors import TidegateError
from tidegate.formats.predicates.approval import Action
from tidegate.policy.verdict import Allowed
from tidegate_registry.artifacts import naming
from tidegate_registry.audit.events import SYSTEM, Actor
from tidegate_registry.logs import get_logger
from tidegate_registry.promotion import channels
from tidegate_registry.promotion.asked import open_requests
from tidegate_registry.promotion.carrying import decide_again, follow, trust_of, with_patience
from tidegate_registry.promotion.decisions import says_the_same
from tidegate_registry.promotion.gather import prepare
from tidegate_registry.promotion.states import PromotionState
from tidegate_registry.promotion.tables import DecisionRow, PromotionRow

if TYPE_CHECKING:
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.services import Services

log = get_logger()

TURN_SECONDS: Final = 30  # between the looks that the registry takes by itself: soak is over, a freeze has ended
TURN_BATCH: Final = 50  # requests looked at in one turn; each takes some signatures


def settle(app: Services, promotion: str, actor: Actor, *, repository: str) -> None:
    """Decide an open request again, and carry it out if it lacks nothing now. Recorded only if anything changed."""

    def attempt() -> None:
        with app.db.read() as tx:
            row = tx.get(PromotionRow, promotion)
            release = None if row is None else naming.find_release(tx, row.repository, row.version)
        if row is None or release is None or row.state != PromotionState.OPEN:
            return
        prepared = prepare(app, trust_of(app), release, row.channel, Action(row.action))
        with app.db.begin() as tx:
            now = app.clock()
            naming.lock_agent(tx, repository, now)
            row = tx.get_one(PromotionRow, promotion)
            if row.state != PromotionState.OPEN:
                return
            decided = decide_again(tx, app, row, prepared, now)
            last = None if row.decision is None else tx.get(DecisionRow, row.decision)
            if isinstance(decided.verdict, Allowed) or not says_the_same(decided, last):
                follow(tx, app, row, decided, actor=actor, now=now)

    with_patience(app, repository, attempt)


def wake_those_behind(app: Services, promotion: str, actor: Actor) -> None:
    """If a request was carried out, decide again about the same release's requests for the channels behind it."""
    with app.db.read() as tx:
        row = tx.get_one(PromotionRow, promotion)
        done = row.state == PromotionState.DONE
        behind = [each.id for each in open_requests(tx, row.repository, digest=row.digest)] if done else []
    for each in behind:
        settle_quietly(app, each, actor, row.repository)


def evidence_arrived(app: Services, who: Principal, *, repository: str, subject: Digest) -> None:
    """Decide again about requests for `subject`, or to channels that serve it. Raises nothing: evidence is stored."""
    with app.db.read() as tx:
        compared = {channel.name for channel in channels.serving(tx, repository, subject)}
        concerned = [
            row.id for row in open_requests(tx, repository) if row.digest == subject or row.channel in compared
        ]
    for promotion in concerned:
        settle_quietly(app, promotion, Actor.of(who), repository)


def take_turn(app: Services) -> int:
    """Look again at some open requests, as time alone may have completed them; say at how many.

    Which ones depends on the clock, so that each has its turn and replicas need not agree.
    """
    with app.db.read() as tx:
        query = select(PromotionRow.id, PromotionRow.repository).where(PromotionRow.state == str(PromotionState.OPEN))
        waiting = tx.exec(query.order_by(col(PromotionRow.id))).all()
    begin = int(app.clock().timestamp() // TURN_SECONDS) * TURN_BATCH % max(len(waiting), 1)
    batch = [*waiting[begin:], *waiting[:begin]][:TURN_BATCH]
    for promotion, repository in batch:
        settle_quietly(app, promotion, SYSTEM, repository)
    return len(batch)


def settle_quietly(app: Services, promotion: str, actor: Actor, repository: str) -> None:
    """Settle a request; what goes wrong is logged, and tried again at the next turn."""
    try:
        settle(app, promotion, actor, repository=repository)
        wake_those_behind(app, promotion, actor)
    except TidegateError as error:
        log.info("promotion.not-decided", repository=repository, promotion=promotion, code=error.reasons[0].code)
    except Exception:  # a fault of ours with this one holds up none of those that are looked at after it
        log.exception("promotion.fault", repository=repository, promotion=promotion)
