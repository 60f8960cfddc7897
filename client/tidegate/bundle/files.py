"""Files on disk: what makes one the same as before, and how to store it without a second copy."""

from __future__ import annotations

import io
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

_FICLONE = 0x40049409  # Linux uapi/linux/fs.h: share the blocks of another file


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What changes when a file is replaced or written to."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Take it from a `stat`."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


def open_regular(path: Path | str) -> int:
    """Open a regular file for reading without following a link or waiting for a pipe. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"not a regular file: {path}")
    return descriptor


def place_file(source: Path, target: Path, identity: FileIdentity, *, link: bool) -> bool:
    """Put the file that has `identity` at `target` without copying its bytes; False when that cannot be done here."""
    temporary = target.with_name(f".{secrets.token_hex(8)}")
    try:
        if not _clone(source, temporary) and not (link and _link(source, temporary)):
            return False
        if FileIdentity.of(source.stat()) != identity or temporary.stat().st_size != identity.size:
            return False
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def clone(origin: BinaryIO, copy: BinaryIO) -> bool:
    """Let the empty file `copy` share the blocks of `origin`, each changing on its own; False when that cannot be."""
    try:
        import fcntl
    except ImportError:  # not a Unix
        return False
    try:
        fcntl.ioctl(copy.fileno(), _FICLONE, origin.fileno())
    except (OSError, io.UnsupportedOperation):  # another file system, or none: a member of an archive
        return False
    return True


def _clone(source: Path, target: Path) -> bool:
    with source.open("rb") as origin, target.open("xb") as copy:
        if clone(origin, copy):
            return True
    target.unlink()
    return False


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        return False
    return True
