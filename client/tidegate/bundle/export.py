"""Writing an OCI image layout as one tar, straight from where its blobs are: the counterpart of `archive`.

Sorted names, no owner, no time: the same content makes the same bytes, wherever it came from. Nothing is collected on
disk first; each blob is hashed on its way into the file.
"""

from __future__ import annotations

import os
import secrets
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tidegate.bundle.archive import MAX_MEMBERS
from tidegate.bundle.canonical import BLOCK, exactly, expect_end
from tidegate.bundle.layout import INDEX, MARKER, MARKER_BYTES, Layout, blob_name, index_bytes, index_entry
from tidegate.digest import Digest, Hasher
from tidegate.errors import BundleRefused, Conflict, InvalidInput, LimitExceeded, TidegateError
from tidegate.formats.manifest import Descriptor, Manifest

_MAX_USTAR_SIZE = 8**11 - 1  # eleven octal digits; a larger blob needs GNU's way to write numbers
_ARCHIVED_ALGORITHM = "sha256"  # a name with the hex of a longer one does not fit into a ustar header

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """What goes into an archive. `listed`: manifests for the index, with the version that names each or None.

    `others`: manifests that only an index among `listed` names. `blobs`: what all of these name.
    """

    listed: tuple[tuple[Manifest, str | None], ...]
    others: tuple[Manifest, ...]
    blobs: tuple[Descriptor, ...]


def check_archivable(digests: Iterable[Digest]) -> None:
    """Raise InvalidInput (code "archive-algorithm") for a digest whose blob has no name in a tar."""
    for digest in digests:
        if digest.algorithm != _ARCHIVED_ALGORITHM:
            raise InvalidInput(
                "an archive holds no blobs of that algorithm",
                code="archive-algorithm",
                found=digest,
                expected=f"{_ARCHIVED_ALGORITHM}:…",
                hint="copy to a layout folder, and pack that",
            )


@contextmanager
def writing_archive(path: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """Give a new file beside `path`, which takes its place when the block ends well; else nothing is left of it.

    `path` may be absent or an archive of a layout. Raises Conflict (code "destination-exists").
    """
    check_replaceable(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            yield temporary, file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_archive(
    file: BinaryIO, exported: Exported, open_blob: Callable[[Digest], BinaryIO], advance: Advance
) -> None:
    """Write the archive of a layout. `advance` is told the bytes of each piece of a blob.

    Raises BundleRefused when a blob is not what its digest names or has another size; LimitExceeded; InvalidInput.
    """
    manifests = (*(manifest for manifest, _ in exported.listed), *exported.others)
    check_archivable((*(each.digest for each in manifests), *(blob.digest for blob in exported.blobs)))
    small = {MARKER: MARKER_BYTES, INDEX: index_bytes(index_entry(each, version) for each, version in exported.listed)}
    small |= {blob_name(each.digest): each.raw for each in manifests}
    blobs = {blob_name(blob.digest): blob for blob in exported.blobs}
    names = sorted(small.keys() | blobs.keys())
    if len(names) > MAX_MEMBERS:
        raise LimitExceeded("an archive would hold too many files", found=len(names), expected=f"at most {MAX_MEMBERS}")
    for name in names:
        if (raw := small.get(name)) is not None:
            _write(file, name, len(raw), (raw,))
        else:
            with open_blob(blobs[name].digest) as stream:
                _write(file, name, blobs[name].size, _checked(stream, blobs[name], advance))
    file.write(bytes(2 * BLOCK))


def _write(file: BinaryIO, name: str, size: int, chunks: Iterable[bytes]) -> None:
    header = tarfile.TarInfo(name)  # mode 0644, no owner, no time
    header.size = size
    file.write(header.tobuf(tarfile.USTAR_FORMAT if size <= _MAX_USTAR_SIZE else tarfile.GNU_FORMAT))
    file.writelines(chunks)
    file.write(bytes(-size % BLOCK))


def _checked(stream: BinaryIO, blob: Descriptor, advance: Advance) -> Iterator[bytes]:
    hasher = Hasher(blob.digest.algorithm)
    for chunk in exactly(stream, blob.size):
        hasher.update(chunk)
        yield chunk
        advance(len(chunk))
    expect_end(stream)
    if hasher.digest != blob.digest:
        raise BundleRefused(
            "a blob is not what was asked for", code="blob-digest", found=hasher.digest, expected=blob.digest
        )


def check_replaceable(path: Path) -> None:
    """Raise Conflict (code "destination-exists") or InvalidInput unless `path` is absent or an archive of a layout."""
    if not path.parent.is_dir():
        raise InvalidInput("there is no folder for the archive", code="folder-missing", found=path.parent)
    if path.is_symlink() or path.exists():
        try:
            if path.is_symlink() or not path.is_file():
                raise InvalidInput("not a file", found=path)
            Layout.open(path)
        except TidegateError as error:
            raise Conflict(
                "the file to write holds something else",
                code="destination-exists",
                found=path,
                expected="an absent file, or an archive of a layout",
                hint="name another file",
            ) from error
