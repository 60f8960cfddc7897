"""The search index in the database, in SQL: which terms an entry has, and which entries have given terms.

On PostgreSQL terms are a tsvector under a GIN index, on SQLite a contentless FTS5 table. SQLite gives the newest
matches first as they are; a GIN index gives all matches in no order. So there each entry also has terms for the blocks
of 4,096, 65,536 and 1,048,576 entries that it is in, and search walks down in blocks small enough to be sorted: it
begins with the small one at the end, takes larger ones as long as little is found, then all that is left, and smaller
ones again where that is too much.
Sources: PostgreSQL 15, "GIN Indexes"; SQLite, "FTS5", 4.4.1 and 4.5.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import Connection, event, text
from sqlmodel import SQLModel

from tidegate_registry.audit.terms import term
from tidegate_registry.db import written

if TYPE_CHECKING:
    from tidegate_registry.db import Tx

TABLE = "log_search"
FTS5 = "fts5(terms, content='', detail='none', columnsize=0, tokenize='ascii')"
PENDING = "gin_pending_list_limit = 512"  # KB of what is not in the index yet: each search reads all of it
CREATE = {
    "sqlite": (f"CREATE VIRTUAL TABLE IF NOT EXISTS log_search USING {FTS5}",),
    "postgresql": (
        "CREATE TABLE IF NOT EXISTS log_search (idx BIGINT PRIMARY KEY, terms TSVECTOR NOT NULL)",
        f"CREATE INDEX IF NOT EXISTS log_search_by_terms ON log_search USING gin (terms) WITH ({PENDING})",
    ),
}
LEVELS = (12, 16, 20)  # bits of a block
# for one transaction: by the terms alone, as the statistics of a log know no words
BY_TERMS = (
    "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true), "
    "set_config('jit', 'off', true)"
)
MANY = 600  # matches: more are looked for in smaller blocks
TIME_BITS = 8  # of a block of times: of ten million entries there are 40,000, read in a few milliseconds


@event.listens_for(SQLModel.metadata, "after_create")
def _create(_: object, connection: Connection, **__: object) -> None:
    """Make the index with all other tables, for tests; the product migrates."""
    for statement in CREATE[connection.dialect.name]:
        connection.exec_driver_sql(statement)


def is_search_table(name: str | None) -> bool:
    """Whether the database keeps the index in it: FTS5 has tables of its own, and no model describes them."""
    return name == TABLE or (name is not None and name.startswith(f"{TABLE}_"))


def add(tx: Tx, entries: Sequence[tuple[int, Iterable[str]]]) -> None:
    """Put entries into the index: the index of each, and its terms."""
    written(tx).add(TABLE)
    if _is_sqlite(tx):
        statement = text("INSERT INTO log_search (rowid, terms) VALUES (:idx, :terms)")
        rows = [{"idx": index, "terms": " ".join(terms)} for index, terms in entries]
    else:
        statement = text("INSERT INTO log_search (idx, terms) VALUES (:idx, CAST(:terms AS tsvector))")
        rows = [{"idx": index, "terms": " ".join((*terms, *_blocks(index)))} for index, terms in entries]
    tx.connection().execute(statement, rows)


def clear(tx: Tx) -> None:
    """Empty the index."""
    written(tx).add(TABLE)
    if _is_sqlite(tx):
        tx.connection().execute(text("INSERT INTO log_search (log_search) VALUES ('delete-all')"))
    else:
        tx.connection().execute(text("TRUNCATE log_search"))


def newest(tx: Tx, wanted: Sequence[Sequence[str]], *, low: int, below: int, most: int) -> list[int]:
    """Give up to `most` indices in `low <= index < below`, the highest first, of entries with a term of each group."""
    if _is_sqlite(tx):
        query = " AND ".join(f"({' OR '.join(group)})" for group in wanted)
        found = tx.connection().execute(
            text(
                "SELECT rowid FROM log_search WHERE log_search MATCH :query AND rowid >= :low AND rowid < :below "
                "ORDER BY rowid DESC LIMIT :most"
            ),
            {"query": query, "low": low, "below": below, "most": most},
        )
        return list(found.scalars())
    tx.connection().execute(text(BY_TERMS))
    return _walk(tx, " & ".join(f"({' | '.join(group)})" for group in wanted), low, below, most)


def _walk(tx: Tx, query: str, low: int, below: int, most: int) -> list[int]:
    """Walk down the blocks. What is found in one is complete, or is looked for again in smaller ones."""
    found: list[int] = []
    level, tops = 0, [(low, len(LEVELS))]  # the largest blocks to take until `below` has come down to there
    while below > low and len(found) < most:
        while tops[-1][0] >= below:
            tops.pop()
        level = min(level, tops[-1][1])
        start, within = low, query
        if level < len(LEVELS):
            block = (below - 1) >> LEVELS[level]
            start, within = max(low, block << LEVELS[level]), f"{query} & {_block_term(level, block)}"
        here = _in_block(tx, within, low, below, MANY if level else 1 << LEVELS[0])
        if level and len(here) == MANY:
            level -= 1
            tops.append((start, level))
            continue
        found += sorted(here, reverse=True)
        below = start
        level += 1
    return found[:most]


def _in_block(tx: Tx, query: str, low: int, below: int, limit: int) -> list[int]:
    statement = text(
        "SELECT idx FROM log_search WHERE terms @@ CAST(:query AS tsquery) "
        "AND idx + 0 >= :low AND idx + 0 < :below LIMIT :limit"  # + 0: by the terms, not by the range
    )
    bounds = {"query": query, "low": low, "below": below, "limit": limit}
    return list(tx.connection().execute(statement, bounds).scalars())


def note_times(tx: Tx, times: Sequence[tuple[int, datetime]]) -> None:
    """Note the earliest and the latest time in each block of entries, so that a range of times is a range of indices.

    Times are those that replicas' clocks said, so they grow with the index almost, and not always.
    """
    written(tx).add("log_times")
    ranges: dict[int, tuple[datetime, datetime]] = {}
    for index, at in times:
        earliest, latest = ranges.get(index >> TIME_BITS, (at, at))
        ranges[index >> TIME_BITS] = min(earliest, at), max(latest, at)
    least, greatest = ("min", "max") if _is_sqlite(tx) else ("LEAST", "GREATEST")
    rows = [
        {"block": block, "earliest": _milliseconds(earliest), "latest": _milliseconds(latest)}
        for block, (earliest, latest) in sorted(ranges.items())
    ]
    tx.connection().execute(
        text(
            "INSERT INTO log_times (block, earliest, latest) VALUES (:block, :earliest, :latest) "  # noqa: S608 # constants
            f"ON CONFLICT (block) DO UPDATE SET earliest = {least}(log_times.earliest, excluded.earliest), "
            f"latest = {greatest}(log_times.latest, excluded.latest)"
        ),
        rows,
    )


def index_range(tx: Tx, since: datetime | None, until: datetime | None, size: int) -> tuple[int, int]:
    """Give the indices `low <= index < high` between which every entry of that time is; not each there is of it."""
    low, high = 0, size
    if since is not None:
        statement = "SELECT block FROM log_times WHERE latest >= :since ORDER BY block LIMIT 1"
        block = tx.connection().execute(text(statement), {"since": _milliseconds(since)}).scalar()
        low = size if block is None else block << TIME_BITS
    if until is not None:
        statement = "SELECT block FROM log_times WHERE earliest <= :until ORDER BY block DESC LIMIT 1"
        block = tx.connection().execute(text(statement), {"until": _milliseconds(until)}).scalar()
        high = 0 if block is None else min(size, (block + 1) << TIME_BITS)
    return low, high


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _blocks(index: int) -> list[str]:
    return [_block_term(level, index >> bits) for level, bits in enumerate(LEVELS)]


def _block_term(level: int, block: int) -> str:
    return term("block", f"{level} {block}")


def _is_sqlite(tx: Tx) -> bool:
    return tx.get_bind().dialect.name == "sqlite"
