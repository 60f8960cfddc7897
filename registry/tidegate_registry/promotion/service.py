"""Requests: how one is opened. Read, decide and write in one transaction under the agent's lock.

Slow work (signatures, comparing bundles) comes first and outside; where what it rested on has changed, it is done
again. Source: docs/concepts/how-a-decision-is-made.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from sqlmodel import select

from tidegate.digest import Digest
from tidegate.errors import Reason
from tidegate.formats.predicates.approval import Action
from tidegate.policy.inputs import Caller
from tidegate.policy.people import roles_of
from tidegate.policy.verdict import Allowed, Finding
from tidegate_registry.access.callers import caller_bytes, caller_of, owner_of
from tidegate_registry.access.rights import Permission
from tidegate_registry.admission.lists import find_release
from tidegate_registry.artifacts import naming
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import Actor
from tidegate_registry.promotion import channels
from tidegate_registry.promotion.asked import newest_sequence, open_requests
from tidegate_registry.promotion.carrying import close, follow, policy_for, trust_of, with_patience
from tidegate_registry.promotion.decisions import Decided, judge, record_decision
from tidegate_registry.promotion.errors import IdempotencyKeyReused, NothingOpened, PromotionOvertaken
from tidegate_registry.promotion.events import PromotionOpened
from tidegate_registry.promotion.gather import collect, prepare
from tidegate_registry.promotion.people import note_caller
from tidegate_registry.promotion.settling import wake_those_behind
from tidegate_registry.promotion.states import PromotionState
from tidegate_registry.promotion.tables import PromotionRow

if TYPE_CHECKING:
    from tidegate.policy.load import LoadedPolicy
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.artifacts.naming import Release
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

# findings that nothing which can be supplied for a request ever mends: no request is opened
HOPELESS: Final = frozenset({"transition", "charter", "publisher", "revoked", "forward", "back"})
REQUESTER: Final = "requester"  # nor this, but by breaking the glass


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks. `key`: their Idempotency-Key, if any.

    `break_glass`: they mean to sign a break-glass statement for it, so that it is opened whatever role they lack.
    """

    agent: str
    version: str
    channel: str
    action: Action
    reason: str | None
    key: str | None = None
    break_glass: bool = False


def open_promotion(app: Services, who: Principal, wanted: Wanted) -> str:
    """Open a request and carry it out if it lacks nothing; give its id. A newer one supersedes an older open one.

    Raises LoginNeeded, AccessDenied, AgentUnknown, ReleaseUnknown, NoPolicy, PromotionRefused with every reason where
    nothing could mend it, PromotionOvertaken, IdempotencyKeyReused, DecisionOvertaken.
    """
    permission = Permission.BREAK_GLASS_USE if wanted.break_glass else Permission.PROMOTION_REQUEST
    app.access.demand(who, permission, wanted.agent)
    return open_request(app, who, wanted, find_release(app, who, wanted.agent, wanted.version))


def open_request(app: Services, who: Principal, wanted: Wanted, release: Release, *, seen: int | None = None) -> str:
    """Open a request for `release` by somebody who may knock; see `open_promotion`.

    `seen`: how often the channel had been moved when `release` was chosen; None for now.
    """
    seen = moves_of(app, wanted.agent, wanted.channel) if seen is None else seen

    def attempt() -> str:
        prepared = prepare(app, trust_of(app), release, wanted.channel, wanted.action)
        refused = None
        with app.db.begin() as tx:
            now = app.clock()
            naming.lock_agent(tx, wanted.agent, now)
            known = _repeated(tx, who, wanted)
            if known is not None:
                return known.id
            if _moves_in(tx, wanted.agent, wanted.channel) != seen:
                raise PromotionOvertaken(
                    f"{wanted.channel} of {wanted.agent} was moved by somebody else meanwhile; nothing was opened",
                    hint="look at what the channel serves now, and ask again if you still want to",
                )
            policy = policy_for(app, tx, wanted.agent)
            row = _insert(tx, app, note_caller(tx, who, now), wanted, release, policy=policy, now=now)
            trust = trust_of(app)
            decided = judge(policy, collect(app, tx, prepared, row, trust=trust, now=now), now, trust)
            reasons = _hopeless(decided, wanted)
            if reasons:
                refused = NothingOpened.because(_no(wanted), reasons)
                if not app.refusals.admit(who, "", now):
                    raise refused  # counted, and told of with others
                tx.delete(row)
                tx.flush()
                record_decision(tx, app, decided, promotion=None, actor=Actor.of(who), now=now)
            else:
                _announce(tx, app, row, Actor.of(who), now)
                follow(tx, app, row, decided, actor=Actor.of(who), now=now)
        if refused is not None:
            raise refused  # after the commit: the refusal is recorded
        return row.id

    promotion = with_patience(app, wanted.agent, attempt)
    wake_those_behind(app, promotion, Actor.of(who))
    return promotion


