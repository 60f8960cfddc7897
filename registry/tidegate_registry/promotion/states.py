"""The states of a request."""

from __future__ import annotations

from enum import StrEnum


class PromotionState(StrEnum):
    """Where a request stands. All but OPEN are for ever."""

    OPEN = "open"
    DONE = "done"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"
