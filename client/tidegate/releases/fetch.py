"""The blobs of a release on their way into a layout: several at once, large ones in parts, each hashed as it comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import TYPE_CHECKING, BinaryIO, Protocol, runtime_checkable

from tidegate.digest import CHUNK_BYTES, Digest, Hasher, chunks_of
from tidegate.errors import BundleRefused, NotFound
from tidegate.remote.crew import Crew

if TYPE_CHECKING:
    from tidegate.bundle.layout import Layout
    from tidegate.bundle.source import BundleSource
    from tidegate.formats.manifest import Descriptor

PARALLEL_DOWNLOADS = 4  # each holds one chunk of at most 1 MiB
PART_BYTES = 32 << 20  # of a large blob: a request for each is nothing, and what a break repeats is little

Advance = Callable[[int], None]


@runtime_checkable
class PartedSource(Protocol):
    """A source that can give a part of a blob: see `tidegate.remote.blobs.chunks_between`."""

    def blob_chunks(
        self, digest: Digest, start: int, stop: int, on_partial: Callable[[], None] | None = None
    ) -> Iterator[bytes]:
        """Give the bytes from `start` to before `stop`, exactly that many, not hashed."""
        ...


def fetch_blobs(
    source: BundleSource,
    blobs: Sequence[Descriptor],
    layout: Layout,
    earlier: Layout | None,
    advance: Advance,
    *,
    stop: Event | None = None,
) -> None:
    """Bring `blobs` into `layout`, from the layout of an earlier pull where that still has them, else from `source`.

    Raises BundleRefused, NotFound, Unreachable; the first error stops everything, and so does `stop`.
    """
    with ExitStack() as files:
        crew = Crew(PARALLEL_DOWNLOADS, "pull", stop)
        fetch = _Fetch(source, layout, earlier, advance, crew, files)
        try:
            for blob in sorted(blobs, key=lambda each: each.size, reverse=True):  # else a large one comes alone at last
                crew.add(fetch.task(blob))
        finally:
            crew.run()


@dataclass(frozen=True, slots=True)
class _Fetch:
    """What the tasks of one pull have in common."""

    source: BundleSource
    layout: Layout
    earlier: Layout | None
    advance: Advance
    crew: Crew
    files: ExitStack
    lock: Lock = field(default_factory=Lock)

    def task(self, blob: Descriptor) -> Callable[[], None]:
        """Give the first task for `blob`."""
        return lambda: self._fetch(blob)

    def _fetch(self, blob: Descriptor) -> None:
        if self.earlier is not None and self.earlier.has(blob.digest) and self._reuse(blob, self.earlier):
            self.advance(blob.size)
        elif not isinstance(self.source, PartedSource):
            with self.source.open_blob(blob.digest) as stream:
                self.layout.put_chunks(self._watched(chunks_of(stream), blob.size), blob.digest)
        elif blob.size <= PART_BYTES:
            chunks = self.source.blob_chunks(blob.digest, 0, blob.size)
            self.layout.put_chunks(self._watched(chunks, blob.size), blob.digest)
        else:
            self._begin_parts(self.source, blob)

    def _reuse(self, blob: Descriptor, earlier: Layout) -> bool:
        """Take the blob from an earlier pull, read and hashed again; False when it is damaged there.

        It is cloned or copied, never hard-linked: what still runs from the earlier folder must not share files with
        the new one.
        """
        try:
            with earlier.open_blob(blob.digest) as stream:
                self.layout.put_clone(stream, blob.digest)
        except (BundleRefused, NotFound):
            return False  # the registry has it
        return True

    def _begin_parts(self, source: PartedSource, blob: Descriptor) -> None:
        """Fetch the first part; the others are begun once it is known that the server can give parts."""
        with self.lock:
            self.crew.check()  # after the end nobody would clear away another file
            file, commit = self.files.enter_context(self.layout.incoming(blob.digest.algorithm))
        file.truncate(blob.size)
        parts = _Parts(file, blob, commit)

        def others() -> None:
            for start in range(PART_BYTES, blob.size, PART_BYTES):
                self.crew.add(lambda start=start: self._fetch_part(source, blob, parts, start))  # type: ignore[misc]

        self._fetch_part(source, blob, parts, 0, others)

    def _fetch_part(
        self,
        source: PartedSource,
        blob: Descriptor,
        parts: _Parts,
        start: int,
        on_partial: Callable[[], None] | None = None,
    ) -> None:
        at = start
        stop = min(start + PART_BYTES, blob.size)
        chunks = source.blob_chunks(blob.digest, start, stop, on_partial)
        for chunk in self._watched(chunks, blob.size - start):
            parts.write(chunk, at)
            at += len(chunk)
        parts.finish(start, at)

    def _watched(self, chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
        """Pass on `chunks`, at most `most` bytes together: for more there is no room, and nobody has asked for them."""
        left = most
        for chunk in chunks:
            self.crew.check()
            left -= len(chunk)
            if left < 0:
                raise BundleRefused(
                    "a blob is longer than its manifest says", code="blob-altered", expected=f"at most {most} bytes"
                )
            yield chunk
            self.advance(len(chunk))


class _Parts:
    """A blob whose parts arrive in any order; they are hashed in theirs, out of the page cache they just filled."""

    def __init__(self, file: BinaryIO, blob: Descriptor, commit: Callable[[Digest], None]) -> None:
        self._file, self._blob, self._commit = file, blob, commit
        self._hasher = Hasher(blob.digest.algorithm)
        self._arrived: dict[int, int] = {}  # parts not hashed yet, start to end
        self._hashing = False
        self._lock = Lock()

    def write(self, chunk: bytes, at: int) -> None:
        """Write where it belongs."""
        left = memoryview(chunk)
        while left:
            count = os.pwrite(self._file.fileno(), left, at)
            left, at = left[count:], at + count

    def finish(self, start: int, end: int) -> None:
        """Note a part as complete, and hash what can be hashed now. The last one makes the file a blob of the layout.

        Raises BundleRefused.
        """
        with self._lock:
            self._arrived[start] = end
            if self._hashing:
                return  # whoever hashes goes on with it
            self._hashing = True
        while (upto := self._next()) is not None:
            self._hash_to(upto)
            if upto == self._blob.size:
                self._name()

    def _next(self) -> int | None:
        with self._lock:
            upto = self._arrived.pop(self._hasher.size, None)
            self._hashing = upto is not None
            return upto

    def _name(self) -> None:
        if self._hasher.digest != self._blob.digest:
            raise BundleRefused(
                "a blob is not what was asked for",
                code="blob-digest",
                found=self._hasher.digest,
                expected=self._blob.digest,
            )
        self._commit(self._blob.digest)

    def _hash_to(self, upto: int) -> None:
        while self._hasher.size < upto:
            chunk = os.pread(self._file.fileno(), min(CHUNK_BYTES, upto - self._hasher.size), self._hasher.size)
            if not chunk:
                raise BundleRefused("a file became shorter while it was written", code="blob-digest")
            self._hasher.update(chunk)
