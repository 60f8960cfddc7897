"""All tables of all rooms, for migrations."""

from __future__ import annotations

from importlib import import_module

ROOMS = ("artifacts", "audit", "enrolment", "evidence", "keeping", "policies", "promotion", "summaries", "trusting")


def load() -> None:
    """Import the tables of every room, so that SQLModel.metadata is complete."""
    for room in ROOMS:
        import_module(f"tidegate_registry.{room}.tables")
