from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from tests.client.bundle.agents import AGENT_YAML, FULL_YAML
from tidegate.bundle.spec import AgentFile
from tidegate.errors import AgentFileInvalid, Reason
from tidegate.formats.config import Kind
from tidegate.formats.yamldoc import parse_yaml

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads((ROOT / "docs" / "spec" / "agent.schema.json").read_text())  # noqa: TID251 - our own file
EXAMPLES = sorted(ROOT.glob("examples/*/agent.yaml"))


def refused(text: str) -> tuple[Reason, ...]:
    with pytest.raises(AgentFileInvalid) as caught:
        AgentFile.parse(text.encode())
    return caught.value.reasons


def one_refusal(text: str) -> Reason:
    (reason,) = refused(text)
    return reason


def test_a_full_file_is_read_as_written() -> None:
    spec = AgentFile.parse(FULL_YAML.encode()).spec
    assert spec.name == "acme/support-agent"
    assert spec.components.globs()[Kind.DOCS] == ("*.md", "!CODE.md")
    assert spec.components.prompts == ("prompts/**",)
    assert [model.pinned_by for model in spec.models] == ["date 20250514", None, "file weights/model.gguf"]
    assert spec.capabilities.mcp_servers[0].url == "https://example.com/mcp"
    assert spec.state is not None
    assert spec.state.on_rollback == "migrate"
    assert spec.runtime.kind == "vendored"


def test_a_runtime_of_locked_requirements_needs_no_kind() -> None:
    text = AGENT_YAML.replace("runtime: vendored", 'runtime: {python: ">=3.11,<3.14", requirements: lock.txt}')
    runtime = AgentFile.parse(text.encode()).spec.runtime
    assert (runtime.kind, runtime.python, runtime.requirements) == ("python", ">=3.11,<3.14", "lock.txt")


def test_words_that_yaml_1_1_takes_for_booleans_are_words() -> None:
    text = AGENT_YAML + "description: no\ncapabilities: {tools: [on, off, yes]}\n"
    spec = AgentFile.parse(text.encode()).spec
    assert spec.description == "no"
    assert spec.capabilities.tools == ("on", "off", "yes")


def test_every_mistake_is_told_at_once_with_its_line() -> None:
    text = "nmae: acme/a\nversion: '1.2'\nentrypoint: []\nruntime: vendord\nstate: {schema: one}\n"
    messages = [reason.message for reason in refused(text)]
    assert {message.split(" ")[0] for message in messages} == {f"agent.yaml:{line}:" for line in range(1, 6)}
    assert any("name" in message and "missing" in message for message in messages)


MISTAKES = {
    "an unknown key": ("evalz: x\n", "agent.yaml:5: evalz: is not a key here", None),
    "an unknown key inside": (
        "capabilities:\n  egres: []\n",
        "agent.yaml:6: capabilities.egres: is not a key",
        "egress",
    ),
    "an unknown key in a list": ("models:\n  - id: x-20250101\n    revison: a\n", "models[0].revison", "revision"),
    "an unknown component": ("components: {promts: x}\n", "components.promts", "prompts"),
    "code as a component": ("components: {code: x}\n", "components.code", None),
    "a number for text": ("description: 1.0\n", "agent.yaml:5: description: is not text", "quotes"),
    "text for a list": ("capabilities: {tools: search}\n", "agent.yaml:5: capabilities.tools", None),
    "a bad domain": ("capabilities: {egress: ['https://x.com/']}\n", "capabilities.egress[0]", None),
    "a bad secret": ("capabilities: {secrets: ['a b']}\n", "capabilities.secrets[0]", None),
    "a bad access": ("capabilities: {files: [{path: /x, access: rw}]}\n", "capabilities.files[0].access", None),
    "a bad server": ("capabilities: {mcpServers: [{name: x, url: 'file:///x'}]}\n", "mcpServers[0].url", None),
    "a relative scope": ("capabilities: {files: [{path: x, access: read}]}\n", "capabilities.files[0].path", None),
    "a server without address": ("capabilities: {mcpServers: [{name: x}]}\n", "either url or command", None),
    "a state it cannot read": ("state: {schema: 3, reads: [1, 2]}\n", "reads must hold the schema it writes, 3", None),
    "a bad end": ("state: {schema: 1, onRollback: explode}\n", "state.onRollback", None),
    "a path that leaves": ("interfaces: {provides: [{name: x, input: ../x}]}\n", "interfaces.provides[0].input", None),
    "a short revision": ("models: [{id: x, revision: abc}]\n", "models[0].revision", None),
    "a short digest": ("models: [{id: x, digest: 'sha256:ab'}]\n", "models[0].digest", None),
    "a repeated key": ("name: acme/b\n", "agent.yaml:5: name: the key is repeated", None),
    "an alias": ("x: &a [1]\ny: *a\n", "an alias", None),
    "a tag": ("description: !!python/object:os.system x\n", "tag", None),
    "no YAML": ("description: [\n", "not valid YAML", None),
    "a second document": ("---\nname: x\n", "not valid YAML", None),
    "too many items": (f"ignore: [{', '.join(['x'] * 1001)}]\n", "agent.yaml:5: ignore", None),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_would_be_right(mistake: str) -> None:
    addition, message, hint = MISTAKES[mistake]
    reasons = refused(AGENT_YAML + addition)
    reason = next(reason for reason in reasons if message in reason.message)
    assert reason.message.startswith("agent.yaml:")
    assert hint is None or hint in (reason.hint or "")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("1.2.0", "v1.2", "write 1.2.0"),
        ("1.2.0", "1.2", "version: is not text"),
        ("acme/support-agent", "Support Agent", "not an agent's name"),
        ("[python3, main.py]", "python3 main.py", "write the command as a list"),
        ("vendored", "docker", "runtime"),
        ("vendored", "{python: '3.11', requirements: x}", "write version comparisons such as >=3.11"),
        ("vendored", "{python: '>=3.11'}", "needs a hash-locked requirements file"),
    ],
)
def test_the_right_spelling_is_suggested(old: str, new: str, message: str) -> None:
    reason = one_refusal(AGENT_YAML.replace(old, new))
    assert message in f"{reason.message} {reason.hint}"
    assert reason.code == "agent-file-invalid"


