"""A bundle is a stranger's archive: whatever trick is in it, it is refused, and nothing is left on the disk.

Threat: path traversal, links, devices, bombs, confusable names, header tricks (docs/spec/bundle.md, "Unpacking").
"""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.client.bundle.agents import build_agent, read_tree
from tests.client.bundle.forged import Forged
from tidegate.bundle.canonical import segments, tar_size
from tidegate.bundle.content import check_bundle
from tidegate.bundle.recheck import recheck_files
from tidegate.bundle.structure import Limits
from tidegate.bundle.unpack import unpack
from tidegate.digest import Digest
from tidegate.errors import BundleRefused, Conflict
from tidegate.formats.config import AgentConfig, FileEntry, Kind, tar_content_digest
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes
from tidegate.formats.manifest import Manifest

PROMPT = "prompts/system.md"
TEXT = b"Be brief.\n"


@pytest.fixture
def forged(tmp_path: Path) -> Forged:
    """A small honest bundle with one prompt, to be edited."""
    return Forged(
        build_agent(tmp_path, {"agent.yaml": AGENT, PROMPT: TEXT, "tools.json": '{"name": "x"}', "model.bin": "w"})
    )


AGENT = """\
name: acme/support-agent
version: 1.2.0
entrypoint: [python3, main.py]
runtime: vendored
components: {prompts: prompts/**, tools: tools.json, weights: model.bin}
models:
  - {id: gpt-4o, unpinned: there is no other name}
"""


def refused(forged: Forged, tmp_path: Path, manifest: Manifest | None = None) -> BundleRefused:
    """Check and unpack a forged bundle: both must refuse it alike, and leave nothing."""
    sealed = forged.seal() if manifest is None else manifest
    with pytest.raises(BundleRefused) as checked:
        check_bundle(sealed, forged.open_blob)
    before = read_tree(tmp_path)
    with pytest.raises(BundleRefused) as unpacked:
        unpack(sealed, forged.open_blob, tmp_path / "victim" / "agent")
    assert read_tree(tmp_path) == before
    assert not (tmp_path / "victim").exists()
    assert codes(unpacked.value)[0] in codes(checked.value)
    return checked.value


def codes(error: BundleRefused) -> list[str]:
    return [reason.code for reason in error.reasons]


def steps(error: BundleRefused) -> set[str | None]:
    return {reason.step for reason in error.reasons}


def test_the_honest_bundle_passes(forged: Forged, tmp_path: Path) -> None:
    assert check_bundle(forged.seal(), forged.open_blob).name == "acme/support-agent"
    unpack(forged.seal(), forged.open_blob, tmp_path / "dest")
    assert (tmp_path / "dest" / PROMPT).read_bytes() == TEXT


# -- tar tricks: the file list is honest, the layer is not ------------------------------------------------------------


def unchecked(path: str, content: bytes) -> FileEntry:
    """Give an entry whose path may be anything."""
    entry = SimpleNamespace(path=path, size=len(content), mode="-", sha256=Digest.of(content), component=Kind.PROMPTS)
    return cast("FileEntry", entry)


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


# -- names: the file list itself is hostile, and everything else agrees with it ---------------------------------------


def rename(forged: Forged, *paths: str) -> None:
    """Let the prompts be files of these names, with a canonical layer and all digests recomputed."""
    kept = [entry for entry in forged.list_of("files") if entry["component"] != "prompts"]
    entries = [unchecked(path, TEXT) for path in sorted(paths)]
    raw = b"".join(part if isinstance(part, bytes) else TEXT for part in segments(entries))
    component = forged.component("prompts")
    component["size"], component["contentDigest"] = tar_size(entries), str(tar_content_digest(entries))
    forged.put_layer("prompts", raw)
    rows: list[JsonObject] = [
        {"path": entry.path, "size": entry.size, "mode": "-", "sha256": str(entry.sha256), "component": "prompts"}
        for entry in entries
    ]
    merged: list[JsonValue] = [*sorted([*kept, *rows], key=lambda entry: str(entry["path"]))]
    forged.config["files"] = merged


def test_renaming_alone_is_no_reason_to_refuse(forged: Forged, tmp_path: Path) -> None:
    rename(forged, "prompts/a.md", "prompts/ä.md", "prompts/日本語.md", "x" * 200 + "/" + "y" * 120)
    unpack(forged.seal(), forged.open_blob, tmp_path / "dest")
    assert (tmp_path / "dest" / "prompts" / "日本語.md").read_bytes() == TEXT


