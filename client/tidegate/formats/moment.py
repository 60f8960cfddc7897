"""Points in time as our documents write them: RFC 3339 in UTC, `2026-03-01T09:30:00Z`."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?Z")


def parse_moment(text: str) -> datetime:
    """Read `YYYY-MM-DDThh:mm:ssZ`, seconds with at most six decimals. Raises ValueError.

    One way of writing it: with offsets, two texts would mean one moment, and a reader might compare the texts.
    """
    if not _MOMENT.fullmatch(text):
        raise ValueError(f"{text[:40]} is not a time such as 2026-03-01T09:30:00Z")
    return datetime.fromisoformat(text)


def any_moment(text: str) -> datetime | None:
    """Read a time as others write it, with any offset and any decimals; None: it is no aware time.

    In UTC, so that what the calendar has no room for there is found here, not where it is written again.
    """
    try:
        found = datetime.fromisoformat(text)
        return None if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def moment_text(moment: datetime) -> str:
    """Write an aware `moment`; `parse_moment` reads it back."""
    return (moment if moment.tzinfo is UTC else moment.astimezone(UTC)).isoformat().removesuffix("+00:00") + "Z"