def test_a_model_that_can_float_needs_a_reason() -> None:
    reason = one_refusal(AGENT_YAML + "models:\n  - id: x-20250101\n  - id: gpt-4o\n")
    assert reason.code == "model-unpinned"
    assert reason.message.startswith("agent.yaml:7: models[1].id")
    assert reason.found == "gpt-4o"
    reasoned = AGENT_YAML + "models: [{id: gpt-4o, unpinned: there is no other name}]\n"
    assert AgentFile.parse(reasoned.encode()).spec.models[0].floats


def test_an_empty_reason_is_none() -> None:
    assert one_refusal(AGENT_YAML + "models: [{id: gpt-4o, unpinned: ''}]\n").code == "agent-file-invalid"


@pytest.mark.parametrize("text", ["", "[]", "- x", "just words", "\xff"])
def test_something_else_than_a_mapping_is_refused(text: str) -> None:
    with pytest.raises(AgentFileInvalid) as caught:
        AgentFile.parse(text.encode("latin-1"))
    assert caught.value.reasons[0].code == "agent-file-invalid"


def test_depth_and_size_are_bounded() -> None:
    for text in ("x: " + "[" * 10_000, "x: " + "{a: " * 500 + "}" * 500, "#" * (2 << 20)):
        with pytest.raises(AgentFileInvalid):
            AgentFile.parse((AGENT_YAML + text).encode())


def test_a_folder_without_the_file_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(AgentFileInvalid, match="there is no") as caught:
        AgentFile.load(tmp_path)
    assert caught.value.reasons[0].code == "agent-file-missing"
    assert "tidegate init" in (caught.value.hint or "")


# -- the schema for editors -------------------------------------------------------------------------------------------


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_examples_are_valid_by_the_schema_and_by_us(path: Path) -> None:
    document = parse_yaml(path.read_bytes(), limit=1 << 20, name=str(path))
    jsonschema.Draft202012Validator(SCHEMA).validate(document.value)
    AgentFile.parse(path.read_bytes())


def test_the_example_of_the_specification_is_valid() -> None:
    page = (ROOT / "docs" / "spec" / "agent-yaml.md").read_text()
    text = page.split("## Example")[1].split("```yaml\n")[1].split("```")[0]
    AgentFile.parse(text.encode())
    jsonschema.Draft202012Validator(SCHEMA).validate(parse_yaml(text.encode(), limit=1 << 20, name="page").value)


@pytest.mark.parametrize("mistake", [name for name in MISTAKES if name.startswith(("an unknown", "a number", "a bad"))])
def test_the_schema_refuses_what_we_refuse(mistake: str) -> None:
    value = parse_yaml((AGENT_YAML + MISTAKES[mistake][0]).encode(), limit=1 << 20, name="x").value
    assert not jsonschema.Draft202012Validator(SCHEMA).is_valid(value)


def test_the_full_file_is_valid_by_the_schema() -> None:
    value = parse_yaml(FULL_YAML.encode(), limit=1 << 20, name="x").value
    jsonschema.Draft202012Validator(SCHEMA).validate(value)
