"""A file of lines, each about an entry of the log, that says itself how far it goes.

After a crash a line that was not finished is cut, the index of the last one that was is read, and the next run goes on
behind it: no entry is missing, and none is there twice.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

from tidegate.errors import InvalidInput, JsonInvalid
from tidegate.formats.jcs import parse_object

MAX_LINE_BYTES = 1 << 20  # an entry of 64 kB, each character escaped, with what OCSF says of it once more

BEGINNING = b'{"'  # of every line: of a first one that was cut off, no more may be there


class LineFile:
    """A file that lines are added to. `last`: the index in its last line, None where it has none."""

    def __init__(self, file: BinaryIO, last: int | None) -> None:
        self._file, self.last = file, last

    @classmethod
    def open(cls, path: Path, *, again: bool) -> LineFile:
        """Open `path`; a line at its end that was not finished is cut. `again`: it may hold lines already.

        Raises InvalidInput (codes "export-file-exists", "export-file-foreign"), OSError.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        file = os.fdopen(descriptor, "r+b")
        try:
            return cls(file, _repair(path, file, again=again))
        except BaseException:
            file.close()
            raise

    def add(self, lines: bytes) -> None:
        """Add whole lines, so that they survive a power cut. Raises OSError."""
        self._file.write(lines)
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close it."""
        self._file.close()


def _repair(path: Path, file: BinaryIO, *, again: bool) -> int | None:
    """Cut a line that was not finished, stand at the end, and give the index of the last line."""
    size = file.seek(0, os.SEEK_END)
    if size and not again:
        raise InvalidInput(
            f"{path} is there already",
            code="export-file-exists",
            hint="name with --resume where it is kept how far it goes, or write to another file",
        )
    file.seek(max(size - 2 * MAX_LINE_BYTES, 0))
    tail = file.read()
    whole = tail[: tail.rfind(b"\n") + 1]
    if not whole and (len(tail) > MAX_LINE_BYTES or not tail.startswith(BEGINNING[: len(tail)])):
        raise _foreign(path, "no line ends")
    last = _last_index(path, whole)  # before anything is cut: what is no export is left as it is
    file.truncate(size - len(tail) + len(whole))
    file.seek(0, os.SEEK_END)
    return last


def _last_index(path: Path, whole: bytes) -> int | None:
    if not whole:
        return None
    last = whole[:-1].rpartition(b"\n")[2]
    try:
        document = parse_object(last, limit=MAX_LINE_BYTES, what="its last line")
    except JsonInvalid as error:
        raise _foreign(path, str(error)) from error
    unmapped = document.get("unmapped")
    index = unmapped.get("index") if isinstance(unmapped, dict) else document.get("index")
    if isinstance(index, bool) or not isinstance(index, int):
        raise _foreign(path, "a last line without an index")
    return index


def _foreign(path: Path, found: str) -> InvalidInput:
    return InvalidInput(
        f"{path} is no export of a log",
        code="export-file-foreign",
        found=found[:200],
        expected="lines that `tidegate log export` wrote",
    )
