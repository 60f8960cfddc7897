"""One decision, in the transaction of what follows from it: judged, recorded, and told as an entry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from tidegate.digest import Digest
from tidegate.formats.jcs import canonical_bytes, parse_json
from tidegate.policy.decide import decide
from tidegate.policy.record import MAX_RECORD_BYTES, evidence_of, make_record
from tidegate.policy.verdict import Allowed, Refused
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.service import LogObject
from tidegate_registry.evidence.beside import blob_objects, root_objects
from tidegate_registry.promotion.events import PromotionDecided
from tidegate_registry.promotion.tables import DecisionRow

if TYPE_CHECKING:
    from tidegate.formats.jcs import JsonObject
    from tidegate.policy.inputs import Inputs
    from tidegate.policy.load import LoadedPolicy
    from tidegate.verify.trust import Trust
    from tidegate_registry.audit.events import Actor
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

MAX_NAMED = 64  # missing requirements that an entry names; the record has all


@dataclass(frozen=True, slots=True)
class Decided:
    """A verdict and what it rests on. `broke_glass`: it is a yes only by the break-glass statement in `inputs`.

    `trust`: whose roots the evidence was verified under.
    """

    policy: LoadedPolicy
    inputs: Inputs
    verdict: Allowed | Refused
    trust: Trust
    broke_glass: bool


def judge(policy: LoadedPolicy, inputs: Inputs, now: datetime, trust: Trust) -> Decided:
    """Decide; a break-glass statement is looked at only where the policy says no without it."""
    glass = inputs.request.glass
    if glass is None:
        return Decided(policy, inputs, decide(policy, inputs, now), trust, broke_glass=False)
    without = replace(inputs, request=replace(inputs.request, glass=None))
    verdict = decide(policy, without, now)
    if isinstance(verdict, Allowed):
        return Decided(policy, without, verdict, trust, broke_glass=False)
    verdict = decide(policy, inputs, now)
    return Decided(policy, inputs, verdict, trust, broke_glass=isinstance(verdict, Allowed))


def record_decision(
    tx: Tx, app: Services, decided: Decided, *, promotion: str | None, actor: Actor, now: datetime
) -> DecisionRow:
    """Write the record and its entry."""
    request, release = decided.inputs.request, decided.inputs.release
    raw = make_record(decided.policy, decided.inputs, decided.verdict, now=now, actor=actor.as_texts())
    decision_id = audit.make_event_id(now, app.entropy)
    charter = decided.inputs.charter
    missing = () if isinstance(decided.verdict, Allowed) else decided.verdict.missing
    event = PromotionDecided(
        at=now,
        actor=actor,
        repository=request.agent,
        promotion=promotion,
        decision=decision_id,
        channel=request.channel,
        version=release.version,
        digest=release.digest,
        action=request.action.value,
        allowed=isinstance(decided.verdict, Allowed),
        record=Digest.of(raw),
        policy=decided.policy.digest,
        charter=None if charter is None else charter.digest,
        missing=tuple(each.id for each in missing)[:MAX_NAMED],
    )
    row = DecisionRow(
        id=decision_id,
        promotion=promotion,
        repository=request.agent,
        channel=request.channel,
        allowed=event.allowed,
        digest=event.record,
        record=raw,
        findings=canonical_bytes([each.as_json() for each in decided.verdict.findings]),
        decided_at=now,
        event_id=audit.append(tx, event, objects=_objects(decided, raw), entropy=app.entropy),
    )
    tx.add(row)
    tx.flush()
    return row


def _objects(decided: Decided, record: bytes) -> list[LogObject]:
    """Give all that the entry names: the record holds policy and charter, and names bundles and roots by digest."""
    bundles = [Digest(each) for each in evidence_of(decided.inputs)]
    return [LogObject.of(record), *blob_objects(decided.inputs.request.agent, bundles), *root_objects(decided.trust)]


def findings_of(row: DecisionRow) -> list[JsonObject]:
    """Give the findings of a decision, in the words of the API."""
    found = parse_json(row.findings, limit=MAX_RECORD_BYTES, what="the findings of a decision")
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def says_the_same(decided: Decided, row: DecisionRow | None) -> bool:
    """Whether people would be told nothing new: what was measured may differ."""
    if row is None:
        return False
    return _told([each.as_json() for each in decided.verdict.findings]) == _told(findings_of(row))


def _told(findings: list[JsonObject]) -> list[JsonObject]:
    return [{key: value for key, value in each.items() if key != "measured"} for each in findings]