def _insert(
    tx: Tx, app: Services, caller: Caller, wanted: Wanted, release: Release, *, policy: LoadedPolicy, now: datetime
) -> PromotionRow:
    source = _source(tx, policy, wanted, release) if wanted.action is Action.PROMOTE else None
    row = PromotionRow(
        id=audit.make_event_id(now, app.entropy),
        repository=wanted.agent,
        channel=wanted.channel,
        source=source,
        version=release.version,
        digest=release.digest,
        sequence=newest_sequence(tx, wanted.agent, wanted.channel) + 1,
        action=wanted.action,
        state=PromotionState.OPEN,
        requester=caller_bytes(caller),
        owner=owner_of(caller),
        request_key=_request_key(caller, wanted),
        reason=wanted.reason,
        opened_at=now,
        event_id="",
    )
    tx.add(row)
    tx.flush()
    return row


def _source(tx: Tx, policy: LoadedPolicy, wanted: Wanted, release: Release) -> str | None:
    """Say from which channel: one that serves the release, else from nowhere if there is such a way, else the first."""
    sources = [rule.source for rule in policy.rules_to(wanted.agent, wanted.channel)]
    there = {channel.name for channel in channels.serving(tx, wanted.agent, release.digest)}
    fitting = [source for source in sources if source is None or source in there]
    return next(iter([*(each for each in fitting if each is not None), *fitting, *sources]), None)


def _announce(tx: Tx, app: Services, row: PromotionRow, actor: Actor, now: datetime) -> None:
    event = PromotionOpened(
        at=now,
        actor=actor,
        repository=row.repository,
        promotion=row.id,
        channel=row.channel,
        source=row.source,
        version=row.version,
        digest=row.digest,
        sequence=row.sequence,
        action=row.action,
        reason=row.reason,
    )
    row.event_id = audit.append(tx, event, entropy=app.entropy)
    for older in open_requests(tx, row.repository):
        if older.channel == row.channel and older.id != row.id:
            words = f"superseded by request {row.sequence} for {row.version}"
            close(tx, app, older, PromotionState.SUPERSEDED, reason=words, actor=actor, now=now, by=row.id)


def _hopeless(decided: Decided, wanted: Wanted) -> tuple[Reason, ...]:
    """Give every reason of a refusal that nothing mends; nothing for one that a request can wait out."""
    if isinstance(decided.verdict, Allowed):
        return ()
    fatal = HOPELESS if wanted.break_glass and _may_break_glass(decided) else HOPELESS | {REQUESTER}
    missing = decided.verdict.missing
    if not any(each.kind == "rule" and each.id in fatal for each in missing):
        return ()
    # what stands first is what the answer's code and hint are about
    return tuple(_unopened(each, decided).reason for each in sorted(missing, key=lambda each: each.id not in fatal))


def _unopened(finding: Finding, decided: Decided) -> Finding:
    """Leave out the hint to do something about the request: none was opened."""
    named = finding.hint is not None and decided.inputs.request.id in finding.hint
    return replace(finding, hint=None, who_can=()) if named else finding


def _may_break_glass(decided: Decided) -> bool:
    request, allowed = decided.inputs.request, decided.policy.document.break_glass
    return (
        allowed is not None
        and request.channel in allowed.channels
        and request.action.value in allowed.actions
        and not roles_of(request.requester, decided.policy).isdisjoint(allowed.allow)
    )


def _no(wanted: Wanted) -> str:
    if wanted.action is Action.ROLLBACK:
        return f"{wanted.channel} of {wanted.agent} is not rolled back to {wanted.version}"
    return f"{wanted.agent}:{wanted.version} is not promoted to {wanted.channel}"


def moves_of(app: Services, agent: str, name: str) -> int:
    """Say how often a channel was moved until now."""
    with app.db.read() as tx:
        return _moves_in(tx, agent, name)


def _moves_in(tx: Tx, agent: str, name: str) -> int:
    channel = channels.find_channel(tx, agent, name)
    return 0 if channel is None else channel.counter


def _request_key(caller: Caller, wanted: Wanted) -> str | None:
    return None if wanted.key is None else Digest.of(f"{owner_of(caller)} {wanted.key}".encode())


def _repeated(tx: Tx, who: Principal, wanted: Wanted) -> PromotionRow | None:
    """Give the request that was opened under the same key. Raises IdempotencyKeyReused if it was another."""
    key = _request_key(caller_of(who), wanted)
    row = None if key is None else tx.exec(select(PromotionRow).where(PromotionRow.request_key == key)).first()
    if row is None:
        return None
    asked = (wanted.agent, wanted.version, wanted.channel, wanted.action.value)
    if asked != (row.repository, row.version, row.channel, row.action):
        raise IdempotencyKeyReused(
            "that Idempotency-Key was used for another request",
            found=f"{row.action} {row.repository}:{row.version} to {row.channel}",
            hint="send a new key with each new request",
        )
    return row
