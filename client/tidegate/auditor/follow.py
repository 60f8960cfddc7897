"""Entries of a growing log, one after another: each proven, none twice, none left out.

Every round takes a checkpoint that is verified and grew out of the one before (`open_audited`), and gives the entries
that it adds, out of tiles that hash to its root. Nothing that is not proven ever comes out of here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tidegate.auditor.audited import AuditedLog
from tidegate.auditor.position import Position
from tidegate.errors import EntryInvalid, LogRefused, TileInvalid, Unreachable
from tidegate.formats.entry import Entry, parse_entry
from tidegate.tlog.merkle import EMPTY_ROOT, leaf_hash
from tidegate.tlog.proof import LogProof
from tidegate.tlog.reader import TileReader
from tidegate.tlog.text import format_base64
from tidegate.tlog.tiles import TILE_WIDTH

POLL_SECONDS = 2.0  # a checkpoint comes every second at most
FIRST_WAIT_SECONDS = 1.0
MAX_WAIT_SECONDS = 60.0
MAX_MISSING = 5  # rounds in a row in which tiles may be missing: a mirror can be behind its own checkpoint

Round = TypeVar("Round")


@dataclass(frozen=True, slots=True)
class Proven:
    """Entry `index` of the log under `head`. `entry`: None where `raw` is none that we can read, as `problem` says."""

    index: int
    raw: bytes
    head: AuditedLog
    entry: Entry | None
    problem: EntryInvalid | None = None

    @classmethod
    def read(cls, index: int, raw: bytes, head: AuditedLog) -> Proven:
        """Read the bytes of a proven entry."""
        try:
            return cls(index, raw, head, parse_entry(raw, index=index))
        except EntryInvalid as problem:
            return cls(index, raw, head, None, problem)

    @property
    def leaf(self) -> str:
        """The hash of its leaf, in base64."""
        return format_base64(leaf_hash(self.raw))

    def proof(self, reader: TileReader) -> bytes:
        """Write a C2SP tlog-proof of it. `reader`: of `head`."""
        return LogProof(self.index, tuple(reader.inclusion(self.index)), self.head.head.raw).raw


class Follower:
    """Reads a log on from a place. `open_log`: gives its verified head; it raises what is wrong with the log."""

    def __init__(self, open_log: Callable[[], AuditedLog], position: Position | None = None) -> None:
        self._open_log = open_log
        self._resumed = position
        self.next = position.size if position else 0
        self.known = 0  # entries that the log must have, as somebody wrote down the last of them

    def poll(self) -> AuditedLog:
        """Fetch and verify the latest checkpoint.

        Raises LogRefused (codes "log-other" and "log-fork" when it is not the log that the position is of), and what
        `open_log` raises.
        """
        audited = self._open_log()
        if self._resumed is not None:
            _check_continues(self._resumed, audited)
            self._resumed = None
        _check_size(self.known, audited)
        return audited

    def unread(self, audited: AuditedLog, reader: TileReader | None = None) -> Iterator[Sequence[Proven]]:
        """Give the entries from `next` up to the checkpoint's size, as they stand in bundles.

        `next` moves on when the following part is asked for, so what was not handled to its end comes again.
        Raises TileInvalid, and what the source raises.
        """
        opened = reader or audited.reader()
        while self.next < opened.size:
            stop = min((self.next // TILE_WIDTH + 1) * TILE_WIDTH, opened.size)
            part = tuple(Proven.read(index, raw, audited) for index, raw in opened.entries(self.next, stop))
            yield part
            self.next = stop


def position_at(audited: AuditedLog, reader: TileReader, size: int) -> Position:
    """Give the position after the first `size` entries."""
    return Position(audited.head.checkpoint.origin, size, reader.root(size) if size else EMPTY_ROOT)


def last_entries(audited: AuditedLog, count: int, wanted: Callable[[Proven], bool], *, most: int) -> list[Proven]:
    """Give the last `count` entries that are `wanted`, the oldest first, looking at no more than `most`."""
    reader, found = audited.reader(), list[Proven]()
    stop, floor = reader.size, max(reader.size - most, 0)
    while stop > floor and len(found) < count:
        start = max((stop - 1) // TILE_WIDTH * TILE_WIDTH, floor)
        part = [Proven.read(index, raw, audited) for index, raw in reader.entries(start, stop)]
        found = [each for each in part if wanted(each)] + found
        stop = start
    return found[-count:] if count else []


def rounds(
    once: Callable[[], Round],
    *,
    sleep: Callable[[float], None],
    tell: Callable[[str, float], None],
    pause: float = POLL_SECONDS,
) -> Iterator[Round]:
    """Give what `once` gives, again and again. While the network is away, wait longer each time, and `tell` why.

    `tell` gets what failed and the seconds until the next attempt. Raises whatever else `once` raises, and TileInvalid
    when tiles stay missing.
    """
    wait, missing = FIRST_WAIT_SECONDS, 0
    while True:
        try:
            found = once()
        except (Unreachable, TileInvalid) as error:
            missing = missing + 1 if isinstance(error, TileInvalid) else 0
            if missing > MAX_MISSING or (missing and error.reasons[0].code != "tile-missing"):
                raise
            tell(error.message, wait)
            sleep(wait)
            wait = min(wait * 2, MAX_WAIT_SECONDS)
        else:
            wait, missing = FIRST_WAIT_SECONDS, 0
            yield found
            sleep(pause)


def _check_continues(position: Position, audited: AuditedLog) -> None:
    checkpoint = audited.head.checkpoint
    if checkpoint.origin != position.origin:
        raise LogRefused(
            "the log is another one than the one that was read before",
            code="log-other",
            found=checkpoint.origin,
            expected=position.origin,
        )
    _check_size(position.size, audited)
    if (audited.reader().root(position.size) if position.size else EMPTY_ROOT) != position.root:
        raise LogRefused(
            f"{audited.source.name} does not begin with the entries that were read before",
            code="log-fork",
            found=f"another root for the first {position.size} entries",
            hint="compare it with what other auditors see: `tidegate log compare`",
        )


def _check_size(known: int, audited: AuditedLog) -> None:
    if audited.head.checkpoint.size < known:
        raise LogRefused(
            f"{audited.source.name} shows fewer entries than were read before",
            code="log-truncated",
            found=f"{audited.head.checkpoint.size} entries",
            expected=f"at least {known}",
        )
