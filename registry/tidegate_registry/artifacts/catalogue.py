"""What there is, for those who list it: agents in the order of their names, releases the last admitted first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmodel import col, exists, select

from tidegate_registry.artifacts.naming import Release, release_of
from tidegate_registry.artifacts.tables import ManifestRow, ReleaseRow, RepositoryRow

if TYPE_CHECKING:
    from tidegate.digest import Digest
    from tidegate_registry.db import Tx


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent with anything stored; `released` tells whether any of it has a version."""

    name: str
    released: bool


def agents(tx: Tx, *, after: str, size: int) -> tuple[Sequence[Agent], str | None]:
    """Give a page of agents after the name `after`, and the next `after`; None at the end."""
    released = exists().where(col(ReleaseRow.repository) == col(RepositoryRow.name))
    query = select(RepositoryRow.name, released).where(RepositoryRow.name > after).order_by(RepositoryRow.name)
    rows = tx.exec(query.limit(size + 1)).all()
    page = [Agent(name, bool(flag)) for name, flag in rows[:size]]
    return page, page[-1].name if len(rows) > size else None


def find_agent(tx: Tx, name: str) -> Agent | None:
    """Give the agent; None if nothing was ever stored for it."""
    if tx.get(RepositoryRow, name) is None:
        return None
    first = tx.exec(select(ReleaseRow.version).where(ReleaseRow.repository == name).limit(1)).first()
    return Agent(name, first is not None)


def releases_page(tx: Tx, name: str, *, after: str, size: int) -> tuple[Sequence[Release], str | None]:
    """Give a page of releases, the last admitted first, after the one of event id `after`; and the next `after`."""
    query = select(ReleaseRow).where(ReleaseRow.repository == name)
    if after:
        last = select(ReleaseRow.number).where(ReleaseRow.repository == name, ReleaseRow.event_id == after)
        query = query.where(col(ReleaseRow.number) < last.scalar_subquery())
    rows = tx.exec(query.order_by(col(ReleaseRow.number).desc()).limit(size + 1)).all()
    page = [release_of(row) for row in rows[:size]]
    return page, page[-1].event_id if len(rows) > size else None


def manifest_bytes(tx: Tx, name: str, digest: str) -> bytes | None:
    """Give a stored manifest, byte for byte, quarantined or not; None when there is none of that digest."""
    row = tx.get(ManifestRow, (name, digest))
    return None if row is None else row.raw


def is_released(tx: Tx, name: str, digest: Digest) -> bool:
    """Whether the manifest is out of quarantine: named, or reached from what is."""
    row = tx.get(ManifestRow, (name, digest))
    return row is not None and row.released
