"""Files into layers. Each file is read once: hashed for the file list while it goes into its layer.

Weights are not copied where the file system can share them. Memory is a few chunks, whatever the sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tidegate.bundle.canonical import segments
from tidegate.bundle.content import MAX_JSON_LAYER_BYTES
from tidegate.bundle.layout import Layout
from tidegate.bundle.secrets import SecretGuard
from tidegate.bundle.tree import SourceFile
from tidegate.digest import CHUNK_BYTES, Digest, Hasher
from tidegate.errors import JsonInvalid, SourceTreeInvalid
from tidegate.formats.config import Component, FileEntry, Kind, json_content_digest, tar_content_digest
from tidegate.formats.jcs import parse_json
from tidegate.formats.paths import printable

Advance = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Packed:
    """A layer in the layout, and the files that are in it."""

    component: Component
    files: tuple[FileEntry, ...]


def pack_tar(layout: Layout, kind: Kind, files: tuple[SourceFile, ...], advance: Advance, guard: SecretGuard) -> Packed:
    """Write one tar layer of `files`, sorted by path. Raises SourceTreeInvalid."""
    entries: list[FileEntry] = []
    with layout.write_blob() as layer:
        for segment in segments(files):
            if isinstance(segment, bytes):
                layer.write(segment)
                continue
            content = Hasher()
            for chunk in guard.watch(segment.path, _read(segment)):
                content.update(chunk)
                layer.write(chunk)
                advance(len(chunk))
            entries.append(_entry(segment, content.digest, kind))
        digest, size = layer.commit(), layer.size
    component = Component(
        kind=kind,
        media_type=kind.media_type,
        digest=digest,
        size=size,
        content_digest=tar_content_digest(entries),
    )
    return Packed(component, tuple(entries))


def pack_json(layout: Layout, kind: Kind, file: SourceFile, advance: Advance, guard: SecretGuard) -> Packed:
    """Store a JSON file as it is; its content digest is over its canonical form. Raises SourceTreeInvalid."""
    raw = b"".join(guard.watch(file.path, [file.read(MAX_JSON_LAYER_BYTES)]))
    advance(len(raw))
    try:
        content = json_content_digest(parse_json(raw, limit=MAX_JSON_LAYER_BYTES, what=printable(file.path)))
    except JsonInvalid as error:
        raise SourceTreeInvalid(
            f"component {kind} takes JSON files: {error.message}",
            code="component-not-json",
            found=error.reasons[0].found,
            expected="one JSON document in UTF-8, without repeated keys",
            hint=f"mend it, or take it out of components.{kind}: other formats stay in code",
        ) from error
    entry = _entry(file, layout.put(raw), kind)
    return _single(entry, content)


def pack_raw(
    layout: Layout, kind: Kind, file: SourceFile, advance: Advance, guard: SecretGuard, *, link: bool
) -> Packed:
    """Store a file as a layer of its own, without a second copy where possible. Raises SourceTreeInvalid."""
    hasher = Hasher()
    for chunk in guard.watch(file.path, _read(file)):
        hasher.update(chunk)
        advance(len(chunk))
    entry = _entry(file, hasher.digest, kind)
    if not layout.place_file(file.real, entry.sha256, file.identity, link=link):
        with file.open() as stream:
            layout.put_stream(stream, entry.sha256)
    return _single(entry, entry.sha256)


def _single(entry: FileEntry, content: Digest) -> Packed:
    kind = entry.component
    component = Component(
        kind=kind,
        media_type=kind.media_type,
        digest=entry.sha256,
        size=entry.size,
        content_digest=content,
        path=entry.path,
    )
    return Packed(component, (entry,))


def _entry(file: SourceFile, digest: Digest, kind: Kind) -> FileEntry:
    return FileEntry(path=file.path, size=file.size, mode=file.mode, sha256=digest, component=kind)


def _read(file: SourceFile) -> Iterator[bytes]:
    left = file.size
    with file.open() as stream:
        while left:
            chunk = stream.read(min(left, CHUNK_BYTES))
            if not chunk:
                raise file.changed("it became shorter")
            left -= len(chunk)
            yield chunk
