"""The audit log under attack: 700 entries, seen and verified by an auditor, and three ways to change what they say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.auditing import Auditor, code_of
from tests.smalllog import SmallLog
from tidegate.tlog.edge import Edge

OLDER = 500  # a size that was published before
SIZE = 700  # two full tiles of 256, a partial one, and a level above


def watched_log(folder: Path) -> tuple[SmallLog, Auditor]:
    """Give a log and an auditor who verified it."""
    log = SmallLog(folder / "log")
    log.grow(OLDER)
    log.grow(SIZE - OLDER)
    auditor = Auditor(folder / "auditor", log)
    auditor.verify()
    return log, auditor


def rewritten_files(log: SmallLog, entries: Sequence[bytes]) -> dict[str, bytes]:
    """Give the files of the log as they would be if it held `entries`."""
    return dict(Edge().grow(entries))


def assert_no_way(log: SmallLog, auditor: Auditor, entries: Sequence[bytes], folder: Path) -> None:
    """Put `entries` in place of those of `log`, the further the attacker gets the later, and see each found.

    Entry bundles alone; with the tiles above them; with a checkpoint that the log's own key signed; and that one grown
    further, so that sizes tell nothing.
    """
    good = {path: (log.folder / path).read_bytes() for path in rewritten_files(log, log.entries)}
    files = rewritten_files(log, entries)
    stages = (
        ({path: raw for path, raw in files.items() if "entries" in path}, {"entry-foreign", "entries-malformed"}),
        ({path: raw for path, raw in files.items() if "tile/1" not in path}, {"tile-foreign"}),
        (files, {"tile-foreign"}),
    )
    for planted, expected in stages:
        for path, raw in planted.items():
            log.write(path, raw)
        assert code_of(auditor.refusal()) in expected | {"tile-size"}
        for path, raw in good.items():
            log.write(path, raw)
    auditor.verify()
    forged = log.rewritten(folder / "forged", entries)
    codes = {"log-truncated"} if len(entries) < SIZE else {"log-fork"}
    assert code_of(auditor.refusal(forged)) in codes | {"log-fork"}
    forged.grow(SIZE)
    assert code_of(auditor.refusal(forged)) == "log-fork"
    assert code_of(auditor.refusal(forged, since_last=True)) == "log-fork"
    assert len(auditor.evidence) == 3
