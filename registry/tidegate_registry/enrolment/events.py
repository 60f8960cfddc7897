"""What the enrolment room writes into the audit log. Never a token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from tidegate_registry.audit.events import Event


@dataclass(frozen=True, kw_only=True)
class EnrolmentMade(Event):
    """Somebody made a token with which `name` may be brought in once, as `purpose` says."""

    type: ClassVar[str] = "enrolment.made"

    enrolment: str
    purpose: str
    name: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class EnrolmentRedeemed(Event):
    """The token was used; it is worth nothing from here on. `maker`: who made it."""

    type: ClassVar[str] = "enrolment.redeemed"

    enrolment: str
    purpose: str
    name: str
    maker: str
