"""What the promotion room writes into the audit log. Records of decisions are named by digest: they may be long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from tidegate_registry.audit.events import Event


@dataclass(frozen=True, kw_only=True)
class PromotionOpened(Event):
    """Somebody asked that a channel serve a release. `action`: `promote` or `rollback`."""

    type: ClassVar[str] = "promotion.opened"

    repository: str
    promotion: str
    channel: str
    source: str | None
    version: str
    digest: str
    sequence: int
    action: str
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class PromotionDecided(Event):
    """A policy was asked. `record`: digest of the decision's record; `missing`: the ids of what held it up.

    `promotion` is None where the answer was such that no request was opened.
    """

    type: ClassVar[str] = "promotion.decided"

    repository: str
    promotion: str | None
    decision: str
    channel: str
    version: str
    digest: str
    action: str
    allowed: bool
    record: str
    policy: str
    charter: str | None
    missing: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PromotionClosed(Event):
    """A request ended without moving its channel: `rejected`, `withdrawn` or `superseded`."""

    type: ClassVar[str] = "promotion.closed"

    repository: str
    promotion: str
    channel: str
    version: str
    digest: str
    state: str
    reason: str | None
    superseded_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class StatementFiled(Event):
    """A signed approval or break-glass statement was filed for a request by the person who signed it."""

    type: ClassVar[str] = "promotion.statement-filed"

    repository: str
    promotion: str
    channel: str
    digest: str
    manifest: str
    payload: str
    predicate_type: str
    person: str


@dataclass(frozen=True, kw_only=True)
class ChannelMoved(Event):
    """A channel serves another release. Whoever publishes channels follows these entries.

    `counter`: how often the channel was moved. `how`: `promote`, `rollback` or `break-glass`.
    """

    type: ClassVar[str] = "channel.moved"

    repository: str
    channel: str
    counter: int
    sequence: int
    version: str
    digest: str
    previous: str | None
    how: str
    promotion: str
    decision: str


@dataclass(frozen=True, kw_only=True)
class HoldLifted(Event):
    """A human lets a channel go again to releases that a rollback left."""

    type: ClassVar[str] = "channel.hold-lifted"

    repository: str
    channel: str
    versions: tuple[str, ...]
    reason: str


@dataclass(frozen=True, kw_only=True)
class ReleaseRevoked(Event):
    """A release was withdrawn. `channels`: those that served it then."""

    type: ClassVar[str] = "release.revoked"

    repository: str
    version: str
    digest: str
    reason: str
    channels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class GlassBroken(Event):
    """A channel was moved past its policy; somebody else must review it by `review_by`."""

    type: ClassVar[str] = "break-glass.used"

    repository: str
    promotion: str
    channel: str
    version: str
    digest: str
    action: str
    person: str
    reason: str
    passed_over: tuple[str, ...]
    review_by: datetime


@dataclass(frozen=True, kw_only=True)
class GlassReviewed(Event):
    """A second person has looked at a use of break-glass. `finding`: `justified` or `unjustified`."""

    type: ClassVar[str] = "break-glass.reviewed"

    repository: str
    promotion: str
    channel: str
    finding: str
    reason: str
