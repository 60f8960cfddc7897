"""Somebody with the bucket changes, swaps, cuts or removes files of the log, whose checkpoint they cannot sign."""

from __future__ import annotations

import pytest

from tests.client.tlog.logs import checkpoint_of, entry, files_of
from tidegate.errors import LogRefused
from tidegate.tlog.edge import Edge
from tidegate.tlog.reader import TileReader
from tidegate.tlog.tiles import encode_bundle, parse_tile_path
from tidegate.tlog.whole import bundle_count, verify_bundles, verify_whole

SIZE = 66_000  # partial tiles on three levels
BUNDLE, TILE, ABOVE = "tile/entries/003", "tile/0/003", "tile/1/000"
FILES = files_of(SIZE)


def _with(index: int, content: bytes) -> bytes:
    """Give the bundle with another entry in it, and everything else as it was."""
    start = index - index % 256
    return encode_bundle([content if at == index else entry(at) for at in range(start, start + 256)])


def _rewritten() -> dict[str, bytes]:
    forged = Edge()
    return dict(forged.grow([b"rewritten" if index == 800 else entry(index) for index in range(SIZE)]))


REWRITTEN = _rewritten()


SPOILT: dict[str, tuple[dict[str, bytes | None], str]] = {
    "a bundle is gone": ({BUNDLE: None}, "L13 tile-missing"),
    "a tile is gone": ({TILE: None}, "L13 tile-missing"),
    "a tile is cut": ({TILE: FILES[TILE][:-32]}, "L13 tile-size"),
    "a tile has a tail": ({TILE: FILES[TILE] + bytes(32)}, "L13 tile-size"),
    "a bundle is beyond all limits": ({BUNDLE: bytes(17 << 20)}, "L13 tile-size"),
    "an entry is left out": ({BUNDLE: encode_bundle([entry(at) for at in range(768, 1023)])}, "L14 entries-malformed"),
    "bytes behind the last entry": ({BUNDLE: FILES[BUNDLE] + b"\0"}, "L14 entries-malformed"),
    "an entry is edited": ({BUNDLE: _with(800, b"entry 8OO")}, "L16 entry-foreign"),
    "two bundles are swapped": ({BUNDLE: FILES["tile/entries/004"]}, "L16 entry-foreign"),
    "an entry and its tile": ({path: REWRITTEN[path] for path in (BUNDLE, TILE)}, "L15 tile-foreign"),
    "an entry and all tiles above it": ({**REWRITTEN}, "L15 tile-foreign"),
    "two tiles are swapped": ({TILE: FILES["tile/0/004"], BUNDLE: FILES["tile/entries/004"]}, "L15 tile-foreign"),
}


@pytest.mark.parametrize("what", SPOILT)
def test_what_was_done_to_the_files_is_found_by_whoever_reads_the_entry(what: str) -> None:
    changes, expected = SPOILT[what]
    assert TileReader(FILES.get, checkpoint_of(SIZE)).entry(800) == entry(800)
    with pytest.raises(LogRefused) as caught:
        TileReader((FILES | changes).get, checkpoint_of(SIZE)).entry(800)
    assert f"{caught.value.reasons[0].step} {caught.value.reasons[0].code}" == expected


@pytest.mark.parametrize("what", SPOILT)
def test_what_was_done_to_the_files_is_found_by_whoever_verifies_all(what: str) -> None:
    files = FILES | SPOILT[what][0]
    with pytest.raises(LogRefused):
        verify_whole(files.get, checkpoint_of(SIZE), [verify_bundles(files.get, SIZE, 0, bundle_count(SIZE))])


@pytest.mark.parametrize("path", ["tile/0/../../../etc/passwd", "tile/0/x000/001", "tile/0/000.p/256", "tile/9/000"])
def test_a_name_that_is_no_tile_s_opens_no_file(path: str) -> None:
    with pytest.raises(LogRefused) as caught:
        parse_tile_path(path)
    assert f"{caught.value.reasons[0].step} {caught.value.reasons[0].code}" == "L12 tile-path"
