"""What the routes of this room answer."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from tidegate.formats.jcs import JsonObject, parse_object
from tidegate.policy.record import MAX_RECORD_BYTES
from tidegate_registry.access.callers import parse_caller
from tidegate_registry.api import JsonDocument, Out
from tidegate_registry.promotion.decisions import findings_of
from tidegate_registry.promotion.lists import ChannelDetail, PromotionDetail
from tidegate_registry.promotion.revoking import Left
from tidegate_registry.promotion.tables import (
    BrokenGlassRow,
    DecisionRow,
    FilingRow,
    HoldRow,
    RevocationRow,
    TenureRow,
)


class SomebodyOut(Out):
    """Somebody as their token named them."""

    kind: str = Field(examples=["human"])
    issuer: str
    identity: str = Field(examples=["alice@example.com"])

    @classmethod
    def of(cls, raw: bytes) -> SomebodyOut:
        """Name a caller that was kept; their other claims are in the decisions' records."""
        return cls.model_validate(parse_caller(raw))


class FindingOut(Out):
    """One requirement, judged. `kind` is `rule` for what the policy itself demands."""

    id: str = Field(examples=["two-reviewers"])
    kind: str = Field(examples=["approvals"])
    state: Literal["met", "unmet", "inconclusive", "warned", "excepted", "not-applicable"]
    message: str = Field(examples=["1 of 2: carol approved; needs 1 more of reviewer"])
    found: str | None
    expected: str | None
    hint: str | None
    who_can: list[str] = Field(description="Who can supply what is missing, in words")
    measured: JsonDocument

    @classmethod
    def of(cls, found: JsonObject) -> FindingOut:
        """Show a finding as it was kept."""
        return cls.model_validate({"found": None, "expected": None, "hint": None} | found)


class VerdictOut(Out):
    """The last decision about a request. `record`: digest of its record, which holds all that it rests on."""

    id: str
    allowed: bool
    decided_at: datetime
    record: str
    event_id: str
    findings: list[FindingOut]

    @classmethod
    def of(cls, row: DecisionRow) -> VerdictOut:
        """Show a decision without what it rests on."""
        return cls(
            id=row.id,
            allowed=row.allowed,
            decided_at=row.decided_at,
            record=row.digest,
            event_id=row.event_id,
            findings=[FindingOut.of(each) for each in findings_of(row)],
        )


class DecisionOut(Out):
    """A decision with its whole record: whoever has it can decide again."""

    id: str
    allowed: bool
    decided_at: datetime
    digest: str
    event_id: str
    record: JsonDocument

    @classmethod
    def of(cls, row: DecisionRow) -> DecisionOut:
        """Show a decision."""
        record = parse_object(row.record, limit=MAX_RECORD_BYTES, what="a decision's record")
        shown = row.model_dump(include={"id", "allowed", "decided_at", "digest", "event_id"})
        return cls(**shown, record=record)


class DecisionsOut(Out):
    """A page of decisions, the last first."""

    items: list[DecisionOut]
    next: str | None


class FilingOut(Out):
    """A statement that was filed. Whether it counts is in the decision's findings."""

    manifest: str = Field(description="Digest of the referrer that attaches it")
    payload: str = Field(description="Digest of the signed statement")
    predicate_type: str
    person: str = Field(examples=["carol"])
    filed_at: datetime
    event_id: str


class DebtOut(Out):
    """A use of break-glass. Somebody else has to review it by `reviewBy`, or the agent's next promotion is refused."""

    id: str = Field(description="That of the request")
    agent: str
    channel: str
    version: str
    digest: str
    action: str
    person: str = Field(examples=["dave"])
    reason: str
    used_at: datetime
    review_by: datetime
    reviewed_at: datetime | None
    reviewer: SomebodyOut | None
    verdict: Literal["justified", "unjustified"] | None
    review: str | None
    event_id: str

    @classmethod
    def of(cls, row: BrokenGlassRow) -> DebtOut:
        """Show a use of break-glass."""
        shown = row.model_dump(exclude={"repository", "user", "reviewer", "finding"})
        reviewer = None if row.reviewer is None else SomebodyOut.of(row.reviewer)
        return cls.model_validate({**shown, "agent": row.repository, "verdict": row.finding, "reviewer": reviewer})


class DebtsOut(Out):
    """A page of uses of break-glass, the last first."""

    items: list[DebtOut]
    next: str | None


