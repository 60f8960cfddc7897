"""A whole log out of its files: each entry bundle against its tile, each tile against the next, the last to the root.

Most of the work is hashing entries, and its parts are independent: the caller may give ranges of bundles to processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.edge import edge_hash
from tidegate.tlog.merkle import HASH_BYTES, complete_hash
from tidegate.tlog.tiles import (
    TILE_BYTES,
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


@dataclass(frozen=True, slots=True)
class VerifiedBundles:
    """Entry bundles `start` up to `stop` of a log, hashed. `above`: 32 bytes for each full bundle, joined.

    `leaves`: the leaf hashes of the last, partial bundle, joined; "" unless it is among them.
    """

    start: int
    stop: int
    above: bytes
    leaves: bytes


def bundle_count(size: int) -> int:
    """Give the number of entry bundles of a log of `size` entries."""
    return -(-size // TILE_WIDTH)


def verify_bundles(
    fetch: Fetch, size: int, start: int, stop: int, *, look: Callable[[Sequence[bytes]], object] | None = None
) -> VerifiedBundles:
    """Check entry bundles `start` up to `stop` of a log of `size` entries against their level-0 tiles.

    Whether those are of the tree is for `verify_whole` to say. `look` is shown the entries of each bundle. Raises
    TileInvalid (codes `tile-missing`, `tile-size`, `entries-malformed`, `entry-foreign`).
    """
    above, leaves = [], b""
    for index in range(start, stop):
        width = width_of(size, 0, index)
        entries = read_bundle(fetch, TilePath(None, index, width))
        found = leaf_hashes(entries)
        check_entries(index, found, read_tile(fetch, TilePath(0, index, width)))
        if look is not None:
            look(entries)
        if width == TILE_WIDTH:
            above.append(complete_hash(found))
        else:
            leaves = found
    return VerifiedBundles(start, stop, b"".join(above), leaves)


def verify_whole(fetch: Fetch, checkpoint: Checkpoint, parts: Iterable[VerifiedBundles]) -> None:
    """Check that `parts`, in order and without a gap, are the log of `checkpoint`, and so are the tiles above them.

    Raises TileInvalid (codes `tile-missing`, `tile-size`, `tile-foreign`), ValueError where parts do not join.
    """
    at, joined, leaves = 0, [], b""
    for part in parts:
        if part.start != at:
            raise ValueError(f"the part from bundle {part.start} does not join the one that ends at {at}")
        at, leaves = part.stop, part.leaves
        joined.append(part.above)
    if at != bundle_count(checkpoint.size):
        raise ValueError(f"the parts end at bundle {at} of {bundle_count(checkpoint.size)}")
    hashes, levels = b"".join(joined), [leaves]
    while hashes:
        above, level = [], len(levels)
        for start in range(0, len(hashes), TILE_BYTES):
            found = hashes[start : start + TILE_BYTES]
            path = TilePath(level, start // TILE_BYTES, len(found) // HASH_BYTES)
            check_placed(str(path), read_tile(fetch, path), found)
            if path.width == TILE_WIDTH:
                above.append(complete_hash(found))
        levels.append(hashes[len(hashes) - len(hashes) % TILE_BYTES :])
        hashes = b"".join(above)
    check_placed("the log as a whole", edge_hash(levels), checkpoint.root)
