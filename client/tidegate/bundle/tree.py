"""The author's folder: find the files of the agent, and say everything that cannot become part of a bundle."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from tidegate.bundle.files import FileIdentity, open_regular
from tidegate.bundle.globs import DEFAULT_IGNORES, IGNORE_FILE, MAX_IGNORE_FILE_BYTES, IgnoreRules
from tidegate.bundle.spec import FILE_NAME
from tidegate.errors import Reason, SourceTreeInvalid
from tidegate.formats.config import MAX_FILES, MAX_REASONS
from tidegate.formats.paths import check_path, check_tree, printable, windows_warning

_SPECIAL = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISBLK, "a block device"),
    (stat.S_ISCHR, "a character device"),
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A regular file as it was when the folder was read. `target`: for a materialised link, the path it leads to."""

    root: Path
    path: str
    identity: FileIdentity
    mode: Literal["x", "-"]
    target: str | None = None

    @property
    def real(self) -> Path:
        """Where its bytes are."""
        return self.root / (self.target or self.path)

    @property
    def size(self) -> int:
        """Bytes."""
        return self.identity.size

    @contextmanager
    def open(self) -> Iterator[BinaryIO]:
        """Open it, if it is still the same file, and check again at the end. Raises SourceTreeInvalid."""
        try:
            descriptor = open_regular(self.real)
        except PermissionError as error:
            raise SourceTreeInvalid(
                f"cannot be read: {printable(self.path)}", code="unreadable", found=error
            ) from error
        except OSError as error:
            raise self.changed(error) from error
        with os.fdopen(descriptor, "rb") as stream:
            self._check(descriptor)
            yield stream
            self._check(self.real)  # written to, or another file has taken its name

    def read(self, limit: int) -> bytes:
        """Read it whole, at most `limit` bytes. Raises SourceTreeInvalid."""
        if self.size > limit:
            raise SourceTreeInvalid(
                f"a file is too large: {printable(self.path)}",
                code="file-too-large",
                found=f"{self.size} bytes",
                expected=f"at most {limit} bytes",
            )
        with self.open() as stream:
            return stream.read(limit)

    def _check(self, opened: int | Path) -> None:
        try:
            status = os.fstat(opened) if isinstance(opened, int) else opened.lstat()
        except OSError as error:
            raise self.changed(error) from error
        if FileIdentity.of(status) != self.identity:
            raise self.changed("other size, time or inode than at the start")

    def changed(self, found: object) -> SourceTreeInvalid:
        """Make the error for a file that did not hold still."""
        return SourceTreeInvalid(
            f"a file changed while it was read: {printable(self.path)}",
            code="file-changed",
            found=found,
            hint="build when nothing writes to the folder",
        )


@dataclass(frozen=True, slots=True)
class SourceTree:
    """The files of an agent, sorted by path, and what is worth telling though it is no error."""

    files: tuple[SourceFile, ...]
    warnings: tuple[str, ...]


def scan_tree(source: Path, ignore: tuple[str, ...] = (), *, exclude: Path | None = None) -> SourceTree:
    """Find the files below `source`; `ignore` are the author's own patterns, `exclude` a folder never looked into.

    A link to a file of the tree becomes a file; every other link, and whatever is neither file nor folder, is refused.
    Raises SourceTreeInvalid with all offending paths.
    """
    rules = IgnoreRules((*DEFAULT_IGNORES, *_ignore_file(source), *ignore))
    walk = _Walk(source, rules, exclude.resolve() if exclude is not None else None)
    walk.run()
    reasons = [*walk.reasons, *walk.materialise()]
    reasons += [reason for file in walk.files for reason in check_path(file.path)]
    reasons += check_tree(file.path for file in walk.files)
    if reasons:
        raise refuse_tree(reasons)
    files = tuple(sorted(walk.files, key=lambda file: file.path))
    warnings = [warning for file in files if (warning := windows_warning(file.path))]
    return SourceTree(files, tuple(warnings))


