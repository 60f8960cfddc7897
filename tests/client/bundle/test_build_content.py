from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.bundle.agents import AGENT_YAML, build_agent, write_agent
from tests.client.bundle.vector import VECTOR
from tidegate.bundle.build import Overrides, build
from tidegate.bundle.content import check_bundle
from tidegate.errors import AgentFileInvalid, ReferenceInvalid, SourceTreeInvalid
from tidegate.formats.config import Kind


def test_layers_stand_in_the_order_of_their_kinds_and_paths(tmp_path: Path) -> None:
    config = build_agent(tmp_path).config
    assert [(str(component.kind), component.path) for component in config.components] == [
        ("code", None),
        ("prompts", None),
        ("skills", None),
        ("tools", "tools/refund.json"),
        ("tools", "tools/search.json"),
        ("models", None),
        ("models", "settings.json"),
        ("config", "config.json"),
        ("memory", None),
        ("weights", "weights/model.gguf"),
        ("evals", None),
        ("docs", None),
    ]
    assert [kind for kind in Kind if not kind.behavioural] == [Kind.EVALS, Kind.DOCS]
    assert config.interfaces.provides[0].input == {"type": "object"}


def test_revision_and_source_are_annotations_only_when_given(tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "agent", VECTOR)
    plain = build(folder, tmp_path / "plain").manifest
    overrides = Overrides(version="2.0.0-rc.1", revision="4f0c", source="https://git.example/acme")
    told = build(folder, tmp_path / "told", overrides=overrides).manifest
    assert set(told.annotations) - set(plain.annotations) == {
        "org.opencontainers.image.revision",
        "org.opencontainers.image.source",
    }
    assert told.annotations["org.opencontainers.image.version"] == "2.0.0-rc.1"
    assert "org.opencontainers.image.created" not in {*plain.annotations, *told.annotations}


def test_a_version_that_is_none_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    folder = write_agent(tmp_path / "agent", VECTOR)
    with pytest.raises(ReferenceInvalid) as caught:
        build(folder, tmp_path / "layout", overrides=Overrides(version="v2"))
    assert caught.value.reasons[0].code == "reference-invalid"
    assert not (tmp_path / "layout").exists()


def test_a_floating_model_is_recorded_with_its_reason_and_warned_of(tmp_path: Path) -> None:
    built = build_agent(tmp_path, VECTOR)
    assert [(model.id, model.unpinned) for model in built.config.unpinned] == [
        ("gpt-4o", "the vendor serves no dated id")
    ]
    assert built.warnings == ("the model gpt-4o is not pinned: the vendor serves no dated id",)


LOCKED = "a==1.0 --hash=sha256:" + "0" * 64 + "\n"


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({}, "file-missing"),
        ({"lock.txt": "a==1.0\n"}, "requirements-not-locked"),
        ({"lock.txt": LOCKED, "components": "docs: lock.txt"}, "requirements-not-behavioural"),
    ],
    ids=["missing", "not locked", "among the docs"],
)
def test_requirements_that_do_not_pin_what_runs_are_refused(tmp_path: Path, files: dict[str, str], code: str) -> None:
    text = (
        AGENT_YAML.replace("vendored", "{requirements: lock.txt}") + f"components: {{{files.pop('components', '')}}}\n"
    )
    with pytest.raises(AgentFileInvalid) as caught:
        build_agent(tmp_path, {"agent.yaml": text, **files})
    assert [reason.code for reason in caught.value.reasons] == [code]


def test_locked_requirements_are_accepted(tmp_path: Path) -> None:
    text = AGENT_YAML.replace("vendored", "{requirements: lock.txt}")
    built = build_agent(tmp_path, {"agent.yaml": text, "lock.txt": LOCKED})
    check_bundle(built.manifest, built.layout.open_blob)


@pytest.mark.parametrize(
    ("addition", "files", "code"),
    [
        ("models: [{id: x, file: model.gguf}]", {"model.gguf": ""}, "model-file-missing"),
        ("interfaces: {consumes: [{name: x, output: x.json}]}", {}, "file-missing"),
        ("interfaces: {provides: [{name: x, input: x.json}]}", {"x.json": "{"}, "schema-not-json"),
    ],
    ids=["pin", "schema missing", "schema broken"],
)
def test_what_agent_yaml_names_must_be_there(tmp_path: Path, addition: str, files: dict[str, str], code: str) -> None:
    with pytest.raises(AgentFileInvalid) as caught:
        build_agent(tmp_path, {"agent.yaml": f"{AGENT_YAML}{addition}\n", **files})
    (reason,) = caught.value.reasons
    assert reason.code == code
    assert reason.message.startswith("agent.yaml:5: ")


def test_every_json_file_that_is_none_is_named(tmp_path: Path) -> None:
    files = {
        "t/a.json": "{",
        "t/b.json": '{"a": 1, "a": 2}',
        "t/c.json": "{}",
        "t/d.json": "NaN",
        "t/e.json": "\ufeff{}",
    }
    with pytest.raises(SourceTreeInvalid) as caught:
        build_agent(tmp_path, {"agent.yaml": f"{AGENT_YAML}components: {{tools: t}}\n", **files})
    assert [reason.code for reason in caught.value.reasons] == ["component-not-json"] * 4
    assert {path for path in files if path in str([r.message for r in caught.value.reasons])} == set(files) - {
        "t/c.json"
    }
