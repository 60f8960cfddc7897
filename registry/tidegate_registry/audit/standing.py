"""Where database and published log stand to each other, when a leader takes over: may it go on?

Four roots are compared: what the checkpoint says, what the tiles beside it hash to, what the database noted when it
published last, and what the database's own entries give. Nothing is asked here; `integrate` gathers the facts.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.tlog.merkle import EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class DatabaseLog:
    """What the database says. `assigned`: entries with an index, as noted; `indexed`: as the rows say.

    `published`, `root`: of the last checkpoint that was noted, an empty log's where there was none.
    """

    assigned: int
    indexed: int
    published: int
    root: bytes = EMPTY_ROOT


@dataclass(frozen=True, slots=True)
class PublishedLog:
    """What the bucket says. `size`, `root`: of the checkpoint.

    `tiles_root`: what the tiles of that size hash to; None where they are none. `entries_root`: what the tiles of
    `DatabaseLog.published` entries and the database's entries after them hash to; None where it was not looked at, as
    the checkpoint is no greater than what was noted, or greater than all that the database has.
    """

    size: int
    root: bytes
    tiles_root: bytes | None
    entries_root: bytes | None = None


@dataclass(frozen=True, slots=True)
class Continue:
    """The log goes on from `size` entries."""

    size: int


@dataclass(frozen=True, slots=True)
class Ahead:
    """`published` entries are public, and the database knows `assigned` of them."""

    published: int
    assigned: int


@dataclass(frozen=True, slots=True)
class Behind:
    """`published` entries are public, and `noted` were."""

    published: int
    noted: int


@dataclass(frozen=True, slots=True)
class Forked:
    """They contradict each other: `found` instead of `expected`."""

    found: str
    expected: str


def decide_start(database: DatabaseLog, published: PublishedLog | None) -> Continue | Ahead | Behind | Forked:
    """Decide whether the log goes on. `published`: None where there is no checkpoint."""
    if published is not None and published.tiles_root != published.root:
        return Forked(_shown(published.tiles_root, "from the tiles"), _shown(published.root, "as the checkpoint says"))
    if published is not None and published.size > database.assigned:
        return Ahead(published.size, database.assigned)
    if database.indexed != database.assigned:
        return Forked(f"{database.indexed} rows with an index", f"{database.assigned}, as was noted")
    if published is None:
        return Continue(0) if database.published == 0 else Behind(0, database.published)
    if published.size < database.published:
        return Behind(published.size, database.published)
    ours, where = (
        (database.root, "as was noted when it was published")
        if published.size == database.published
        else (published.entries_root, "from the database's entries")
    )
    if ours != published.root and published.size > database.published:
        # a replica that lagged, and has given other entries the indices of those that it does not know
        return Ahead(published.size, database.published)
    if ours != published.root:
        return Forked(_shown(published.root, "as the checkpoint says"), _shown(ours, where))
    return Continue(published.size)


def _shown(root: bytes | None, where: str) -> str:
    return f"{'no root' if root is None else f'root {root.hex()}'} {where}"
