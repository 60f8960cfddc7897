"""A folder that appears complete or not at all, in place of an older one if there was one."""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tidegate.errors import Conflict

LAYOUT, BUNDLE = "layout", "bundle"  # what `pull` writes: the OCI layout with its evidence, and the unpacked tree
_MODE = 0o755
_PRIVATE = 0o700
_AT_FDCWD = -100  # Linux fcntl.h
_RENAME_EXCHANGE = 2  # Linux renameat2(2)
_RENAME_SWAP = 2  # macOS renamex_np(2)


def is_pulled(folder: Path) -> bool:
    """Whether `folder` is one that `pull` wrote."""
    return (folder / LAYOUT / "oci-layout").is_file()


@contextmanager
def replacing(dest: Path) -> Iterator[Path]:
    """Give a new private folder beside `dest`; when the block ends well it takes the place of `dest`, all at once.

    `dest` may be absent, empty, or a folder that `pull` wrote; anything else is somebody's work and is left alone.
    When the block fails, for whatever reason, nothing of the new folder is left. Raises Conflict.
    """
    _check_replaceable(dest)
    made = [parent for parent in dest.absolute().parents if not parent.exists()]
    dest.parent.mkdir(parents=True, exist_ok=True)
    staging = dest.absolute().parent / f".{dest.absolute().name}.{secrets.token_hex(8)}"
    staging.mkdir(mode=_PRIVATE)
    try:
        yield staging
        staging.chmod(_MODE)
        _check_replaceable(dest)  # it took a while
        _put_in_place(staging, dest)
    finally:
        if staging.exists():  # the unfinished new folder, or after an exchange the old one
            shutil.rmtree(staging)
        for parent in made:
            if parent.exists() and not any(parent.iterdir()):
                parent.rmdir()


def _check_replaceable(dest: Path) -> None:
    if not dest.is_symlink() and (not dest.exists() or _is_ours_or_empty(dest)):
        return
    raise Conflict(
        "the folder to write to holds something else",
        code="destination-exists",
        found=dest,
        expected="an absent or empty folder, or one that `tidegate pull` wrote",
        hint="name another folder with --to",
    )


def _is_ours_or_empty(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    names = {entry.name for entry in folder.iterdir()}
    return not names or (names <= {LAYOUT, BUNDLE} and is_pulled(folder))


def _put_in_place(staging: Path, dest: Path) -> None:
    if not dest.exists():
        staging.rename(dest)
    elif not _exchange(staging, dest):
        # no atomic exchange here: for a moment there is no `dest`, but never half of one
        old = staging.with_name(f"{staging.name}.old")
        dest.rename(old)
        try:
            staging.rename(dest)
        except BaseException:
            old.rename(dest)
            raise
        shutil.rmtree(old)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; False where the system or file system cannot."""
    libc = ctypes.CDLL(None, use_errno=True)
    first, second = os.fsencode(one), os.fsencode(other)
    if sys.platform == "linux" and hasattr(libc, "renameat2"):
        return bool(libc.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE) == 0)
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        return bool(libc.renamex_np(first, second, _RENAME_SWAP) == 0)
    return False
