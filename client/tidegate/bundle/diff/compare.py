"""`diff(before, after)`: everything that changed between two bundles, and the version step that it demands.

Pure but for the bytes of layers, which come by each side's `open_blob`, within bounds. Source: docs/spec/diff.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidegate.bundle.diff.declared import compare_declared
from tidegate.bundle.diff.files import compare_files, compare_sizes, file_demands
from tidegate.bundle.diff.model import (
    DEFAULT_BOUNDS,
    Bounds,
    BundleDiff,
    Change,
    ComponentSize,
    FileChange,
    Named,
    Part,
    Side,
    Sign,
    TextDiff,
    by_part,
)
from tidegate.bundle.diff.step import Step, VersionStep, greatest, version_step
from tidegate.bundle.diff.texts import compare_texts, read_json
from tidegate.bundle.diff.tools import compare_tools, find_tools
from tidegate.errors import JsonInvalid
from tidegate.formats.config import AgentConfig, Component, Kind
from tidegate.formats.jcs import JsonValue, parse_json
from tidegate.formats.manifest import Descriptor


def diff(before: Side, after: Side, *, bounds: Bounds = DEFAULT_BOUNDS) -> BundleDiff:
    """Compare two bundles. Opaque ones are compared by their descriptors alone, and a note says so.

    Raises BundleRefused when a layer is not what its config says, and what `open_blob` raises.
    """
    changes, notes = _changes(before, after, bounds)
    files: tuple[FileChange, ...] = ()
    texts: tuple[TextDiff, ...] = ()
    sizes: tuple[ComponentSize, ...] = _layers(before, after)
    if before.config is not None and after.config is not None:
        files = tuple(compare_files(before.config, after.config))
        texts = tuple(compare_texts(before, after, files, bounds))
        sizes = tuple(compare_sizes(before.config, after.config))
    return BundleDiff(
        before=_named(before),
        after=_named(after),
        changes=tuple(_kept(changes, bounds.changes)),
        omitted_changes=max(0, len(changes) - bounds.changes),
        demanded=greatest(change.step for change in changes),
        step=_step(before, after, changes),
        texts=texts,
        files=files[: bounds.files],
        omitted_files=max(0, len(files) - bounds.files),
        sizes=sizes,
        changelog=after.config.changelog if after.config is not None else None,
        notes=tuple(notes),
    )


def judge_step(before: Side, after: Side, *, bounds: Bounds = DEFAULT_BOUNDS) -> VersionStep | None:
    """Judge the version step alone: no text is read. What admission asks. Raises as `diff` does."""
    return _step(before, after, _changes(before, after, bounds)[0])


def _step(before: Side, after: Side, changes: Sequence[Change]) -> VersionStep | None:
    if before.version is None or after.version is None or before.agent != after.agent:
        return None
    ordered = sorted(changes, key=lambda change: -change.step.rank)
    return version_step(before.version, after.version, [(change.step, str(change)) for change in ordered])


def _changes(before: Side, after: Side, bounds: Bounds) -> tuple[list[Change], list[str]]:
    """Give every change, in the order in which they are told, and what could not be looked at."""
    if before.manifest.digest == after.manifest.digest:
        return [], []
    if before.config is None or after.config is None:
        return list(_opaque(before, after)), [
            "an artifact of another tool is compared by its descriptors alone: what it does is not known"
        ]
    tools, notes = _tools(before, after, bounds)
    files = file_demands(tuple(compare_files(before.config, after.config)))
    found = [
        *tools,
        *compare_declared(before.config, after.config),
        *(change for change in files if change.part is not Part.TOOLS or not tools),  # tools are told by name
    ]
    if before.config.name != after.config.name:
        notes.append(f"they are two agents, {before.config.name} and {after.config.name}")
    return by_part(found), notes


def _opaque(before: Side, after: Side) -> Iterator[Change]:
    if before.config is not None:
        message = "was an agent bundle and is opaque now: nobody can tell what it asks for"
        yield Change(Part.BUNDLE, "became-opaque", Sign.CHANGED, "", Step.MAJOR, message)
    elif after.config is not None:
        message = "was opaque and is an agent bundle now"
        yield Change(Part.BUNDLE, "no-longer-opaque", Sign.CHANGED, "", Step.MINOR, message)
    else:
        types = before.manifest.effective_artifact_type, after.manifest.effective_artifact_type
        if types[0] != types[1]:
            message = f"artifact type {types[0]} → {types[1]}"
            yield Change(Part.BUNDLE, "artifact-type-changed", Sign.CHANGED, "", Step.MAJOR, message)
        blobs = [[(each.media_type, each.digest) for each in _descriptors(side)] for side in (before, after)]
        if blobs[0] != blobs[1]:
            gone, come = len(set(blobs[0]) - set(blobs[1])), len(set(blobs[1]) - set(blobs[0]))
            message = f"{come} descriptors added, {gone} removed; what that means is not known"
            yield Change(Part.BUNDLE, "blobs-changed", Sign.CHANGED, "", Step.PATCH, message)


def _tools(before: Side, after: Side, bounds: Bounds) -> tuple[list[Change], list[str]]:
    """Compare tools by name. A file whose content is the same on both sides is not read, unless tools moved."""
    layers = [_tool_layers(side.config) for side in (before, after)]
    if _contents(layers[0]) == _contents(layers[1]):
        return [], []
    documents = []
    for side, components in zip((before, after), layers, strict=True):
        documents.append({path: _document(side, each, bounds) for path, each in components.items()})
    (one, strange_before), (two, strange_after) = (find_tools(found) for found in documents)
    changes = list(compare_tools(one, two))
    for path in sorted({*strange_before, *strange_after}):
        old, new = layers[0].get(path), layers[1].get(path)
        if old is None or new is None or old.content_digest != new.content_digest:
            message = "holds what is no tool in a known form, and cannot be compared"
            changes.append(Change(Part.TOOLS, "tools-unreadable", Sign.CHANGED, path, Step.MINOR, message))
    notes = [f"{path}: what is no tool in a known form" for path in sorted({*strange_before, *strange_after})]
    return changes, notes


def _tool_layers(config: AgentConfig | None) -> dict[str, Component]:
    found = config.components if config is not None else ()
    return {each.path: each for each in found if each.kind is Kind.TOOLS and each.path is not None}


def _contents(layers: dict[str, Component]) -> dict[str, str]:
    return {path: each.content_digest for path, each in layers.items()}


def _document(side: Side, component: Component, bounds: Bounds) -> JsonValue:
    """Give a parsed file of tools; null, in which there are none, for what is too large or no JSON."""
    raw = read_json(side, component, bounds)
    if raw is None:
        return None
    try:
        return parse_json(raw, limit=bounds.json_bytes, what="a file of tools")
    except JsonInvalid:
        return None


def _kept(changes: Sequence[Change], most: int) -> list[Change]:
    """Keep the greatest steps when there are too many; the order stays."""
    if len(changes) <= most:
        return list(changes)
    kept = sorted(range(len(changes)), key=lambda index: (-changes[index].step.rank, index))[:most]
    return [changes[index] for index in sorted(kept)]


def _layers(before: Side, after: Side) -> tuple[ComponentSize, ...]:
    """Give the layers of opaque bundles, by digest."""
    one, two = ({each.digest: each for each in _descriptors(side)} for side in (before, after))
    return tuple(
        ComponentSize(
            (one.get(digest) or two[digest]).media_type,
            digest,
            one[digest].size if digest in one else None,
            two[digest].size if digest in two else None,
            digest in one and digest in two,
        )
        for digest in dict.fromkeys((*one, *two))
    )


def _descriptors(side: Side) -> tuple[Descriptor, ...]:
    """Give what a manifest names: blobs, or the members of an index."""
    return (*side.manifest.blobs, *side.manifest.manifests)


def _named(side: Side) -> Named:
    return Named(
        side.agent,
        side.version,
        side.manifest.digest,
        side.config.behaviour if side.config is not None else None,
        sum(each.size for each in _descriptors(side)),
    )