class PromotionOut(Out):
    """A request that a channel serve a release.

    `sequence`: its number among those of the channel, which approvals name, as they do `ruleDigest`. `outcome`: why it
    ended without moving the channel. `notFullBefore`: when a rollout could serve everybody at the earliest.
    """

    id: str
    agent: str
    channel: str
    source: str | None = Field(description="The channel that it comes from; none: every release may enter")
    version: str
    digest: str
    sequence: int
    action: Literal["promote", "rollback"]
    state: Literal["open", "done", "rejected", "withdrawn", "superseded"]
    rule_digest: str | None
    not_full_before: datetime | None
    requester: SomebodyOut
    reason: str | None
    outcome: str | None
    opened_at: datetime
    closed_at: datetime | None
    decision: VerdictOut | None
    approvals: list[FilingOut]
    debt: DebtOut | None = Field(description="It went past its policy, and what became of that")
    event_id: str

    @classmethod
    def of(cls, found: PromotionDetail) -> PromotionOut:
        """Show a request."""
        row = found.row
        shown = row.model_dump(exclude={"repository", "requester", "decision", "owner", "request_key"})
        return cls.model_validate(
            shown
            | {
                "agent": row.repository,
                "requester": SomebodyOut.of(row.requester),
                "not_full_before": found.not_full_before,
                "decision": None if found.decision is None else VerdictOut.of(found.decision),
                "approvals": [_filing(each) for each in found.filings],
                "debt": None if found.debt is None else DebtOut.of(found.debt),
            }
        )


class PromotionsOut(Out):
    """A page of requests, the last opened first. It may be short, or empty: only `next` tells whether there is more."""

    items: list[PromotionOut]
    next: str | None


class ServedOut(Out):
    """What a channel serves."""

    version: str
    digest: str
    since: datetime
    sequence: int = Field(description="Of the request that moved the channel")
    counter: int = Field(description="How often the channel was moved")
    revoked: str | None = Field(description="Why the release was withdrawn, if it was")
    promotion: str
    event_id: str


class TenureOut(Out):
    """A time in which the channel served a release."""

    version: str
    digest: str
    counter: int
    sequence: int
    since: datetime
    until: datetime | None
    how: Literal["promote", "rollback", "break-glass"]
    ended_how: Literal["promote", "rollback"] | None
    promotion: str

    @classmethod
    def of(cls, row: TenureRow) -> TenureOut:
        """Show a tenure."""
        return cls.model_validate(row)


class HoldOut(Out):
    """A release that a rollback left: the channel does not go there again until a human lifts this."""

    version: str
    digest: str
    reason: str
    actor: str
    since: datetime
    promotion: str

    @classmethod
    def of(cls, row: HoldRow) -> HoldOut:
        """Show a hold."""
        return cls.model_validate(row)


class ChannelOut(Out):
    """A channel of an agent. `sequence`: of the last request; `waiting`: the one that is open."""

    agent: str
    name: str = Field(examples=["stable"])
    serving: ServedOut | None
    sequence: int
    waiting: str | None
    history: list[TenureOut] = Field(description="The last first")
    holds: list[HoldOut]
    debts: list[DebtOut] = Field(description="Of the agent, whatever channel they are about")

    @classmethod
    def of(cls, found: ChannelDetail) -> ChannelOut:
        """Show a channel."""
        revoked = None if found.revocation is None else found.revocation.reason
        row = found.row
        return cls(
            agent=found.repository,
            name=found.name,
            serving=None if row is None else ServedOut.model_validate({**row.model_dump(), "revoked": revoked}),
            sequence=found.sequence,
            waiting=None if found.waiting is None else found.waiting.id,
            history=[TenureOut.of(each) for each in found.history],
            holds=[HoldOut.of(each) for each in found.holds],
            debts=[DebtOut.of(each) for each in found.debts],
        )


class ChannelsOut(Out):
    """The channels of an agent, in the order of the policy."""

    items: list[ChannelOut]
    next: None = None


class ReasonOut(Out):
    """Why something was not done."""

    code: str
    message: str
    found: str | None
    expected: str | None
    hint: str | None
    step: str | None


class LeftOut(Out):
    """A channel that served the release when it was revoked. `movedTo`: what it serves now; none: it still does."""

    channel: str
    promotion: str | None = Field(description="The rollback that was asked for")
    moved_to: str | None
    why: str | None = Field(description="Why it was not moved")
    reasons: list[ReasonOut]

    @classmethod
    def of(cls, left: Left) -> LeftOut:
        """Show a channel."""
        return cls(
            channel=left.channel,
            promotion=left.promotion,
            moved_to=left.moved_to,
            why=left.why,
            reasons=[ReasonOut.model_validate(each) for each in left.reasons],
        )


class RevocationOut(Out):
    """A release that was withdrawn, for ever."""

    agent: str
    version: str
    digest: str
    reason: str
    actor: str
    revoked_at: datetime
    event_id: str

    @classmethod
    def of(cls, row: RevocationRow) -> RevocationOut:
        """Show a revocation."""
        return cls(agent=row.repository, **row.model_dump(exclude={"repository"}))


class RevokedOut(RevocationOut):
    """A release that was withdrawn just now, and the channels that served it."""

    channels: list[LeftOut]


class RevocationsOut(Out):
    """A page of revocations, the last first."""

    items: list[RevocationOut]
    next: str | None


def _filing(row: FilingRow) -> FilingOut:
    return FilingOut.model_validate(row)
