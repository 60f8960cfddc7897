"""Each entry in the database against the log that was published: whoever edits or removes a row is found here."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import text

from tidegate.errors import TileInvalid
from tidegate.tlog.merkle import HASH_BYTES, leaf_hash
from tidegate.tlog.tiles import TILE_WIDTH, TilePath, read_tile, width_of
from tidegate_registry.audit import sequence
from tidegate_registry.audit.problems import LogForked
from tidegate_registry.audit.publish import fetch_checkpoint, fetch_file
from tidegate_registry.keeping.fsck.findings import Finding, Problem

if TYPE_CHECKING:
    from tidegate_registry.services import Services


def check_published(app: Services) -> Iterator[Finding]:
    """Compare the rows with the leaves of the last checkpoint, a tile at a time.

    That the tiles are those that were signed is looked at before (audit/compare.py), and by every auditor.
    """
    try:
        checkpoint = fetch_checkpoint(app, None)
    except LogForked:  # found and told with the rest of the log
        return
    if checkpoint is None:
        return
    with app.db.read() as tx:
        known = sequence.load_state(tx).assigned  # what a database that fell behind lacks is one finding, not thousands
    for index in range(-(-min(checkpoint.size, known) // TILE_WIDTH)):
        path = TilePath(0, index, width_of(checkpoint.size, 0, index))
        try:
            leaves = read_tile(partial(fetch_file, app), path)
        except TileInvalid as error:
            yield Finding(Problem.LOG_FORKED, "registry", "", str(error), "the tile that the checkpoint covers")
            continue
        yield from _check_tile(app, index * TILE_WIDTH, leaves[: (known - index * TILE_WIDTH) * HASH_BYTES])


def _check_tile(app: Services, first: int, leaves: bytes) -> Iterator[Finding]:
    width = len(leaves) // HASH_BYTES
    query = text("SELECT idx, id, body FROM audit_event WHERE idx >= :first AND idx < :stop")
    with app.db.read() as tx:
        rows = tx.connection().execute(query, {"first": first, "stop": first + width}).all()
    found = {int(row.idx): (row.id, leaf_hash(sequence.bytes_of(row.body))) for row in rows}
    for place in range(width):
        expected = leaves[place * HASH_BYTES : (place + 1) * HASH_BYTES]
        id_, leaf = found.get(first + place, (None, None))
        if leaf != expected:
            what = "no row" if id_ is None else f"entry {id_} with other bytes"
            told = f"entry {first + place} as it was published"
            yield Finding(Problem.LOG_ENTRY_DIFFERS, "registry", f"sha256:{expected.hex()}", what, told)
