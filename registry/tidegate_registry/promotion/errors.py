"""What goes wrong with promotions. No HTTP here: `problems` renders."""

from __future__ import annotations

from typing import ClassVar

from tidegate.errors import Conflict, InvalidInput, NotFound, PromotionRefused, Refusal


class NothingOpened(PromotionRefused):
    """Nothing could mend the request, so none was opened; its refusal is in the log, as often as the caller may."""

    counted: ClassVar[bool] = True  # see audit/refusals.py


class PromotionUnknown(NotFound):
    """There is no such request, or none that the caller may see."""

    code = "promotion-unknown"


class ChannelUnknown(NotFound):
    """The agent's channel never served anything, or is none of the policy."""

    code = "channel-unknown"


class StatementUnknown(NotFound):
    """No verified statement of that digest is attached to the release."""

    code = "statement-unknown"


class HoldUnknown(NotFound):
    """Nothing holds the channel."""

    code = "hold-unknown"


class GlassUnknown(NotFound):
    """There is no such use of break-glass, or none that the caller may see."""

    code = "break-glass-unknown"


class NothingToRollBackTo(Conflict):
    """The channel has no earlier release that is fit to serve."""

    code = "nothing-to-roll-back-to"


class PromotionClosed(Conflict):
    """The request has ended: it was carried out, withdrawn, rejected or superseded."""

    code = "promotion-closed"


class PromotionOvertaken(Conflict):
    """While the request was decided, somebody else moved the channel; nothing was opened."""

    code = "promotion-overtaken"


class IdempotencyKeyReused(Conflict):
    """The Idempotency-Key was used for another request of the same caller."""

    code = "idempotency-key-reused"


class AlreadyRevoked(Conflict):
    """The release was revoked before."""

    code = "already-revoked"


class AlreadyReviewed(Conflict):
    """Somebody has reviewed that use of break-glass before."""

    code = "already-reviewed"


class StatementRefused(Refusal):
    """A statement cannot be filed for this request, or not by this caller; lists every difference."""

    code = "statement-refused"


class RoleMissing(Refusal):
    """The caller has none of the roles that may do this."""

    code = "role-missing"


class NotAPerson(Refusal):
    """Only somebody who logged in may do this, no pipeline."""

    code = "not-a-person"


class KeyInvalid(InvalidInput):
    """An Idempotency-Key that cannot be one."""

    code = "idempotency-key-invalid"
