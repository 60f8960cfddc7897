"""The tree is RFC 6962's: roots, proofs and tiles agree with the definition at every size, and no other proof holds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.tlog.oracle import defined_path, defined_root, root_from_inclusion, roots_from_consistency
from tidegate.errors import ProofInvalid
from tidegate.tlog.memory import MemoryTree
from tidegate.tlog.merkle import EMPTY_ROOT, complete_hash, leaf_hash, verify_consistency, verify_inclusion
from tidegate.tlog.tiles import TILE_WIDTH

LARGEST = 100_000
SMALL = st.integers(min_value=1, max_value=300)
# near powers of two the shape of the tree changes
SIZES = st.integers(1, LARGEST) | st.sampled_from([(1 << k) + d for k in range(1, 17) for d in (-1, 0, 1)])


@cache
def large_tree() -> tuple[MemoryTree, list[bytes]]:
    tree, leaves = MemoryTree(), [leaf_hash(b"entry %d" % index) for index in range(LARGEST)]
    assert [tree.append(leaf) for leaf in leaves] == list(range(LARGEST))
    return tree, leaves


@given(SMALL, st.data())
def test_every_past_root_and_path_is_the_defined_one(size: int, data: st.DataObject) -> None:
    tree, leaves = large_tree()
    index = data.draw(st.integers(0, size - 1))
    assert tree.root(size) == defined_root(leaves[:size])
    assert tree.inclusion(index, size) == defined_path(index, leaves[:size])


@given(SIZES, st.data())
def test_every_inclusion_proof_leads_to_the_root(size: int, data: st.DataObject) -> None:
    tree, leaves = large_tree()
    index = data.draw(st.integers(0, size - 1))
    proof, root = tree.inclusion(index, size), tree.root(size)
    verify_inclusion(leaves[index], index, size, proof, root)
    assert root_from_inclusion(leaves[index], index, size, proof) == root


@given(SIZES, st.data())
def test_every_consistency_proof_leads_to_both_roots(size: int, data: st.DataObject) -> None:
    tree, _ = large_tree()
    old = data.draw(st.integers(0, size))
    proof, old_root, root = tree.consistency(old, size), tree.root(old), tree.root(size)
    verify_consistency(old, size, old_root, root, proof)
    if old in (0, size):
        assert proof == []
    else:
        assert roots_from_consistency(old, size, old_root, proof) == (old_root, root)


@given(SIZES, st.data())
def test_no_other_entry_index_hash_or_length_is_included(size: int, data: st.DataObject) -> None:
    tree, leaves = large_tree()
    index = data.draw(st.integers(0, size - 1))
    proof, root = tree.inclusion(index, size), tree.root(size)
    another = data.draw(st.integers(0, size + 1).filter(lambda other: other != index))
    wrong = [(leaf_hash(b"another"), index, proof), (leaves[index], another, proof)]
    wrong += [(leaves[index], index, [*proof, EMPTY_ROOT]), (leaves[index], index, proof[:-1])][: 1 + bool(proof)]
    for spot in range(len(proof)):
        wrong.append((leaves[index], index, [*proof[:spot], EMPTY_ROOT, *proof[spot + 1 :]]))
    for leaf, at, hashes in wrong:
        with pytest.raises(ProofInvalid):
            verify_inclusion(leaf, at, size, hashes, root)


@given(SIZES, st.data())
def test_no_other_tree_size_hash_or_length_is_consistent(size: int, data: st.DataObject) -> None:
    tree, _ = large_tree()
    old = data.draw(st.integers(0, size))
    proof, old_root, root = tree.consistency(old, size), tree.root(old), tree.root(size)
    wrong = [(size + 1, old_root, root, [EMPTY_ROOT]), (old, old_root, root, [*proof, EMPTY_ROOT])]
    wrong += [(old, bytes(32), root, proof)]
    if old > 0:
        wrong += [(old, old_root, bytes(32), proof)]
    for spot in range(len(proof)):
        wrong.append((old, old_root, root, [*proof[:spot], bytes(32), *proof[spot + 1 :]]))
    for before, first, second, hashes in wrong:
        with pytest.raises(ProofInvalid):
            verify_consistency(before, size, first, second, hashes)


def test_an_empty_tree_has_the_root_of_nothing() -> None:
    assert MemoryTree().root(0) == EMPTY_ROOT == defined_root([])


def test_tiles_hold_the_hashes_of_their_level() -> None:
    tree, leaves = MemoryTree(), large_tree()[1][: TILE_WIDTH + 3]
    for leaf in leaves:
        tree.append(leaf)
    assert tree.tile(0, 0, TILE_WIDTH) == b"".join(leaves[:TILE_WIDTH])
    assert tree.tile(0, 1, 3) == b"".join(leaves[TILE_WIDTH:])
    assert tree.tile(1, 0, 1) == defined_root(leaves[:TILE_WIDTH]) == complete_hash(b"".join(leaves[:TILE_WIDTH]))
    assert (tree.tile(0, 1, 4), tree.tile(1, 0, 2), tree.tile(7, 0, 1)) == (None, None, None)


@pytest.mark.parametrize(("index", "size"), [(3, 3), (-1, 3), (0, 0)])
def test_there_is_no_proof_of_an_entry_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(ProofInvalid) as caught:
        large_tree()[0].inclusion(index, size)
    assert caught.value.reasons[0].code == "proof-outside-tree"


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (3, 2)])
def test_there_is_no_consistency_backwards(old: int, new: int) -> None:
    with pytest.raises(ProofInvalid) as caught:
        large_tree()[0].consistency(old, new)
    assert caught.value.reasons[0].code == "proof-outside-tree"


def test_a_tree_knows_nothing_of_sizes_it_has_not_reached() -> None:
    tree = MemoryTree()
    tree.append(EMPTY_ROOT)
    asks: list[Callable[[], object]] = [
        lambda: tree.root(4),
        lambda: tree.inclusion(0, 4),
        lambda: tree.consistency(1, 4),
    ]
    for ask in asks:
        with pytest.raises(IndexError):
            ask()
