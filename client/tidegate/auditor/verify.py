"""A whole log from its files: every entry bundle, every tile, the root, and what the entries say of themselves.

Two processes hash twice as fast as one, so a large log in a folder is given to several; over a network several threads
wait for the answers. Numbers and figures: docs/performance.md.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from tidegate.auditor.audited import AuditedLog
from tidegate.auditor.scan import MAX_TOLD, Odd, Scan, Scanner
from tidegate.auditor.source import LogSource, folder_source
from tidegate.errors import LogRefused
from tidegate.tlog.merkle import HASH_BYTES
from tidegate.tlog.tiles import TILE_WIDTH
from tidegate.tlog.whole import VerifiedBundles, bundle_count, verify_bundles, verify_whole

PART_BUNDLES = 64  # 16,384 entries: some 50 ms of hashing, and as often the bar moves
ENTRIES_FOR_PROCESSES = 100_000  # below, starting processes takes longer than they save
MAX_PROCESSES = 8  # beyond, the disk is the limit
THREADS = 8  # as many as the HTTP client has connections

Advance = Callable[[int], object]
"""Told how many more entries are verified."""


@dataclass(frozen=True, slots=True)
class Findings:
    """What is odd about entries of a log that is whole. `duplicates`: pairs with one id, at most MAX_TOLD."""

    malformed: Odd
    clock_back: Odd
    duplicates: Sequence[tuple[int, int]]

    def __bool__(self) -> bool:
        return bool(self.malformed.count or self.clock_back.count or self.duplicates)


@dataclass(frozen=True, slots=True)
class WholeLog:
    """A log that is whole. `start`: the first entry that was looked at; the ones before were verified earlier."""

    start: int
    size: int
    types: Counter[str]
    earliest: str
    newest: str
    findings: Findings


@dataclass(frozen=True, slots=True)
class _Part:
    bundles: VerifiedBundles
    scan: Scan


def verify_log(
    audited: AuditedLog, *, since_last: bool = False, deep: bool = False, advance: Advance = lambda _: None
) -> WholeLog:
    """Verify every file of the log that the audited checkpoint covers.

    `since_last`: only entries after those that were verified before; that the others are in the log unchanged is
    proved. `deep`: parse each entry as a whole. Raises TileInvalid, LogRefused (code "log-fork") and what the source
    raises.
    """
    checkpoint, fetch = audited.head.checkpoint, audited.source.fetch
    done = _already_verified(audited) if since_last else 0
    first = done // TILE_WIDTH
    parts = [VerifiedBundles(0, first, _hashes_above(audited, first), b"")]
    scans: list[Scan] = []
    for part in _verified_parts(audited.source, checkpoint.size, first, deep=deep):
        parts.append(part.bundles)
        scans.append(part.scan)
        advance(part.scan.count)
    verify_whole(fetch, checkpoint, parts)

    def again(scan: Scan, newest: str) -> Scan:
        stop = bundle_count(scan.start + scan.count)
        return verify_part(
            audited.source, checkpoint.size, scan.start // TILE_WIDTH, stop, deep=deep, newest=newest
        ).scan

    return _summary(first * TILE_WIDTH, checkpoint.size, scans, again)


def _already_verified(audited: AuditedLog) -> int:
    """Give how many entries were verified before, once it is proved that the log still begins with them."""
    verified = audited.before.verified if audited.before else None
    if verified is None:
        return 0
    if audited.reader().root(verified.size) != verified.root:
        raise LogRefused(
            f"{audited.source.name} does not begin with the entries that were verified before",
            code="log-fork",
            found=f"another root for the first {verified.size} entries",
            hint="verify the whole log: run it again without --since-last",
        )
    return verified.size


def _hashes_above(audited: AuditedLog, count: int) -> bytes:
    """Give the hashes of the first `count` full entry bundles, as the tiles of level 1 have them."""
    reader = audited.reader()
    tiles = b"".join(reader.tile(1, index) for index in range(bundle_count(count)))
    return tiles[: count * HASH_BYTES]


def _verified_parts(source: LogSource, size: int, first: int, *, deep: bool) -> Iterator[_Part]:
    ranges = [(at, min(at + PART_BUNDLES, bundle_count(size))) for at in range(first, bundle_count(size), PART_BUNDLES)]
    starts, stops = [start for start, _ in ranges], [stop for _, stop in ranges]
    with _workers(source, size - first * TILE_WIDTH) as pool:
        if pool is None:
            yield from (verify_part(source, size, start, stop, deep=deep) for start, stop in ranges)
        elif source.folder is not None:
            several = [[value] * len(ranges) for value in (str(source.folder), size, deep)]
            yield from pool.map(_part_of_folder, several[0], several[1], starts, stops, several[2])
        else:
            yield from pool.map(lambda start, stop: verify_part(source, size, start, stop, deep=deep), starts, stops)


@contextmanager
def _workers(source: LogSource, count: int) -> Iterator[Executor | None]:
    """Give who shares the work; what has not begun when the block fails never does."""
    pool: Executor | None = None
    if source.folder is None:
        pool = ThreadPoolExecutor(THREADS)
    elif count >= ENTRIES_FOR_PROCESSES and (cores := min(_cores(), MAX_PROCESSES)) > 1:
        # not forked: a fork of a process with threads may hang
        pool = ProcessPoolExecutor(cores, mp_context=get_context("spawn"))
    try:
        yield pool
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def verify_part(source: LogSource, size: int, start: int, stop: int, *, deep: bool, newest: str = "") -> _Part:
    """Verify the entry bundles `start` up to `stop` and scan their entries."""
    scanner = Scanner(start * TILE_WIDTH, newest=newest, deep=deep)
    bundles = verify_bundles(source.fetch, size, start, stop, look=scanner.take)
    return _Part(bundles, scanner.result())


def _part_of_folder(folder: str, size: int, start: int, stop: int, deep: bool) -> _Part:  # noqa: FBT001 - for map
    return verify_part(folder_source(Path(folder)), size, start, stop, deep=deep)


def _summary(start: int, size: int, scans: Sequence[Scan], again: Callable[[Scan, str], Scan]) -> WholeLog:
    """Put together what parts found. `again`: scans a part once more, with the latest time of all before it."""
    whole = Scan(start)
    for scan in scans:
        if scan.earliest and scan.earliest < whole.newest:  # perhaps late beside what another part holds
            scan = again(scan, whole.newest)  # noqa: PLW2901 - the same part
        whole.malformed += scan.malformed
        whole.clock_back += scan.clock_back
        whole.types += scan.types
        whole.newest = max(whole.newest, scan.newest)
        whole.earliest = min(whole.earliest or scan.earliest, scan.earliest or whole.earliest)
    findings = Findings(whole.malformed, whole.clock_back, _duplicates(scans))
    return WholeLog(start, size, whole.types, whole.earliest, whole.newest, findings)


def _duplicates(scans: Sequence[Scan]) -> list[tuple[int, int]]:
    """Give pairs of entries with one id, of which the second comes later in the log; at most MAX_TOLD."""
    joined = b"".join(scan.ids for scan in scans)
    ids = memoryview(joined).cast("Q")
    if len(set(ids)) == len(ids):
        return []
    first, found = dict[int, int](), list[tuple[int, int]]()
    begin = scans[0].start
    for place, value in enumerate(ids):
        if value and value in first and len(found) < MAX_TOLD:
            found.append((begin + first[value], begin + place))
        first.setdefault(value, place)
    return found


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1
