"""The words of prompts, skills and settings: read from their layers, and compared line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

from tidegate.bundle.canonical import Sink, discard, exactly, expect_end, read_layer
from tidegate.bundle.content import files_by_layer
from tidegate.bundle.diff.lines import Budget, unified
from tidegate.bundle.diff.model import Bounds, FileChange, Side, Sign, TextDiff
from tidegate.digest import Digest
from tidegate.errors import BundleRefused
from tidegate.formats.config import AgentConfig, Component, FileEntry, Kind

TEXTS = frozenset({Kind.PROMPTS, Kind.SKILLS, Kind.CONFIG, Kind.MODELS})


def compare_texts(before: Side, after: Side, files: Sequence[FileChange], bounds: Bounds) -> Iterator[TextDiff]:
    """Give how the changed texts differ, by path. Raises BundleRefused when a layer is not what the config says."""
    wanted = [change for change in files if {change.component, change.was} & TEXTS and not change.same_bytes]
    small = {
        change.path for change in wanted if max(change.before_size or 0, change.after_size or 0) <= bounds.text_bytes
    }
    one, two = (read_files(side, small, bounds) for side in (before, after))
    budget = Budget(bounds.edits, bounds.all_lines)
    for change in wanted:
        yield _compare(change, one, two, budget, bounds)


def read_json(side: Side, component: Component, bounds: Bounds) -> bytes | None:
    """Read a layer that is one JSON file; None when it is larger than the bounds. Raises BundleRefused."""
    if component.size > bounds.json_bytes:
        return None
    with side.open_blob(component.digest) as stream:
        raw = b"".join(exactly(stream, component.size))
        expect_end(stream)
    if not component.digest.matches(raw):
        found = Digest.of(raw, component.digest.algorithm)
        raise BundleRefused(
            "a layer is not what the manifest names", code="layer-digest", found=found, expected=component.digest
        )
    return raw


def _compare(
    change: FileChange, one: dict[str, bytes], two: dict[str, bytes], budget: Budget, bounds: Bounds
) -> TextDiff:
    def without(why: str) -> TextDiff:
        return TextDiff(change.path, change.component, change.sign, (), why)

    missing = (change.sign is not Sign.ADDED and change.path not in one) or (
        change.sign is not Sign.REMOVED and change.path not in two
    )
    if missing:
        return without("too large to compare line by line")
    texts = _decoded(one.get(change.path, b"")), _decoded(two.get(change.path, b""))
    if texts[0] is None or texts[1] is None:
        return without("binary")
    if budget.lines <= 0:
        return without("too much else changed")
    lines, left_out = unified(texts[0], texts[1], budget, most=bounds.lines)
    return TextDiff(change.path, change.component, change.sign, lines, left_out)


def _decoded(raw: bytes) -> str | None:
    """Give the text, or None for what is none."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def read_files(side: Side, paths: set[str], bounds: Bounds) -> dict[str, bytes]:
    """Read those of `paths` that are in layers within bounds, checked against the digests of the signed config."""
    config = side.config
    if config is None:
        return {}
    found: dict[str, bytes] = {}
    entries = {entry.path for entry in config.files if entry.path in paths}
    for component in config.components:
        if component.kind.packing == "json" and component.path in entries:
            raw = read_json(side, component, bounds)
            if raw is not None:
                found[component.path] = raw
        elif component.kind.packing == "tar" and component.size <= bounds.layer_bytes:
            found |= _read_tar(side, config, component, entries)
    return found


def _read_tar(side: Side, config: AgentConfig, component: Component, paths: set[str]) -> dict[str, bytes]:
    files = files_by_layer(config)[component.kind, None]
    if not paths.intersection(entry.path for entry in files):
        return {}
    found: dict[str, bytearray] = {}

    def keep(entry: FileEntry) -> AbstractContextManager[Sink]:
        if entry.path not in paths:
            return discard(entry)
        return nullcontext(found.setdefault(entry.path, bytearray()).extend)

    with side.open_blob(component.digest) as stream:
        digest = read_layer(stream, files, keep)
    if digest != component.digest:
        raise BundleRefused(
            "a layer is not what the manifest names", code="layer-digest", found=digest, expected=component.digest
        )
    return {path: bytes(content) for path, content in found.items()}
