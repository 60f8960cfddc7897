"""Whether a bundle is what it says: config, layers, file list and behavioural version agree. Steps B1 to B9.

Source: docs/spec/bundle.md, "Checking a bundle". The same functions serve the registry when a manifest is PUT and a
host before it unpacks. Layers are streamed, so memory is bounded whatever their size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, MutableSet
from dataclasses import dataclass, replace
from typing import BinaryIO

from tidegate.bundle.canonical import OpenSink, discard, exactly, expect_end, read_layer
from tidegate.bundle.structure import DEFAULT_LIMITS, BundleStep, Limits, OpenBlob, check_structure, refuse
from tidegate.digest import Digest, Hasher
from tidegate.errors import BundleRefused, JsonInvalid, NotFound, Reason
from tidegate.formats.config import AgentConfig, Component, FileEntry, Kind, json_content_digest
from tidegate.formats.jcs import parse_json
from tidegate.formats.manifest import Manifest
from tidegate.formats.paths import printable

VerifiedLayers = MutableSet[tuple[Digest, Digest]]  # (layer digest, content digest) that were found to agree before
FilesByLayer = Mapping[tuple[Kind, str | None], tuple[FileEntry, ...]]

MAX_JSON_LAYER_BYTES = 8 << 20  # a tool schema or settings file; parsed in memory


def check_bundle(
    manifest: Manifest, open_blob: OpenBlob, *, limits: Limits = DEFAULT_LIMITS, cache: VerifiedLayers | None = None
) -> AgentConfig:
    """Check a bundle and give its config. Raises BundleRefused with every reason, each with its step.

    `open_blob` gives a readable stream, seekable or not. Raw layers (weights) are not read: their content digest is
    their layer digest, which the store that holds them, or `unpack`, checks. `cache`: layers found in it are not read
    again; those found good are added.
    """
    config = check_structure(manifest, open_blob, limits=limits)
    files = files_by_layer(config)
    reasons: list[Reason] = []
    for component in config.components:
        known = (component.digest, component.content_digest)
        if component.kind.packing == "raw" or (cache is not None and known in cache):
            continue
        found = [reason for step in CONTENT_STEPS for reason in step.reasons(LayerParts(component, files, open_blob))]
        if not found and cache is not None:
            cache.add(known)
        reasons += found
    refuse(reasons)
    return config


@dataclass(frozen=True, slots=True)
class LayerParts:
    """What step B8 looks at: a component, the files in it, the blobs, and where the bytes of its files go.

    `files`: from `files_by_layer`. Bytes given to `open_sink` are good only if the step has no reason to refuse.
    """

    component: Component
    files: FilesByLayer
    open_blob: OpenBlob
    open_sink: OpenSink = discard


def files_by_layer(config: AgentConfig) -> FilesByLayer:
    """Group the file list by layer: the key is (kind, path of a layer that is one file, else None)."""
    groups: defaultdict[tuple[Kind, str | None], list[FileEntry]] = defaultdict(list)
    for entry in config.files:
        groups[entry.component, None if entry.component.packing == "tar" else entry.path].append(entry)
    return {key: tuple(entries) for key, entries in groups.items()}


def _check_layer(parts: LayerParts) -> Iterator[Reason]:
    """B8: a layer is what its component and its files say, to the last byte."""
    component = parts.component
    where = f"layer {component.kind}" + (f" {printable(component.path)}" if component.path is not None else "")
    entries = parts.files.get((component.kind, component.path), ())
    read = {"tar": _read_tar, "json": _read_json, "raw": _read_raw}[component.kind.packing]
    try:
        with parts.open_blob(component.digest) as stream:
            digest = read(stream, component, entries, parts.open_sink)
            expect_end(stream)
    except (BundleRefused, NotFound) as error:
        yield from (replace(reason, message=f"{where}: {reason.message}") for reason in error.reasons)
    else:
        if digest != component.digest:
            message = f"{where}: its digest is not the one in the manifest"
            yield Reason("layer-digest", message, digest, component.digest)


def _read_tar(
    stream: BinaryIO,
    component: Component,  # noqa: ARG001 - all three readers are called alike
    entries: tuple[FileEntry, ...],
    open_sink: OpenSink,
) -> Digest:
    return read_layer(stream, entries, open_sink)


def _read_json(stream: BinaryIO, component: Component, entries: tuple[FileEntry, ...], open_sink: OpenSink) -> Digest:
    if component.size > MAX_JSON_LAYER_BYTES:
        expected = f"at most {MAX_JSON_LAYER_BYTES} bytes"
        raise BundleRefused("a JSON file is too large", code="layer-too-large", found=component.size, expected=expected)
    raw = b"".join(exactly(stream, component.size))
    try:
        content = json_content_digest(parse_json(raw, limit=MAX_JSON_LAYER_BYTES, what="the file"))
    except JsonInvalid as error:
        raise BundleRefused(error.message, code="layer-not-json", found=error.reasons[0].found) from error
    if content != component.content_digest:
        raise BundleRefused(
            "its content digest is wrong", code="content-digest", found=component.content_digest, expected=content
        )
    for entry in entries:  # none for the model pins, which are no file
        with open_sink(entry) as sink:
            sink(raw)
    return Digest.of(raw)


def _read_raw(stream: BinaryIO, component: Component, entries: tuple[FileEntry, ...], open_sink: OpenSink) -> Digest:
    hasher = Hasher()
    with open_sink(entries[0]) as sink:
        for chunk in exactly(stream, component.size):
            hasher.update(chunk)
            sink(chunk)
    return hasher.digest


CONTENT_STEPS = (BundleStep("B8", "each layer holds the files of the list and nothing else", _check_layer),)
