"""The first agent.yaml: what was detected, each key with a comment, and examples of what else there is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from tidegate.bundle.detect import Detected, detect_agent
from tidegate.bundle.spec import FILE_NAME, SCHEMA_ID
from tidegate.errors import Conflict, InvalidInput
from tidegate.formats.config import Kind
from tidegate.formats.pins import pinned_by
from tidegate.formats.reference import parse_agent_name
from tidegate.formats.yamldoc import parse_yaml

_PLAIN = re.compile(r"[A-Za-z0-9_./-][A-Za-z0-9_./ @-]*(?<! )")
_WIDE = 80  # columns; a longer list is written one item a line
_EXAMPLES = {
    Kind.PROMPTS: "prompts/**",
    Kind.SKILLS: "skills/**",
    Kind.TOOLS: "tools/*.json",
    Kind.CONFIG: "config.json",
    Kind.MEMORY: "memory/**",
    Kind.WEIGHTS: "weights/**",
    Kind.EVALS: "evals/**",
    Kind.DOCS: "[README.md, docs/**]",
}


def write_initial(folder: Path, *, name: str | None = None, force: bool = False) -> Detected:
    """Write `folder/agent.yaml` for the agent in `folder`, and say what was found and what is still to be filled in.

    Raises Conflict (`agent-file-exists`) unless `force`, InvalidInput for no folder, ReferenceInvalid for a bad
    `name`, SourceTreeInvalid for files that could not be built either.
    """
    path = folder / FILE_NAME
    if not folder.is_dir():
        raise InvalidInput("there is no such folder", found=folder)
    if path.exists() and not force:
        raise _exists(path)
    detected = detect_agent(folder, name=parse_agent_name(name) if name is not None else None)
    floating = [
        f"models: {model} ({where}) can float; pin it, or say under `unpinned` why it may"
        for model, where in detected.models.items()
        if pinned_by(model) is None
    ]
    detected = replace(detected, todo=(*detected.todo, *floating))
    try:
        with path.open("w" if force else "x", encoding="utf-8", newline="\n") as file:
            file.write(render(detected))
    except FileExistsError as error:
        raise _exists(path) from error
    return detected


def render(detected: Detected) -> str:
    """Write the file."""
    return "\n".join(_lines(detected)) + "\n"


def _lines(found: Detected) -> Iterator[str]:
    yield f"# yaml-language-server: $schema={SCHEMA_ID}"
    yield "# What this agent is made of and what it asks for. All keys: docs/spec/agent-yaml.md."
    yield from (f"# FILL IN {todo}" for todo in found.todo)
    yield from ("", "# namespace/agent: the repository it is published to", f"name: {_scalar(found.name)}")
    yield f"version: {_scalar(found.version)} # a semantic version; every release has its own"
    if found.description:
        yield f"description: {_scalar(found.description)}"
    else:
        yield "# description: What it does, for people."
    yield from ("", "# the command that starts it in the unpacked folder, as a list of arguments")
    yield f"entrypoint: {_list(found.entrypoint)}"
    yield from _runtime(found)
    yield from _components(found)
    yield from _models(found)
    yield from ("", "# what it asks the host for; a host that does not grant all of it refuses to load it")
    yield "capabilities:"
    yield f"  tools: {_list(found.tools)}"
    yield f"  secrets: {_list(found.secrets)}"
    yield "  egress: [] # domains, such as api.example.com or *.example.com"
    yield "  # mcpServers: [{name: github, url: https://mcp.example.com}]"
    yield "  # files: [{path: /data, access: read}]"
    yield from (
        "",
        "# what the host must have",
        "# requirements: {platforms: [linux/amd64], programs: [git], memoryMiB: 512}",
        "",
        "# for an agent that keeps memory between tasks: what it writes and reads, how older state migrates",
        "# state: {schema: 1, reads: [1], migrate: [python3, migrate.py], onRollback: finish}",
        "",
        "# contracts with other agents, as JSON Schemas or files that hold them",
        "# interfaces:",
        '#   provides: [{name: answer, version: "1", input: schemas/question.json, output: schemas/answer.json}]',
        "",
        "# what changed in this version, for people",
        "# changelog: First release.",
        "",
        "# files that are not part of the agent, as in .gitignore; .tidegateignore holds longer lists",
        "# ignore: [scratch/, '*.log']",
    )


def _runtime(found: Detected) -> Iterator[str]:
    yield from (
        "",
        "# `vendored`: all it needs is in this folder. Or Python packages, each pinned with --hash in a file:",
    )
    if found.requirements is None:
        yield '# runtime: {python: ">=3.11", requirements: requirements.lock}'
        yield "runtime: vendored"
        return
    yield "runtime:"
    if found.python is not None:
        yield f"  python: {json.dumps(found.python)}"
    yield f"  requirements: {_scalar(found.requirements)}"


def _components(found: Detected) -> Iterator[str]:
    yield from ("", "# which files are what, by globs; a file that no line matches is code")
    if found.components:
        yield "components:"
        for kind, patterns in found.components.items():
            if len(_list(patterns)) <= _WIDE:
                yield f"  {kind}: {_list(patterns)}"
            else:
                yield from (f"  {kind}:", *(f"    - {_scalar(pattern)}" for pattern in patterns))
    else:
        yield "# components:"
    indent = "  # " if found.components else "#   "
    yield from (f"{indent}{kind}: {example}" for kind, example in _EXAMPLES.items() if kind not in found.components)


def _models(found: Detected) -> Iterator[str]:
    yield from ("", "# every model it calls, under an id that cannot mean another model tomorrow")
    if not found.models:
        yield from ("# models:", "#   - id: claude-sonnet-4-20250514", "#     provider: anthropic")
        return
    yield "models:"
    for model, where in found.models.items():
        yield f"  - id: {_scalar(model)} # {where}"
        if pinned_by(model) is None:
            yield "    # unpinned: FILL IN why this id may float, or write a dated one above"


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(map(_scalar, values))}]"


def _scalar(text: str) -> str:
    """Write text plainly where YAML reads it back as the same text, else in double quotes."""
    if _PLAIN.fullmatch(text) and " #" not in text and _reads_back(text):
        return text
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(char if char.isprintable() else f"\\U{ord(char):08x}" for char in quoted)


def _reads_back(text: str) -> bool:
    raw = text.encode()
    try:
        return parse_yaml(raw, limit=len(raw), name="").value == text
    except InvalidInput:  # what looks like a number too large to be one
        return False


def _exists(path: Path) -> Conflict:
    return Conflict(
        "there is an agent.yaml already", code="agent-file-exists", found=path, hint="write over it with --force"
    )
