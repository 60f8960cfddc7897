from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.bundle.agents import build_agent, read_tree
from tidegate.bundle.archive import ArchiveFiles
from tidegate.bundle.build import Built
from tidegate.bundle.content import check_bundle
from tidegate.bundle.files import FileIdentity
from tidegate.bundle.layout import Layout
from tidegate.digest import Digest
from tidegate.errors import BundleRefused, Conflict, InvalidInput, NotFound, TidegateError
from tidegate.formats.jcs import JsonObject, canonical_bytes
from tidegate.formats.manifest import EMPTY_BLOB, EMPTY_DESCRIPTOR, Manifest, evidence_manifest, image_manifest
from tidegate.formats.mediatypes import OCI_INDEX


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return build_agent(tmp_path)


def attach(layout: Layout, built: Built, text: bytes) -> Digest:
    """Attach something in the shape of evidence."""
    layout.put(text)
    layout.put(EMPTY_BLOB)
    manifest = evidence_manifest(text, built.manifest.descriptor, "https://example.com/predicate")
    layout.add_manifest(manifest, version=None)
    return manifest.digest


def code_of(error: pytest.ExceptionInfo[TidegateError]) -> str:
    return error.value.reasons[0].code


# -- folders ----------------------------------------------------------------------------------------------------------


def test_a_layout_is_what_other_tools_expect(built: Built) -> None:
    root = built.layout.path
    assert json.loads((root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}  # noqa: TID251 - as others
    index = json.loads((root / "index.json").read_text())  # noqa: TID251 - as other tools read it
    (entry,) = index["manifests"]
    assert entry["digest"] == built.manifest.digest
    assert entry["size"] == len(built.manifest.raw)
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "1.2.0"}
    for blob in built.manifest.blobs:
        path = root / "blobs" / "sha256" / blob.digest.hex
        assert path.stat().st_size == blob.size
        assert Digest.of_file(path) == blob.digest


def test_evidence_is_found_by_its_subject_and_is_no_bundle(built: Built) -> None:
    layout = Layout.open(built.layout.path)
    added = sorted([attach(layout, built, b"one"), attach(layout, built, b"two")])
    assert [found.digest for found in layout.referrers(built.manifest.digest)] == added
    assert layout.referrers(added[0]) == ()
    assert layout.root() == built.manifest
    assert layout.root("1.2.0") == built.manifest


def test_evidence_about_a_bundle_stays_when_the_same_is_built_again(tmp_path: Path, built: Built) -> None:
    attach(built.layout, built, b"one")
    again = build_agent(tmp_path)
    assert len(again.layout.referrers(built.manifest.digest)) == 1


def test_adding_twice_is_adding_once_and_a_name_moves(built: Built) -> None:
    layout = built.layout
    layout.add_manifest(built.manifest, version="1.2.0")
    assert len(layout.entries()) == 1
    layout.add_manifest(built.manifest, version="1.2.1")
    assert list(layout.by_version()) == ["1.2.1"]


def test_several_bundles_must_be_told_apart(tmp_path: Path, built: Built) -> None:
    other = build_agent(tmp_path / "other", {})
    for blob in other.manifest.blobs:
        built.layout.put(other.layout.read_blob(blob.digest, 1 << 20))
    built.layout.add_manifest(other.manifest, version="2.0.0")
    with pytest.raises(InvalidInput, match="several") as several:
        built.layout.root()
    assert code_of(several) == "layout-ambiguous"
    with pytest.raises(NotFound):
        built.layout.root("3.0.0")
    assert built.layout.root("2.0.0") == other.manifest
    index = built.layout.path / "index.json"
    index.write_bytes(index.read_bytes().replace(b'"2.0.0"', b'"1.2.0"'))
    for version in (None, "1.2.0"):
        with pytest.raises(InvalidInput) as several:
            built.layout.root(version)
        assert code_of(several) == "layout-ambiguous"


def test_an_empty_layout_holds_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        Layout.create(tmp_path / "new").root()
    with pytest.raises(NotFound):
        Layout.open(tmp_path / "nowhere")


def test_a_folder_that_is_no_layout_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput):
        Layout.open(tmp_path)
    with pytest.raises(Conflict) as caught:
        Layout.create(tmp_path)
    assert code_of(caught) == "layout-not-empty"


@pytest.mark.parametrize("marker", [b"{}", b'{"imageLayoutVersion":"2.0.0"}', b"[]", b"x", b" " * 2000])
def test_a_layout_of_another_version_is_refused(built: Built, marker: bytes) -> None:
    (built.layout.path / "oci-layout").write_bytes(marker)
    with pytest.raises(InvalidInput):
        Layout.open(built.layout.path)


def blob_path(built: Built, index: int) -> Path:
    return built.layout.path / "blobs" / "sha256" / built.manifest.blobs[index].digest.hex


