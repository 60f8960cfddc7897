"""Gather what `decide_start` compares: the database's account of the log, and the bucket's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from tidegate.errors import TileInvalid
from tidegate.tlog.edge import Edge
from tidegate.tlog.merkle import EMPTY_ROOT
from tidegate_registry.audit import sequence
from tidegate_registry.audit.problems import RESTORE, LogAhead, LogBehind, LogForked, LogMissing
from tidegate_registry.audit.publish import fetch_checkpoint, fetch_file
from tidegate_registry.audit.standing import Ahead, Behind, Continue, DatabaseLog, Forked, PublishedLog, decide_start

if TYPE_CHECKING:
    from tidegate.tlog.checkpoint import Checkpoint
    from tidegate.tlog.note import VerifierKey
    from tidegate_registry.services import Services


@dataclass(frozen=True, slots=True)
class Facts:
    """What both say. `checkpoint`: the published one; None where there is none. `edge`: of its tree, from the tiles."""

    database: DatabaseLog
    published: PublishedLog | None
    checkpoint: Checkpoint | None
    edge: Edge

    @property
    def verdict(self) -> Continue | Ahead | Behind | Forked:
        """Whether the log may go on."""
        return decide_start(self.database, self.published)


def gather(app: Services, key: VerifierKey | None) -> Facts:
    """Read both. `key`: what the checkpoint must be signed with; None for who does not know it.

    Reads a tile for each level, a bundle, and the entries that were published and not noted. Raises LogForked for a
    checkpoint that is none of ours.
    """
    with app.db.read() as tx:
        before = sequence.load_state(tx)
    checkpoint = fetch_checkpoint(app, key)  # while a leader goes on, it lies between the two looks at the database
    with app.db.read() as tx:
        assigned, indexed = sequence.load_state(tx).assigned, sequence.count_indexed(tx)
    database = DatabaseLog(assigned, indexed, before.published, before.root or EMPTY_ROOT)
    if checkpoint is None:
        return Facts(database, None, None, Edge())
    edge = _load(app, checkpoint.size)
    published = PublishedLog(
        checkpoint.size, checkpoint.root, edge.root if edge else None, _entries_root(app, database, checkpoint.size)
    )
    return Facts(database, published, checkpoint, edge or Edge())


def demand_same_log(app: Services, key: VerifierKey | None) -> Facts:
    """Check that the database knows all that is published, and nothing else is.

    Raises LogAhead, LogBehind, LogForked.
    """
    facts = gather(app, key)
    match facts.verdict:
        case Ahead(published, assigned):
            raise LogAhead.by(published, assigned)
        case Behind(published, noted):
            raise LogBehind.by(published, noted)
        case Forked(found, expected):
            raise LogForked(LogForked.summary, found=found, expected=expected, hint=RESTORE)
    return facts


def demand_own_log(app: Services) -> None:
    """Check the same, and that there is a log: to a database that is another one's, all of a bucket is left over.

    Raises LogMissing, LogAhead, LogBehind, LogForked.
    """
    if demand_same_log(app, None).checkpoint is None:
        raise LogMissing(
            "nothing says that this database is the bucket's",
            expected="a published log, log/checkpoint",
            hint="if database_url and bucket are right, start the registry: it publishes the log within seconds",
        )


def _load(app: Services, size: int) -> Edge | None:
    try:
        return Edge.load(size, partial(fetch_file, app))
    except TileInvalid:
        return None


def _entries_root(app: Services, database: DatabaseLog, size: int) -> bytes | None:
    """Give the root at `size` as the database's entries continue what it noted; None where it cannot or need not."""
    if not database.published < size <= database.assigned:
        return None
    edge = _load(app, database.published)
    if edge is None or edge.root != database.root:
        return None
    while edge.size < size:
        edge.grow(sequence.load_entries(app.db, range(edge.size, min(size, edge.size + sequence.READ_ROWS))))
    return edge.root
