"""A whole log from its files: every entry bundle, every tile, the root, and what the entries say of themselves.

How fast: docs/performance.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tidegate.auditor.audited import AuditedLog
from tidegate.auditor.parts import verified_parts, verify_part
from tidegate.auditor.scan import MAX_TOLD, Odd, Scan
from tidegate.errors import LogRefused
from tidegate.tlog.merkle import HASH_BYTES
from tidegate.tlog.tiles import TILE_WIDTH
from tidegate.tlog.whole import VerifiedBundles, bundle_count, verify_whole

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
    first = max(done - 1, 0) // TILE_WIDTH  # with the last one that is known: what is new is not older than that
    parts = [VerifiedBundles(0, first, _hashes_above(audited, first), b"")]
    scans: list[Scan] = []
    for part in verified_parts(audited.source, checkpoint.size, first, deep=deep):
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
