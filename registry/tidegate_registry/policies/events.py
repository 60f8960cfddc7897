"""What the policies room writes into the audit log. Texts are named by their digests: an entry must fit a log tile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from tidegate_registry.audit.events import Event
from tidegate_registry.audit.fields import DigestText, EventId, Line, Person, Persons, Sentence


@dataclass(frozen=True, kw_only=True)
class PolicyProposed(Event):
    """Somebody proposed a text as the version of `policy` after number `base`."""

    type: ClassVar[str] = "policy.proposed"

    policy: Line
    proposal: EventId
    base: int
    digest: DigestText
    reason: Sentence
    person: Person | None = None
    reverts: int | None = None


@dataclass(frozen=True, kw_only=True)
class PolicyApproved(Event):
    """A further person agreed to a proposal."""

    type: ClassVar[str] = "policy.approved"

    policy: Line
    proposal: EventId
    digest: DigestText
    person: Person | None = None


@dataclass(frozen=True, kw_only=True)
class PolicyApplied(Event):
    """A text became a numbered version, in force from here on. `approvers`: the persons who agreed besides the author.

    `proposal` is absent, and `recovered` says so, where an operator installed it past the policy in force.
    """

    type: ClassVar[str] = "policy.applied"

    policy: Line
    number: int
    digest: DigestText
    before: DigestText | None
    reason: Sentence
    proposal: EventId | None = None
    approvers: Persons = ()
    recovered: bool | None = None


@dataclass(frozen=True, kw_only=True)
class PolicyReverted(PolicyApplied):
    """The same, of a version that has the text of an older one, `reverts`."""

    type: ClassVar[str] = "policy.reverted"

    reverts: int
