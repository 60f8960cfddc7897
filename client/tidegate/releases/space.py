"""Room on a disk, and what a file system says when there is none."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidegate.errors import InvalidInput, LimitExceeded


def check_space(folder: Path, needed: int) -> None:
    """Raise LimitExceeded (code "disk-full") unless the disk of `folder` has `needed` bytes free."""
    if not has_space(folder, needed):
        free = shutil.disk_usage(folder).free
        raise LimitExceeded(
            "the disk has no room for the release",
            code="disk-full",
            found=f"{free} bytes free",
            expected=f"{needed} bytes",
            hint="free some space, or write to another disk",
        )


def has_space(folder: Path, needed: int) -> bool:
    """Whether the disk of `folder` has `needed` bytes free."""
    return needed <= shutil.disk_usage(folder).free


@contextmanager
def explaining(dest: Path) -> Iterator[None]:
    """Turn what the file system says into our errors."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise LimitExceeded("the disk is full", code="disk-full", found=error.filename or dest) from error
        raise InvalidInput(f"{dest} cannot be written", code="destination-unwritable", found=error.strerror) from error
