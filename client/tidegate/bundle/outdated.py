"""Whether a folder still is what was built of it: who compares the build should not mean the folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tidegate.bundle.layout import INDEX, Layout
from tidegate.bundle.spec import AgentFile
from tidegate.bundle.tree import SourceFile, scan_tree
from tidegate.digest import Hasher, chunks_of
from tidegate.errors import InvalidInput
from tidegate.formats.config import AgentConfig, FileEntry
from tidegate.formats.paths import printable

SHOWN = 5  # paths in the message


def check_up_to_date(source: Path, layout: Layout, config: AgentConfig) -> None:
    """Check that a build of the folder `source` would hold the files that `layout`, built of it, holds.

    Files that are older than the build and of the same size are not read again.
    Raises InvalidInput (code "build-outdated"); AgentFileInvalid, SourceTreeInvalid.
    """
    built_at = (layout.path / INDEX).stat().st_mtime_ns
    if changed := sorted(_changed(source, layout.path, config, built_at)):
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        raise InvalidInput(
            "the folder is not what was built of it any more",
            code="build-outdated",
            found=f"changed since: {', '.join(map(printable, changed[:SHOWN]))}{more}",
            expected="the files that were built",
            hint=f"run `tidegate build {source}`, or name {layout.path} to mean what was built",
        )


def _changed(source: Path, layout: Path, config: AgentConfig, built_at: int) -> Iterator[str]:
    tree = scan_tree(source, AgentFile.load(source).spec.ignore, exclude=layout)
    found = {file.path: file for file in tree.files}
    built = {entry.path: entry for entry in config.files}
    yield from found.keys() ^ built.keys()
    for path in found.keys() & built.keys():
        if not _same(found[path], built[path], built_at):
            yield path


def _same(file: SourceFile, entry: FileEntry, built_at: int) -> bool:
    if file.size != entry.size or file.mode != entry.mode:
        return False
    if file.identity.mtime_ns < built_at:
        return True
    with file.open() as stream:
        return Hasher.of(chunks_of(stream), entry.sha256.algorithm).digest == entry.sha256
