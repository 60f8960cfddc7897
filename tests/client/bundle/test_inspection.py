from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pytest

from tests.client.bundle.agents import FULL_FILES, build_agent
from tests.client.bundle.forged import Forged
from tidegate.bundle.inspection import inspect_bundle
from tidegate.bundle.layout import Layout
from tidegate.digest import Digest
from tidegate.errors import BundleRefused
from tidegate.formats.config import AgentConfig
from tidegate.formats.jcs import canonical_bytes, parse_object
from tidegate.formats.manifest import EMPTY_BLOB, EMPTY_DESCRIPTOR, Manifest, evidence_manifest, image_manifest


def text_of(layout: Layout, *, files: bool = False, check: bool = False) -> str:
    return "\n".join(inspect_bundle(layout, check=check).lines(files=files))


def test_a_person_sees_what_matters_and_unpinned_models_first(tmp_path: Path) -> None:
    built = build_agent(tmp_path)
    text = text_of(built.layout, check=True)
    assert text.startswith("acme/support-agent 1.2.0\n  Answers questions.\n")
    assert str(built.manifest.digest) in text
    assert str(built.config.behaviour) in text
    assert "NOT PINNED: 1 model is not pinned" in text
    assert text.index("NOT PINNED") < text.index("components")
    for word in ("tools/search.json", "by date 20250514", "by file weights/model.gguf", "api.example.com", "API_KEY"):
        assert word in text
    assert "writes 2, reads 1, 2" in text
    assert "layers read and found consistent" in text
    assert "none attached" in text


def test_no_colour_and_no_hidden_character_is_in_the_text(tmp_path: Path) -> None:
    text = str(FULL_FILES["agent.yaml"]).replace("Answers questions.", '"a\\e[31m\\u202eb"')
    files = {**FULL_FILES, "agent.yaml": text}
    text = text_of(build_agent(tmp_path, files).layout, files=True)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "\\u{202e}" in text


def test_files_are_listed_when_asked_for(tmp_path: Path) -> None:
    built = build_agent(tmp_path)
    assert "schemas/answer.json" not in text_of(built.layout)
    text = text_of(built.layout, files=True)
    assert all(path in text for path in FULL_FILES)


def test_programs_get_everything_as_json(tmp_path: Path) -> None:
    built = build_agent(tmp_path)
    document = inspect_bundle(built.layout).as_json()
    assert document["digest"] == built.manifest.digest
    assert document["unpinned"] == [{"id": "gpt-4o", "reason": "the vendor serves it under no other name"}]
    assert document["contentChecked"] is False
    config = AgentConfig.parse(canonical_bytes(document["config"]))
    assert config == built.config
    parse_object(canonical_bytes(document), limit=1 << 20, what="the document")


def test_evidence_is_counted_and_not_believed(tmp_path: Path) -> None:
    built = build_agent(tmp_path)
    built.layout.put(EMPTY_BLOB)
    for content in (b"one", b"two"):
        built.layout.put(content)
        manifest = evidence_manifest(content, built.manifest.descriptor, "https://slsa.dev/provenance/v1")
        built.layout.add_manifest(manifest, version=None)
    text = text_of(built.layout)
    assert "https://slsa.dev/provenance/v1  2 attached" in text
    assert "not verified here" in text


def test_an_artifact_of_another_tool_is_shown_as_such(tmp_path: Path) -> None:
    layout = Layout.create(tmp_path / "layout")
    layout.put(EMPTY_BLOB)
    layers = (EMPTY_DESCRIPTOR,)
    manifest = image_manifest(artifact_type="application/vnd.example", config=EMPTY_DESCRIPTOR, layers=layers)
    layout.add_manifest(manifest, version="1.0.0")
    text = text_of(layout, check=True)
    assert "an artifact of another tool" in text.lower()
    assert "application/vnd.example" in text
    assert inspect_bundle(layout, check=True).as_json()["config"] is None


class Streaming:
    """A source like a registry: blobs are streams that cannot be wound back."""

    def __init__(self, forged: Forged) -> None:
        self._forged, self._manifest = forged, forged.seal()

    def root(self, version: str | None = None) -> Manifest:
        assert version in {None, "1.2.0"}
        return self._manifest

    def manifest(self, digest: Digest) -> Manifest:
        assert digest == self._manifest.digest
        return self._manifest

    def open_blob(self, digest: Digest) -> BinaryIO:
        return self._forged.open_blob(digest)

    def referrers(self, subject: Digest) -> tuple[Manifest, ...]:
        assert subject == self._manifest.digest
        return ()


def test_any_source_of_bundles_can_be_inspected(tmp_path: Path) -> None:
    built = build_agent(tmp_path)
    remote = inspect_bundle(Streaming(Forged(built)), "1.2.0", check=True)
    assert remote == inspect_bundle(built.layout, check=True)


def test_a_bundle_that_lies_is_not_shown(tmp_path: Path) -> None:
    forged = Forged(build_agent(tmp_path))
    forged.config["entrypoint"], forged.honest_behaviour = ["sh"], False
    manifest = forged.seal()
    layout = Layout.create(tmp_path / "forged")
    for blob in forged.blobs.values():
        layout.put(blob)
    layout.add_manifest(manifest, version="1.2.0")
    with pytest.raises(BundleRefused) as caught:
        inspect_bundle(layout)
    assert {reason.code for reason in caught.value.reasons} == {"behaviour-differs"}
