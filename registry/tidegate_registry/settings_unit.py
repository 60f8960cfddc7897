"""Units of settings."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a setting, for its page in the reference."""

    name: str
