"""Making a token that counts once, and using it up.

The token is `tdge_ID_SECRET`. The secret has 256 random bits, so its SHA-256 is as good as a slow hash of a password
would be. Strangers are told one thing whatever is wrong with a token; the log has the rest.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from sqlmodel import col, update

from tidegate.errors import AccessDenied
from tidegate_registry.access.principal import Principal
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import Actor
from tidegate_registry.enrolment.events import EnrolmentMade, EnrolmentRedeemed
from tidegate_registry.enrolment.tables import EnrolmentRow
from tidegate_registry.logs import get_logger

if TYPE_CHECKING:
    from tidegate_registry.services import Services

log = get_logger()

PREFIX = "tdge"  # so that those who look for secrets in files find this one
SECRET_BYTES = 32
MAX_LIFETIME = timedelta(hours=24)
DEFAULT_LIFETIME = timedelta(hours=1)
MAX_TOKEN_CHARACTERS = 128
_TOKEN = re.compile(PREFIX + r"_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})_([A-Za-z0-9_-]{43})")


class Purpose(StrEnum):
    """What a token is for; it is good for nothing else."""

    HOST = "host"  # a machine that runs agents


class EnrolmentRefused(AccessDenied):
    """That token brings nobody in: unknown, used, expired, or for something else."""

    code = "enrolment-refused"


@dataclass(frozen=True, slots=True, repr=False)
class NewEnrolment:
    """A token as it is shown, this one time."""

    id: str
    purpose: Purpose
    name: str
    token: str
    expires_at: datetime
    event_id: str


@dataclass(frozen=True, slots=True)
class Redemption:
    """What a token was good for."""

    id: str
    purpose: Purpose
    name: str
    redeemed_at: datetime
    event_id: str


def make_enrolment(
    app: Services, who: Principal, *, purpose: Purpose, name: str, lifetime: timedelta = DEFAULT_LIFETIME
) -> NewEnrolment:
    """Make a token with which `name` may be brought in once, within `lifetime` (at most MAX_LIFETIME)."""
    if not timedelta() < lifetime <= MAX_LIFETIME:
        raise ValueError("an enrolment token lives for up to a day")
    now = app.clock()
    enrolment, secret = audit.make_event_id(now, app.entropy), app.entropy(SECRET_BYTES)
    text = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    expires_at = now + lifetime
    row = EnrolmentRow(
        id=enrolment,
        secret=_hash(text),
        purpose=str(purpose),
        name=name,
        maker=who.key[:600],
        made_at=now,
        expires_at=expires_at,
    )
    event = EnrolmentMade(
        at=now, actor=Actor.of(who), enrolment=enrolment, purpose=str(purpose), name=name, expires_at=expires_at
    )
    with app.db.begin() as tx:
        tx.add(row)
        event_id = audit.append(tx, event, entropy=app.entropy)
    return NewEnrolment(enrolment, purpose, name, f"{PREFIX}_{enrolment}_{text}", expires_at, event_id)


def redeem_enrolment(app: Services, token: str, *, purpose: Purpose, name: str) -> Redemption:
    """Use `token` up, for this purpose and name. Of those who try at once, one gets through. Raises EnrolmentRefused.

    What it brings in is the caller's to record, in a transaction of its own with the redemption's event as its reason.
    """
    now, match = app.clock(), _TOKEN.fullmatch(token)
    with app.db.begin() as tx:
        row = tx.get(EnrolmentRow, match[1]) if match else None
        wrong = "unknown" if row is None else _fault(row, match[2] if match else "", purpose, name, now)
        if row is None or wrong:
            raise _refused(wrong, match[1] if match else None)
        # the condition is in the statement: of those who read the row at once, one changes it
        unused = col(EnrolmentRow.id) == row.id, col(EnrolmentRow.redeemed_at).is_(None)
        taken = tx.exec(update(EnrolmentRow).where(*unused).values(redeemed_at=now))
        if taken.rowcount != 1:
            raise _refused("used", row.id)
        event = EnrolmentRedeemed(
            at=now,
            actor=Actor("enrolment", "", f"{purpose}/{name}"),
            enrolment=row.id,
            purpose=str(purpose),
            name=name,
        )
        event_id = audit.append(tx, event, entropy=app.entropy)
        return Redemption(row.id, purpose, name, now, event_id)


def _fault(row: EnrolmentRow, secret: str, purpose: Purpose, name: str, now: datetime) -> str:
    """Say what is wrong with a token for `row`, used or not; empty: nothing. The secret first, in constant time."""
    if not hmac.compare_digest(_hash(secret), row.secret):
        return "secret"
    if (row.purpose, row.name) != (str(purpose), name):
        return "for something else"
    return "expired" if now >= row.expires_at else ""


def _refused(why: str, enrolment: str | None) -> EnrolmentRefused:
    log.warning("enrolment.refused", why=why, enrolment=enrolment)
    return EnrolmentRefused(
        "that enrolment token does not count",
        found="a token that is unknown, used, expired, or for another purpose or name",
        expected="one made for this, and not used yet",
        hint="have an administrator make a new one; if this one should be good, somebody else may have used it",
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
