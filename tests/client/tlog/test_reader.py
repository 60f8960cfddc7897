"""Entries and proofs come out of files, and no file is believed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.tlog.logs import checkpoint_of, entry, files_of
from tests.client.tlog.test_merkle import SIZES, large_tree
from tidegate.errors import LogRefused, ProofInvalid, TileInvalid
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.edge import Edge
from tidegate.tlog.merkle import verify_consistency, verify_inclusion
from tidegate.tlog.reader import TileReader
from tidegate.tlog.tiles import encode_bundle
from tidegate.tlog.whole import bundle_count, verify_bundles, verify_whole

SIZE = 70_000  # partial tiles on three levels


def reader(size: int = SIZE) -> TileReader:
    return TileReader(files_of(size).get, checkpoint_of(size))


@given(SIZES.filter(lambda size: size <= SIZE), st.data())
def test_proofs_from_tiles_are_those_of_the_tree(size: int, data: st.DataObject) -> None:
    tree, leaves = large_tree()
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    assert reader().root(size) == tree.root(size)
    assert reader().inclusion(index, size) == tree.inclusion(index, size)
    assert reader().consistency(old, size) == tree.consistency(old, size)
    verify_inclusion(leaves[index], index, SIZE, reader().inclusion(index), checkpoint_of(SIZE).root)
    verify_consistency(old, SIZE, tree.root(old), checkpoint_of(SIZE).root, reader().consistency(old))


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65_536, 65_537])
def test_entries_are_read_across_bundles(size: int) -> None:
    found = reader(size)
    start = max(0, size - 300)
    assert list(found.entries(start, size + 10)) == [(index, entry(index)) for index in range(start, size)]
    assert [found.entry(index) for index in (0, size - 1)] == [entry(0), entry(size - 1)]
    for index in (-1, size):
        with pytest.raises(IndexError):
            found.entry(index)


def test_a_first_proof_takes_few_tiles() -> None:
    asked: list[str] = []
    files = files_of(SIZE)

    def fetch(path: str) -> bytes | None:
        asked.append(path)
        return files.get(path)

    TileReader(fetch, checkpoint_of(SIZE)).inclusion(12_345)
    assert sorted(asked) == ["tile/0/048", "tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]


def test_the_tree_says_nothing_of_sizes_beyond_its_checkpoint() -> None:
    asks: list[Callable[[], object]] = [
        lambda: reader(10).root(11),
        lambda: reader(10).inclusion(0, 11),
        lambda: reader(10).consistency(1, 11),
        lambda: reader(10).inclusion(10),
    ]
    for ask in asks:
        with pytest.raises(ProofInvalid) as caught:
            ask()
        assert caught.value.reasons[0].code == "proof-outside-tree"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("tile/0/273.p/112", "tile-foreign"),
        ("tile/1/001.p/17", "tile-foreign"),
        ("tile/2/000.p/1", "tile-foreign"),
        ("tile/1/000", "tile-foreign"),
        ("tile/0/048", "tile-foreign"),
        ("tile/entries/048", "entry-foreign"),
    ],
)
def test_a_file_with_one_other_bit_is_not_believed(path: str, code: str) -> None:
    files = files_of(SIZE)
    files[path] = files[path][:-1] + bytes([files[path][-1] ^ 1])
    found = TileReader(files.get, checkpoint_of(SIZE))
    with pytest.raises(TileInvalid) as caught:
        found.entry(12_345)
    assert caught.value.reasons[0].code == code
    with pytest.raises(TileInvalid) as caught:
        check_whole(files, SIZE)
    assert caught.value.reasons[0].code == (
        "entry-foreign" if path.startswith(("tile/e", "tile/0")) else "tile-foreign"
    )


def check_whole(files: dict[str, bytes], size: int, step: int = 100) -> None:
    last = bundle_count(size)
    parts = [verify_bundles(files.get, size, at, min(at + step, last)) for at in range(0, last, step)]
    verify_whole(files.get, checkpoint_of(size), parts)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 65_535, 65_536, SIZE])
def test_a_whole_log_is_verified_from_its_files(size: int) -> None:
    check_whole(files_of(size), size)
    check_whole(files_of(size), size, step=7)


@given(st.data())
def test_every_missing_or_cut_file_is_noticed(data: st.DataObject) -> None:
    files = files_of(3000)
    path = data.draw(st.sampled_from(sorted(files)))
    if data.draw(st.booleans()):
        del files[path]
    else:
        files[path] = files[path][: data.draw(st.integers(0, len(files[path]) - 1))]
    with pytest.raises(LogRefused):
        check_whole(files, 3000)


def test_a_bundle_and_its_tile_swapped_together_do_not_lead_to_the_root() -> None:
    other = Edge()
    swapped = dict(other.grow([b"forged" if index == 300 else entry(index) for index in range(600)]))
    files = files_of(600) | {path: swapped[path] for path in ("tile/0/001", "tile/entries/001")}
    with pytest.raises(TileInvalid) as caught:
        check_whole(files, 600)
    assert caught.value.reasons[0].code == "tile-foreign"
    with pytest.raises(TileInvalid) as caught:
        check_whole(files | swapped, 600)
    assert caught.value.reasons[0].step == "L15"


def test_parts_with_a_gap_are_no_whole_log() -> None:
    files = files_of(1000)
    first, last = verify_bundles(files.get, 1000, 0, 1), verify_bundles(files.get, 1000, 2, 4)
    for parts in ([first, last], [first], [last]):
        with pytest.raises(ValueError, match="part"):
            verify_whole(files.get, checkpoint_of(1000), parts)


def test_a_checkpoint_of_another_tree_is_not_that_of_these_files() -> None:
    files = files_of(SIZE)
    forged = Checkpoint("log.example/audit", SIZE, bytes(32))
    with pytest.raises(TileInvalid) as caught:
        TileReader(files.get, forged).entry(0)
    assert caught.value.reasons[0].code == "tile-foreign"


def test_a_partial_bundle_that_became_full_still_gives_the_entries_of_the_older_tree() -> None:
    files = files_of(SIZE)
    assert encode_bundle([entry(index) for index in range(256)]) == files["tile/entries/000"]
    assert list(TileReader(files.get, checkpoint_of(200)).entries(190, 300)) == [(i, entry(i)) for i in range(190, 200)]
