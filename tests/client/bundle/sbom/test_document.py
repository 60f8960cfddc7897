"""The document is CycloneDX 1.6, says what is in the bundle, and is the same every time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.bundle.agents import FULL_FILES, FULL_YAML, build_agent
from tidegate.bundle.diff.model import Side
from tidegate.bundle.sbom.document import write_sbom
from tidegate.cli.main import main
from tidegate.digest import Digest
from tidegate.errors import BundleRefused
from tidegate.formats.jcs import JsonObject
from tidegate.releases.sides import side_of

LOCK = f"idna==3.20 --hash=sha256:{'a' * 64} --hash=sha256:{'b' * 64}\n"
AGENT: dict[str, str | bytes] = {
    **FULL_FILES,
    "requirements.lock": LOCK,
    "agent.yaml": FULL_YAML.replace("runtime: vendored", "runtime: {requirements: requirements.lock}"),
    "node_modules/@a/b/package.json": '{"name": "@a/b", "version": "1.0.0", "license": "MIT OR Apache-2.0"}',
    "evals/package.json": "not looked at: it is no behaviour",
}


def document(tmp_path: Path, files: dict[str, str | bytes] | None = None) -> JsonObject:
    built = build_agent(tmp_path, AGENT if files is None else files)
    return write_sbom(side_of(built.layout, built.manifest))


def components(found: JsonObject) -> dict[str, JsonObject]:
    listed = found["components"]
    assert isinstance(listed, list)
    return {str(each["bom-ref"]): each for each in listed if isinstance(each, dict)}


def test_it_is_valid_cyclonedx(tmp_path: Path) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = json.dumps(document(tmp_path))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None


def test_it_names_packages_models_prompts_tools_and_data_with_their_hashes(tmp_path: Path) -> None:
    found = components(document(tmp_path))
    assert {reference: each["type"] for reference, each in found.items()} == {
        "pkg:pypi/idna@3.20": "library",
        "pkg:npm/%40a/b@1.0.0": "library",
        "model:0:claude-sonnet-4-20250514": "machine-learning-model",
        "model:1:gpt-4o": "machine-learning-model",
        "model:2:local": "machine-learning-model",
        "prompts:prompts/system.md": "file",
        "prompts:prompts/de/system.md": "file",
        "skills:skills/refund/SKILL.md": "file",
        "tools:tools/search.json": "file",
        "tools:tools/refund.json": "file",
        "config:config.json": "file",
        "memory:(memory)": "data",
        "evals:(evals)": "data",
        "code:(code)": "file",
        "docs:(docs)": "file",
    }
    weights = FULL_FILES["weights/model.gguf"]
    assert isinstance(weights, bytes)
    assert found["model:2:local"]["hashes"] == [{"alg": "SHA-256", "content": Digest.of(weights).hex}]
    assert "tidegate:unpinned" in json.dumps(found["model:1:gpt-4o"]["properties"])
    assert found["pkg:npm/%40a/b@1.0.0"]["licenses"] == [{"expression": "MIT OR Apache-2.0"}]


def test_the_same_bundle_gives_the_same_document_in_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_agent(tmp_path, AGENT)
    command = [sys.executable, "-m", "tidegate.cli.main", "sbom", str(tmp_path / "layout"), "-o"]
    for name, seed in (("one", "1"), ("two", "2")):
        environment = {"PATH": "", "PYTHONHASHSEED": seed, "TZ": "Asia/Kathmandu"}
        subprocess.run([*command, tmp_path / name], env=environment, capture_output=True, check=True)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert b'"timestamp"' not in (tmp_path / "one").read_bytes()


def test_the_only_time_is_that_of_the_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build_agent(tmp_path, {})
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert main(["sbom", str(tmp_path / "layout")]) == 0
    assert '"timestamp": "2023-11-14T22:13:20+00:00"' in capsys.readouterr().out
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert main(["sbom", str(tmp_path / "layout")]) == 2


def test_a_lock_file_that_cannot_be_read_refuses_the_whole_document(tmp_path: Path) -> None:
    with pytest.raises(BundleRefused) as caught:
        document(tmp_path, {"uv.lock": "[[package"})
    assert [reason.code for reason in caught.value.reasons] == ["sbom-source-invalid"]
    with pytest.raises(BundleRefused) as caught:
        document(tmp_path / "large", {"pyproject.toml": "#" * (1 << 20) + "#"})
    assert [reason.code for reason in caught.value.reasons] == ["sbom-source-invalid"]


def test_an_artifact_of_another_tool_has_none(tmp_path: Path) -> None:
    built = build_agent(tmp_path, {})
    with pytest.raises(BundleRefused) as caught:
        write_sbom(Side(built.manifest, None, built.layout.open_blob))
    assert [reason.code for reason in caught.value.reasons] == ["sbom-opaque"]


def test_without_the_library_the_command_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build_agent(tmp_path, {})
    monkeypatch.setitem(sys.modules, "cyclonedx.model.bom", None)
    assert main(["sbom", str(tmp_path / "layout")]) == 2
    assert "tidegate[sbom]" in capsys.readouterr().err
