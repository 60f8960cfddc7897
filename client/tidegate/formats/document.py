"""Turn a parsed YAML file into a closed, typed model, and say of each mistake where it is and what would be right."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from tidegate.errors import InvalidInput, Reason
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.formats.yamldoc import PathInside, YamlDocument, path_text

MAX_MISTAKES = 50  # a person mends a few and runs again; a machine's mess need not fill the terminal

MAX_PATTERN = 60  # characters of a regular expression that a person may still take in
_KINDS = {
    "int_type": "a number without quotes",
    "float_type": "a number without quotes",
    "bool_type": "true or false, without quotes",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys and values",
    "model_type": "a mapping of keys and values",
}
"""What pydantic's errors about types ask for, in the words of a YAML file."""


class Closed(BaseModel, frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True):
    """Base of everything people write in our files: unknown keys are errors, keys are camelCase, values are frozen."""


Model = TypeVar("Model", bound=BaseModel)


def read_document(
    document: YamlDocument, model: type[Model], *, error: type[InvalidInput], inside: PathInside = ()
) -> Model:
    """Check the value at `inside` against `model`. Raises `error` with every mistake as a reason.

    Each message is `file:line: path: what is wrong`.
    """
    value = _at(document.value, inside)
    try:
        # JSON mode is strict about types and takes a list for a tuple; only the camelCase names are keys of the file
        return model.model_validate_json(json.dumps(value), strict=True, by_alias=True, by_name=False)
    except ValidationError as problem:
        schema = model.model_json_schema(by_alias=True)
        mistakes = _worth_saying(problem.errors(include_url=False))[:MAX_MISTAKES]
        found = [_reason(document, inside, mistake, schema, error.code) for mistake in mistakes]
        raise refusal(error, [reason for _, reason in sorted(found, key=lambda each: each[0])]) from problem


def refusal(error: type[InvalidInput], reasons: Sequence[Reason]) -> InvalidInput:
    """Make an `error` that carries several reasons; its message is the first of them."""
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    result = error(reasons[0].message + more)
    result.reasons = tuple(reasons)
    return result


def mistake_at(
    document: YamlDocument,
    path: PathInside,
    message: str,
    *,
    code: str,
    expected: str | None = None,
    found: str | None = None,
    hint: str | None = None,
) -> Reason:
    """Describe a mistake that a model cannot see, in the same words."""
    where = f"{document.name}:{document.line_of(path)}: "
    return Reason(code, f"{where}{path_text(path)}: {message}" if path else f"{where}{message}", found, expected, hint)