PATH_TRICKS: dict[str, tuple[tuple[str, ...], str]] = {
    "absolute": (("/etc/cron.d/evil",), "path-absolute"),
    "a drive": (("C:/evil",), "path-absolute"),
    "a drive's own folder": (("C:evil",), "path-absolute"),
    "parent": (("../evil",), "path-parent"),
    "parent inside": (("prompts/../../evil",), "path-parent"),
    "parent at the end": (("prompts/..",), "path-parent"),
    "this folder": (("prompts/./evil",), "path-not-normal"),
    "an empty segment": (("prompts//evil",), "path-not-normal"),
    "a slash at the end": (("prompts/evil/",), "path-not-normal"),
    "a backslash": (("..\\evil",), "path-backslash"),
    "a line feed": (("evil\n.md",), "path-control"),
    "an escape": (("\x1b[2Jevil",), "path-control"),
    "a zero-width space": (("sys\u200btem.md",), "path-invisible"),
    "a direction override": (("txt.\u202eyp.exe",), "path-invisible"),
    "a variation selector": (("system\ufe0f.md",), "path-invisible"),
    "a no-break space": (("sys\u00a0tem.md",), "path-invisible"),
    "a decomposed letter": (("u\u0308ber.md",), "path-not-nfc"),
    "a private letter": (("\ue000.md",), "path-unassigned"),
    "an unassigned letter": (("\u0378.md",), "path-unassigned"),
    "a Cyrillic letter in a Latin word": (("p\u0430ypal.md",), "path-mixed-script"),
    "too long": (("/".join(["x" * 200] * 6),), "path-too-long"),
    "too long a name": (("x" * 300,), "path-too-long"),
    "too deep": (("/".join("x" * 40),), "path-too-deep"),
    "the same twice": (("a.md", "a.md"), "path-duplicate"),
    "the same in another case": (("a.md", "A.md"), "path-confusable"),
    "the same in another case of a folder": (("a/1.md", "A/2.md"), "path-confusable"),
    "the same by folding": (("straße.md", "STRASSE.md"), "path-confusable"),
    "the same by compatibility": (("ﬁle.md", "file.md"), "path-confusable"),
    "a word that looks the same": (("\u0441\u043e\u0440.md", "cop.md"), "path-confusable"),
    "a word that looks the same in another case": (("\u0421\u041e\u0420.md", "cop.md"), "path-confusable"),
    "a file that is a folder": (("a", "a/b"), "path-conflict"),
    "a file of another component": (("main.py",), "path-duplicate"),
}


@pytest.mark.parametrize("trick", PATH_TRICKS)
def test_a_file_list_with_a_trick_in_it_is_refused(forged: Forged, tmp_path: Path, trick: str) -> None:
    paths, reason_code = PATH_TRICKS[trick]
    rename(forged, *paths)
    error = refused(forged, tmp_path)
    assert reason_code in codes(error)
    assert steps(error) <= {"B2", "B3"}


def test_lone_surrogates_and_zero_bytes_are_no_text(forged: Forged, tmp_path: Path) -> None:
    raw = canonical_bytes(forged.config)
    for name in (b"\\ud800", b"\\u0000"):
        manifest = forged.seal(raw.replace(b"prompts/system.md", b"prompts/" + name))
        assert codes(refused(forged, tmp_path, manifest)) == ["config-not-json"]


def test_every_offending_path_is_named(forged: Forged, tmp_path: Path) -> None:
    rename(forged, "../a", "/b", "c\n")
    assert {"path-parent", "path-absolute", "path-control"} <= set(codes(refused(forged, tmp_path)))


# -- lies about what is in the bundle ----------------------------------------------------------------------------------


def test_too_many_files_are_refused(forged: Forged) -> None:
    with pytest.raises(BundleRefused) as caught:
        check_bundle(forged.seal(), forged.open_blob, limits=Limits(files=2))
    assert codes(caught.value) == ["too-many-files"]


def test_too_many_bytes_are_refused_before_any_is_read(forged: Forged) -> None:
    with pytest.raises(BundleRefused) as caught:
        check_bundle(forged.seal(), forged.open_blob, limits=Limits(total_bytes=1000))
    assert codes(caught.value) == ["too-large"]


def drop(member: str, choose: Callable[[Forged], JsonObject]) -> Callable[[Forged], object]:
    return lambda it: it.list_of(member).remove(choose(it))


def say(choose: Callable[[Forged], JsonObject], **members: JsonValue) -> Callable[[Forged], object]:
    return lambda it: choose(it).update(members)


