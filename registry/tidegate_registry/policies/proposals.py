"""Proposals as they are kept, and how each stands under the policy in force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlmodel import col, select

from tidegate.digest import Digest
from tidegate.errors import Reason
from tidegate.policy.editing import Consent, Known, judge_consent
from tidegate.policy.inputs import Caller
from tidegate.policy.load import LoadedPolicy
from tidegate_registry.access.callers import parse_caller
from tidegate_registry.policies.errors import NoPolicy, ProposalUnknown
from tidegate_registry.policies.source import PolicySet
from tidegate_registry.policies.tables import PolicyApprovalRow, PolicyProposalRow
from tidegate_registry.promotion.people import known_as
from tidegate_registry.promotion.tables import CallerClaimsRow

if TYPE_CHECKING:
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services


MAX_KNOWN = 5_000  # identities; parsed in well under a second


class ProposalState(StrEnum):
    """How far a proposal is. STALE is not kept: it follows from the version in force."""

    OPEN = "open"
    APPLIED = "applied"
    STALE = "stale"  # another version came in force since; propose again from that one


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal with those who agreed, by their latest tokens, and how it stands now.

    `consent` is None once it is applied, and where it is stale: nothing is missing then that would help. `lockout`: why
    too few could change the policy afterwards, where its text was looked at for that.
    """

    id: str
    policy: str
    base: int
    text: bytes = field(repr=False)
    digest: Digest
    author: Caller
    person: str | None
    reason: str
    reverts: int | None
    state: ProposalState
    applied: int | None
    approvers: tuple[Caller, ...]
    consent: Consent | None
    event_id: str
    proposed_at: datetime
    closed_at: datetime | None
    lockout: tuple[Reason, ...] = ()

    @property
    def missing(self) -> tuple[Reason, ...]:
        """What holds it up."""
        return (*(self.consent.missing if self.consent is not None else ()), *self.lockout)


def judge_by(current: PolicySet, name: str) -> LoadedPolicy:
    """Give the policy under which a change of `name` is judged: the one in force. Raises NoPolicy."""
    policy = current.for_agent(name)
    if policy is None:
        raise NoPolicy.told()
    return policy


def number_of(current: PolicySet, name: str) -> int:
    """Give the number of the version in force; 0 before the first."""
    version = current.versions.get(name)
    return version.number if version else 0


def find_row(tx: Tx, name: str, proposal: str) -> PolicyProposalRow:
    """Give the row of a proposal. Raises ProposalUnknown."""
    row = tx.get(PolicyProposalRow, proposal)
    if row is None or row.name != name:
        raise ProposalUnknown(f"there is no such proposal for the policy {name}", found=proposal[:64])
    return row


def proposal_of(tx: Tx, current: PolicySet, row: PolicyProposalRow) -> Proposal:
    """Give the value of a row as it stands under the policy in force."""
    author, approvers = latest(tx, parse_caller(row.author)), approvers_of(tx, row.id)
    state = ProposalState(row.state)
    if state is ProposalState.OPEN and row.base != number_of(current, row.name):
        state = ProposalState.STALE
    waits = state is ProposalState.OPEN
    return Proposal(
        id=row.id,
        policy=row.name,
        base=row.base,
        text=row.text,
        digest=Digest.parse(row.digest),
        author=author,
        person=row.person,
        reason=row.reason,
        reverts=row.reverts,
        state=state,
        applied=row.applied,
        approvers=approvers,
        consent=judge_consent(judge_by(current, row.name), row.name, author, approvers) if waits else None,
        event_id=row.event_id,
        proposed_at=row.proposed_at,
        closed_at=row.closed_at,
    )


def approvers_of(tx: Tx, proposal: str) -> tuple[Caller, ...]:
    """Give those who agreed, first to last, each by their latest token: who lost a role since has lost it here."""
    query = select(PolicyApprovalRow).where(PolicyApprovalRow.proposal == proposal)
    rows = tx.exec(query.order_by(col(PolicyApprovalRow.approved_at), col(PolicyApprovalRow.key)))
    return tuple(latest(tx, parse_caller(row.approver)) for row in rows)


def latest(tx: Tx, caller: Caller) -> Caller:
    """Give a caller by their latest token."""
    return known_as(tx, caller.issuer, caller.identity) or caller


def known_here(app: Services, tx: Tx) -> Known:
    """Give everybody who ever acted here by their latest token, the last seen first, at most MAX_KNOWN."""
    query = select(CallerClaimsRow.caller).order_by(col(CallerClaimsRow.seen_at).desc()).limit(MAX_KNOWN)
    issuers = frozenset(rule.issuer for rule in app.settings.issuers)
    return Known(tuple(map(parse_caller, tx.exec(query))), issuers)


def open_ids(tx: Tx, current: PolicySet) -> dict[str, list[str]]:
    """Give the proposals of each policy that are made from the version in force and not yet applied."""
    query = select(PolicyProposalRow.name, PolicyProposalRow.id, PolicyProposalRow.base)
    rows = tx.exec(query.where(PolicyProposalRow.state == ProposalState.OPEN).order_by(col(PolicyProposalRow.id)))
    found: dict[str, list[str]] = {}
    for name, proposal, base in rows:
        if base == number_of(current, name):
            found.setdefault(name, []).append(proposal)
    return found


def list_rows(tx: Tx, name: str, *, after: str, size: int) -> tuple[Sequence[PolicyProposalRow], str | None]:
    """Give a page of proposals, the latest first."""
    query = select(PolicyProposalRow).where(PolicyProposalRow.name == name)
    if after:
        query = query.where(col(PolicyProposalRow.id) < after)
    rows = tx.exec(query.order_by(col(PolicyProposalRow.id).desc()).limit(size + 1)).all()
    return rows[:size], rows[size - 1].id if len(rows) > size else None
