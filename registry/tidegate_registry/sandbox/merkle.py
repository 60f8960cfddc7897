"""The append-only Merkle tree of RFC 6962 section 2.1, in memory, and its C2SP tlog-tiles."""

from __future__ import annotations

import hashlib

EMPTY_ROOT = hashlib.sha256(b"").digest()
TILE_HEIGHT = 8  # C2SP tlog-tiles: a tile holds up to 256 hashes
TILE_WIDTH = 1 << TILE_HEIGHT


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class MerkleTree:
    """Every complete subtree's hash, level by level, so that roots and proofs of any past size cost O(log n).

    Not safe under concurrent `append`; its owner holds a lock.
    """

    def __init__(self) -> None:
        self._levels: list[list[bytes]] = [[]]

    @property
    def size(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> int:
        """Add a leaf hash (32 bytes); gives its index."""
        index, level, carried = self.size, 0, leaf
        while True:
            if len(self._levels) <= level:
                self._levels.append([])
            row = self._levels[level]
            row.append(carried)
            if len(row) % 2:
                return index
            level, carried = level + 1, node_hash(row[-2], row[-1])

    def root(self, size: int) -> bytes:
        """Give the root of the first `size` leaves, `0 <= size <= self.size`."""
        self._check(size)
        return self._hash(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Give the audit path of leaf `index` in the tree of `size` leaves (RFC 6962 section 2.1.1)."""
        self._check(size)
        if not 0 <= index < size:
            raise IndexError(f"leaf {index} is not in a tree of {size}")
        return self._path(index, 0, size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Prove that the tree of `old` leaves is a prefix of that of `new` (RFC 6962 section 2.1.2)."""
        self._check(new)
        if not 0 < old <= new:
            raise IndexError(f"no consistency proof from {old} to {new}")
        return self._subproof(old, 0, new, whole=True)

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        """Give the hashes of a tile, or None when the tree has not grown so far (or further, for a partial one)."""
        row = level * TILE_HEIGHT
        if row >= len(self._levels):
            return None
        hashes = self._levels[row][index * TILE_WIDTH : index * TILE_WIDTH + width]
        return b"".join(hashes) if len(hashes) == width else None

    def _check(self, size: int) -> None:
        if not 0 <= size <= self.size:
            raise IndexError(f"the tree has {self.size} leaves, not {size}")

    def _hash(self, start: int, end: int) -> bytes:
        count = end - start
        if count & (count - 1) == 0 and start % count == 0:
            return self._levels[count.bit_length() - 1][start // count]
        split = _split(count)
        return node_hash(self._hash(start, start + split), self._hash(start + split, end))

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + _split(end - start)
        if index < middle:
            return [*self._path(index, start, middle), self._hash(middle, end)]
        return [*self._path(index, middle, end), self._hash(start, middle)]

    def _subproof(self, old: int, start: int, end: int, *, whole: bool) -> list[bytes]:
        if old == end:
            return [] if whole else [self._hash(start, end)]
        middle = start + _split(end - start)
        if old <= middle:
            return [*self._subproof(old, start, middle, whole=whole), self._hash(middle, end)]
        return [*self._subproof(old, middle, end, whole=False), self._hash(start, middle)]


def _split(count: int) -> int:
    """The largest power of two smaller than `count`."""
    return 1 << ((count - 1).bit_length() - 1)
