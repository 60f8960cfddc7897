"""The tree as the standards define it, word for word and slow: what ours is compared with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def defined_root(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1, of leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + defined_root(leaves[:split]) + defined_root(leaves[split:])).digest()


def defined_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*defined_path(index, leaves[:split]), defined_root(leaves[split:])]
    return [*defined_path(index - split, leaves[split:]), defined_root(leaves[:split])]


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
