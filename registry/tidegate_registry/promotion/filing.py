"""Statements that persons sign for a request: attached as evidence before, filed here by who signed them.

Whether one counts is judged by each decision (docs/spec/decision.md, part P). Here is refused what can never count for
this request, and whatever somebody files that another has signed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import select

from tidegate.digest import Digest
from tidegate.errors import EvidenceRefused, Reason
from tidegate.formats.predicates.approval import Action, ApprovalPredicate
from tidegate.formats.predicates.break_glass import BreakGlassPredicate
from tidegate.formats.predicates.types import PREDICATE_APPROVAL, PREDICATE_BREAK_GLASS, short_name
from tidegate.policy.attested import approver_rule
from tidegate_registry.access.callers import caller_bytes
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts import naming
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import Actor
from tidegate_registry.evidence.service import same_signer, verify_again
from tidegate_registry.evidence.tables import EvidenceRow
from tidegate_registry.promotion.carrying import decide_again, follow, trust_of, with_patience
from tidegate_registry.promotion.errors import PromotionClosed, StatementRefused, StatementUnknown
from tidegate_registry.promotion.events import StatementFiled
from tidegate_registry.promotion.gather import FILED_TYPES, prepare
from tidegate_registry.promotion.lists import visible_promotion
from tidegate_registry.promotion.people import note_caller
from tidegate_registry.promotion.settling import wake_those_behind
from tidegate_registry.promotion.states import PromotionState
from tidegate_registry.promotion.tables import FilingRow, PromotionRow

if TYPE_CHECKING:
    from tidegate.policy.evidence import VerifiedAttestation
    from tidegate_registry.access.principal import Principal
    from tidegate_registry.services import Services


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement that was verified, and the person of the charter who signed it."""

    attestation: VerifiedAttestation
    person: str


def file_statement(app: Services, who: Principal, promotion: str, manifest: Digest) -> None:
    """File the statement that the referrer `manifest` attaches, decide again, and carry the request out if complete.

    Raises LoginNeeded, AccessDenied, PromotionUnknown, PromotionClosed, StatementUnknown, EvidenceRefused,
    StatementRefused with every difference, NoPolicy, DecisionOvertaken.
    """
    row = visible_promotion(app, who, promotion)
    with app.db.read() as tx:
        query = select(EvidenceRow).where(
            EvidenceRow.repository == row.repository,
            EvidenceRow.subject == row.digest,
            EvidenceRow.manifest == manifest,
        )
        evidence = tx.exec(query).first()
        release = naming.find_release(tx, row.repository, row.version)
    glass = evidence is not None and evidence.predicate_type == PREDICATE_BREAK_GLASS
    app.access.demand(who, Permission.BREAK_GLASS_USE if glass else Permission.PROMOTION_APPROVE, row.repository)
    if evidence is None or release is None or evidence.predicate_type not in FILED_TYPES:
        raise StatementUnknown(
            f"no signed approval of that digest is attached to {row.repository}:{row.version}",
            found=manifest,
            hint="attach it to the release as a referrer first, then file it",
        )
    signed = _verified(app, who, row, evidence)

    def attempt() -> None:
        prepared = prepare(app, trust_of(app), release, row.channel, Action(row.action))
        with app.db.begin() as tx:
            now = app.clock()
            naming.lock_agent(tx, row.repository, now)
            current = tx.get_one(PromotionRow, promotion)
            check_open(current)
            caller = note_caller(tx, who, now)
            payload = signed.attestation.payload_digest
            if tx.get(FilingRow, (promotion, manifest)) is None:
                event = StatementFiled(
                    at=now,
                    actor=Actor.of(who),
                    repository=row.repository,
                    promotion=promotion,
                    channel=row.channel,
                    digest=row.digest,
                    manifest=manifest,
                    payload=payload,
                    predicate_type=evidence.predicate_type,
                    person=signed.person,
                )
                filing = FilingRow(
                    promotion=promotion,
                    payload=payload,
                    manifest=manifest,
                    predicate_type=evidence.predicate_type,
                    person=signed.person,
                    filer=caller_bytes(caller),
                    filed_at=now,
                    event_id=audit.append(tx, event, entropy=app.entropy),
                )
                tx.add(filing)
                tx.flush()
            decided = decide_again(tx, app, current, prepared, now)
            follow(tx, app, current, decided, actor=Actor.of(who), now=now)

    with_patience(app, row.repository, attempt)
    wake_those_behind(app, promotion, Actor.of(who))


def check_open(row: PromotionRow) -> None:
    """Raise PromotionClosed for a request that has ended."""
    if row.state != PromotionState.OPEN:
        raise PromotionClosed(
            f"the request is {row.state}", found=row.outcome or row.state, hint="open a new one if it is still wanted"
        )


def _verified(app: Services, who: Principal, row: PromotionRow, evidence: EvidenceRow) -> Signed:
    """Verify the statement again, and see that the caller signed it and that it is about this request."""
    trust = trust_of(app)
    charter = trust.charters.for_agent(row.repository)
    if charter is None:
        raise EvidenceRefused(f"there is no charter for {row.repository}", code="no-charter")
    good, bad = verify_again(
        app, trust, charter, repository=row.repository, subject=Digest(row.digest), rows=[evidence], now=app.clock()
    )
    if not good:
        raise EvidenceRefused.because("the statement does not verify any more", bad[0].reasons)
    (found,) = good
    rule = approver_rule(charter, found, row.channel)
    reasons = []
    if who.identity is None or not same_signer(who.identity, found.identity):
        reasons.append(
            Reason(
                "not-your-signature",
                "a statement is filed by the person who signed it",
                f"signed by {found.identity}",
                f"signed by {who.identity}",
                "log in as the identity that signs, or sign one of your own",
            )
        )
    if rule is None or not rule.is_for(row.channel):
        reasons.append(
            Reason(
                "not-an-approver",
                f"the charter does not let its signer sign this for {row.channel}",
                str(found.identity),
                ", ".join(each.name for each in charter.approvers if each.is_for(row.channel)) or "nobody",
                "have the owner of the charter add the identity",
            )
        )
    reasons += _differences(row, found)
    if reasons:
        raise StatementRefused.because(f"the {short_name(found.predicate_type)} cannot be filed", reasons)
    return Signed(found, rule.human if rule is not None else "")


def _differences(row: PromotionRow, found: VerifiedAttestation) -> list[Reason]:
    """Say each way in which a statement is about another request. A review is about the release alone."""
    if found.predicate_type == PREDICATE_APPROVAL:
        approval = ApprovalPredicate.parse(found.statement.predicate)
        said = _about(approval) | {"rule": str(approval.rule)}
    elif found.predicate_type == PREDICATE_BREAK_GLASS:
        said = _about(BreakGlassPredicate.parse(found.statement.predicate))
    else:
        return []
    wanted = {
        "agent": row.repository,
        "version": row.version,
        "digest": row.digest,
        "channel": row.channel,
        "sequence": str(row.sequence),
        "action": row.action,
        "rule": row.rule_digest or "",
    }
    return [
        Reason(
            "statement-differs",
            f"it was signed for another {name}",
            value,
            wanted[name],
            f"sign one for this request: `tidegate approve {row.id}`",
        )
        for name, value in said.items()
        if value != wanted[name]
    ]


def _about(said: ApprovalPredicate | BreakGlassPredicate) -> dict[str, str]:
    return {
        "agent": said.agent,
        "version": said.version,
        "digest": str(said.digest),
        "channel": said.channel,
        "sequence": str(said.sequence),
        "action": said.action.value,
    }
