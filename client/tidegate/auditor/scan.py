"""What entries say of themselves, read at the speed of hashing: their envelopes, their ids, their times.

An envelope is recognised by one expression over the canonical bytes; `formats.entry.parse_entry` reads the whole entry
and takes forty times as long. What is found here is told, and refuses nothing: a log is whole whatever stands in it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from tidegate.errors import EntryInvalid
from tidegate.formats.entry import parse_entry
from tidegate.formats.moment import moment_text, parse_moment

CLOCK_BACK = timedelta(minutes=5)  # replicas' clocks differ by less, and entries are put in order within seconds
ID_BYTES = 8  # the random half of a UUIDv7: 62 bits; two entries that share them by chance are told apart by reading
MAX_TOLD = 100  # of each kind; whoever rewrote a clock did so for thousands of entries

# the canonical order of the members (RFC 8785): actor, at, data, id, type, version; an actor's values are all text
_REST = (
    rb'"at":"([0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{6}Z)",'
    rb'"data":\{.*\},'
    rb'"id":"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-([89ab][0-9a-f]{3}-[0-9a-f]{12})",'
    rb'"type":"([a-z0-9.-]{1,64})","version":[1-9][0-9]{0,3}\}'
)
_PLAIN = re.compile(rb'\{"actor":\{[^{}\\]*+\},' + _REST, re.DOTALL)
_ANY = re.compile(rb'\{"actor":\{(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[:,]?)++\},' + _REST, re.DOTALL)  # names with {, } or \
_NO_ID = b"0" * 2 * ID_BYTES
_MINUTE = 16  # characters of `2026-03-01T09:30`


@dataclass(slots=True)
class Odd:
    """Entries that something is odd about. `indices`: the first MAX_TOLD of `count`."""

    indices: list[int] = field(default_factory=list)
    count: int = 0

    def note(self, index: int) -> None:
        """Count one more."""
        self.count += 1
        if len(self.indices) < MAX_TOLD:
            self.indices.append(index)

    def __add__(self, other: Odd) -> Odd:
        return Odd((self.indices + other.indices)[:MAX_TOLD], self.count + other.count)


@dataclass(slots=True)
class Scan:
    """What `count` entries from `start` on said. `ids`: ID_BYTES for each, joined; zeros where there is none.

    `earliest` and `newest` are times as entries write them. `malformed`: not of the envelope. `clock_back`: far older
    than one before them.
    """

    start: int
    count: int = 0
    ids: bytes = b""
    types: Counter[str] = field(default_factory=Counter)
    earliest: str = ""
    newest: str = ""
    malformed: Odd = field(default_factory=Odd)
    clock_back: Odd = field(default_factory=Odd)


class Scanner:
    """Scans entries in order. `newest`: the latest time of all before them. `deep`: parse each entry as a whole."""

    def __init__(self, start: int, *, newest: str = "", deep: bool = False) -> None:
        self._scan = Scan(start, newest=newest)
        self._ids: list[bytes] = []
        self._types: Counter[bytes] = Counter()
        self._deep = deep
        self._minute = self._floor = ""

    def take(self, entries: Sequence[bytes]) -> None:
        """Scan the next entries."""
        found = list(map(_PLAIN.fullmatch, entries))
        if self._deep or None in found:
            found = [self._examined(raw, each) for raw, each in zip(entries, found, strict=True)]
        read = [each.groups() for each in found if each is not None]
        if read:
            times, ids, types = zip(*read, strict=True)
            self._types.update(types)
            self._take_times(found, times)
            self._ids += ids if len(ids) == len(found) else [_NO_ID if each is None else each[2] for each in found]
        else:
            self._ids += [_NO_ID] * len(found)
        for place, each in enumerate(found) if len(read) < len(found) else ():
            if each is None:
                self._scan.malformed.note(self._scan.start + self._scan.count + place)
        self._scan.count += len(entries)

    def result(self) -> Scan:
        """Give what was found."""
        self._scan.ids = bytes.fromhex(b"".join(self._ids).replace(b"-", b"").decode())
        self._scan.types = Counter({kind.decode(): count for kind, count in self._types.items()})
        return self._scan

    def _examined(self, raw: bytes, found: re.Match[bytes] | None) -> re.Match[bytes] | None:
        found = found or _ANY.fullmatch(raw)
        return found if found is None or not self._deep or _parses(raw) else None

    def _take_times(self, found: Sequence[re.Match[bytes] | None], times: Sequence[bytes]) -> None:
        """Look for late entries. A bundle whose earliest one is not late beside its latest one holds none."""
        scan, earliest, latest = self._scan, min(times).decode(), max(times).decode()
        before, scan.newest = scan.newest, max(scan.newest, latest)
        scan.earliest = min(scan.earliest or earliest, earliest)
        if earliest >= self._late_before(scan.newest):
            return
        for place, each in enumerate(found):
            at = "" if each is None else each[1].decode()
            if at and at < self._late_before(before):
                scan.clock_back.note(scan.start + scan.count + place)
            before = max(before, at)

    def _late_before(self, newest: str) -> str:
        """Give the time before which an entry is late: CLOCK_BACK before the minute of `newest`."""
        if newest[:_MINUTE] != self._minute:
            self._minute = newest[:_MINUTE]
            try:
                self._floor = moment_text(parse_moment(f"{self._minute}:00Z") - CLOCK_BACK)[:_MINUTE]
            except (ValueError, OverflowError):  # no time yet, or one that no calendar has, such as 30 February
                self._floor = ""
        return self._floor


def _parses(raw: bytes) -> bool:
    try:
        parse_entry(raw)
    except EntryInvalid:
        return False
    return True