def test_a_blob_with_other_bytes_is_noticed(built: Built) -> None:
    config = blob_path(built, 0)
    config.write_bytes(config.read_bytes().replace(b"1.2.0", b"1.2.1"))
    with pytest.raises(BundleRefused) as caught:
        built.layout.read_blob(built.manifest.blobs[0].digest, 1 << 20)
    assert code_of(caught) == "blob-digest"
    with pytest.raises(BundleRefused) as caught:
        check_bundle(built.manifest, built.layout.open_blob)
    assert code_of(caught) == "config-digest"


def test_a_manifest_with_other_bytes_is_noticed(built: Built) -> None:
    path = built.layout.path / "blobs" / "sha256" / built.manifest.digest.hex
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BundleRefused) as caught:
        Layout.open(built.layout.path).root()
    assert code_of(caught) == "blob-digest"


def test_a_blob_that_is_missing_too_large_or_no_file_is_refused(tmp_path: Path, built: Built) -> None:
    digest = built.manifest.blobs[0].digest
    with pytest.raises(BundleRefused) as caught:
        built.layout.read_blob(digest, 10)
    assert code_of(caught) == "blob-too-large"
    path = blob_path(built, 0)
    path.rename(tmp_path / "moved")
    with pytest.raises(NotFound) as missing:
        built.layout.read_blob(digest, 1 << 20)
    assert code_of(missing) == "blob-missing"
    path.symlink_to(tmp_path / "moved")
    with pytest.raises(BundleRefused) as caught:
        built.layout.open_blob(digest)
    assert code_of(caught) == "blob-unreadable"


@pytest.mark.parametrize("index", [b"[]", b'{"schemaVersion":2,"layers":[],"config":{}}', b"{", b"null"])
def test_an_index_that_is_none_is_refused(built: Built, index: bytes) -> None:
    (built.layout.path / "index.json").write_bytes(index)
    with pytest.raises(InvalidInput):
        Layout.open(built.layout.path).root()


def test_a_failed_write_leaves_nothing(built: Built) -> None:
    before = read_tree(built.layout.path)
    with pytest.raises(BundleRefused) as caught:
        built.layout.put_stream(io.BytesIO(b"other"), Digest.of(b"this"))
    assert code_of(caught) == "blob-digest"
    with built.layout.write_blob() as writer:
        writer.write(b"never committed")
    assert read_tree(built.layout.path) == before


def test_a_stored_stream_is_named_by_its_digest(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path / "layout")
    for digest in (Digest.of(b"data"), Digest.of(b"data", "sha512")):
        layout.put_stream(io.BytesIO(b"data"), digest)
        assert layout.has(digest)
        assert layout.read_blob(digest, 4) == b"data"
    (tmp_path / "file").write_bytes(b"more")
    layout.put_file(tmp_path / "file", Digest.of(b"more"))
    assert layout.has(Digest.of(b"more"))


def test_a_file_is_placed_only_as_long_as_it_is_the_one_that_was_hashed(tmp_path: Path) -> None:
    layout, path = Layout.create(tmp_path / "layout"), tmp_path / "weights"
    path.write_bytes(b"data")
    digest, identity = Digest.of(b"data"), FileIdentity.of(path.stat())
    path.write_bytes(b"evil")
    os.utime(path, ns=(0, identity.mtime_ns + 1))
    assert not layout.place_file(path, digest, identity, link=True)
    assert not list((tmp_path / "layout" / "blobs" / "sha256").iterdir())


def test_what_an_index_reaches_is_swept_with_it_alone(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path / "layout")
    layout.put(EMPTY_BLOB)
    member = image_manifest(artifact_type="application/x.member", config=EMPTY_DESCRIPTOR, layers=())
    reached = [member, *(index_over(each) for each in (member,))]
    reached.append(index_over(reached[-1]))
    for each in reached[:-1]:
        layout.put(each.raw)
    layout.add_manifest(reached[-1], version="1.0.0")
    other = image_manifest(artifact_type="application/x.other", config=EMPTY_DESCRIPTOR, layers=())
    layout.add_manifest(other, version="2.0.0")
    loose = layout.put(b"nothing names this")
    layout.keep_only(reached[-1].digest)
    assert all(layout.has(digest) for digest in (*(each.digest for each in reached), EMPTY_DESCRIPTOR.digest))
    assert not layout.has(other.digest)
    assert not layout.has(loose)
    layout.keep_only(Digest.of(b"none of them"))
    assert [path for path in (layout.path / "blobs").rglob("*") if path.is_file()] == []


def index_over(manifest: Manifest) -> Manifest:
    document: JsonObject = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [manifest.descriptor.as_json()]}
    return Manifest.parse(canonical_bytes(document))


# -- archives ---------------------------------------------------------------------------------------------------------


