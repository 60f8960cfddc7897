"""One entry of a log, by its index, its id or its leaf hash; out of static files, so that nobody can hide it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tidegate.auditor.audited import AuditedLog
from tidegate.digest import Digest
from tidegate.errors import EntryInvalid, InvalidInput, NotFound
from tidegate.formats.entry import parse_entry
from tidegate.tlog.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from tidegate.tlog.reader import TileReader
from tidegate.tlog.text import parse_decimal
from tidegate.tlog.tiles import TILE_WIDTH
from tidegate.tlog.whole import bundle_count

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TIME_DIGITS = 12  # RFC 9562 section 5.7: a UUIDv7 begins with 48 bits of milliseconds

Advance = Callable[[int], object]
"""Told how many more entries were looked at."""


@dataclass(frozen=True, slots=True)
class FoundEntry:
    """An entry that is proved to be in the audited log. `path`: from its leaf to the root, 32 bytes each."""

    index: int
    raw: bytes
    path: tuple[bytes, ...]

    @property
    def leaf(self) -> Digest:
        """The hash of its leaf (RFC 6962 section 2.1), which is not that of its bytes alone."""
        return Digest(f"sha256:{leaf_hash(self.raw).hex()}")


def find_entry(audited: AuditedLog, what: str, *, advance: Advance = lambda _: None) -> FoundEntry:
    """Find an entry and prove that it is in the log. `what`: an index, an event id, or `sha256:` and a leaf hash.

    An id is looked for where its time would be, and then everywhere: only after the whole log is it said not to be
    there. Raises InvalidInput, NotFound (code "log-entry-missing"), TileInvalid, ProofInvalid.
    """
    reader, checkpoint = audited.reader(), audited.head.checkpoint
    index = _index_of(reader, what, advance)
    if index is None or index >= checkpoint.size:
        raise NotFound(
            f"the log has no entry {what[:100]}",
            code="log-entry-missing",
            found=f"{checkpoint.size} entries, from 0 on",
            hint="an entry is in the log some seconds after the answer that names it; ask again",
        )
    raw, path = reader.entry(index), reader.inclusion(index)
    verify_inclusion(leaf_hash(raw), index, checkpoint.size, path, checkpoint.root)
    return FoundEntry(index, raw, tuple(path))


def _index_of(reader: TileReader, what: str, advance: Advance) -> int | None:
    if (index := parse_decimal(what)) is not None:
        return index
    if _ID.fullmatch(what):
        return _index_of_id(reader, what, advance)
    if what.startswith("sha256:"):
        return _index_of_leaf(reader, bytes.fromhex(Digest.parse(what).hex), advance)
    raise InvalidInput("that names no entry", found=what[:100], expected="an index, an event id, or sha256:<leaf hash>")


def _index_of_leaf(reader: TileReader, leaf: bytes, advance: Advance) -> int | None:
    """Look through the hashes alone, the newest first."""
    for number in reversed(range(bundle_count(reader.size))):
        tile = reader.tile(0, number)
        for place in range(0, len(tile), HASH_BYTES):
            if tile[place : place + HASH_BYTES] == leaf:
                return number * TILE_WIDTH + place // HASH_BYTES
        advance(len(tile) // HASH_BYTES)
    return None


def _index_of_id(reader: TileReader, event: str, advance: Advance) -> int | None:
    text = event.encode()
    for number in _outward(_likely_bundle(reader, event), bundle_count(reader.size)):
        entries = list(reader.entries(number * TILE_WIDTH, (number + 1) * TILE_WIDTH))
        for index, raw in entries:
            if text in raw and _id_of(raw) == event:
                return index
        advance(len(entries))
    return None


def _likely_bundle(reader: TileReader, event: str) -> int:
    """Give the last bundle that begins at or before the time in an id: entries are very nearly in order of time."""
    low, high = 0, max(bundle_count(reader.size) - 1, 0)
    while low < high:
        middle = (low + high + 1) // 2
        if _time_of(_id_of(reader.entry(middle * TILE_WIDTH)) or "") <= _time_of(event):
            low = middle
        else:
            high = middle - 1
    return low


def _outward(start: int, count: int) -> Iterator[int]:
    """Give all numbers below `count`, by their distance from `start`."""
    for distance in range(count):
        for number in {start - distance, start + distance}:
            if 0 <= number < count:
                yield number


def _time_of(event: str) -> str:
    return event.replace("-", "")[:_TIME_DIGITS]


def _id_of(raw: bytes) -> str | None:
    try:
        return parse_entry(raw).id
    except EntryInvalid:
        return None
