"""Paths are written in one way, and a file of a log is exactly what its name says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import TileInvalid
from tidegate.tlog.tiles import (
    MAX_ENTRY_BYTES,
    TilePath,
    decode_bundle,
    encode_bundle,
    entries_path,
    hash_tile_path,
    parse_tile_path,
    read_bundle,
    read_tile,
    width_of,
)


def test_paths_are_those_of_the_specification() -> None:
    assert hash_tile_path(0, 1_234_067) == "tile/0/x001/x234/067"
    assert hash_tile_path(2, 0, 1) == "tile/2/000.p/1"
    assert entries_path(273, 112) == "tile/entries/273.p/112"
    assert entries_path(1000) == "tile/entries/x001/000"


@given(st.sampled_from([None, *range(7)]), st.integers(0, (1 << 55) - 2), st.integers(1, 256))
def test_every_path_that_is_written_is_read_again(level: int | None, index: int, width: int) -> None:
    path = TilePath(level, index >> 8 * (level or 0), width)
    assert parse_tile_path(str(path)) == path


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/8/000",
        "tile/0/x000/001",
        "tile/0/x001/x234/x067",
        "tile/0/001/234",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/entries/000.p/300",
        "tile/data/000",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/../000",
        "tile/0/\N{ARABIC-INDIC DIGIT ZERO}00",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/x036/x028/x797/x018/x963/967",
        "checkpoint",
        "",
        "x000/" * 100_000,
    ],
)
def test_another_way_to_write_a_path_is_no_path(path: str) -> None:
    with pytest.raises(TileInvalid) as caught:
        parse_tile_path(path)
    assert (caught.value.reasons[0].code, caught.value.reasons[0].step) == ("tile-path", "L12")


def test_a_tree_of_seventy_thousand_has_the_tiles_of_the_specification() -> None:
    assert [width_of(70_000, 0, index) for index in (0, 272, 273, 274)] == [256, 256, 112, 0]
    assert [width_of(70_000, 1, index) for index in (0, 1, 2)] == [256, 17, 0]
    assert [width_of(70_000, 2, index) for index in (0, 1)] == [1, 0]
    assert width_of(256, 1, 0) == 1


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_a_bundle_gives_its_entries_back(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries), len(entries)) == entries


@pytest.mark.parametrize(
    ("raw", "width"),
    [
        (b"", 1),
        (b"\x00\x01a", 2),
        (b"\x00\x01a\x00\x01b", 1),
        (b"\x00\x01a\x00", 1),
        (b"\x00\x01a\x00", 2),
        (b"\x00\x02a", 1),
        (b"\xff\xff", 1),
    ],
)
def test_a_bundle_of_another_number_or_with_a_tail_is_refused(raw: bytes, width: int) -> None:
    with pytest.raises(TileInvalid) as caught:
        decode_bundle(raw, width)
    assert (caught.value.reasons[0].code, caught.value.reasons[0].step) == ("entries-malformed", "L14")


def test_an_entry_longer_than_its_length_can_say_is_refused() -> None:
    assert decode_bundle(encode_bundle([bytes(MAX_ENTRY_BYTES)]), 1) == [bytes(MAX_ENTRY_BYTES)]
    with pytest.raises(TileInvalid) as caught:
        encode_bundle([bytes(MAX_ENTRY_BYTES + 1)])
    assert caught.value.reasons[0].code == "entry-too-large"


def test_a_bundle_beyond_all_limits_is_not_read() -> None:
    with pytest.raises(TileInvalid) as caught:
        decode_bundle(bytes(256 * (2 + MAX_ENTRY_BYTES) + 1))
    assert (caught.value.reasons[0].code, caught.value.reasons[0].step) == ("tile-size", "L13")


def test_a_partial_file_that_is_gone_is_read_from_the_full_one() -> None:
    entries = [b"%d" % index for index in range(256)]
    store = {"tile/0/000": bytes(8192), "tile/entries/000": encode_bundle(entries)}
    assert read_tile(store.get, TilePath(0, 0, 7)) == bytes(7 * 32)
    assert read_bundle(store.get, TilePath(None, 0, 7)) == entries[:7]
    assert read_tile({"tile/0/000.p/7": b"7" * 224}.get, TilePath(0, 0, 7)) == b"7" * 224


@pytest.mark.parametrize(
    ("store", "code"),
    [
        ({}, "tile-missing"),
        ({"tile/0/000": bytes(32)}, "tile-size"),
        ({"tile/0/000.p/2": bytes(63)}, "tile-size"),
        ({"tile/0/000.p/2": bytes(65)}, "tile-size"),
        ({"tile/0/000.p/2": b"", "tile/0/000": bytes(8192)}, "tile-size"),
    ],
)
def test_a_tile_of_another_size_or_none_is_refused(store: dict[str, bytes], code: str) -> None:
    with pytest.raises(TileInvalid) as caught:
        read_tile(store.get, TilePath(0, 0, 2))
    assert caught.value.reasons[0].code == code
