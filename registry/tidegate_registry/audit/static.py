"""The log's static files, as the registry serves them: read from the store, kept while they are asked for.

What is served is what the store holds, unverified: whoever reads tiles checks them against the checkpoint, and
an object against its name. All files but the checkpoint never change, so what was read once is kept, with its
compressed form. Hashes do not compress; entries do, to a fifth.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.errors import LimitExceeded, NotFound
from tidegate.tlog.tiles import CHECKPOINT_PATH, MAX_BUNDLE_BYTES

if TYPE_CHECKING:
    from tidegate_registry.services import Services
    from tidegate_registry.storage.blobs import LogKey

MAX_OBJECT_BYTES = 64 << 20
CACHE_BYTES = 32 << 20
MIN_COMPRESSED = 512  # bytes; below, the header costs what is saved
LEVEL = 6  # of zlib: the largest bundle, 17 MB, takes half a second, once
LARGE_READS = 4  # at once: bounds the memory and the processor time that entries and objects take
TURN_SECONDS = 5.0  # handlers have a thread each: a store that is slow must not take them all for long


class LogFileUnknown(NotFound):
    """The log has no such file (yet)."""

    code = "log-file-unknown"


class LogBusy(LimitExceeded):
    """As many entries and objects of the log are being read as may be at once."""

    code = "log-busy"


@dataclass(frozen=True, slots=True)
class LogFile:
    """A file of the log. `etag`: of `raw`, in quotes. `gzipped`: None where compressing saves nothing."""

    raw: bytes
    etag: str
    gzipped: bytes | None = None

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return len(self.raw) + len(self.gzipped or b"")


class LogFileCache:
    """Keeps files that never change, up to `most_bytes`; the one not asked for longest goes first. Thread-safe."""

    def __init__(self, *, most_bytes: int = CACHE_BYTES) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[str, LogFile] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(LARGE_READS)

    @property
    def size(self) -> int:
        """Bytes in use, at most `most_bytes`."""
        return self._bytes

    def find(self, key: LogKey) -> LogFile | None:
        """Give the kept file."""
        with self._lock:
            kept = self._kept.get(key.name)
            if kept is not None:
                self._kept.move_to_end(key.name)
            return kept

    def keep(self, key: LogKey, file: LogFile) -> None:
        """Keep a file; not the checkpoint, which changes, and not one that is larger than all room."""
        if key.name == CHECKPOINT_PATH or file.size > self._most_bytes:
            return
        with self._lock:
            if key.name not in self._kept:
                self._kept[key.name] = file
                self._bytes += file.size
            while self._bytes > self._most_bytes:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= dropped.size

    @contextmanager
    def turn(self, *, seconds: float = TURN_SECONDS) -> Iterator[None]:
        """Be one of the few that read something large. Blocks for that long at most. Raises LogBusy."""
        if not self._turns.acquire(timeout=seconds):
            raise LogBusy("the log is being read by many at this moment", hint="ask again in a few seconds")
        try:
            yield
        finally:
            self._turns.release()

    def clear(self) -> None:
        """Forget everything, for tests that start over with another bucket."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0


def read_log_file(app: Services, key: LogKey) -> LogFile:
    """Give the file. Blocks.

    Raises LogFileUnknown, LogBusy, StoreUnavailable, StoredBytesDiffer for one beyond all limits.
    """
    kept = app.log_files.find(key)
    if kept is not None:
        return kept
    with nullcontext() if key.is_public else app.log_files.turn():
        file = _fetch(app, key)
    app.log_files.keep(key, file)
    return file


def _fetch(app: Services, key: LogKey) -> LogFile:
    limit = MAX_OBJECT_BYTES if key.name.startswith("objects/") else MAX_BUNDLE_BYTES
    found = app.blobs.read(key, limit=limit)
    if found is None:
        raise LogFileUnknown(
            "the log has no such file, or not yet",
            found=key.name,
            hint="a partial tile may have become a full one: ask for that, and for the checkpoint again",
        )
    raw, _ = found
    etag = f'"{hashlib.sha256(raw).hexdigest()[:32]}"'
    if key.is_public or len(raw) < MIN_COMPRESSED:
        return LogFile(raw, etag)
    gzipped = gzip.compress(raw, LEVEL, mtime=0)
    return LogFile(raw, etag, gzipped if len(gzipped) < len(raw) else None)
