"""The right edge of a tree: all that a log must remember to grow, whatever its size.

Source: C2SP tlog-tiles, "Partial Tiles". At most 255 hashes a level and 255 entries.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.errors import TileInvalid
from tidegate.tlog.merkle import EMPTY_ROOT, HASH_BYTES, complete_hash, node_hash
from tidegate.tlog.text import MAX_SIZE
from tidegate.tlog.tiles import (
    TILE_BYTES,
    TILE_HEIGHT,
    TILE_WIDTH,
    Fetch,
    TilePath,
    check_entries,
    encode_bundle,
    entries_path,
    hash_tile_path,
    leaf_hashes,
    partial_width,
    read_bundle,
    read_tile,
)


class Edge:
    """The partial tiles of every level and the partial entry bundle of a tree of `size` entries.

    Files and root are a pure function of the entries: whoever grows the same tree writes the same bytes.
    """

    def __init__(self) -> None:
        self.size = 0
        self._levels: list[bytes] = [b""]  # per level: the hashes of the partial tile, joined
        self._bundle = b""  # the partial entry bundle

    @classmethod
    def load(cls, size: int, fetch: Fetch) -> Edge:
        """Read the edge of the tree of `size` entries; the caller compares `root` with the checkpoint's.

        Raises TileInvalid (codes `tile-missing`, `tile-size`, `entries-malformed`, `entry-foreign`).
        """
        edge = cls()
        edge.size = size
        edge._levels = read_edge(fetch, size)
        if width := partial_width(size, 0):
            entries = read_bundle(fetch, TilePath(None, size >> TILE_HEIGHT, width))
            check_entries(size >> TILE_HEIGHT, leaf_hashes(entries), edge._levels[0])
            edge._bundle = encode_bundle(entries)
        return edge

    @property
    def root(self) -> bytes:
        """The root hash of the tree (RFC 6962 section 2.1)."""
        return edge_hash(self._levels)

    def grow(self, entries: Sequence[bytes]) -> list[tuple[str, bytes]]:
        """Append `entries`; give the files that are new, by path relative to the log.

        Files of before that still hold are not among them. They must all be stored before a checkpoint of the new size
        is. Raises TileInvalid (codes `entry-too-large`, `log-full`) and has then changed nothing.
        """
        if not entries:
            return []
        if self.size + len(entries) > MAX_SIZE:
            raise TileInvalid("the log is full", code="log-full", expected=f"at most {MAX_SIZE} entries")
        bundles, rest = self._bundles(entries)
        levels, tiles = list(self._levels), []
        new, level = leaf_hashes(entries), 0
        while new:
            if level == len(levels):
                levels.append(b"")
            index = self.size >> TILE_HEIGHT * (level + 1)
            hashes, above = levels[level] + new, []
            end = len(hashes) - len(hashes) % TILE_BYTES
            for start in range(0, end, TILE_BYTES):
                tile = hashes[start : start + TILE_BYTES]
                tiles.append((hash_tile_path(level, index), tile))
                above.append(complete_hash(tile))
                index += 1
            levels[level] = hashes[end:]
            if levels[level]:
                tiles.append((hash_tile_path(level, index, len(levels[level]) // HASH_BYTES), levels[level]))
            new, level = b"".join(above), level + 1
        self._levels, self._bundle = levels, rest
        self.size += len(entries)
        return bundles + tiles

    def _bundles(self, entries: Sequence[bytes]) -> tuple[list[tuple[str, bytes]], bytes]:
        """Give the new bundles, and the partial one that is left."""
        files: list[tuple[str, bytes]] = []
        index, width = divmod(self.size, TILE_WIDTH)
        left, start = self._bundle, 0
        while start < len(entries):
            part = entries[start : start + TILE_WIDTH - width]
            left += encode_bundle(part)
            start, width = start + len(part), width + len(part)
            files.append((entries_path(index, width), left))
            if width == TILE_WIDTH:
                index, width, left = index + 1, 0, b""
        return files, left


def edge_hash(levels: Sequence[bytes]) -> bytes:
    """Give the root of the tree whose partial tiles are `levels`, from level 0: their hashes, joined, "" for none."""
    root: bytes | None = None
    for hashes in levels:
        end = len(hashes) // HASH_BYTES
        while end:
            start = end - (end & -end)  # the smallest complete subtree at the right end
            part = complete_hash(hashes[start * HASH_BYTES : end * HASH_BYTES])
            root = part if root is None else node_hash(part, root)
            end = start
    return EMPTY_ROOT if root is None else root


def read_edge(fetch: Fetch, size: int) -> list[bytes]:
    """Fetch the partial tiles of the tree of `size` entries: for each level their hashes, joined, "" for none.

    Raises TileInvalid (codes `tile-missing`, `tile-size`); the caller compares `edge_hash` of them with the root.
    """
    return [
        read_tile(fetch, TilePath(level, size >> TILE_HEIGHT * (level + 1), width)) if width else b""
        for level in range(_level_count(size))
        for width in (partial_width(size, level),)
    ]


def _level_count(size: int) -> int:
    """Give the number of levels a tree has: those where it has at least one hash; 1 for the empty one."""
    return max(1, -(-size.bit_length() // TILE_HEIGHT))
