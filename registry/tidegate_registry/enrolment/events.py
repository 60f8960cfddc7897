"""What the enrolment room writes into the audit log. Never a token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from tidegate_registry.audit.events import Event
from tidegate_registry.audit.fields import EventId, Line, Word


@dataclass(frozen=True, kw_only=True)
class EnrolmentMade(Event):
    """Somebody made a token with which `name` may be brought in once, as `purpose` says."""

    type: ClassVar[str] = "enrolment.made"

    enrolment: EventId
    purpose: Word
    name: Line
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class EnrolmentRedeemed(Event):
    """The token was used; it is worth nothing from here on."""

    type: ClassVar[str] = "enrolment.redeemed"

    enrolment: EventId
    purpose: Word
    name: Line
