"""However a tree grows, and from wherever it is taken up again, its files and its root are the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.tlog.oracle import defined_root
from tidegate.errors import TileInvalid
from tidegate.tlog.edge import Edge
from tidegate.tlog.merkle import EMPTY_ROOT, leaf_hash
from tidegate.tlog.tiles import MAX_ENTRY_BYTES, encode_bundle, parse_tile_path, width_of


def entries(count: int, start: int = 0) -> list[bytes]:
    return [b"entry %d" % index for index in range(start, start + count)]


@given(st.lists(st.integers(0, 700), max_size=6), st.booleans())
def test_however_it_grows_files_and_root_are_the_same(batches: list[int], again: bool) -> None:  # noqa: FBT001
    store: dict[str, bytes] = {}
    total, edge = sum(batches), Edge()
    for batch in batches:
        files = edge.grow(entries(batch, edge.size))
        assert not store.keys() & {path for path, _ in files}, "a file is never written again"
        store |= dict(files)
        if again:
            edge = Edge.load(edge.size, store.get)
    assert edge.size == total
    assert edge.root == defined_root([leaf_hash(entry) for entry in entries(total)])
    at_once = Edge()
    expected = dict(at_once.grow(entries(total)))
    assert {path: store[path] for path in expected} == expected
    for path in map(parse_tile_path, expected):
        assert path.width == width_of(total, path.level or 0, path.index)


def test_the_tree_of_seventy_thousand_has_the_files_of_the_specification() -> None:
    edge = Edge()
    files = dict(edge.grow(entries(70_000)))
    names = [parse_tile_path(path) for path in files]
    partial = sorted((str(name.level), name.index, name.width) for name in names if name.width < 256)
    assert partial == [("0", 273, 112), ("1", 1, 17), ("2", 0, 1), ("None", 273, 112)]
    assert [sum(name.level == level for name in names) for level in (None, 0, 1, 2)] == [274, 274, 2, 1]
    assert files["tile/entries/273.p/112"] == encode_bundle(entries(112, 69_888))
    assert Edge.load(70_000, files.get).root == edge.root


def test_an_empty_tree_has_no_files() -> None:
    assert Edge().grow([]) == []
    assert Edge.load(0, lambda _: None).root == Edge().root == EMPTY_ROOT


def test_a_tree_whose_last_entries_are_not_those_of_its_tile_is_not_taken_up() -> None:
    store = dict(Edge().grow(entries(300)))
    store["tile/entries/001.p/44"] = encode_bundle([*entries(43, 256), b"forged"])
    with pytest.raises(TileInvalid) as caught:
        Edge.load(300, store.get)
    assert (caught.value.reasons[0].code, caught.value.reasons[0].step) == ("entry-foreign", "L16")


def test_an_entry_that_does_not_fit_changes_nothing() -> None:
    edge = Edge()
    edge.grow(entries(3))
    before = edge.root
    with pytest.raises(TileInvalid) as caught:
        edge.grow([b"fits", bytes(MAX_ENTRY_BYTES + 1)])
    assert caught.value.reasons[0].code == "entry-too-large"
    assert (edge.size, edge.root) == (3, before)
    assert edge.grow(entries(1, 3))[0] == ("tile/entries/000.p/4", encode_bundle(entries(4)))
