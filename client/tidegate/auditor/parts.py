"""Ranges of a log's entry bundles, verified side by side: by processes out of a folder, by threads over a network.

Two processes hash twice as fast as one, and several threads wait for a network together. The processes import this
module and what it needs: nothing heavy, so that they are soon at work.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from tidegate.auditor.scan import Scan, Scanner
from tidegate.auditor.source import LogSource, folder_source
from tidegate.tlog.tiles import TILE_WIDTH
from tidegate.tlog.whole import VerifiedBundles, bundle_count, verify_bundles

PART_BUNDLES = 64  # 16,384 entries: some 50 ms of hashing, and as often the bar moves
PARTS_AT_ONCE = 1024  # handed out together, 16,777,216 entries: whoever claims 2^60 of them costs no more
ENTRIES_FOR_PROCESSES = 100_000  # below, starting processes takes longer than they save
MAX_PROCESSES = 8  # beyond, the disk is the limit
THREADS = 8  # as many as the HTTP client has connections


@dataclass(frozen=True, slots=True)
class Part:
    """A range of entry bundles, verified, and what their entries said."""

    bundles: VerifiedBundles
    scan: Scan


def verified_parts(source: LogSource, size: int, first: int, *, deep: bool) -> Iterator[Part]:
    """Verify the entry bundles of a log of `size` entries from bundle `first` on; gives them in order.

    Raises TileInvalid and what the source raises.
    """
    with _workers(source, size - first * TILE_WIDTH) as pool:
        for begin in range(first, bundle_count(size), PART_BUNDLES * PARTS_AT_ONCE):  # a size is only claimed so far
            end = min(begin + PART_BUNDLES * PARTS_AT_ONCE, bundle_count(size))
            starts = range(begin, end, PART_BUNDLES)
            stops = [min(start + PART_BUNDLES, end) for start in starts]
            if pool is None:
                yield from (verify_part(source, size, *each, deep=deep) for each in zip(starts, stops, strict=True))
            elif source.folder is not None:
                several = [[value] * len(stops) for value in (str(source.folder), size, deep)]
                yield from pool.map(_part_of_folder, several[0], several[1], starts, stops, several[2])
            else:
                yield from pool.map(partial(_part_of_source, source, size, deep), starts, stops)


@contextmanager
def _workers(source: LogSource, count: int) -> Iterator[Executor | None]:
    """Give who shares the work; what has not begun when the block fails never does."""
    pool: Executor | None = None
    if source.folder is None:
        pool = ThreadPoolExecutor(THREADS)
    elif count >= ENTRIES_FOR_PROCESSES and (cores := min(_cores(), MAX_PROCESSES)) > 1:
        # not forked: a fork of a process with threads may hang
        pool = ProcessPoolExecutor(cores, mp_context=get_context("spawn"), initializer=_ignore_interrupts)
    try:
        yield pool
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)


def verify_part(source: LogSource, size: int, start: int, stop: int, *, deep: bool, newest: str = "") -> Part:
    """Verify the entry bundles `start` up to `stop` and scan their entries."""
    scanner = Scanner(start * TILE_WIDTH, newest=newest, deep=deep)
    bundles = verify_bundles(source.fetch, size, start, stop, look=scanner.take)
    return Part(bundles, scanner.result())


def _part_of_source(source: LogSource, size: int, deep: bool, start: int, stop: int) -> Part:  # noqa: FBT001 - for map
    return verify_part(source, size, start, stop, deep=deep)


def _part_of_folder(folder: str, size: int, start: int, stop: int, deep: bool) -> Part:  # noqa: FBT001 - for map
    return verify_part(folder_source(Path(folder)), size, start, stop, deep=deep)


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the process that started this one: it stops the work and says so, once."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1
