"""Somebody who holds the bucket puts another tile in the place of one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.auditlog import watched_log
from tests.auditing import Auditor, code_of
from tests.smalllog import SmallLog
from tidegate.auditor.find import find_entry
from tidegate.errors import TileInvalid

TILES = ("tile/0/000", "tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2")


def changed(content: bytes) -> bytes:
    return content[32:64] + content[:32] + content[64:]


@pytest.mark.parametrize("path", TILES)
def test_a_changed_tile_is_found_and_proves_nothing(tmp_path: Path, path: str) -> None:
    log, auditor = watched_log(tmp_path)
    log.write(path, changed((log.folder / path).read_bytes()))
    assert code_of(auditor.refusal()) in {"tile-foreign", "entry-foreign"}
    with pytest.raises(TileInvalid):
        [find_entry(auditor.look(), index) for index in ("0", "300", "699")]


def test_tiles_of_another_place_or_log_are_found(tmp_path: Path) -> None:
    log, _ = watched_log(tmp_path)
    other = SmallLog(tmp_path / "other")
    other.append(*reversed(log.entries))
    kept = (log.folder / TILES[0]).read_bytes()
    for planted in ((log.folder / TILES[1]).read_bytes(), (other.folder / TILES[0]).read_bytes(), kept[:-32]):
        log.write(TILES[0], planted)
        assert code_of(Auditor(tmp_path / "newcomer", log).refusal()) in {"tile-foreign", "entry-foreign", "tile-size"}
