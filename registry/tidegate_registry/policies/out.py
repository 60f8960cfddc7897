"""What the routes of this room answer."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from tidegate.policy.inputs import Caller
from tidegate.policy.whatif import Flip
from tidegate_registry.api import Out, ReasonOut
from tidegate_registry.policies.proposals import Proposal
from tidegate_registry.policies.source import PolicyVersion
from tidegate_registry.policies.what_if import Compared
from tidegate_registry.promotion.out import FindingOut


class IdentityOut(Out):
    """Somebody by the identity that a token gave them."""

    kind: str = Field(examples=["human"])
    issuer: str
    identity: str


class VersionOut(Out):
    """One version of a policy, without its text."""

    name: str = Field(examples=["_company"])
    number: int
    digest: str = Field(description="Of the text")
    author: IdentityOut
    reason: str
    proposal: str | None = Field(description="The proposal that it was; none: an operator installed it")
    reverts: int | None = Field(description="The number of the version whose text this is")
    event_id: str
    applied_at: datetime


class PolicyListedOut(VersionOut):
    """What is in force under a name."""

    open_proposals: list[str] = Field(description="Proposals that wait for others to agree")


class PolicyOut(PolicyListedOut):
    """What is in force under a name, with its text."""

    text: str


class PolicyPageOut(Out):
    """A page of policies by name."""

    items: list[PolicyListedOut]
    next: str | None


class VersionTextOut(VersionOut):
    """One version with its text."""

    text: str


class VersionPageOut(Out):
    """A page of versions, the latest first."""

    items: list[VersionOut]
    next: str | None


class ProposalOut(Out):
    """A text that somebody wants to be the next version."""

    id: str
    policy: str
    base: int = Field(description="The version that it was made from; 0: there was none")
    digest: str
    author: IdentityOut
    person: str | None = Field(description="Who the author is, by `persons` of the policy then in force")
    reason: str
    reverts: int | None
    state: str = Field(description="`open`, `applied`, or `stale`: another version came in force since")
    applied: int | None = Field(description="The number that it became")
    needed: int | None = Field(description="How many others must agree, while it is open")
    agreed: list[str] = Field(description="The persons who did and count, while it is open")
    approvers: list[IdentityOut] = Field(description="Everybody who agreed")
    missing: list[ReasonOut]
    event_id: str
    proposed_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, found: Proposal, **more: object) -> ProposalOut:
        """Show a proposal."""
        names = cls.model_fields.keys() - {"author", "needed", "agreed", "approvers", "missing", "text", "changes"}
        consent = found.consent
        return cls(
            **{name: getattr(found, name) for name in names},
            author=_identity(found.author),
            needed=consent.needed if consent is not None else None,
            agreed=list(consent.persons) if consent is not None else [],
            approvers=[_identity(each) for each in found.approvers],
            missing=[ReasonOut.model_validate(reason) for reason in found.missing],
            **more,
        )


class ProposalDetailOut(ProposalOut):
    """A proposal with its text, and what that changes."""

    text: str
    changes: list[str] = Field(examples=[["staging → stable: reviewed now needs 2 approvals by reviewer, was 1"]])


class ProposalPageOut(Out):
    """A page of proposals, the latest first."""

    items: list[ProposalOut]
    next: str | None


class FlipOut(Out):
    """A verdict that would be another one."""

    kind: Literal["decision", "serving"] = Field(description="`serving`: what a channel serves, judged as of now")
    decision: str = Field(description="The recorded decision that was made again")
    agent: str = Field(examples=["acme/support-agent"])
    version: str
    channel: str
    at: datetime
    allowed: bool = Field(description="Whether it would be allowed; before it was the other way round")
    why: list[FindingOut] = Field(description="The first findings that differ")


class RightsOut(Out):
    """What somebody would gain and lose."""

    who: str
    gains: list[str] = Field(examples=[["ask for staging → stable"]])
    loses: list[str]


class WhatIfOut(Out):
    """What the text would change."""

    decisions: int = Field(description="How many recorded decisions were made again")
    serving: int = Field(description="How many channels were looked at")
    left_out: int = Field(description="Records that were too many or too large, or cannot be read")
    flips: list[FlipOut]
    rights: list[RightsOut]
    locked_out: list[str] = Field(description="Who could no longer change the policy")
    lockout: list[ReasonOut] = Field(description="Why it could not be applied: too few could change it afterwards")
    changes: list[str] = Field(description="What the text changes, in sentences")

    @classmethod
    def of(cls, compared: Compared) -> WhatIfOut:
        """Show a comparison."""
        found = compared.found
        return cls(
            decisions=found.decisions,
            serving=found.serving,
            left_out=compared.left_out,
            flips=[_flip(each) for each in found.flips],
            rights=[RightsOut(who=each.who, gains=list(each.gains), loses=list(each.loses)) for each in found.rights],
            locked_out=list(found.locked_out),
            lockout=[ReasonOut.model_validate(reason) for reason in found.lockout],
            changes=list(compared.changes),
        )


def _flip(flip: Flip) -> FlipOut:
    inputs = flip.case.inputs
    return FlipOut(
        kind=flip.case.kind,
        decision=flip.case.id,
        agent=inputs.request.agent,
        version=inputs.release.version,
        channel=inputs.request.channel,
        at=flip.case.at,
        allowed=not flip.allowed_before,
        why=[FindingOut.of(finding.as_json()) for finding in flip.why],
    )


def version_members(version: PolicyVersion) -> dict[str, object]:
    names = VersionOut.model_fields.keys() - {"author"}
    return {name: getattr(version, name) for name in names} | {"author": _identity(version.author)}


def _identity(caller: Caller) -> IdentityOut:
    return IdentityOut.model_validate(caller)


def text_of(raw: bytes) -> str:
    return raw.decode("utf-8")  # no other text was ever accepted: see formats.yamldoc
