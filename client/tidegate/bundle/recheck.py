"""Whether an unpacked folder still is what was signed: the file list, before each load. Source: docs/spec/bundle.md."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tidegate.bundle.files import open_regular
from tidegate.bundle.structure import BundleStep, refuse
from tidegate.digest import CHUNK_BYTES, Hasher
from tidegate.errors import Reason
from tidegate.formats.config import MAX_REASONS, AgentConfig, FileEntry
from tidegate.formats.paths import printable

MAX_THREADS = 4
THREADS_PAY_BYTES = 4 << 20  # some 10 ms of hashing; below, to start threads takes longer than they save
_HINT = "unpack the bundle again"


def recheck_files(config: AgentConfig, folder: Path) -> None:
    """Check that `folder` holds exactly the files of `config`, with their bytes and modes; empty folders are ignored.

    Raises BundleRefused with every reason: `file-missing`, `file-changed`, `file-extra`.
    """
    refuse([reason for step in RECHECK_STEPS for reason in step.reasons(Unpacked(config, folder))])


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What step B10 looks at."""

    config: AgentConfig
    folder: Path


def _check_files(unpacked: Unpacked) -> Iterator[Reason]:
    """B10: the files of the list, with their bytes and modes, and no others."""
    config, folder = unpacked.config, unpacked.folder
    if not folder.is_dir():
        yield Reason("file-missing", f"the unpacked bundle is gone: {printable(str(folder))}", hint=_HINT)
        return
    yield from _extra_files(config, folder)
    with ExitStack() as pools:
        run: Callable[..., Iterator[Reason | None]] = map
        if sum(entry.size for entry in config.files) > THREADS_PAY_BYTES:
            run = pools.enter_context(ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1))).map
        yield from (reason for reason in run(lambda entry: _check_file(folder, entry), config.files) if reason)


def _check_file(folder: Path, entry: FileEntry) -> Reason | None:
    path = folder / entry.path
    name = printable(entry.path)
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return Reason("file-missing", f"a file is missing: {name}", hint=_HINT)
    if not stat.S_ISREG(status.st_mode):
        return _changed(name, "a link, a folder or a device", "a regular file")
    if status.st_size != entry.size:
        return _changed(name, f"{status.st_size} bytes", f"{entry.size} bytes")
    mode = "x" if status.st_mode & stat.S_IXUSR else "-"
    if mode != entry.mode:
        return _changed(name, f"mode {mode}", f"mode {entry.mode}")
    hasher = Hasher()
    try:
        with os.fdopen(open_regular(path), "rb", buffering=0) as file:
            while chunk := file.read(CHUNK_BYTES):
                hasher.update(chunk)
    except OSError as error:
        return _changed(name, str(error), "a readable file")
    return None if hasher.digest == entry.sha256 else _changed(name, str(hasher.digest), str(entry.sha256))


def _changed(name: str, found: str, expected: str) -> Reason:
    return Reason("file-changed", f"a file is not what was signed: {name}", found, expected, _HINT)


def _extra_files(config: AgentConfig, folder: Path) -> Iterator[Reason]:
    """Name what was added: Python would prefer a planted `.pyc`, a shell a planted program."""
    known = {entry.path for entry in config.files}
    folders = [""]
    count = 0
    while folders and count < MAX_REASONS:
        prefix = folders.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                path = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{path}/")
                elif path not in known:
                    count += 1
                    message = f"a file was added: {printable(path)}"
                    yield Reason("file-extra", message, hint="remove it; the agent must not write beside its code")


RECHECK_STEPS = (BundleStep("B10", "the files on disk are those of the list", _check_files),)