def archive(built: Built, *, form: int = tarfile.USTAR_FORMAT, mode: str = "w", prefix: str = "") -> Path:
    path = built.layout.path.with_suffix(".tar")
    with tarfile.open(path, mode, format=form) as tar:  # type: ignore[call-overload]
        tar.add(built.layout.path, arcname=prefix or ".")
    return path


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_an_archive_of_a_layout_is_read_in_place(built: Built, form: int) -> None:
    layout = Layout.open(archive(built, form=form))
    manifest = layout.root("1.2.0")
    assert check_bundle(manifest, layout.open_blob) == built.config
    assert layout.has(manifest.digest)
    assert not layout.has(Digest.of(b"else"))
    with pytest.raises(NotFound):
        layout.open_blob(Digest.of(b"else"))


def test_an_archive_is_not_written_to(built: Built) -> None:
    layout = Layout.open(archive(built))
    for write in (lambda: layout.put(b"x"), lambda: layout.add_manifest(built.manifest, version="1.0.0"), layout.sweep):
        with pytest.raises(InvalidInput):
            write()


def members(*added: tuple[str, bytes, bytes]) -> bytes:
    """Make an archive of (name, type, content)."""
    blocks: list[bytes] = []
    for name, typeflag, content in added:
        info = tarfile.TarInfo(name)
        info.type, info.size = typeflag, len(content)
        blocks += [info.tobuf(tarfile.USTAR_FORMAT), content, bytes(-len(content) % 512)]
    return b"".join(blocks)


MARKER = ("oci-layout", b"0", b'{"imageLayoutVersion":"1.0.0"}')
HOSTILE: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a link": (lambda raw: members(("index.json", b"2", b"")) + raw, "archive-not-a-file"),
    "a hard link": (lambda raw: members(("blobs/x", b"1", b"")) + raw, "archive-not-a-file"),
    "a sparse file": (lambda raw: members(("index.json", b"S", b"")) + raw, "archive-not-a-file"),
    "a long name": (lambda raw: members(("x", b"L", b"index.json\0")) + raw, "archive-not-a-file"),
    "a global header": (lambda raw: members(("x", b"g", b"20 path=index.json\n")) + raw, "archive-not-a-file"),
    "a header that renames": (lambda raw: members(("x", b"x", b"19 path=index.json\n")) + raw, "archive-pax"),
    "a header that resizes": (lambda raw: members(("x", b"x", b"9 size=1\n")) + raw, "archive-pax"),
    "a sparse header": (lambda raw: members(("x", b"x", b"22 GNU.sparse.major=1\n")) + raw, "archive-pax"),
    "an endless header": (lambda raw: members(("x", b"x", b"a" * 100_000)) + raw, "archive-pax"),
    "a name twice": (lambda raw: members(MARKER) + members(MARKER) + raw, "archive-duplicate"),
    "a name twice, spelled otherwise": (
        lambda raw: members(MARKER, ("./oci-layout", b"0", b"{}")) + raw,
        "archive-duplicate",
    ),
    "compression": (lambda _: b"\x1f\x8b\x08" + bytes(600), "archive-not-tar"),
    "noise": (lambda _: bytes(range(256)) * 4, "archive-not-tar"),
    "a wrong checksum": (lambda raw: raw[:148] + b"0000000\0" + raw[156:], "archive-not-tar"),
    "an octal size that is none": (lambda raw: raw[:124] + b"9" * 11 + raw[135:], "archive-not-tar"),
    "a file that is cut off": (lambda _: members(("index.json", b"0", bytes(2000)))[:1000], "archive-truncated"),
}


@pytest.mark.parametrize("trick", HOSTILE)
def test_an_archive_with_a_trick_in_it_is_refused(tmp_path: Path, trick: str) -> None:
    change, code = HOSTILE[trick]
    path = tmp_path / "layout.tar"
    path.write_bytes(change(members(("zzz", b"0", b""))))
    with pytest.raises(InvalidInput) as caught:
        ArchiveFiles.open(path)
    assert code_of(caught) == code


def test_names_in_an_archive_lead_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "layout.tar"
    evil = [
        (name, b"0", b"evil") for name in ("../../etc/passwd", "/etc/passwd", "blobs/sha256/../../x", "blobs/md5/00")
    ]
    path.write_bytes(members(*evil, MARKER))
    files = ArchiveFiles.open(path)
    assert "oci-layout" in files
    for name, _, _ in evil:
        assert name not in files
        with pytest.raises(FileNotFoundError):
            files.open_file(name)


def test_an_archive_without_a_layout_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.tar"
    path.write_bytes(members(("x", b"0", b"")))
    with pytest.raises(InvalidInput):
        Layout.open(path)


def test_a_manifest_that_was_swept_is_not_given_from_memory(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path / "layout")
    old, new = (
        image_manifest(artifact_type=f"application/vnd.example.{name}", config=EMPTY_DESCRIPTOR, layers=())
        for name in ("old", "new")
    )
    layout.put(EMPTY_BLOB)
    for manifest in (old, new):
        layout.add_manifest(manifest, version=None)
        assert layout.manifest(manifest.digest) == manifest
    layout.keep_only(new.digest)
    assert layout.manifests() == (new,)
    with pytest.raises(NotFound) as caught:
        layout.manifest(old.digest)
    assert caught.value.reasons[0].code == "blob-missing"
