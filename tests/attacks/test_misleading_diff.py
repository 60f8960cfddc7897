"""A bundle made to deceive whoever reviews what changed in it: by terminal escapes, unseen characters, or its size."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.client.bundle.agents import AGENT_YAML, build_agent
from tidegate.bundle.diff.compare import diff
from tidegate.bundle.diff.model import Bounds, BundleDiff, Side
from tidegate.bundle.diff.show import describe
from tidegate.bundle.diff.step import Step
from tidegate.cli.output import Output
from tidegate.formats.jcs import canonical_bytes

TAG = "\U000e0041"  # YAML has no escape for it as JSON writes one
EVIL = f"\x1b]0;title\x07\x1b[2J\x9b31m\r\u202egnp\u2066\u200b\u00ad{TAG}\x08\u2028end"
AGENT = AGENT_YAML + "components: {prompts: prompts/**, tools: tools.json, config: [config.json]}\n"
SMALL = {"prompts/a.md": "a\n", "tools.json": "{}", "config.json": "{}"}


def compared(
    folder: Path, before: Mapping[str, str | bytes], after: Mapping[str, str | bytes], bounds: Bounds | None = None
) -> BundleDiff:
    built = [
        build_agent(folder / name, {"agent.yaml": AGENT, **SMALL, **files})
        for name, files in (("before", before), ("after", after))
    ]
    sides = [Side(each.manifest, each.config, each.layout.open_blob, each.config.name, "1.0.0") for each in built]
    return diff(*sides, bounds=bounds or Bounds())


def tools(name: str, description: str) -> bytes:
    return canonical_bytes({"name": name, "description": description, "parameters": {"title": description}})


def test_nothing_from_a_bundle_reaches_a_terminal_raw(tmp_path: Path) -> None:
    agent = AGENT.replace("version: 1.2.0", "version: 1.2.1") + f"changelog: {json.dumps(EVIL.replace(TAG, ''))}\n"
    before: dict[str, str | bytes] = {"prompts/a.md": "a\n", "tools.json": tools("x", "a"), "config.json": '{"a": "a"}'}
    after: dict[str, str | bytes] = {
        "agent.yaml": agent,
        "prompts/a.md": f"{EVIL}\n",
        "tools.json": tools("x", EVIL),
        "config.json": canonical_bytes({"a": EVIL}),
    }
    found = compared(tmp_path, before, after)
    shown = "\n".join(line for _, line in describe(found, files=True))
    assert "\\u{1b}]0;title\\u{7}\\u{1b}[2J\\u{9b}31m\\u{d}\\u{202e}gnp\\u{2066}\\u{200b}" in shown
    document = io.StringIO()
    Output(stdout=document).json(found.as_json())
    for text in (shown, document.getvalue()):
        assert not {character for character in EVIL if not character.isprintable()} & set(text)


def test_a_renamed_tool_cannot_hide_behind_look_alikes_of_nothing(tmp_path: Path) -> None:
    found = compared(tmp_path, {"tools.json": tools("pay", "a")}, {"tools.json": tools("pay\u200b", "a")})
    shown = [line for _, line in describe(found)]
    assert "  - major pay removed" in shown
    assert "  + minor pay\\u{200b} added" in shown


@pytest.mark.parametrize(
    ("added", "told"),
    [
        ({"type": "code_interpreter"}, "  + minor code_interpreter added"),
        ({"type": "mcp", "server_label": "x", "server_url": "https://evil.example"}, "  + minor mcp x added"),
        ({"type": "function", "function": {"parameters": {}}}, "  ~ minor tools.json holds what is no tool"),
        ({"name": 1, "type": "code_interpreter"}, "  ~ minor tools.json holds what is no tool"),
        ("code_interpreter", "  ~ minor tools.json holds what is no tool"),
    ],
)
def test_a_tool_without_a_name_cannot_hide_among_those_with_one(tmp_path: Path, added: object, told: str) -> None:
    before: list[object] = [{"name": "pay", "description": "a"}]
    after = [{"name": "pay", "description": "b"}, added]
    one, two = (json.dumps({"tools": tools}) for tools in (before, after))
    found = compared(tmp_path, {"tools.json": one}, {"tools.json": two})
    assert any(line.startswith(told) for _, line in describe(found))
    assert found.demanded is Step.MINOR


def test_texts_made_to_take_for_ever_are_given_up_and_say_so(tmp_path: Path) -> None:
    count = 6
    before = {f"prompts/{number}.md": "a\nb\n" * 30_000 for number in range(count)}
    after = {f"prompts/{number}.md": "b\nb\na\n" * 20_000 for number in range(count)}
    found = compared(tmp_path, before, after, Bounds(edits=200_000))
    assert sum(len(text.lines) for text in found.texts) <= Bounds().all_lines
    assert all(text.left_out for text in found.texts)


@pytest.mark.parametrize("depth", [10, 55])
def test_schemas_made_to_take_for_ever_are_called_incompatible(tmp_path: Path, depth: int) -> None:
    def nested(leaf: str) -> object:
        schema: object = {"type": leaf}
        for level in range(depth // 2):
            schema = {"anyOf": [schema, {"const": level}, {"const": f"{leaf}{level}"}]}
        return schema

    def declared(leaf: str) -> bytes:
        return canonical_bytes({"name": "x", "parameters": nested(leaf)})

    found = compared(tmp_path, {"tools.json": declared("string")}, {"tools.json": declared("integer")})
    assert "tool-input-other" in {change.kind for change in found.changes}
