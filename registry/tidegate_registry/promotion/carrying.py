"""What every change of a request has in common: decided again, recorded, carried out or closed, in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

from tidegate.errors import TrustFileInvalid
from tidegate.policy.decide import rule_for
from tidegate.policy.verdict import Allowed
from tidegate_registry.admission.service import DecisionOvertaken
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import Actor
from tidegate_registry.policies.errors import NoPolicy
from tidegate_registry.promotion import channels, glass
from tidegate_registry.promotion.decisions import Decided, judge, record_decision
from tidegate_registry.promotion.events import PromotionClosed
from tidegate_registry.promotion.gather import Overtaken, Prepared, collect
from tidegate_registry.promotion.states import PromotionState
from tidegate_registry.promotion.tables import PromotionRow

if TYPE_CHECKING:
    from tidegate.policy.load import LoadedPolicy
    from tidegate.verify.trust import Trust
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

T = TypeVar("T")

MAX_ATTEMPTS: Final = 20  # each lost one is evidence that came, or a charter that changed, within milliseconds


def decide_again(tx: Tx, app: Services, row: PromotionRow, prepared: Prepared, now: datetime) -> Decided:
    """Judge an open request under the policy in force. Call `naming.lock_agent` first. Raises Overtaken, NoPolicy."""
    policy, trust = policy_for(app, tx, row.repository), trust_of(app)
    return judge(policy, collect(app, tx, prepared, row, trust=trust, now=now), now, trust)


def follow(tx: Tx, app: Services, row: PromotionRow, decided: Decided, *, actor: Actor, now: datetime) -> None:
    """Record a decision about `row`, and carry it out where it is a yes."""
    request = decided.inputs.request
    rule = rule_for(decided.policy, request.action, request.agent, request.source, request.channel)
    row.rule_digest = None if rule is None else rule.digest
    row.decision = record_decision(tx, app, decided, promotion=row.id, actor=actor, now=now).id
    if isinstance(decided.verdict, Allowed):
        how = channels.How.BREAK_GLASS if decided.broke_glass else channels.How(row.action)
        row.state, row.closed_at = PromotionState.DONE, now
        channels.move_channel(tx, app, row, how=how, actor=actor, now=now)
        if decided.broke_glass:
            glass.record_use(tx, app, row, decided, actor=actor, now=now)
    tx.add(row)
    tx.flush()


def close(
    tx: Tx,
    app: Services,
    row: PromotionRow,
    state: PromotionState,
    *,
    reason: str | None,
    actor: Actor,
    now: datetime,
    by: str | None = None,
) -> None:
    """End an open request without moving its channel. `by`: the request that supersedes it."""
    row.state, row.closed_at, row.outcome = state, now, reason
    event = PromotionClosed(
        at=now,
        actor=actor,
        repository=row.repository,
        promotion=row.id,
        channel=row.channel,
        version=row.version,
        digest=row.digest,
        state=state,
        reason=reason,
        superseded_by=by,
    )
    audit.append(tx, event, entropy=app.entropy)
    tx.add(row)
    tx.flush()


def policy_for(app: Services, tx: Tx, agent: str) -> LoadedPolicy:
    """Give the policy in force, which stays so until `tx` ends. Raises NoPolicy."""
    policy = app.policies.for_agent(tx, agent, hold=True)
    if policy is None:
        raise NoPolicy.told()
    return policy


def trust_of(app: Services) -> Trust:
    """Give the trust in force. Raises TrustFileInvalid where nobody is trusted."""
    if app.trust is None:
        raise TrustFileInvalid("nobody is trusted here", code="trust-file-missing")
    return app.trust.current()


def with_patience(app: Services, repository: str, attempt: Callable[[], T]) -> T:
    """Do `attempt` in the agent's turn, again as long as it is overtaken. Raises DecisionOvertaken."""
    with app.turns.of(repository):
        for _ in range(MAX_ATTEMPTS):
            try:
                return attempt()
            except Overtaken:
                continue
    raise DecisionOvertaken(
        f"{repository} changed while it was decided",
        found="every attempt was overtaken",
        expected="evidence, charter and channels that stay as they are for a moment",
        hint="ask again",
    )
