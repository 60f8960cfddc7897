from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Literal, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.bundle.forged import OneWay
from tidegate.bundle.canonical import describe, member_header, read_layer, segments, tar_size
from tidegate.digest import Digest
from tidegate.errors import BundleRefused
from tidegate.formats.config import FileEntry, Kind
from tidegate.formats.paths import check_path, check_tree

LETTERS = st.characters(codec="utf-8", categories=["L", "N", "P", "S"], exclude_characters="/\\")
PATHS = st.lists(st.text(LETTERS, min_size=1, max_size=60), min_size=1, max_size=6).map("/".join)
TREES = st.dictionaries(PATHS, st.tuples(st.binary(max_size=1500), st.sampled_from(["x", "-"])), max_size=6).filter(
    lambda tree: not any(map(check_path, tree)) and not check_tree(tree)
)


def entry(path: str, content: bytes = b"", mode: str = "-") -> FileEntry:
    return FileEntry(
        path=path,
        size=len(content),
        mode=cast("Literal['x', '-']", mode),
        sha256=Digest.of(content),
        component=Kind.CODE,
    )


def layer_of(tree: dict[str, tuple[bytes, str]]) -> tuple[list[FileEntry], bytes]:
    entries = [entry(path, *tree[path]) for path in sorted(tree)]
    return entries, b"".join(part if isinstance(part, bytes) else tree[part.path][0] for part in segments(entries))


def stream(raw: bytes) -> BinaryIO:
    return cast("BinaryIO", OneWay(raw))


@given(TREES)
def test_a_layer_reads_back_and_has_the_size_its_list_says(tree: dict[str, tuple[bytes, str]]) -> None:
    entries, raw = layer_of(tree)
    assert len(raw) == tar_size(entries)
    assert read_layer(stream(raw), entries) == Digest.of(raw)


@given(TREES)
def test_other_tools_read_the_same_files_from_a_layer(tree: dict[str, tuple[bytes, str]]) -> None:
    _, raw = layer_of(tree)
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        found = {
            member.name: (cast("BinaryIO", tar.extractfile(member)).read(), "x" if member.mode == 0o755 else "-")
            for member in tar
        }
    assert found == tree


@given(TREES.filter(bool), st.data())
def test_no_byte_of_a_layer_can_be_changed_added_or_left_out(
    tree: dict[str, tuple[bytes, str]], data: st.DataObject
) -> None:
    entries, raw = layer_of(tree)
    at = data.draw(st.integers(0, len(raw) - 1))
    flipped = raw[:at] + bytes([raw[at] ^ data.draw(st.integers(1, 255))]) + raw[at + 1 :]
    for changed in (flipped, raw[:at] + raw[at + 1 :], raw[:at], raw + b"\0"):
        with pytest.raises(BundleRefused):
            read_layer(stream(changed), entries)


@pytest.mark.parametrize(
    "path",
    [
        "a" * 100,
        "a" * 99 + "/b",
        "p" * 155 + "/" + "n" * 100,
        "p" * 156 + "/" + "n" * 99,
        "p" * 155 + "/" + "n" * 101,
        "n" * 101,
        "ä" * 60,
        "/".join(["d" * 49] * 6),
        "x" * 90 + "/" + "y" * 120 + "/z",
    ],
)
def test_long_names_read_back_by_us_and_by_others(path: str) -> None:
    entries, raw = layer_of({path: (b"content", "-")})
    assert read_layer(stream(raw), entries) == Digest.of(raw)
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        assert tar.getnames() == [path]


def test_a_file_above_eight_gibibytes_has_its_size_in_a_pax_header() -> None:
    large = replace(entry("model.bin"), size=9 << 30)
    header = member_header(large)
    assert len(header) == 3 * 512
    info = tarfile.TarInfo.frombuf(header[1024:], "utf-8", "strict")
    assert (info.name, info.size) == ("model.bin", 8**11 - 1)
    assert b"19 size=9663676416\n" in header


@pytest.mark.parametrize("mode", [0o644, 0o755])
def test_gnu_tar_writes_the_same_bytes(tmp_path: Path, mode: int) -> None:
    program = shutil.which("tar")
    if program is None or b"GNU" not in subprocess.run([program, "--version"], capture_output=True, check=True).stdout:
        pytest.skip("GNU tar is not installed")
    tree = {"a.txt": b"a" * 700, "d/" + "e" * 120 + "/f": b"", "ü.md": b"u"}
    for path, content in tree.items():
        (tmp_path / path).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / path).write_bytes(content)
        (tmp_path / path).chmod(mode)
    options = ["--format=ustar", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0", "-b", "1"]
    command = [program, *options, "-C", str(tmp_path), "-cf", "-", *sorted(tree)]
    written = subprocess.run(command, capture_output=True, check=True).stdout
    _, raw = layer_of({path: (content, "x" if mode == 0o755 else "-") for path, content in tree.items()})
    assert written == raw


def test_a_refusal_describes_both_headers_in_words() -> None:
    expected = member_header(entry("main.py", b"hello"))
    info = tarfile.TarInfo("evil")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    found = info.tobuf(tarfile.USTAR_FORMAT)
    assert describe(expected, found).startswith("a file `main.py`")
    assert describe(found, expected).startswith("a symbolic link `evil` to /etc/passwd")
    assert describe(bytes(512), expected) == "zeros"
    assert "offset 0" in describe(b"\x1f\x8b" * 256, expected)
