"""What the promotion room writes into the audit log. Records of decisions are named by digest: they may be long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from tidegate_registry.audit.events import Event
from tidegate_registry.audit.fields import (
    DigestText,
    EventId,
    Long,
    Person,
    Repository,
    Sentence,
    Tag,
    Tags,
    Word,
    Words,
)


@dataclass(frozen=True, kw_only=True)
class PromotionOpened(Event):
    """Somebody asked that a channel serve a release. `action`: `promote` or `rollback`."""

    type: ClassVar[str] = "promotion.opened"

    repository: Repository
    promotion: EventId
    channel: Tag
    source: Tag | None
    version: Tag
    digest: DigestText
    sequence: int
    action: Word
    reason: Sentence | None


@dataclass(frozen=True, kw_only=True)
class PromotionDecided(Event):
    """A policy was asked. `record`: digest of the decision's record; `missing`: the ids of what held it up.

    `promotion` is None where the answer was such that no request was opened.
    """

    type: ClassVar[str] = "promotion.decided"

    repository: Repository
    promotion: EventId | None
    decision: EventId
    channel: Tag
    version: Tag
    digest: DigestText
    action: Word
    allowed: bool
    record: DigestText
    policy: DigestText
    charter: DigestText | None
    missing: Words


@dataclass(frozen=True, kw_only=True)
class PromotionClosed(Event):
    """A request ended without moving its channel: `rejected`, `withdrawn` or `superseded`."""

    type: ClassVar[str] = "promotion.closed"

    repository: Repository
    promotion: EventId
    channel: Tag
    version: Tag
    digest: DigestText
    state: Word
    reason: Sentence | None
    superseded_by: EventId | None = None


@dataclass(frozen=True, kw_only=True)
class StatementFiled(Event):
    """A signed approval or break-glass statement was filed for a request by the person who signed it."""

    type: ClassVar[str] = "promotion.statement-filed"

    repository: Repository
    promotion: EventId
    channel: Tag
    digest: DigestText
    manifest: DigestText
    payload: DigestText
    predicate_type: Long
    person: Person


@dataclass(frozen=True, kw_only=True)
class ChannelMoved(Event):
    """A channel serves another release. Whoever publishes channels follows these entries.

    `counter`: how often the channel was moved. `how`: `promote`, `rollback` or `break-glass`.
    """

    type: ClassVar[str] = "channel.moved"

    repository: Repository
    channel: Tag
    counter: int
    sequence: int
    version: Tag
    digest: DigestText
    previous: DigestText | None
    how: Word
    promotion: EventId
    decision: EventId


@dataclass(frozen=True, kw_only=True)
class HoldLifted(Event):
    """A human lets a channel go again to releases that a rollback left."""

    type: ClassVar[str] = "channel.hold-lifted"

    repository: Repository
    channel: Tag
    versions: Tags
    versions_object: DigestText | None = None
    reason: Sentence


@dataclass(frozen=True, kw_only=True)
class ReleaseRevoked(Event):
    """A release was withdrawn. `channels`: those that served it then."""

    type: ClassVar[str] = "release.revoked"

    repository: Repository
    version: Tag
    digest: DigestText
    reason: Sentence
    channels: Tags
    channels_object: DigestText | None = None


@dataclass(frozen=True, kw_only=True)
class GlassBroken(Event):
    """A channel was moved past its policy; somebody else must review it by `review_by`."""

    type: ClassVar[str] = "break-glass.used"

    repository: Repository
    promotion: EventId
    channel: Tag
    version: Tag
    digest: DigestText
    action: Word
    person: Person
    reason: Sentence
    passed_over: Words
    review_by: datetime


@dataclass(frozen=True, kw_only=True)
class GlassReviewed(Event):
    """A second person has looked at a use of break-glass. `finding`: `justified` or `unjustified`."""

    type: ClassVar[str] = "break-glass.reviewed"

    repository: Repository
    promotion: EventId
    channel: Tag
    finding: Word
    reason: Sentence