def _worth_saying(mistakes: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out "too few items" where the items are there and are what is wrong."""
    return [
        mistake
        for mistake in mistakes
        if mistake["type"] != "too_short"
        or not any(other["loc"][: len(mistake["loc"])] == mistake["loc"] for other in mistakes if other is not mistake)
    ]


def _reason(
    document: YamlDocument, inside: PathInside, mistake: ErrorDetails, schema: JsonObject, code: str
) -> tuple[int, Reason]:
    """Give the line a mistake is in, and the reason that says so."""
    path = _real_path(document.value, (*inside, *mistake["loc"]))
    found = _at(document.value, path)
    message, expected, hint = _explain(mistake, schema)
    shown = None if mistake["type"] in {"missing", "extra_forbidden"} else _shown(found)
    line = document.line_of(path)
    where = f"{document.name}:{line}: "
    text = f"{where}{path_text(path)}: {message}" if path else f"{where}{message}"
    return line, Reason(code, text, shown, expected, hint)


def _explain(mistake: ErrorDetails, schema: JsonObject) -> tuple[str, str | None, str | None]:
    kind, context = mistake["type"], mistake.get("ctx", {})
    if kind == "missing":
        return "is missing", None, None
    if kind == "extra_forbidden":
        *parent, key = mistake["loc"]
        known = sorted(_members(_schema_at(schema, tuple(parent)), "properties"))
        close = difflib.get_close_matches(str(key), known, n=1)
        return "is not a key here", f"one of {', '.join(known)}", f"write {close[0]}" if close else None
    if kind == "value_error":
        return str(context.get("error", mistake["msg"])), None, None
    if mistake["loc"][-1:] == ("[key]",):
        known = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        close = difflib.get_close_matches(str(mistake["input"]), known, n=1)
        expected = f"one of {', '.join(known)}" if known else _form(schema, mistake["loc"][:-2], context)
        return "is not a key here", expected, f"write {close[0]}" if close else None
    if kind in {"literal_error", "enum"}:
        return "is not one of the values allowed", str(context.get("expected", "")), None
    if kind == "string_type":
        return "is not text", "text", "put quotes around it"
    if kind == "string_pattern_mismatch":
        return "has the wrong form", _form(schema, mistake["loc"], context), None
    if kind in _KINDS:
        return "is not what belongs here", _KINDS[kind], None
    return mistake["msg"][:1].lower() + mistake["msg"][1:], None, None


def _form(schema: JsonObject, path: PathInside, context: Mapping[str, object]) -> str | None:
    """Say in words what form is right: the field's description, and examples or else a pattern that people can read."""
    pattern = context.get("pattern")
    short = str(pattern) if pattern is not None and len(str(pattern)) <= MAX_PATTERN else None
    examples = _members(_schema_at(schema, path)).get("examples")
    such = f"such as {', '.join(map(str, examples))}" if isinstance(examples, list) and examples else short
    words = [text for text in ((_description(schema, path) or "").removesuffix("."), such) if text]
    return ": ".join(words) or None


def _description(schema: JsonObject, path: PathInside) -> str | None:
    """Give the description of the field at `path`; that of a list goes for its items."""
    for end in range(len(path), 0, -1):
        # what the field says, before a reference or an alternative is followed
        declared = _members(_members(_schema_at(schema, path[: end - 1]), "properties").get(str(path[end - 1])))
        described = declared.get("description") or _members(_schema_at(schema, path[:end])).get("description")
        if isinstance(described, str):
            return described
        if not isinstance(path[end - 1], int):
            break
    return None


def _schema_at(schema: JsonObject, path: PathInside) -> JsonValue:
    node: JsonValue = schema
    for part in path:
        members = _members(node)
        if "oneOf" in members:  # a tagged union, whose tags are the models' names
            node = _members(schema, "$defs").get(str(part))
        elif isinstance(part, int):
            node = _resolve(schema, members.get("items"))
        else:
            patterns = list(_members(members, "patternProperties").values())
            others = patterns[0] if patterns else members.get("additionalProperties")
            node = _resolve(schema, _members(members, "properties").get(part, others))
    return node


def _resolve(schema: JsonObject, node: JsonValue) -> JsonValue:
    options = _members(node).get("anyOf")
    if isinstance(options, list):
        node = next((option for option in options if _members(option).get("type") != "null"), node)
    reference = _members(node).get("$ref")
    return _members(schema, "$defs").get(reference.rpartition("/")[2]) if isinstance(reference, str) else node


def _members(value: JsonValue, key: str | None = None) -> JsonObject:
    found = value.get(key) if isinstance(value, dict) and key is not None else value
    return found if isinstance(found, dict) else {}


def _at(value: JsonValue, path: PathInside) -> JsonValue:
    for part in path:
        if isinstance(value, dict) and isinstance(part, str):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        else:
            return None
    return value


def _real_path(value: JsonValue, path: PathInside) -> PathInside:
    """Drop the parts that pydantic adds for its own purposes (union members, `[key]`), which no file has."""
    real: list[str | int] = []
    for index, part in enumerate(path):
        inside = (isinstance(value, dict) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        )
        if inside or (index == len(path) - 1 and part != "[key]" and isinstance(value, dict | list)):
            real.append(part)
            value = _at(value, (part,))
    return tuple(real)


def _shown(value: JsonValue) -> str:
    # quotes tell text from a number, and text with a line break from two lines
    return repr(value[:160]) if isinstance(value, str) else json.dumps(value)[:160]
