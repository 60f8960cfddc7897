"""Where an upload's bytes wait until their digest is known. Here: a spool folder; later: a staging key in the store.

A sink takes bytes in order and ends in one of three ways: `suspend` (more may come), `commit` (they become a blob) or
`discard`. All block, so call them off the event loop.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from tidegate.digest import CHUNK_BYTES, Digest, Hasher, chunks_of
from tidegate.errors import DigestInvalid, LimitExceeded, NotFound, Unreachable
from tidegate_registry.storage.blobs import BlobKey, BlobStore

SINK_BYTES = 1 << 20  # coalesce what ASGI hands out (64 KiB) so that a thread hop is paid once a MiB
_SESSION = re.compile(r"[0-9a-f-]{36}")


class DigestDiffers(DigestInvalid):
    """The bytes that came do not have the digest that was announced."""

    code = "digest-differs"


class UploadTooLarge(LimitExceeded):
    """More bytes than one blob may have."""

    code = "blob-too-large"


class UploadLost(NotFound):
    """The bytes of an upload are gone, or another replica has them."""

    code = "upload-lost"


class SpoolUnavailable(Unreachable):
    """The spool folder cannot be written, as when its disk is full."""

    code = "spool-unavailable"


class UploadSink(Protocol):
    """Takes the bytes of one upload. `size`: how many are here already."""

    @property
    def size(self) -> int: ...

    def write(self, chunk: bytes) -> None:
        """Append. Raises UploadTooLarge beyond the limit the sink was opened with."""

    def suspend(self) -> int:
        """Keep what is here for a later request; give `size`. What a power cut takes, `open` or `commit` notices."""

    def commit(self, namespace: str, digest: Digest, store: BlobStore) -> BlobKey:
        """Make the bytes the blob `digest` of `namespace`. Raises DigestDiffers, and then nothing is stored."""

    def discard(self) -> None:
        """Forget the bytes. May be called at any time, and twice."""


class UploadStage(Protocol):
    """Opens sinks by session id."""

    def open(self, session: str, *, size: int, limit: int) -> UploadSink:
        """Open the sink of `session` at byte `size`; what lies beyond is dropped. `limit`: most bytes it takes in all.

        Raises UploadLost when fewer than `size` bytes are kept.
        """

    def discard(self, session: str) -> None:
        """Forget what is kept for `session`, if anything is."""

    def sweep(self, before: datetime) -> None:
        """Forget everything that nobody wrote to since `before`."""

    def ping(self) -> None:
        """Raise SpoolUnavailable unless bytes can be kept."""


class SpoolStage:
    """Keeps unfinished uploads as files in one folder, mode 0600."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self, session: str, *, size: int, limit: int) -> SpoolSink:
        """See UploadStage.open."""
        with _translated(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return SpoolSink(self._path(session), size=size, limit=limit)

    def discard(self, session: str) -> None:
        """See UploadStage.discard."""
        self._path(session).unlink(missing_ok=True)

    def sweep(self, before: datetime) -> None:
        """See UploadStage.sweep."""
        with _translated(self.folder):
            for file in self.folder.glob("*-*-*-*-*"):
                if file.stat().st_mtime < before.timestamp():
                    file.unlink(missing_ok=True)

    def ping(self) -> None:
        """See UploadStage.ping."""
        with _translated(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(self.folder, os.W_OK):
            raise SpoolUnavailable("the spool folder cannot be written", found=str(self.folder))

    def _path(self, session: str) -> Path:
        if not _SESSION.fullmatch(session):  # it came in a URL
            raise ValueError("not a session id")
        return self.folder / session


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SpoolUnavailable("the spool folder cannot be written", found=f"{folder}: {error.strerror}") from error


class SpoolSink:
    """One file. Hashes on the way where all bytes come through this object, else reads the file once more."""

    def __init__(self, path: Path, *, size: int, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._file: BinaryIO = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b")
        if self._file.seek(0, os.SEEK_END) < size:
            self._file.close()
            raise UploadLost("the bytes sent before are not here", hint="begin another upload")
        self._file.truncate(size)
        self._size = self._file.seek(size)
        self._hasher = Hasher() if size == 0 else None

    @property
    def size(self) -> int:
        """How many bytes are here."""
        return self._size

    def write(self, chunk: bytes) -> None:
        """See UploadSink.write."""
        if self._size + len(chunk) > self._limit:
            raise UploadTooLarge("that is more than one blob may have", expected=f"at most {self._limit} bytes")
        with _translated(self._path.parent):
            self._file.write(chunk)
        self._size += len(chunk)
        if self._hasher is not None:
            self._hasher.update(chunk)

    def suspend(self) -> int:
        """See UploadSink.suspend."""
        with _translated(self._path.parent):
            self._file.close()
        return self._size

    def commit(self, namespace: str, digest: Digest, store: BlobStore) -> BlobKey:
        """See UploadSink.commit."""
        key = BlobKey(namespace, digest)
        sha256 = self._hashed(digest)
        self._file.seek(0)
        store.put(key, self._file, size=self._size, sha256=sha256)
        self.discard()
        return key

    def discard(self) -> None:
        """See UploadSink.discard."""
        with suppress(OSError):  # what a full disk could not take is being dropped anyway
            self._file.close()
        self._path.unlink(missing_ok=True)

    def _hashed(self, digest: Digest) -> Digest:
        """Check `digest` and give the sha256, which the store checks whatever algorithm the client chose."""
        if self._hasher is not None and digest.algorithm == "sha256":
            with _translated(self._path.parent):
                self._file.flush()
            found, sha256 = self._hasher.digest, self._hasher.digest
        else:
            self._file.seek(0)
            hashes = {name: hashlib.new(name) for name in {"sha256", digest.algorithm}}
            for chunk in chunks_of(self._file, CHUNK_BYTES):
                for one in hashes.values():
                    one.update(chunk)
            found = Digest(f"{digest.algorithm}:{hashes[digest.algorithm].hexdigest()}")
            sha256 = Digest(f"sha256:{hashes['sha256'].hexdigest()}")
        if found != digest:
            raise DigestDiffers("the bytes have another digest", found=found, expected=digest)
        return sha256
