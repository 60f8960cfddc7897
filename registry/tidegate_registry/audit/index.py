"""Puts entries that are in the log into the search index, a batch at a time: a step of the worker.

The index is made of the log alone, so it may be dropped and made again, and is the same then. What is indexed and how
far it came commit together; whoever comes second, as another leader or after a crash, begins where that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import delete, text
from sqlmodel import col, select

from tidegate.formats.entry import parse_entry
from tidegate_registry.audit import searchdb
from tidegate_registry.audit.sequence import load_state
from tidegate_registry.audit.tables import AuditEventRow, LogIndexedRow, LogTimesRow
from tidegate_registry.audit.terms import INDEX_VERSION, terms_of
from tidegate_registry.db import insert_once
from tidegate_registry.worker import Did

if TYPE_CHECKING:
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

LOG_SEARCH = "log-search"  # the lease; two who believe that they hold it do each batch once all the same
INDEX_SECONDS = 1.0
BATCH = 500  # entries of one transaction: on SQLite, nobody else writes for some 30 ms
NAME = "log"


@dataclass(frozen=True, slots=True)
class _Indexed:
    index: int
    at: datetime
    terms: tuple[str, ...]


def index_turn(app: Services) -> Did:
    """Do one batch, for the worker."""
    count = index_entries(app)
    if count == BATCH:
        return Did.MORE
    return Did.SOMETHING if count else Did.NOTHING


def index_entries(app: Services, *, batch: int = BATCH) -> int:
    """Index the next entries that a checkpoint covers; give how many. Call again while that is `batch`. Blocks."""
    with app.db.read() as tx:
        state = tx.get(LogIndexedRow, NAME)
        start = state.size if state is not None and state.version == INDEX_VERSION else 0
        found = [_read(row) for row in _next(tx, start, batch)]
    if not found and state is not None and state.version == INDEX_VERSION:
        return 0
    with app.db.bookkeeping(durable=False) as tx:
        if _hold(tx) != start:
            return 0  # another one was faster; its entries are indexed
        if start == 0:
            _clear(tx)
        if found:
            searchdb.add(tx, [(each.index, each.terms) for each in found])
            searchdb.note_times(tx, [(each.index, each.at) for each in found])
        _advance(tx, start + len(found))
    return len(found)


def indexed_size(tx: Tx) -> int:
    """Give how many entries can be searched."""
    state = tx.get(LogIndexedRow, NAME)
    return state.size if state is not None and state.version == INDEX_VERSION else 0


def _next(tx: Tx, start: int, batch: int) -> list[AuditEventRow]:
    end = min(start + batch, load_state(tx).published)
    if end <= start:
        return []
    query = select(AuditEventRow).where(col(AuditEventRow.idx) >= start, col(AuditEventRow.idx) < end)
    rows = list(tx.exec(query.order_by(col(AuditEventRow.idx))).all())
    if [row.idx for row in rows] != list(range(start, end)):  # the log has no gaps, or nothing may be indexed
        raise RuntimeError(f"entries {start} to {end - 1} are not all in the database")
    return rows


def _read(row: AuditEventRow) -> _Indexed:
    index = row.idx if row.idx is not None else -1
    entry = parse_entry(row.body, index=index)
    return _Indexed(index, entry.at, tuple(terms_of(entry)))


def _hold(tx: Tx) -> int:
    """Lock the state until `tx` ends, and say where the index goes on."""
    insert_once(tx, LogIndexedRow(name=NAME, version=INDEX_VERSION, size=0))
    lock = "" if tx.get_bind().dialect.name == "sqlite" else " FOR UPDATE"
    query = text(f"SELECT version, size FROM log_indexed WHERE name = :name{lock}")  # noqa: S608 # a constant
    version, size = tx.connection().execute(query, {"name": NAME}).one()
    return int(size) if version == INDEX_VERSION else 0


def _clear(tx: Tx) -> None:
    searchdb.clear(tx)
    tx.connection().execute(delete(LogTimesRow))


def _advance(tx: Tx, size: int) -> None:
    tx.connection().execute(
        text("UPDATE log_indexed SET version = :version, size = :size WHERE name = :name"),
        {"version": INDEX_VERSION, "size": size, "name": NAME},
    )
