"""The tree is RFC 6962's: roots, proofs and tiles agree with the definition, at every size."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate_registry.sandbox.merkle import EMPTY_ROOT, TILE_WIDTH, MerkleTree, leaf_hash

SIZES = st.integers(min_value=1, max_value=300)


def tree_of(size: int) -> tuple[MerkleTree, list[bytes]]:
    tree, leaves = MerkleTree(), [leaf_hash(b"entry %d" % index) for index in range(size)]
    assert [tree.append(leaf) for leaf in leaves] == list(range(size))
    return tree, leaves


def defined_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + defined_root(leaves[:split]) + defined_root(leaves[split:])).digest()


def root_from_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """RFC 9162 section 2.1.3.2."""
    first, last, result = index, size - 1, leaf
    for node in proof:
        assert last > 0
        if first & 1 or first == last:
            result = hashlib.sha256(b"\x01" + node + result).digest()
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            result = hashlib.sha256(b"\x01" + result + node).digest()
        first, last = first >> 1, last >> 1
    assert last == 0
    return result


def roots_from_consistency(old: int, new: int, old_root: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """RFC 9162 section 2.1.4.2."""
    nodes = list(proof)
    if old & (old - 1) == 0:
        nodes.insert(0, old_root)
    first, last = old - 1, new - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    old_result = new_result = nodes.pop(0)
    for node in nodes:
        assert last > 0
        if first & 1 or first == last:
            old_result = hashlib.sha256(b"\x01" + node + old_result).digest()
            new_result = hashlib.sha256(b"\x01" + node + new_result).digest()
            while first and not first & 1:
                first, last = first >> 1, last >> 1
        else:
            new_result = hashlib.sha256(b"\x01" + new_result + node).digest()
        first, last = first >> 1, last >> 1
    assert last == 0
    return old_result, new_result


@given(SIZES, st.data())
def test_every_past_root_is_the_defined_one(size: int, data: st.DataObject) -> None:
    tree, leaves = tree_of(size)
    past = data.draw(st.integers(0, size))
    assert tree.root(past) == defined_root(leaves[:past])


@given(SIZES, st.data())
def test_every_inclusion_proof_leads_to_the_root(size: int, data: st.DataObject) -> None:
    tree, leaves = tree_of(size)
    past = data.draw(st.integers(1, size))
    index = data.draw(st.integers(0, past - 1))
    assert root_from_inclusion(leaves[index], index, past, tree.inclusion(index, past)) == tree.root(past)


@given(SIZES, st.data())
def test_every_consistency_proof_leads_to_both_roots(size: int, data: st.DataObject) -> None:
    tree, _ = tree_of(size)
    new = data.draw(st.integers(1, size))
    old = data.draw(st.integers(1, new))
    proof = tree.consistency(old, new)
    if old == new:
        assert proof == []
    else:
        roots = roots_from_consistency(old, new, tree.root(old), proof)
        assert roots == (tree.root(old), tree.root(new))


def test_an_empty_tree_has_the_root_of_nothing() -> None:
    assert MerkleTree().root(0) == EMPTY_ROOT == hashlib.sha256(b"").digest()


def test_tiles_hold_the_hashes_of_their_level() -> None:
    tree, leaves = tree_of(TILE_WIDTH + 3)
    assert tree.tile(0, 0, TILE_WIDTH) == b"".join(leaves[:TILE_WIDTH])
    assert tree.tile(0, 1, 3) == b"".join(leaves[TILE_WIDTH:])
    assert tree.tile(1, 0, 1) == defined_root(leaves[:TILE_WIDTH])
    assert tree.tile(0, 1, 4) is None
    assert tree.tile(1, 0, 2) is None
    assert tree.tile(7, 0, 1) is None


@pytest.mark.parametrize(("index", "size"), [(3, 3), (-1, 3), (0, 4), (0, 0)])
def test_there_is_no_proof_outside_the_tree(index: int, size: int) -> None:
    tree, _ = tree_of(3)
    with pytest.raises(IndexError):
        tree.inclusion(index, size)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (3, 2), (1, 4)])
def test_there_is_no_consistency_outside_the_tree(old: int, new: int) -> None:
    tree, _ = tree_of(3)
    with pytest.raises(IndexError):
        tree.consistency(old, new)
