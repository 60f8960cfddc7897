"""A whole tree in memory: roots and proofs of every size it ever had, in O(log n).

For logs that are small, or whose leaves are elsewhere; a large log keeps its tiles and a `tidegate.tlog.edge.Edge`.
"""

from __future__ import annotations

from tidegate.tlog.merkle import consistency_proof, inclusion_proof, node_hash, tree_hash
from tidegate.tlog.tiles import TILE_HEIGHT, TILE_WIDTH


class MemoryTree:
    """Every complete subtree's hash, level by level (RFC 6962 section 2.1).

    Not safe under concurrent `append`; its owner holds a lock.
    """

    def __init__(self) -> None:
        self._rows: list[list[bytes]] = [[]]

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return len(self._rows[0])

    def append(self, leaf: bytes) -> int:
        """Add a leaf hash (32 bytes); gives its index."""
        index, height, carried = self.size, 0, leaf
        while True:
            if len(self._rows) == height:
                self._rows.append([])
            row = self._rows[height]
            row.append(carried)
            if len(row) % 2:
                return index
            height, carried = height + 1, node_hash(row[-2], row[-1])

    def root(self, size: int) -> bytes:
        """Give the root of the first `size` leaves. Raises IndexError when there are fewer."""
        self._check(size)
        return tree_hash(size, self._subtree)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Prove that leaf `index` is in the tree of `size` leaves. Raises IndexError, ProofInvalid."""
        self._check(size)
        return inclusion_proof(index, size, self._subtree)

    def consistency(self, old: int, size: int) -> list[bytes]:
        """Prove that the tree of `size` leaves begins with that of `old`. Raises IndexError, ProofInvalid."""
        self._check(size)
        return consistency_proof(old, size, self._subtree)

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        """Give the hashes of a tile (C2SP tlog-tiles); None when the tree has not grown so far."""
        row = level * TILE_HEIGHT
        if row >= len(self._rows):
            return None
        hashes = self._rows[row][index * TILE_WIDTH : index * TILE_WIDTH + width]
        return b"".join(hashes) if len(hashes) == width else None

    def _subtree(self, height: int, number: int) -> bytes:
        return self._rows[height][number]

    def _check(self, size: int) -> None:
        if not 0 <= size <= self.size:
            raise IndexError(f"the tree has {self.size} leaves, not {size}")
