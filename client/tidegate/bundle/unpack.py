"""Bring a bundle back to disk: hostile input in, the author's tree out, or nothing at all.

Source: docs/spec/bundle.md, "Unpacking". The structure is checked before a byte is written, each layer is compared
with the signed file list while it is written into a staging folder, and only a complete tree gets its name.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath

from tidegate.bundle.canonical import Sink
from tidegate.bundle.content import CONTENT_STEPS, FilesByLayer, LayerParts, files_by_layer
from tidegate.bundle.structure import DEFAULT_LIMITS, Limits, OpenBlob, check_structure, refuse
from tidegate.digest import Digest
from tidegate.errors import Conflict, LimitExceeded
from tidegate.formats.config import AgentConfig, Component, FileEntry
from tidegate.formats.manifest import Manifest

_FILE_MODES = {"x": 0o755, "-": 0o644}
_FOLDER_MODE = 0o755
_PRIVATE = 0o700

PlaceBlob = Callable[[Digest, Path, int], bool]
"""Makes a file (absent, with this mode) of a blob without copying its bytes; False when it has not done so."""


def unpack(
    manifest: Manifest,
    open_blob: OpenBlob,
    dest: Path,
    *,
    limits: Limits = DEFAULT_LIMITS,
    advance: Callable[[int], None] | None = None,
    place: PlaceBlob | None = None,
) -> AgentConfig:
    """Check a bundle (steps B1 to B9) and unpack it to `dest`, which must not exist or be an empty folder.

    Files get mode 0644 or 0755, folders 0755. After a failure nothing is left. `advance` is told the bytes done.
    `place` is for a caller who has hashed the blobs: it may make the file of a raw layer without a copy of its bytes.
    Raises BundleRefused, Conflict (`destination-exists`), LimitExceeded (`disk-full`).
    """
    config = check_structure(manifest, open_blob, limits=limits)
    if dest.exists() and (not dest.is_dir() or any(dest.iterdir())):  # a link is refused by the rename
        raise _exists(dest)
    with _staging(dest) as staging:
        tell = advance or (lambda _: None)
        _make_folders(config, staging)
        rest = [each for each in config.components if not _placed(each, config, staging, place, tell)]
        _check_space(sum(component.size for component in rest), staging)
        _write_files(rest, files_by_layer(config), open_blob, staging, tell)
        staging.chmod(_FOLDER_MODE)
        try:
            staging.rename(dest)
        except OSError as error:
            raise _exists(dest) from error
    return config


def _make_folders(config: AgentConfig, root: Path) -> None:
    folders = {parent for entry in config.files for parent in PurePosixPath(entry.path).parents}
    for folder in sorted(folders - {PurePosixPath()}):
        (root / folder).mkdir()
        (root / folder).chmod(_FOLDER_MODE)  # whatever the umask says


def _placed(
    component: Component, config: AgentConfig, root: Path, place: PlaceBlob | None, advance: Callable[[int], None]
) -> bool:
    """Try to make the file of a raw layer without writing it; step B4 has seen that its digest is the layer's."""
    if place is None or component.kind.packing != "raw" or component.path is None:
        return False
    (entry,) = [each for each in config.files if each.path == component.path]
    if not place(component.digest, root / entry.path, _FILE_MODES[entry.mode]):
        return False
    advance(component.size)
    return True


def _write_files(
    components: Iterable[Component],
    files: FilesByLayer,
    open_blob: OpenBlob,
    root: Path,
    advance: Callable[[int], None],
) -> None:
    def open_sink(entry: FileEntry) -> AbstractContextManager[Sink]:
        return _new_file(root / entry.path, _FILE_MODES[entry.mode], advance)

    for component in components:  # at the first bad layer there is no point in writing the next
        layer = LayerParts(component, files, open_blob, open_sink)
        refuse([reason for step in CONTENT_STEPS for reason in step.reasons(layer)])


@contextmanager
def _new_file(path: Path, mode: int, advance: Callable[[int], None]) -> Iterator[Sink]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0) as file:

        def sink(chunk: bytes) -> None:
            left = memoryview(chunk)
            while left:  # an unbuffered write may take less than all
                left = left[file.write(left) :]
            advance(len(chunk))

        yield sink
    path.chmod(mode)


@contextmanager
def _staging(dest: Path) -> Iterator[Path]:
    """Make a private folder beside `dest`, on its file system; on the way out nothing of it, or all of it, is left."""
    made = [parent for parent in dest.absolute().parents if not parent.exists()]
    dest.parent.mkdir(parents=True, exist_ok=True)
    staging = dest.parent / f".{dest.name}.{secrets.token_hex(8)}"
    staging.mkdir(mode=_PRIVATE)
    try:
        yield staging
    finally:
        if staging.exists():
            shutil.rmtree(staging)
            for parent in made:
                if not any(parent.iterdir()):
                    parent.rmdir()


def _check_space(needed: int, staging: Path) -> None:
    free = shutil.disk_usage(staging).free
    if needed > free:
        raise LimitExceeded(
            "the disk has no room for the bundle",
            code="disk-full",
            found=f"{free} bytes free",
            expected=f"{needed} bytes",
            hint="free some space, or unpack elsewhere",
        )


def _exists(dest: Path) -> Conflict:
    return Conflict(
        "the folder to unpack to is already there",
        code="destination-exists",
        found=dest,
        expected="an absent or empty folder",
        hint="name another folder, or remove it",
    )
