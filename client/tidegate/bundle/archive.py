"""Tar archives of an OCI image layout, read in place: where each file starts and how long it is, nothing else.

Nothing is extracted and no name becomes a path on disk, so a header can lead nowhere. Compressed archives, links,
sparse files and PAX headers that rename or resize are refused.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Self

from tidegate.bundle.canonical import BLOCK
from tidegate.errors import InvalidInput

MAX_MEMBERS = 100_000  # MAX_LAYERS blobs for some ten bundles
_NAME = re.compile(r"(?:\./)?(oci-layout|index\.json|blobs/(?:sha256|sha512)/[0-9a-f]{64,128})")
_NUMBER = re.compile(rb" *([0-7]+)[ \0]*")
_MAX_PAX_BYTES = 64 << 10


class ArchiveFiles:
    """The files of a layout inside a tar, by name. `open` reads its headers once."""

    def __init__(self, path: Path, members: Mapping[str, tuple[int, int]]) -> None:
        self._path, self._members = path, members

    @classmethod
    def open(cls, path: Path) -> Self:
        """Index the archive at `path`. Raises InvalidInput, code `archive-…`."""
        members: dict[str, tuple[int, int]] = {}
        with path.open("rb") as file:
            end = file.seek(0, io.SEEK_END)
            at = 0
            for _ in range(MAX_MEMBERS):
                file.seek(at)
                header = file.read(BLOCK)
                if len(header) < BLOCK or not any(header):
                    return cls(path, members)
                name, size, typeflag = _parse(header, path)
                start = at + BLOCK
                at = start + size + (-size % BLOCK)
                if at > end + BLOCK:
                    raise _invalid(path, "a file is cut off", "archive-truncated", name)
                if typeflag == b"x":
                    _check_pax(file.read(min(size, _MAX_PAX_BYTES)), size, path)
                elif typeflag in {b"0", b"\0"} and (match := _NAME.fullmatch(name)):
                    if match[1] in members:
                        raise _invalid(path, "a name is there twice", "archive-duplicate", name)
                    members[match[1]] = (start, size)
        raise _invalid(path, "there are too many files", "archive-too-many", str(MAX_MEMBERS))

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def open_file(self, name: str) -> BinaryIO:
        """Open one file. Raises FileNotFoundError."""
        if name not in self._members:
            raise FileNotFoundError(name)
        start, size = self._members[name]
        return io.BufferedReader(_Slice(self._path, start, size), 1 << 16)


class _Slice(io.RawIOBase):
    """`size` bytes of a file from `start`."""

    def __init__(self, path: Path, start: int, size: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._file.seek(start)
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the typeshed name is a protocol
        data = self._file.read(min(len(buffer), self._left)) or b""
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()


def _parse(header: bytes, path: Path) -> tuple[str, int, bytes]:
    checksum = _number(header[148:156], path)
    if checksum != sum(header[:148]) + 8 * ord(" ") + sum(header[156:]):
        raise _invalid(path, "that is no tar archive, or it is compressed or damaged", "archive-not-tar", None)
    name, prefix = header[:100].partition(b"\0")[0], b""
    if header[257:263] == b"ustar\0":
        prefix = header[345:500].partition(b"\0")[0]
    full = b"/".join(part for part in (prefix, name) if part).decode("utf-8", "replace")
    typeflag = header[156:157]
    if typeflag not in {b"0", b"\0", b"5", b"x"}:
        raise _invalid(path, "something is neither file nor folder", "archive-not-a-file", full)
    return full, _number(header[124:136], path), typeflag


def _number(field: bytes, path: Path) -> int:
    if field[0] == 0x80:  # noqa: PLR2004 - GNU base-256, for files above 8 GiB
        return int.from_bytes(field[1:], "big")
    match = _NUMBER.fullmatch(field)
    if match is None:
        raise _invalid(path, "that is no tar archive, or it is compressed or damaged", "archive-not-tar", None)
    return int(match[1], 8)


def _check_pax(records: bytes, size: int, path: Path) -> None:
    if size > _MAX_PAX_BYTES or re.search(rb"(?:^|\n)[0-9]+ (?:path|size|linkpath|GNU\.)", records):
        raise _invalid(path, "a PAX header renames or resizes a file", "archive-pax", None)


def _invalid(path: Path, message: str, code: str, found: str | None) -> InvalidInput:
    return InvalidInput(
        f"{path.name}: {message}", code=code, found=found, expected="an uncompressed tar of an OCI image layout"
    )
