"""Search in the log, for people: the newest entries that fit, a page at a time, and one entry by index or id.

What is shown is what this server's database says. Each answer says where the entry stands in the log, so that whoever
must not believe the server fetches the bundle and proves it. A page costs what a page may cost, whatever is asked for:
at most ROUNDS looks into the index, so it may end early, with a cursor to go on from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlmodel import col, select

from tidegate.errors import InvalidInput, NotFound
from tidegate.formats.entry import is_entry_type
from tidegate_registry.audit import searchdb, terms
from tidegate_registry.audit.index import indexed_size
from tidegate_registry.audit.sequence import load_state
from tidegate_registry.audit.tables import AuditEventRow

if TYPE_CHECKING:
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

ROUNDS = 8  # of candidates that a range of times may rule out
MAX_WORDS = 16  # of a search
PAGE_BYTES = 4 << 20  # of entries in one page; one entry is at most 64 KB

_ID = re.compile(r"[0-9a-f-]{36}")
_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")


class EntryUnknown(NotFound):
    """The registry has written no such entry."""

    code = "entry-unknown"


class SearchInvalid(InvalidInput):
    """A search asks for what no entry can be found by."""

    code = "search-invalid"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is searched for; all that is given must fit. `types`: any of them, such as `promotion.*`.

    `since <= at < until`. `decision`: an id that the entry names, or its own. `words`: all of them.
    """

    agent: str | None = None
    actor: str | None = None
    types: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    digest: str | None = None
    decision: str | None = None
    words: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """An entry as this server tells it. `published`: how many entries the last checkpoint covers."""

    row: AuditEventRow
    published: int


@dataclass(frozen=True, slots=True)
class FoundPage:
    """Entries, the newest first. `next`: the cursor of the next page; None: there is none. `searched`: how many
    entries, from the first on, the search could see.
    """

    items: Sequence[Found]
    next: str | None
    searched: int


def search(app: Services, wanted: Wanted, *, after: str, size: int) -> FoundPage:
    """Give a page. `after`: the cursor, an index that the page stays below; empty: the newest.

    Raises SearchInvalid.
    """
    groups = _groups(wanted)
    with app.db.read() as tx:
        searched, published = indexed_size(tx), load_state(tx).published
        low, high = searchdb.index_range(tx, wanted.since, wanted.until, searched)
        below = high if not after else min(high, parse_cursor(after))
        rows: list[AuditEventRow] = []
        for _ in range(ROUNDS):
            candidates = _candidates(tx, groups, low, below, size + 1)
            rows += [row for row in _load(tx, candidates) if _in_time(row, wanted)]
            if len(candidates) <= size:
                below = low
                break
            below = candidates[-1]
            if len(rows) > size:
                break
    shown = _fitting(rows[:size])
    if len(shown) < len(rows):
        below = shown[-1].idx or 0
    more = below > low
    return FoundPage([Found(row, published) for row in shown], str(below) if more else None, searched)


def find_entry(app: Services, name: str) -> Found:
    """Give the entry with this index or id. Raises EntryUnknown."""
    column, value = (AuditEventRow.idx, int(name)) if _INDEX.fullmatch(name) else (AuditEventRow.id, name)
    row, published = None, 0
    if isinstance(value, int) or _ID.fullmatch(value):  # no other text is for a database: PostgreSQL fails at a NUL
        with app.db.read() as tx:
            row = tx.exec(select(AuditEventRow).where(column == value)).first()
            published = load_state(tx).published
    if row is None:
        raise EntryUnknown("there is no such entry", found=name[:64], expected="an index, or the id of an entry")
    return Found(row, published)


def parse_cursor(text: str) -> int:
    """Read a cursor. It says nothing but where to go on: whoever makes one up sees what they may see anyway."""
    if not _INDEX.fullmatch(text):
        raise SearchInvalid(
            "that is not a cursor", code="cursor-invalid", found=text[:64], expected="`next` of the page before"
        )
    return int(text)


def _groups(wanted: Wanted) -> list[list[str]]:
    """Give the terms that must be there: of each group one."""
    groups: list[list[str]] = []
    for value, make in (
        (wanted.agent, terms.agent_term),
        (wanted.actor, terms.actor_term),
        (wanted.digest, terms.digest_term),
        (wanted.decision, terms.decision_term),
    ):
        if value is not None:
            groups.append([make(value)])
    if wanted.types:
        groups.append([terms.type_term(_type(text)) for text in dict.fromkeys(wanted.types)])
    if wanted.words is not None:
        words = terms.word_terms(wanted.words)
        if not 0 < len(words) <= MAX_WORDS:
            raise SearchInvalid(
                "these are no words to search for",
                found=f"{len(words)} words",
                expected=f"1 to {MAX_WORDS} words of letters and digits; all must be in an entry",
            )
        groups += [[word] for word in words]
    return groups


def _type(text: str) -> str:
    stem = text.removesuffix(f".{terms.ANY}")
    if is_entry_type(text) or (stem != text and is_entry_type(f"{stem}.x")):
        return text
    raise SearchInvalid(
        "that is no type of entries", found=text[:64], expected="a type such as channel.moved, or all: promotion.*"
    )


def _candidates(tx: Tx, groups: list[list[str]], low: int, below: int, most: int) -> list[int]:
    if low >= below:
        return []
    if groups:
        return searchdb.newest(tx, groups, low=low, below=below, most=most)
    return list(range(below - 1, max(low, below - most) - 1, -1))  # the log has no gaps


def _load(tx: Tx, indices: Sequence[int]) -> list[AuditEventRow]:
    query = select(AuditEventRow).where(col(AuditEventRow.idx).in_(indices))
    return list(tx.exec(query.order_by(col(AuditEventRow.idx).desc())).all()) if indices else []


def _in_time(row: AuditEventRow, wanted: Wanted) -> bool:
    return (wanted.since is None or row.at >= wanted.since) and (wanted.until is None or row.at < wanted.until)


def _fitting(rows: Sequence[AuditEventRow]) -> list[AuditEventRow]:
    """Give as many rows as fit a page."""
    shown: list[AuditEventRow] = []
    room = PAGE_BYTES
    for row in rows:
        room -= len(row.body)
        if room < 0 and shown:
            break
        shown.append(row)
    return shown
