"""Two bundles, built from agents that differ in one thing: what is told, and which step that demands."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.client.bundle.agents import AGENT_YAML, FULL_FILES, FULL_YAML, build_agent
from tidegate.bundle.build import Built
from tidegate.bundle.diff.compare import diff, judge_step
from tidegate.bundle.diff.declared import covers_files, covers_host
from tidegate.bundle.diff.model import Bounds, BundleDiff, Part, Side
from tidegate.bundle.diff.show import describe
from tidegate.bundle.diff.step import Step
from tidegate.digest import Digest
from tidegate.errors import BundleRefused
from tidegate.formats.declarations import FileScope
from tidegate.formats.jcs import canonical_bytes, parse_object
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, Descriptor, image_manifest

Files = Mapping[str, str | bytes]


def side_of(built: Built) -> Side:
    config = built.config
    return Side(built.manifest, config, built.layout.open_blob, config.name, config.version)


def sides(folder: Path, before: Files, after: Files) -> tuple[Side, Side]:
    return side_of(build_agent(folder / "before", before)), side_of(build_agent(folder / "after", after))


def compared(folder: Path, before: Files, after: Files, bounds: Bounds | None = None) -> BundleDiff:
    return diff(*sides(folder, before, after), bounds=bounds or Bounds())


def yaml(*changes: tuple[str, str]) -> dict[str, str | bytes]:
    """Give the full agent with its agent.yaml changed."""
    text = FULL_YAML
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return {**FULL_FILES, "agent.yaml": text}


def text_of(found: BundleDiff) -> str:
    return "\n".join(line for _, line in describe(found, files=True))


IN_AGENT_YAML: dict[str, tuple[list[tuple[str, str]], str, Step]] = {
    "model moved": ([("claude-sonnet-4-20250514", "claude-sonnet-4-5-20250929")], "model-moved", Step.MINOR),
    "model pinned": (
        [("gpt-4o\n    unpinned: the vendor serves it under no other name", "gpt-4o\n    digest: sha256:" + "a" * 64)],
        "model-pinned",
        Step.PATCH,
    ),
    "model unpinned": (
        [("    provider: anthropic", "    provider: anthropic\n    unpinned: why not")],
        "model-unpinned",
        Step.MINOR,
    ),
    "tool asked for": ([("tools: [search]", "tools: [search, refund]")], "capability-raised", Step.MINOR),
    "secret given up": ([("secrets: [API_KEY]", "secrets: []")], "capability-lowered", Step.PATCH),
    "egress widened": ([("api.example.com,", '"*.example.com",')], "capability-raised", Step.MINOR),
    "files written": ([("access: read", "access: write")], "capability-raised", Step.MINOR),
    "another MCP server": ([("https://example.com/mcp", "https://example.net/mcp")], "capability-raised", Step.MINOR),
    "output opened": ([("output: {type: string}", "output: {}")], "interface-output-wider", Step.MAJOR),
    "output narrowed": (
        [("output: {type: string}", "output: {type: string, maxLength: 9}")],
        "interface-output-narrower",
        Step.MINOR,
    ),
    "another contract": ([('version: "1"', 'version: "2"')], "interface-removed", Step.MAJOR),
    "consumes": ([("requirements:", "  consumes: [{name: billing}]\nrequirements:")], "consumed-added", Step.MAJOR),
    "state moved": ([("schema: 2, reads: [1, 2]", "schema: 3, reads: [1, 2, 3]")], "state-schema-moved", Step.MINOR),
    "state lost": (
        [("schema: 2, reads: [1, 2], migrate: [python3, migrate.py]", "schema: 3")],
        "state-unreadable",
        Step.MAJOR,
    ),
    "memory": ([("memoryMiB: 512", "memoryMiB: 1024")], "requirement-raised", Step.MINOR),
    "program": ([("programs: [git]", "programs: []")], "requirement-lowered", Step.PATCH),
    "platform": ([("linux/amd64", "linux/arm64")], "platform-dropped", Step.MAJOR),
    "entrypoint": ([("[python3, main.py]", "[python3, -B, main.py]")], "entrypoint-changed", Step.PATCH),
    "runtime": ([("runtime: vendored", "runtime: {kind: vendored, python: '>=3.12'}")], "runtime-changed", Step.MINOR),
}


@pytest.mark.parametrize("name", IN_AGENT_YAML)
def test_what_is_declared_otherwise_is_told_with_the_step_it_demands(tmp_path: Path, name: str) -> None:
    edits, kind, step = IN_AGENT_YAML[name]
    found = compared(tmp_path, FULL_FILES, yaml(*edits))
    declared = [change for change in found.changes if change.part is not Part.CODE]
    assert kind in {change.kind for change in declared}
    assert max((change.step for change in declared), key=lambda each: each.rank) is step
    assert found.demanded is step
    assert found.behaviour == "other"


IN_FILES: dict[str, tuple[dict[str, str | bytes], str, Step]] = {
    "prompt": ({"prompts/system.md": "Be long.\n"}, "prompt-changed", Step.PATCH),
    "skill": ({"skills/refund/SKILL.md": "Refund never.\n"}, "skill-changed", Step.PATCH),
    "code": ({"main.py": "print('bye')\n"}, "code-changed", Step.PATCH),
    "weights": ({"weights/model.gguf": b"GGUF"}, "weights-changed", Step.MINOR),
    "docs": ({"README.md": "# The agent\n"}, "docs-changed", Step.PATCH),
    "setting": ({"config.json": '{"retries": 4}'}, "config-changed", Step.PATCH),
    "tool added": ({"tools/cancel.json": '{"name": "cancel"}'}, "tool-added", Step.MINOR),
    "tool renamed": ({"tools/refund.json": '{"name": "refund_all"}'}, "tool-removed", Step.MAJOR),
    "tool described otherwise": (
        {"tools/refund.json": '{"name": "refund", "description": "now"}'},
        "tool-reworded",
        Step.PATCH,
    ),
    "tool narrowed": (
        {"tools/search.json": '{"name": "search", "parameters": {"type": "object", "required": ["q"]}}'},
        "tool-input-narrower",
        Step.MAJOR,
    ),
    "tool laid out otherwise": ({"tools/refund.json": '{ "name": "refund" }'}, "tools-changed", Step.PATCH),
    "no tools any more": ({"tools/refund.json": '"refund"'}, "tools-unreadable", Step.MAJOR),
}


@pytest.mark.parametrize("name", IN_FILES)
def test_what_files_say_otherwise_is_told_with_the_step_it_demands(tmp_path: Path, name: str) -> None:
    files, kind, step = IN_FILES[name]
    found = compared(tmp_path, FULL_FILES, {**FULL_FILES, **files})
    assert kind in {change.kind for change in found.changes}
    assert found.demanded is step
    assert [file.path for file in found.files] == sorted(files)
    assert found.behaviour == ("same" if name in {"docs", "tool laid out otherwise"} else "other")


def test_the_same_bundle_has_no_changes_and_demands_nothing(tmp_path: Path) -> None:
    found = compared(tmp_path, FULL_FILES, FULL_FILES)
    assert (found.identical, found.changes, found.demanded) == (True, (), Step.NONE)
    assert "nothing changed" in text_of(found)
    released = compared(tmp_path / "again", FULL_FILES, yaml(("version: 1.2.0", "version: 1.2.1"), ("First.", "2nd.")))
    assert (released.identical, released.behaviour, released.demanded) == (
        False,
        "same",
        Step.PATCH,
    )  # agent.yaml is docs


def test_files_that_the_build_did_not_look_through_are_told(tmp_path: Path) -> None:
    none, one, other = (
        yaml(("changelog:", f"allowedSecrets: [{allowed}]\nchangelog:"))
        for allowed in ("", "{path: main.py, reason: made up}", "{path: main.py, reason: opens nothing}")
    )
    for number, (before, after, told) in enumerate(
        (
            (none, one, "+ patch main.py may hold a secret now: made up"),
            (one, other, "~ patch main.py made up → opens nothing"),
            (one, none, "- patch main.py may hold no secret any more"),
        )
    ):
        found = compared(tmp_path / str(number), before, after)
        assert told in text_of(found)
        assert found.behaviour == "same"


def test_tools_are_found_in_the_forms_in_which_frameworks_write_them(tmp_path: Path) -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}}
    forms: list[object] = [
        {"tools": [{"name": "search", "inputSchema": schema}]},
        [{"type": "function", "function": {"name": "search", "parameters": schema}}],
        {"name": "search", "input_schema": schema},
    ]
    agent = AGENT_YAML + "components: {tools: tools.json}\n"
    built = [
        build_agent(tmp_path / str(number), {"agent.yaml": agent, "tools.json": json.dumps(form)})
        for number, form in enumerate(forms)
    ]
    for one in built:
        for two in built:
            kinds = {change.kind for change in diff(side_of(one), side_of(two)).of(Part.TOOLS)}
            assert kinds <= {"tool-reworded", "tools-changed"}  # `type: function` came or went


def test_texts_are_compared_line_by_line_and_the_rest_says_why_not(tmp_path: Path) -> None:
    before = {**FULL_FILES, "prompts/a.bin": b"\xff\xfe", "prompts/big.md": "x\n" * 200}
    after = {
        **FULL_FILES,
        "prompts/system.md": "Be brief.\nBe kind.\n",
        "prompts/a.bin": b"\xff\xff",
        "prompts/big.md": "y\n" * 300,
        "prompts/new.md": "".join(f"{number}\n" for number in range(50)),
    }
    found = compared(tmp_path, before, after, Bounds(text_bytes=500, lines=10))
    texts = {text.path: text for text in found.texts}
    assert texts["prompts/system.md"].lines == ("@@ -1 +1,2 @@", " Be brief.", "+Be kind.")
    assert texts["prompts/a.bin"].left_out == "binary"
    assert texts["prompts/big.md"].left_out == "too large to compare line by line"
    assert texts["prompts/new.md"].left_out == "more than 10 lines"
    assert "(binary)" in text_of(found)


def test_a_layer_that_lies_is_refused_and_never_shown(tmp_path: Path) -> None:
    before, after = sides(tmp_path, FULL_FILES, {**FULL_FILES, "prompts/system.md": "Be long.\n"})

    def lying(digest: Digest) -> BinaryIO:
        with before.open_blob(digest) as blob:
            raw = blob.read()
        return io.BytesIO(raw.replace(b"Be brief.", b"Be grief."))

    with pytest.raises(BundleRefused) as refused:
        diff(Side(before.manifest, before.config, lying, before.agent, before.version), after)
    assert refused.value.reasons[0].code == "file-content"


def test_an_opaque_bundle_is_compared_by_its_descriptors_and_says_so(tmp_path: Path) -> None:
    def opaque(*layers: Descriptor, kind: str = "application/vnd.example") -> Side:
        manifest = image_manifest(artifact_type=kind, config=EMPTY_DESCRIPTOR, layers=layers)
        return Side(manifest, None, never, "acme/x", "1.0.0")

    layer = Descriptor("application/octet-stream", Digest.of(b"x"), 1)
    found = diff(opaque(), opaque(layer))
    assert ([change.kind for change in found.changes], found.demanded) == (["blobs-changed"], Step.PATCH)
    assert found.behaviour == "unknown"
    assert "descriptors alone" in text_of(found)
    built = side_of(build_agent(tmp_path))
    assert diff(built, opaque()).demanded is Step.MAJOR
    assert diff(opaque(), built).demanded is Step.MINOR
    assert diff(opaque(), opaque(kind="application/vnd.other")).demanded is Step.MAJOR


def never(_: Digest) -> BinaryIO:
    raise AssertionError("nothing of it may be read")


def test_the_step_is_judged_without_reading_texts(tmp_path: Path) -> None:
    files = {**yaml(("version: 1.2.0", "version: 1.2.1")), "prompts/system.md": "x\n", "weights/model.gguf": b"w"}
    before, after = sides(tmp_path, FULL_FILES, files)
    unread = [Side(each.manifest, each.config, never, each.agent, each.version) for each in (before, after)]
    step = judge_step(unread[0], unread[1])
    assert step is not None
    assert (step.taken, step.demanded, step.enough, step.proposed) == (Step.PATCH, Step.MINOR, False, "1.3.0")
    assert step.lines == ("weights: weights/model.gguf changed",)


def test_what_is_told_is_bounded_and_the_step_is_that_of_everything(tmp_path: Path) -> None:
    many = {f"prompts/{number}.md": "x" for number in range(30)}
    found = compared(tmp_path, FULL_FILES, yaml(("linux/amd64", "linux/arm64")) | many, Bounds(changes=5, files=4))
    assert (len(found.changes), found.omitted_changes) == (5, 27)
    assert Step.MAJOR in {change.step for change in found.changes}
    assert (len(found.files), found.omitted_files) == (4, 27)
    document = found.as_json()
    assert parse_object(canonical_bytes(document), limit=1 << 20, what="the document") == document


def test_domains_and_folders_cover_what_is_below_them() -> None:
    assert covers_host("*.example.org", "api.example.org")
    assert covers_host("*.example.org", "*.api.example.org")
    assert not covers_host("*.example.org", "example.org")
    assert not covers_host("*.example.org", "badexample.org")
    assert not covers_host("api.example.org", "api.example.org:8443")
    read, write = FileScope(path="/data", access="read"), FileScope(path="/data", access="write")
    assert covers_files(write, read)
    assert not covers_files(read, write)
    assert covers_files(read, FileScope(path="/data/x", access="read"))
    assert not covers_files(read, FileScope(path="/database", access="read"))
    assert not covers_files(read, FileScope(path="/data/../etc", access="read"))


def test_two_agents_are_compared_and_take_no_step(tmp_path: Path) -> None:
    found = compared(tmp_path, FULL_FILES, yaml(("acme/support-agent", "acme/other-agent")))
    assert found.step is None
    assert "two agents" in text_of(found)


def test_manifests_name_what_was_compared(tmp_path: Path) -> None:
    before, after = sides(tmp_path, FULL_FILES, yaml(("version: 1.2.0", "version: 1.3.0")))
    found = diff(before, after)
    assert (found.before.version, found.after.version) == ("1.2.0", "1.3.0")
    assert (found.before.digest, found.after.digest) == (before.manifest.digest, after.manifest.digest)
