"""A file of records that only grows: durable before `append` returns, and whole again after any crash.

    line = first 16 hex digits of SHA-256(body), space, base64(body), newline

A crash during a write leaves a torn last line that nobody was told about; loading drops it and says so. A bad line
with another one behind it is damage, not a crash, and refuses to load.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import os
from pathlib import Path

from tidegate.errors import Conflict, LimitExceeded
from tidegate_registry.sandbox.files import FILE_MODE, sync_folder

log = logging.getLogger(__name__)

CHECK_DIGITS = 16  # finds torn writes; what must not be forged is proven by the tree above
MAX_RECORD_BYTES = 65_535  # C2SP tlog-tiles: an entry's length is a uint16


class AppendLog:
    """The records of one file, in memory and on disk. Not safe under concurrent `append`; its owner holds a lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        is_new = not path.exists()
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
        self.records: list[bytes] = []
        self._end = 0
        if is_new:
            sync_folder(path.parent)
        self._load()

    def append(self, body: bytes) -> int:
        """Write one record (at most MAX_RECORD_BYTES) and wait for the disk; gives its number.

        When the disk refuses (OSError), the file is cut back to the last whole record, so a later append starts clean.
        """
        if len(body) > MAX_RECORD_BYTES:
            raise LimitExceeded(
                "that entry is too large for the log",
                found=f"{len(body)} bytes",
                expected=f"at most {MAX_RECORD_BYTES} bytes",
            )
        line = _check(body) + b" " + base64.b64encode(body) + b"\n"
        try:
            _write_all(self._descriptor, line)
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._end += len(line)
        self.records.append(body)
        return len(self.records) - 1

    def close(self) -> None:
        os.close(self._descriptor)

    def _load(self) -> None:
        raw = self.path.read_bytes()
        for line in raw.splitlines(keepends=True):
            body = _parse(line)
            if body is None:
                break
            self.records.append(body)
            self._end += len(line)
        torn = raw[self._end :]
        if not torn:
            return
        if torn.count(b"\n") > torn.endswith(b"\n"):
            raise Conflict(
                f"{self.path} is damaged at byte {self._end}",
                code="sandbox-log-damaged",
                found="a bad line with others behind it",
                hint="start on another folder with --dir, or restore this one from a copy",
            )
        log.warning("%s: dropped a torn last record of %d bytes", self.path, len(torn))
        os.ftruncate(self._descriptor, self._end)
        os.fsync(self._descriptor)


def _parse(line: bytes) -> bytes | None:
    check, _, encoded = line.removesuffix(b"\n").partition(b" ")
    try:
        body = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None
    return body if line.endswith(b"\n") and check == _check(body) else None


def _check(body: bytes) -> bytes:
    return hashlib.sha256(body).hexdigest()[:CHECK_DIGITS].encode()


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
