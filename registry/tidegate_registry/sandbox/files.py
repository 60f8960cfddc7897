"""Files of a sandbox folder: for their owner's eyes alone, written in one step, marked when they are secret."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tidegate.errors import InvalidInput

MARK = b"# SANDBOX KEY: made by `tidegate-registry sandbox` for this machine only. Never trust it anywhere else.\n"
FILE_MODE = 0o600
FOLDER_MODE = 0o700


def make_folder(folder: Path) -> Path:
    """Make `folder` (and its parents) readable by its owner alone; one that is there keeps its mode.

    Raises InvalidInput when it cannot be made.
    """
    try:
        if not folder.is_dir():
            folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            folder.chmod(FOLDER_MODE)  # whatever the umask is
    except OSError as error:
        raise unusable(folder, error) from error
    return folder


def unusable(folder: Path, error: OSError) -> InvalidInput:
    """Tell why the sandbox cannot have that folder."""
    return InvalidInput(
        f"{folder} cannot be the sandbox's folder",
        code="sandbox-folder-unusable",
        found="a file" if isinstance(error, FileExistsError) else error.strerror or error,
        hint="choose a folder that you may write to with --dir",
    )


def create_file(path: Path, content: bytes) -> bool:
    """Make `path` with mode 0600 and `content`, all or nothing; False when it is there already (and is left alone).

    The bytes are durable under a temporary name before the final name exists, so neither a crash nor a second
    process can leave half a key.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        temporary.unlink()  # of a crashed process that had this id
    try:
        _write_exclusively(temporary, content)
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
    sync_folder(path.parent)
    return True


def replace_file(path: Path, content: bytes) -> None:
    """Write `path` with mode 0600 in one step: readers see the old bytes or the new ones."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        temporary.unlink()
    try:
        _write_exclusively(temporary, content)
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable, as fsync of a file alone does not."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_exclusively(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def ensure_secret(path: Path, entropy: Callable[[int], bytes], size: int) -> str:
    """Give the secret in `path`, as hexadecimal digits; made of `size` random bytes when it is not there yet."""
    if not path.exists():
        create_file(path, MARK + entropy(size).hex().encode() + b"\n")
    return read_secret(path)


def read_secret(path: Path) -> str:
    """Read a secret file: its last line, below the comment that marks it."""
    return path.read_text().splitlines()[-1].strip()
