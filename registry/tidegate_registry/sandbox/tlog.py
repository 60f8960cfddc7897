"""A transparency log's core: durable records below, a Merkle tree above, one writer at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tidegate.tlog.memory import MemoryTree
from tidegate.tlog.merkle import leaf_hash
from tidegate_registry.sandbox.appendlog import AppendLog


@dataclass(frozen=True, slots=True)
class Included:
    """Where a record is, and its proof in the tree that was current when it was added."""

    index: int
    size: int
    root: bytes
    proof: tuple[bytes, ...]


class TransparencyLog:
    """Records in `path`, their tree in memory. All methods are safe to call from several threads at once."""

    def __init__(self, path: Path) -> None:
        self._file = AppendLog(path)
        self._tree = MemoryTree()
        self._index_of: dict[bytes, int] = {}
        self._lock = threading.Lock()
        for record in self._file.records:
            self._add(record)

    @property
    def size(self) -> int:
        return self._tree.size

    def append(self, make: Callable[[int], bytes]) -> Included:
        """Add the record that `make` builds for its index; durable, and part of the tree, when this returns."""
        with self._lock:
            record = make(self._tree.size)
            self._file.append(record)
            index = self._add(record)
            size = index + 1
            return Included(index, size, self._tree.root(size), tuple(self._tree.inclusion(index, size)))

    def head(self) -> tuple[int, bytes]:
        """Give size and root hash, taken together."""
        with self._lock:
            return self._tree.size, self._tree.root(self._tree.size)

    def index_of(self, leaf: bytes) -> int | None:
        """Give the index of the first record with this leaf hash."""
        return self._index_of.get(leaf)

    def records(self, start: int, count: int) -> list[bytes]:
        with self._lock:
            return self._file.records[start : start + count]

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Raises IndexError outside the tree."""
        with self._lock:
            return self._tree.inclusion(index, size)

    def consistency(self, old: int, new: int) -> list[bytes]:
        """Raises IndexError outside the tree."""
        with self._lock:
            return self._tree.consistency(old, new)

    def tile(self, level: int, index: int, width: int) -> bytes | None:
        with self._lock:  # an append writes one level after the other
            return self._tree.tile(level, index, width)

    def close(self) -> None:
        self._file.close()

    def _add(self, record: bytes) -> int:
        leaf = leaf_hash(record)
        index = self._tree.append(leaf)
        self._index_of.setdefault(leaf, index)
        return index
