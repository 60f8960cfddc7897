"""The list of a bundle's files is a stranger's: a name that leads elsewhere or looks like another is refused.

Threat: path traversal, confusable names (docs/spec/bundle.md, "Unpacking").
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.archives import TEXT, codes, refused, steps, unchecked
from tests.client.bundle.forged import Forged
from tidegate.bundle.canonical import segments, tar_size
from tidegate.bundle.content import check_bundle
from tidegate.bundle.structure import Limits
from tidegate.bundle.unpack import unpack
from tidegate.errors import BundleRefused
from tidegate.formats.config import tar_content_digest
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes


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


def test_too_many_files_are_refused(forged: Forged) -> None:
    with pytest.raises(BundleRefused) as caught:
        check_bundle(forged.seal(), forged.open_blob, limits=Limits(files=2))
    assert codes(caught.value) == ["too-many-files"]


def test_too_many_bytes_are_refused_before_any_is_read(forged: Forged) -> None:
    with pytest.raises(BundleRefused) as caught:
        check_bundle(forged.seal(), forged.open_blob, limits=Limits(total_bytes=1000))
    assert codes(caught.value) == ["too-large"]
