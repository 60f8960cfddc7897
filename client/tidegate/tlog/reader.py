"""Entries and proofs of a log out of its files, each file checked against the root of a checkpoint on the way.

The partial tiles of all levels hash to the root (L15); a full tile hashes to its place in the tile above it, which is
checked in the same way, and so on up to a partial one. So a first proof in a log of a million entries takes five tiles.
"""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.edge import edge_hash, read_edge
from tidegate.tlog.merkle import HASH_BYTES, complete_hash, consistency_proof, inclusion_proof, need_order, tree_hash
from tidegate.tlog.tiles import (
    TILE_HEIGHT,
    TILE_WIDTH,
    Fetch,
    TilePath,
    check_entries,
    check_placed,
    leaf_hashes,
    read_bundle,
    read_tile,
    width_of,
)

MAX_KEPT_TILES = 1024  # 8 MB
MAX_KEPT_BUNDLES = 4  # up to 16 MB each; readers go from front to back


class TileReader:
    """Reads the tree of one verified checkpoint. Not safe from several threads.

    Every method raises TileInvalid: `tile-missing`, `tile-size`, `entries-malformed`, `tile-foreign`, `entry-foreign`.
    """

    def __init__(self, fetch: Fetch, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self._fetch = fetch
        self._edge: list[bytes] | None = None
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._bundles: dict[int, list[bytes]] = {}

    @property
    def size(self) -> int:
        """How many entries there are."""
        return self.checkpoint.size

    def entry(self, index: int) -> bytes:
        """Give entry `index`. Raises IndexError outside the tree."""
        if not 0 <= index < self.size:
            raise IndexError(f"the log has {self.size} entries, not entry {index}")
        number, place = divmod(index, TILE_WIDTH)
        return self._bundle(number)[place]

    def entries(self, start: int, stop: int) -> Iterator[tuple[int, bytes]]:
        """Give index and bytes of the entries from `start` up to, not with, `stop` or the end of the log."""
        stop = min(stop, self.size)
        while start < stop:
            number, place = divmod(start, TILE_WIDTH)
            part = self._bundle(number)[place : place + stop - start]
            yield from enumerate(part, start)
            start += len(part)

    def root(self, size: int) -> bytes:
        """Give the root that the tree had at `size` entries, 0 up to now. Raises ProofInvalid for a larger one."""
        return tree_hash(self._inside(size), self._subtree)

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Prove that entry `index` is in the tree of `size` entries, by default all. Raises ProofInvalid."""
        return inclusion_proof(index, self._inside(size), self._subtree)

    def consistency(self, old: int, size: int | None = None) -> list[bytes]:
        """Prove that the tree of `size` entries, by default all, begins with that of `old`. Raises ProofInvalid."""
        return consistency_proof(old, self._inside(size), self._subtree)

    def tile(self, level: int, index: int) -> bytes:
        """Give the checked hashes of a tile of the tree, as wide as it is in it."""
        if width_of(self.size, level, index) < TILE_WIDTH:
            return self._partial(level)
        kept = self._tiles.get((level, index))
        if kept is None:
            path = TilePath(level, index)
            kept = read_tile(self._fetch, path)
            above, place = self.tile(level + 1, index // TILE_WIDTH), index % TILE_WIDTH * HASH_BYTES
            check_placed(str(path), complete_hash(kept), above[place : place + HASH_BYTES])
            if len(self._tiles) >= MAX_KEPT_TILES:
                del self._tiles[next(iter(self._tiles))]
            self._tiles[level, index] = kept
        return kept

    def _partial(self, level: int) -> bytes:
        if self._edge is None:
            edge = read_edge(self._fetch, self.size)
            check_placed("the right edge of the tree", edge_hash(edge), self.checkpoint.root)
            self._edge = edge
        return self._edge[level]

    def _bundle(self, number: int) -> list[bytes]:
        kept = self._bundles.get(number)
        if kept is None:
            kept = read_bundle(self._fetch, TilePath(None, number, width_of(self.size, 0, number)))
            check_entries(number, leaf_hashes(kept), self.tile(0, number))
            if len(self._bundles) >= MAX_KEPT_BUNDLES:
                del self._bundles[next(iter(self._bundles))]
            self._bundles[number] = kept
        return kept

    def _subtree(self, height: int, number: int) -> bytes:
        """Give the hash of a complete subtree: of 1 to 128 hashes of one tile, which begin at a multiple of that."""
        level, inside = divmod(height, TILE_HEIGHT)
        start = number << inside
        hashes, place = self.tile(level, start // TILE_WIDTH), start % TILE_WIDTH * HASH_BYTES
        return complete_hash(hashes[place : place + (HASH_BYTES << inside)])

    def _inside(self, size: int | None) -> int:
        """Give `size`, or that of the log. Raises ProofInvalid for a tree that the checkpoint says nothing of."""
        if size is None:
            return self.size
        need_order(size, self.size)
        return size
