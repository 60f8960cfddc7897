"""Tools: found in whatever JSON form frameworks write them, compared by name.

Known forms: MCP's `tools/list`, OpenAI's function tools and those that it hosts (which have a `type` and no name),
Anthropic's tools, a list of any of them, one of them alone.
Source: docs/spec/diff.md, "Tools".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tidegate.bundle.diff.keywords import shown_change
from tidegate.bundle.diff.model import Change, Part, Sign
from tidegate.bundle.diff.schema import (
    Effect,
    SchemaChange,
    breaks_reader,
    breaks_sender,
    compare_schemas,
    overall,
)
from tidegate.bundle.diff.step import Step
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes

_INPUTS = ("inputSchema", "input_schema", "parameters")
_OUTPUTS = ("outputSchema", "output_schema", "returns")
_UNHOSTED = frozenset({"", "function", "custom"})  # types of tools that have a name
MAX_SHOWN = 160  # characters of a description or annotation in a message


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as it is declared. `rest`: everything but its name and its schemas."""

    name: str
    input: JsonValue
    output: JsonValue
    rest: JsonObject


def find_tools(documents: Mapping[str, JsonValue]) -> tuple[dict[str, Tool], tuple[str, ...]]:
    """Give the tools of parsed files by name, and the paths of files with anything that is not recognised as one.

    A name that several files use is told apart by the file: `search (tools/b.json)`.
    """
    found: dict[str, Tool] = {}
    unknown = []
    for path, document in sorted(documents.items()):
        read = list(_tools(document))
        tools = [tool for tool in read if tool is not None]
        if not tools or len(tools) < len(read):
            unknown.append(path)
        for tool in tools:
            name, number = tool.name, 1
            while name in found:
                name = f"{tool.name} ({path})" if number == 1 else f"{tool.name} ({path}, {number})"
                number += 1
            found[name] = tool
    return found, tuple(unknown)


def compare_tools(before: Mapping[str, Tool], after: Mapping[str, Tool]) -> Iterator[Change]:
    """Give what changed: what the agent can call is what its users have come to rely on."""
    for name in sorted({*before, *after}):
        if name not in after:
            yield Change(Part.TOOLS, "tool-removed", Sign.REMOVED, name, Step.MAJOR, "removed")
        elif name not in before:
            yield Change(Part.TOOLS, "tool-added", Sign.ADDED, name, Step.MINOR, "added")
        else:
            yield from _compare(name, before[name], after[name])


def _compare(name: str, one: Tool, two: Tool) -> Iterator[Change]:
    inputs, outputs = compare_schemas(one.input, two.input), compare_schemas(one.output, two.output)
    yield from schema_change(Part.TOOLS, "tool", name, "input", inputs)
    yield from schema_change(Part.TOOLS, "tool", name, "output", outputs)
    for key in sorted({*one.rest, *two.rest}):
        if key not in one.rest or key not in two.rest or not same_json(one.rest[key], two.rest[key]):
            message = f"{key[:MAX_SHOWN]} {shown_change(one.rest.get(key), two.rest.get(key), MAX_SHOWN)}"
            yield Change(Part.TOOLS, "tool-reworded", Sign.CHANGED, name, Step.PATCH, message)


def schema_change(part: Part, what: str, subject: str, end: str, changes: Sequence[SchemaChange]) -> Iterator[Change]:
    """Tell a changed schema. `end`: `input` (who sends must still be accepted) or `output` (who reads must cope)."""
    effect = overall(changes)
    if effect is None:
        return
    breaks = (breaks_sender if end == "input" else breaks_reader)(effect)
    step = Step.MAJOR if breaks else Step.PATCH if effect is Effect.WORDS else Step.MINOR
    message = {
        Effect.WIDER: f"{end} widened",
        Effect.NARROWER: f"{end} narrowed",
        Effect.EITHER: f"{end} extended",
        Effect.WORDS: f"{end} described otherwise",
        Effect.OTHER: f"{end} incompatible",
    }[effect]
    kind = f"{what}-{end}-{effect}"
    yield Change(part, kind, Sign.CHANGED, subject, step, message, tuple(changes))


def same_json(one: JsonValue, two: JsonValue) -> bool:
    """Whether two values are the same JSON: 1 is 1.0, and true is not 1."""
    return canonical_bytes(one) == canonical_bytes(two)


def _tools(document: JsonValue) -> Iterator[Tool | None]:
    """Read every tool; None stands for one that is not recognised."""
    if isinstance(document, list):
        for item in document:
            yield _one(item)
    elif isinstance(document, dict):
        listed = document.get("tools")
        if isinstance(listed, list):
            for item in listed:
                yield _one(item)
        else:
            yield _one(document) if document.keys() & {"name", "function"} else None


def _one(item: JsonValue) -> Tool | None:
    if isinstance(item, dict) and isinstance(function := item.get("function"), dict):
        item = {**{key: value for key, value in item.items() if key != "function"}, **function}
    if not isinstance(item, dict) or (name := _name(item)) is None:
        return None
    input_key = next((key for key in _INPUTS if key in item), None)
    output_key = next((key for key in _OUTPUTS if key in item), None)
    rest = {key: value for key, value in item.items() if key not in {"name", input_key, output_key}}
    return Tool(
        name, True if input_key is None else item[input_key], True if output_key is None else item[output_key], rest
    )


def _name(item: JsonObject) -> str | None:
    """Give a tool's name; of one that a provider hosts its type, and which of them it is."""
    name, hosted = item.get("name"), item.get("type")
    if isinstance(name, str) and name:
        return name
    if "name" in item or not isinstance(hosted, str) or hosted in _UNHOSTED:
        return None
    which = item.get("server_label")
    return f"{hosted} {which}" if isinstance(which, str) else hosted