def install(requirements: str) -> Callable[[Forged], object]:
    return lambda it: it.config.update(runtime={"kind": "python", "requirements": requirements})


def prompt(it: Forged) -> JsonObject:
    return it.file(PROMPT)


def code(it: Forged) -> JsonObject:
    return it.component("code")


def model(it: Forged) -> JsonObject:
    return it.list_of("models")[0]


OTHER = str(Digest.of(b"other"))
LIES: dict[str, tuple[Callable[[Forged], object], str, str]] = {
    "a file's size": (say(prompt, size=1000), "component-inconsistent", "B4"),
    "a file's mode": (say(prompt, mode="x"), "component-inconsistent", "B4"),
    "a file's digest": (say(prompt, sha256=OTHER), "component-inconsistent", "B4"),
    "a file's component": (say(prompt, component="docs"), "component-inconsistent", "B4"),
    "a file in no layer": (drop("components", lambda it: it.component("docs")), "files-without-layer", "B4"),
    "a JSON file in no layer": (drop("components", lambda it: it.component("tools")), "files-without-layer", "B4"),
    "a layer without a file": (drop("files", lambda it: it.file("tools.json")), "component-inconsistent", "B4"),
    "a tar that is a file": (say(code, path="main.py"), "component-inconsistent", "B4"),
    "a media type": (say(code, mediaType="application/x-tar"), "component-inconsistent", "B4"),
    "a content digest": (say(code, contentDigest=OTHER), "component-inconsistent", "B4"),
    "the content digest of weights": (
        say(lambda it: it.component("weights"), contentDigest=OTHER),
        "component-inconsistent",
        "B4",
    ),
    "a file's layer": (say(lambda it: it.component("tools"), digest=OTHER), "component-inconsistent", "B4"),
    "the layer of pins": (say(lambda it: it.component("models"), path="m.json"), "component-inconsistent", "B4"),
    "the order of layers": (lambda it: it.list_of("components").reverse(), "components-unsorted", "B4"),
    "a layer twice": (lambda it: it.list_of("components").insert(0, code(it)), "components-unsorted", "B4"),
    "the order of files": (lambda it: it.list_of("files").reverse(), "files-unsorted", "B3"),
    "a requirements file": (install("x.txt"), "requirements-missing", "B4"),
    "requirements among the docs": (install("agent.yaml"), "requirements-missing", "B4"),
    "a pin": (say(model, id="gpt-4o-2024-08-06"), "model-pins-differ", "B7"),
    "a pin added": (lambda it: it.list_of("models").append({"id": "x-20250101"}), "model-pins-differ", "B7"),
    "a floating model": (lambda it: model(it).pop("unpinned"), "model-unpinned", "B7"),
    "a pin by a file that is no weights": (say(model, file="main.py"), "model-file-missing", "B7"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_config_that_lies_about_its_content_is_refused(forged: Forged, tmp_path: Path, lie: str) -> None:
    change, reason_code, step = LIES[lie]
    change(forged)
    error = refused(forged, tmp_path)
    assert (reason_code, step) in {(reason.code, reason.step) for reason in error.reasons}


def test_a_behavioural_version_of_other_content_is_refused(forged: Forged, tmp_path: Path) -> None:
    forged.config["behaviour"], forged.honest_behaviour = str(Digest.of(b"tame")), False
    error = refused(forged, tmp_path)
    assert codes(error) == ["behaviour-differs", "behaviour-differs"]
    assert steps(error) == {"B9"}


@pytest.mark.parametrize(
    "change",
    [
        {"entrypoint": ["sh", "-c", "evil"]},
        {"capabilities": {"secrets": ["ROOT_PASSWORD"]}},
        {"runtime": {"kind": "vendored", "python": ">=3.11"}},
        {"state": {"schema": 1, "migrate": ["sh", "-c", "evil"]}},
        {"interfaces": {"provides": [{"name": "x"}]}},
        {"requirements": {"programs": ["git"]}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_an_agent_declares_is_behaviour(forged: Forged, tmp_path: Path, change: JsonObject) -> None:
    forged.config.update(change)
    forged.honest_behaviour = False
    assert "behaviour-differs" in codes(refused(forged, tmp_path))


@pytest.mark.parametrize("key", ["title", "version"])
def test_annotations_that_name_another_agent_are_refused(forged: Forged, tmp_path: Path, key: str) -> None:
    forged.annotations[f"org.opencontainers.image.{key}"] = "acme/other"
    error = refused(forged, tmp_path)
    assert codes(error) == ["annotation-differs"]
    assert steps(error) == {"B6"}


def other_layers(forged: Forged, change: Callable[[list[JsonObject]], object]) -> Manifest:
    manifest = forged.seal()
    layers = [layer.as_json() for layer in manifest.layers]
    change(layers)
    forged.manifest["layers"] = [*layers]
    return forged.seal()


LAYER_CHANGES: dict[str, Callable[[list[JsonObject]], object]] = {
    "other order": lambda layers: layers.reverse(),
    "one fewer": lambda layers: layers.pop(),
    "one more": lambda layers: layers.append(layers[0]),
    "other size": lambda layers: layers[0].update(size=1),
    "a title": lambda layers: layers[0].update(annotations={"org.opencontainers.image.title": "../evil"}),
    "compressed": lambda layers: layers[0].update(mediaType=f"{layers[0]['mediaType']}+zstd"),
}


@pytest.mark.parametrize("change", LAYER_CHANGES)
def test_layers_that_are_not_the_components_are_refused(forged: Forged, tmp_path: Path, change: str) -> None:
    error = refused(forged, tmp_path, other_layers(forged, LAYER_CHANGES[change]))
    assert ("layer-compressed" if change == "compressed" else "layers-differ") in codes(error)
    assert steps(error) == {"B5"}


@pytest.mark.parametrize(
    "change",
    [
        {"artifactType": "application/vnd.example"},
        {"config": {"mediaType": "application/json", "digest": str(Digest.of(b"{}")), "size": 2}},
        {"subject": {"mediaType": "application/json", "digest": str(Digest.of(b"{}")), "size": 2}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_manifest_of_another_kind_is_no_bundle(forged: Forged, tmp_path: Path, change: JsonObject) -> None:
    forged.manifest.update(change)
    error = refused(forged, tmp_path)
    assert codes(error) == ["not-a-bundle"]
    assert steps(error) == {"B1"}


def test_a_config_blob_of_other_bytes_is_refused(forged: Forged, tmp_path: Path) -> None:
    manifest = forged.seal()
    digest = manifest.blobs[0].digest
    forged.blobs[digest] = forged.blobs[digest].replace(b"1.2.0", b"1.2.1")
    error = refused(forged, tmp_path, manifest)
    assert codes(error) == ["config-digest"]
    assert steps(error) == {"B2"}


CONFIGS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "a repeated key": (lambda raw: raw[:-1] + b',"name":"acme/other"}', "config-not-json"),
    "white space": (lambda raw: raw.replace(b'"name":', b'"name": '), "config-not-canonical"),
    "a default written out": (lambda raw: raw[:-1] + b',"state":null}', "config-not-canonical"),
    "an unknown key": (lambda raw: raw[:-1] + b',"zzz":1}', "config-invalid"),
    "text for a number": (lambda raw: raw.replace(b'"size":10', b'"size":"10"'), "config-invalid"),
    "a negative size": (lambda raw: raw.replace(b'"size":10', b'"size":-10'), "config-invalid"),
    "an unknown mode": (lambda raw: raw.replace(b'"mode":"-"', b'"mode":"s"'), "config-invalid"),
    "no version": (lambda raw: raw.replace(b'"1.2.0"', b'"v1.2"'), "config-invalid"),
    "no name": (lambda raw: raw.replace(b"acme/support-agent", b"../../etc"), "config-invalid"),
    "a list": (lambda _: b"[]", "config-not-json"),
    "depth": (lambda _: b"[" * 5000, "config-not-json"),
    "no UTF-8": (lambda _: b"\xff", "config-not-json"),
    "nothing": (lambda _: b"", "config-not-json"),
}


@pytest.mark.parametrize("what", CONFIGS)
def test_a_config_blob_that_means_two_things_or_none_is_refused(forged: Forged, tmp_path: Path, what: str) -> None:
    change, reason_code = CONFIGS[what]
    error = refused(forged, tmp_path, forged.seal(change(canonical_bytes(forged.config))))
    assert reason_code in codes(error)
    assert steps(error) == {"B2"}


def test_a_config_blob_beyond_its_limit_is_not_read(forged: Forged, tmp_path: Path) -> None:
    config: JsonObject = {**forged.seal().blobs[0].as_json(), "size": 1 << 40}
    forged.manifest["config"] = config
    assert codes(refused(forged, tmp_path)) == ["config-too-large"]


def test_a_config_blob_that_never_ends_is_not_read_to_its_end(forged: Forged) -> None:
    manifest = forged.seal()
    digest = manifest.blobs[0].digest
    forged.blobs[digest] += b" " * 100
    with pytest.raises(BundleRefused) as caught:
        check_bundle(manifest, forged.open_blob)
    assert codes(caught.value) == ["blob-trailing-data"]


# -- JSON layers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "reason_code"),
    [
        (b'{"name":1e999}', "layer-not-json"),
        (b'{"a":1,"a":2}', "layer-not-json"),
        (b"[" * 100 + b"]" * 100, "layer-not-json"),
        (b'{"name": "y"}', "content-digest"),
    ],
    ids=["infinite", "repeated key", "deep", "another"],
)
def test_a_tool_schema_that_is_not_the_one_declared_is_refused(
    forged: Forged, tmp_path: Path, raw: bytes, reason_code: str
) -> None:
    forged.put_layer("tools", raw)
    digest = forged.component("tools")["digest"]
    forged.component("tools").update(size=len(raw))
    forged.file("tools.json").update(size=len(raw), sha256=digest)
    assert codes(refused(forged, tmp_path)) == [reason_code]


def test_a_json_layer_beyond_its_limit_is_not_read(forged: Forged, tmp_path: Path) -> None:
    forged.component("tools").update(size=1 << 30)
    forged.file("tools.json").update(size=1 << 30)
    assert codes(refused(forged, tmp_path)) == ["layer-too-large"]


# -- the place to unpack to --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["file", "full folder", "link", "dangling link"])
def test_nothing_is_written_through_or_over_what_is_there(forged: Forged, tmp_path: Path, kind: str) -> None:
    dest, elsewhere = tmp_path / "dest", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "file":
        dest.write_text("mine")
    elif kind == "full folder":
        dest.mkdir()
        (dest / "mine").write_text("mine")
    else:
        dest.symlink_to(elsewhere if kind == "link" else tmp_path / "nowhere")
    before = read_tree(tmp_path)
    with pytest.raises(Conflict) as caught:
        unpack(forged.seal(), forged.open_blob, dest)
    assert caught.value.reasons[0].code == "destination-exists"
    assert read_tree(tmp_path) == before
    assert not any(elsewhere.iterdir())


# -- after unpacking ---------------------------------------------------------------------------------------------------


@contextmanager
def unpacked(forged: Forged, tmp_path: Path) -> Iterator[tuple[AgentConfig, Path]]:
    config = unpack(forged.seal(), forged.open_blob, tmp_path / "dest")
    recheck_files(config, tmp_path / "dest")
    yield config, tmp_path / "dest"


def swap_for_link(root: Path) -> None:
    (root / PROMPT).rename(root.parent / "moved")
    (root / PROMPT).symlink_to(root.parent / "moved")


def swap_folder_for_link(root: Path) -> None:
    (root / "prompts").rename(root.parent / "moved")
    (root / "prompts").symlink_to(root.parent / "moved")


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "other bytes": (lambda root: (root / PROMPT).write_bytes(b"Be rude!!\n"), "file-changed"),
    "more bytes": (lambda root: (root / PROMPT).write_bytes(TEXT * 2), "file-changed"),
    "another mode": (lambda root: (root / PROMPT).chmod(0o755), "file-changed"),
    "a missing file": (lambda root: (root / PROMPT).unlink(), "file-missing"),
    "a planted file": (lambda root: (root / "sitecustomize.py").write_text("evil"), "file-extra"),
    "a planted byte code": (lambda root: (root / "main.pyc").write_text("evil"), "file-extra"),
    "a planted link": (lambda root: (root / "lib").symlink_to("/usr/lib"), "file-extra"),
    "a link in place of a file": (swap_for_link, "file-changed"),
    "a link in place of a folder": (swap_folder_for_link, "file-extra"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_folder_is_not_loaded(forged: Forged, tmp_path: Path, change: str) -> None:
    alter, reason_code = CHANGES[change]
    with unpacked(forged, tmp_path) as (config, root):
        alter(root)
        with pytest.raises(BundleRefused) as caught:
            recheck_files(config, root)
    assert codes(caught.value) == [reason_code]
    assert steps(caught.value) == {"B10"}
    assert change != "a link in place of a file" or caught.value.reasons[0].found == "a link, a folder or a device"


def test_a_folder_that_is_gone_is_not_loaded(forged: Forged, tmp_path: Path) -> None:
    with unpacked(forged, tmp_path) as (config, root), pytest.raises(BundleRefused) as caught:
        recheck_files(config, root.parent / "gone")
    assert codes(caught.value) == ["file-missing"]