def refuse_tree(reasons: list[Reason]) -> SourceTreeInvalid:
    """Make the one error that lists every offending path."""
    count = len(reasons)
    error = SourceTreeInvalid(
        f"the folder cannot become a bundle, {count} reasons" if count > 1 else reasons[0].message, code=reasons[0].code
    )
    error.reasons = tuple(reasons[:MAX_REASONS])
    return error


class _Walk:
    def __init__(self, source: Path, rules: IgnoreRules, exclude: Path | None) -> None:
        self._source, self._rules, self._exclude = source, rules, exclude
        self.files: list[SourceFile] = []
        self.reasons: list[Reason] = []
        self._links: list[str] = []

    def run(self) -> None:
        folders = [""]
        while folders:
            folder = folders.pop()
            for entry in self._entries(folder):
                path = f"{folder}{entry.name}"
                is_folder = entry.is_dir(follow_symlinks=False)
                if path != FILE_NAME and self._rules.ignores(path, is_folder=is_folder):
                    continue
                if is_folder:
                    if self._exclude is None or Path(entry.path).resolve() != self._exclude:
                        folders.append(f"{path}/")
                else:
                    self._take(path, entry)
                if len(self.files) > MAX_FILES:
                    raise SourceTreeInvalid(
                        "the folder holds too many files",
                        code="too-many-files",
                        expected=f"at most {MAX_FILES}",
                        hint=f"leave out what the agent does not need in {IGNORE_FILE}",
                    )

    def materialise(self) -> Iterator[Reason]:
        """Turn links to files of the tree into files, and name all others."""
        known = {file.path: file for file in self.files}
        root = self._source.resolve()
        for path in self._links:
            target = Path(os.path.realpath(self._source / path))  # Path.resolve raises RuntimeError on a loop
            inside = target.relative_to(root).as_posix() if target.is_relative_to(root) else None
            if inside in known:
                self.files.append(replace(known[inside], path=path, target=inside))
            else:
                yield self._bad_link(path, target, inside)

    def _bad_link(self, path: str, target: Path, inside: str | None) -> Reason:
        if inside is None:
            code, what = "link-outside", "a link leads out of the folder"
        elif target.is_dir():
            code, what = "link-to-folder", "a link leads to a folder"
        elif not target.exists():
            code, what = "link-dangling", "a link leads nowhere"
        else:
            code, what = "link-to-ignored", "a link leads to a file that is ignored or no regular file"
        return Reason(
            code=code,
            message=f"{what}: {printable(path)}",
            found=printable(str((self._source / path).readlink()))[:300],
            expected="a link to a file of the bundle, which is stored as that file",
            hint=f"put the files themselves there, or ignore the link in {IGNORE_FILE}",
        )

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self._source / folder) as entries:
                return list(entries)
        except OSError as error:
            self.reasons.append(_unreadable(folder.rstrip("/"), error))
            return []

    def _take(self, path: str, entry: os.DirEntry[str]) -> None:
        if entry.is_symlink():
            self._links.append(path)
            return
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            self.reasons.append(_unreadable(path, error))
            return
        if not stat.S_ISREG(status.st_mode):
            what = next((name for test, name in _SPECIAL if test(status.st_mode)), "neither file nor folder")
            message = f"only regular files can be in a bundle; {what}: {printable(path)}"
            self.reasons.append(Reason("not-a-file", message, hint=f"ignore it in {IGNORE_FILE}"))
            return
        mode: Literal["x", "-"] = "x" if status.st_mode & stat.S_IXUSR else "-"
        self.files.append(SourceFile(self._source, path, FileIdentity.of(status), mode))


def _ignore_file(source: Path) -> list[str]:
    path = source / IGNORE_FILE
    if not path.is_file():
        return []
    raw = path.read_bytes()
    if len(raw) > MAX_IGNORE_FILE_BYTES:
        raise SourceTreeInvalid(f"{IGNORE_FILE} is too large", expected=f"at most {MAX_IGNORE_FILE_BYTES} bytes")
    try:
        return raw.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise SourceTreeInvalid(f"{IGNORE_FILE} is not UTF-8", found=error) from error


def _unreadable(path: str, error: OSError) -> Reason:
    return Reason("unreadable", f"cannot be read: {printable(path) or 'the folder itself'}", found=error.strerror)
