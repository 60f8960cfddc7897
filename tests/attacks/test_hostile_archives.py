"""A bundle is a stranger's archive: whatever trick is in it, it is refused, and nothing is left on the disk.

Threat: links, devices, bombs, header tricks (docs/spec/bundle.md, "Unpacking").
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.attacks.archives import PROMPT, TEXT, codes, refused, steps, unchecked
from tests.client.bundle.forged import Forged
from tidegate.bundle.canonical import segments
from tidegate.bundle.content import check_bundle
from tidegate.bundle.unpack import unpack
from tidegate.digest import Digest
from tidegate.errors import BundleRefused


def test_the_honest_bundle_passes(forged: Forged, tmp_path: Path) -> None:
    assert check_bundle(forged.seal(), forged.open_blob).name == "acme/support-agent"
    unpack(forged.seal(), forged.open_blob, tmp_path / "dest")
    assert (tmp_path / "dest" / PROMPT).read_bytes() == TEXT


FIELDS = {"mode": 100, "uid": 108, "size": 124, "mtime": 136, "typeflag": 156, "linkname": 157, "uname": 265}


def tar_with(name: str = PROMPT, content: bytes = TEXT, **fields: bytes) -> bytes:
    """Make the canonical tar of one file, and write over fields of its header."""
    entry = unchecked(name, content)
    raw = b"".join(part if isinstance(part, bytes) else content for part in segments([entry]))
    for field, value in fields.items():
        raw = edited(FIELDS[field], value)(raw)
    return raw


def pax(**headers: str) -> bytes:
    info = tarfile.TarInfo(PROMPT)
    info.size, info.pax_headers = len(TEXT), headers
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(TEXT))
    return stream.getvalue()


def gnu(name: str) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(TEXT)
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.addfile(info, io.BytesIO(TEXT))
    return stream.getvalue()


def edited(at: int, data: bytes, *, checksum: bool = True) -> Callable[[bytes], bytes]:
    """Overwrite bytes of the first header, and mend its checksum."""

    def edit(raw: bytes) -> bytes:
        changed = raw[:at] + data + raw[at + len(data) :]
        if not checksum:
            return changed
        total = sum(changed[:148]) + 8 * 32 + sum(changed[156:512])
        return changed[:148] + b"%06o\0 " % total + changed[156:]

    return edit


TAR_TRICKS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a parent path": (lambda _: tar_with("../../victim/evil"), "layer-not-canonical"),
    "an absolute path": (lambda _: tar_with("/etc/passwd"), "layer-not-canonical"),
    "a symbolic link": (lambda _: tar_with(typeflag=b"2", linkname=b"/etc/passwd"), "layer-not-canonical"),
    "a hard link": (lambda _: tar_with(typeflag=b"1", linkname=b"../../x"), "layer-not-canonical"),
    "a character device": (lambda _: tar_with(typeflag=b"3"), "layer-not-canonical"),
    "a block device": (lambda _: tar_with(typeflag=b"4"), "layer-not-canonical"),
    "a named pipe": (lambda _: tar_with(typeflag=b"6"), "layer-not-canonical"),
    "a folder": (lambda _: tar_with("prompts", b"", typeflag=b"5"), "layer-not-canonical"),
    "a contiguous file": (lambda _: tar_with(typeflag=b"7"), "layer-not-canonical"),
    "a sparse file": (edited(156, b"S"), "layer-not-canonical"),
    "the old type of a file": (edited(156, b"\0"), "layer-not-canonical"),
    "a set-user-id mode": (lambda _: tar_with(mode=b"0004755"), "layer-not-canonical"),
    "another mode": (lambda _: tar_with(mode=b"0000755"), "layer-not-canonical"),
    "an owner": (lambda _: tar_with(uid=b"0001750", uname=b"root"), "layer-not-canonical"),
    "a time": (lambda _: tar_with(mtime=b"00000000001"), "layer-not-canonical"),
    "a PAX header that renames": (lambda _: pax(path="../evil"), "layer-not-canonical"),
    "a PAX header that links": (lambda _: pax(linkpath="/etc/passwd"), "layer-not-canonical"),
    "a PAX header that resizes": (lambda _: pax(size="5000"), "layer-not-canonical"),
    "a PAX header of a sparse file": (lambda _: pax(**{"GNU.sparse.major": "1"}), "layer-not-canonical"),
    "a GNU long name": (lambda _: gnu("a/" * 100 + "x"), "layer-not-canonical"),
    "a negative size": (edited(124, b"\xff" * 12), "layer-not-canonical"),
    "a size in base 256": (edited(124, b"\x80" + bytes(10) + b"\x0a"), "layer-not-canonical"),
    "a size with spaces": (edited(124, b"         12 "), "layer-not-canonical"),
    "an enormous size": (edited(124, b"77777777777\0"), "layer-not-canonical"),
    "a name after a zero byte": (edited(len(PROMPT) + 1, b"evil"), "layer-not-canonical"),
    "a prefix": (edited(345, b"../evil"), "layer-not-canonical"),
    "another magic": (edited(257, b"ustar  \0"), "layer-not-canonical"),
    "a wrong checksum": (edited(148, b"000000\0 ", checksum=False), "layer-not-canonical"),
    "bytes in the padding of a header": (edited(500, b"evil"), "layer-not-canonical"),
    "bytes in the padding of a file": (lambda raw: raw[:600] + b"evil" + raw[604:], "layer-not-canonical"),
    "bytes in the last blocks": (lambda raw: raw[:-4] + b"evil", "layer-not-canonical"),
    "one block at the end": (lambda raw: raw[:-512], "blob-truncated"),
    "no end": (lambda raw: raw[:-1024], "blob-truncated"),
    "half a file": (lambda raw: raw[:514], "blob-truncated"),
    "nothing": (lambda _: b"", "blob-truncated"),
    "a file after the end": (lambda raw: raw + raw, "blob-trailing-data"),
    "zeros after the end": (lambda raw: raw + bytes(512), "blob-trailing-data"),
    "one byte after the end": (lambda raw: raw + b"\0", "blob-trailing-data"),
    "the file twice": (lambda raw: raw[:1024] + raw, "layer-not-canonical"),
    "another file first": (lambda raw: tar_with("evil.py")[:1024] + raw, "layer-not-canonical"),
    "another content": (lambda _: tar_with(content=b"Be rude!!\n"), "file-content"),
    "compression": (lambda raw: gzip.compress(raw, mtime=0), "blob-truncated"),
    "other zeros than a tar": (lambda raw: bytes(len(raw)), "layer-not-canonical"),
}


@pytest.mark.parametrize("trick", TAR_TRICKS)
def test_a_layer_with_a_trick_in_it_is_refused(forged: Forged, tmp_path: Path, trick: str) -> None:
    change, reason_code = TAR_TRICKS[trick]
    forged.put_layer("prompts", change(forged.layer("prompts")))
    error = refused(forged, tmp_path)
    assert reason_code in codes(error)
    assert steps(error) == {"B8"}


def test_a_layer_whose_size_admits_the_trick_is_refused_before_it_is_read(forged: Forged, tmp_path: Path) -> None:
    raw = forged.layer("prompts") * 2
    forged.put_layer("prompts", raw)
    forged.component("prompts")["size"] = len(raw)
    error = refused(forged, tmp_path)
    assert codes(error) == ["component-inconsistent"]
    assert steps(error) == {"B4"}


def test_a_layer_of_other_bytes_than_the_manifest_names_is_refused(forged: Forged, tmp_path: Path) -> None:
    digest = Digest(str(forged.component("tools")["digest"]))
    forged.blobs[digest] = b'{"name":"x"} '
    assert codes(refused(forged, tmp_path)) == ["layer-digest"]


def test_weights_of_other_bytes_are_noticed_when_they_are_unpacked(forged: Forged, tmp_path: Path) -> None:
    forged.blobs[Digest(str(forged.component("weights")["digest"]))] = b"x"
    check_bundle(forged.seal(), forged.open_blob)  # whoever stores raw layers has checked their digest
    with pytest.raises(BundleRefused) as caught:
        unpack(forged.seal(), forged.open_blob, tmp_path / "victim" / "agent")
    assert codes(caught.value) == ["layer-digest"]
    assert not (tmp_path / "victim").exists()


def test_a_layer_that_is_not_there_is_refused(forged: Forged, tmp_path: Path) -> None:
    del forged.blobs[Digest(str(forged.component("prompts")["digest"]))]
    assert codes(refused(forged, tmp_path)) == ["blob-missing"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(data=st.data())
def test_every_changed_byte_of_a_layer_is_noticed(forged: Forged, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["code", "prompts", "docs", "tools", "models"]))
    raw = forged.layer(kind)
    at = data.draw(st.integers(0, len(raw) - 1))
    changed = bytearray(raw)
    changed[at] ^= data.draw(st.integers(1, 255))
    original, digest = dict(forged.blobs), Digest(str(forged.component(kind)["digest"]))
    forged.blobs[digest] = bytes(changed)
    try:
        with pytest.raises(BundleRefused):
            check_bundle(forged.seal(), forged.open_blob)
    finally:
        forged.blobs = original
