"""The one tar that a list of files makes: USTAR, sorted, no owner, no time. Source: docs/spec/bundle.md, "Tar layers".

Because the list determines every byte but the files' own, a layer is never parsed: it is compared, byte for byte,
with what the list says (`read_layer`). No header of a stranger is ever interpreted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import BinaryIO, Literal, Protocol, TypeVar

from tidegate.digest import CHUNK_BYTES, Digest, Hasher
from tidegate.errors import BundleRefused
from tidegate.formats.config import FileEntry
from tidegate.formats.paths import printable

BLOCK = 512
_NAME_BYTES, _PREFIX_BYTES = 100, 155  # POSIX.1-1988 ustar header
_MAX_USTAR_SIZE = 8**11 - 1  # eleven octal digits
_END = bytes(2 * BLOCK)
_PAX_NAME = b"@PaxHeader"
_MODES = {"x": 0o755, "-": 0o644}
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"5": "a folder",
    b"6": "a named pipe",
    b"x": "a PAX header",
    b"g": "a global PAX header",
    b"L": "a GNU long name",
    b"K": "a GNU long link",
    b"S": "a sparse file",
}

Sink = Callable[[bytes], object]
OpenSink = Callable[[FileEntry], AbstractContextManager[Sink]]


class Member(Protocol):
    """What a header says of a file."""

    @property
    def path(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def mode(self) -> Literal["x", "-"]: ...


AnyMember = TypeVar("AnyMember", bound=Member)


def member_header(entry: Member) -> bytes:
    """Give the header blocks of one file: a ustar header, after a PAX header if name or size do not fit into one."""
    name, prefix = _split(entry.path.encode())
    records = b""
    if name is None:
        records += _pax_record("path", entry.path)
    if entry.size > _MAX_USTAR_SIZE:
        records += _pax_record("size", str(entry.size))
    size = min(entry.size, _MAX_USTAR_SIZE)
    if name is None:
        name, prefix = entry.path.encode()[:_NAME_BYTES], b""
    header = _ustar(name, prefix, size=size, mode=_MODES[entry.mode], typeflag=b"0")
    if not records:
        return header
    pax = _ustar(_PAX_NAME, b"", size=len(records), mode=0o644, typeflag=b"x")
    return pax + records + _padding(len(records)) + header


def tar_size(files: Iterable[Member]) -> int:
    """Compute the size in bytes of the layer that `files` make."""
    return len(_END) + sum(len(member_header(entry)) + entry.size + len(_padding(entry.size)) for entry in files)


def segments(files: Iterable[AnyMember]) -> Iterator[bytes | AnyMember]:
    """Give the layer in order: bytes as they are, and a member of `files` where the bytes of that file go."""
    for entry in files:
        yield member_header(entry)
        yield entry
        yield _padding(entry.size)
    yield _END


def discard(entry: FileEntry) -> AbstractContextManager[Sink]:  # noqa: ARG001 - it is an OpenSink
    """Open a sink that keeps nothing: for readers that only check."""
    return nullcontext(len)


def read_layer(stream: BinaryIO, files: Iterable[FileEntry], open_sink: OpenSink = discard) -> Digest:
    """Read a whole layer from `stream`, which must be exactly what `files` make, and give its digest.

    The bytes of each file go to `open_sink(entry)` as they are read: the caller keeps nothing of them unless this
    function returns. Raises BundleRefused, codes `layer-not-canonical`, `blob-truncated`, `blob-trailing-data`,
    `file-content`.
    """
    layer = Hasher()
    before: FileEntry | None = None
    for segment in segments(files):
        if isinstance(segment, FileEntry):
            with open_sink(segment) as sink:
                _read_file(stream, segment, layer, sink)
            before = segment
        elif segment:
            _read_expected(stream, segment, layer, before)
    expect_end(stream)
    return layer.digest


def _read_file(stream: BinaryIO, entry: FileEntry, layer: Hasher, sink: Sink) -> None:
    content = Hasher()
    for chunk in exactly(stream, entry.size):
        layer.update(chunk)
        content.update(chunk)
        sink(chunk)
    if content.digest != entry.sha256:
        raise BundleRefused(
            f"the content of {printable(entry.path)} is not what the file list says",
            code="file-content",
            found=content.digest,
            expected=entry.sha256,
        )


def _read_expected(stream: BinaryIO, expected: bytes, layer: Hasher, before: FileEntry | None) -> None:
    found = b"".join(exactly(stream, len(expected)))
    layer.update(found)
    if found != expected:
        after = f"after {printable(before.path)}" if before else "at its start"
        raise BundleRefused(
            f"a layer is not the canonical tar of its file list, {after}",
            code="layer-not-canonical",
            found=describe(found, expected),
            expected=describe(expected, found),
            hint="build it with tidegate build; no other header is ever read",
        )


def expect_end(stream: BinaryIO) -> None:
    """Check that nothing is left in `stream`. Raises BundleRefused."""
    if stream.read(1):
        raise BundleRefused("it goes on after its end", code="blob-trailing-data")


def exactly(stream: BinaryIO, size: int) -> Iterator[bytes]:
    """Read `size` bytes in pieces of at most CHUNK_BYTES. Raises BundleRefused when there are fewer."""
    while size:
        chunk = stream.read(min(size, CHUNK_BYTES))
        if not chunk:
            raise BundleRefused("it ends too early", code="blob-truncated", expected=f"{size} more bytes")
        size -= len(chunk)
        yield chunk


def describe(block: bytes, other: bytes) -> str:
    """Say in words what a header block is, for people; nothing is decided by it."""
    if not any(block):
        return "zeros"
    if block[257:262] != b"ustar":
        at = next((index for index, (one, two) in enumerate(zip(block, other, strict=False)) if one != two), 0)
        return f"other bytes from offset {at}: {block[at : at + 16]!r}"
    name = printable(block[:_NAME_BYTES].rstrip(b"\0").decode("utf-8", "replace"))
    link = block[157:257].rstrip(b"\0")
    kind = "a file" if block[156:157] == b"0" else _KINDS.get(block[156:157], f"type {block[156:157]!r}")
    size, mode = block[124:135].decode("ascii", "replace"), block[100:107].decode("ascii", "replace")
    target = f" to {printable(link.decode('utf-8', 'replace'))}" if link else ""
    return f"{kind} `{name}`{target}, mode {mode}, size {size} (octal)"


def _ustar(name: bytes, prefix: bytes, *, size: int, mode: int, typeflag: bytes) -> bytes:
    header = b"".join(
        (
            name.ljust(_NAME_BYTES, b"\0"),
            b"%07o\0" % mode,
            b"0000000\0" * 2,  # uid, gid
            b"%011o\0" % size,
            b"%011o\0" % 0,  # mtime
            b" " * 8,  # checksum, counted as spaces
            typeflag,
            bytes(100),  # link name
            b"ustar\x0000",
            bytes(64),  # owner and group names
            b"0000000\0" * 2,  # device numbers
            prefix.ljust(_PREFIX_BYTES, b"\0"),
            bytes(12),
        )
    )
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def _split(path: bytes) -> tuple[bytes | None, bytes]:
    """Split at the first `/` that lets both parts fit; (None, b"") when there is none."""
    if len(path) <= _NAME_BYTES:
        return path, b""
    at = path.find(b"/", len(path) - _NAME_BYTES - 1)
    if 0 < at <= _PREFIX_BYTES and at < len(path) - 1:
        return path[at + 1 :], path[:at]
    return None, b""


def _pax_record(key: str, value: str) -> bytes:
    """Make a record `LENGTH key=value`, line feed; LENGTH counts itself. Source: POSIX.1-2001, pax Extended Header."""
    body = f" {key}={value}\n".encode()
    length = len(body)
    while length != len(body) + len(str(length)):
        length = len(body) + len(str(length))
    return str(length).encode() + body


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)
