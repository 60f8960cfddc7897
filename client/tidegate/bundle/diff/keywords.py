"""What single keywords of JSON Schema say, and how values are written for a person. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes

ANNOTATIONS = frozenset(
    {"title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "$comment", "$id", "$schema"}
    | {"$anchor", "contentEncoding", "contentMediaType", "contentSchema"}
)
DEFINITIONS = frozenset({"$defs", "definitions"})
REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
TYPES = frozenset({"null", "boolean", "object", "array", "string", "number", "integer"})
MAX_SHOWN = 120  # characters of a value in a message

Schema = JsonValue  # an object, true or false; anything else is no schema, and is compared as a value


def json_text(value: JsonValue) -> bytes:
    """Give the one form of a JSON value: to JSON Schema 1 is 1.0, and true is not 1."""
    return canonical_bytes(value)


def shown(value: JsonValue) -> str:
    """Write a value, cut where it is long."""
    text = plain(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"


def plain(value: JsonValue) -> str:
    """Write a value: texts as they are, others as JSON."""
    return "none" if value is None else value if isinstance(value, str) else json_text(value).decode()


def shown_change(before: JsonValue, after: JsonValue, most: int = MAX_SHOWN) -> str:
    """Write two values with an arrow between them; of long ones, the place where they begin to differ."""
    texts = [plain(before), plain(after)]
    same = next((at for at, (one, two) in enumerate(zip(*texts, strict=False)) if one != two), min(map(len, texts)))
    start = max(0, same - most // 4) if max(map(len, texts)) > most else 0
    cut = [
        f"{'…' if start else ''}{text[start : start + most]}{'…' if len(text) > start + most else ''}" for text in texts
    ]
    return " → ".join(cut)


def listed(values: frozenset[str]) -> str:
    """Write a set of values."""
    return shown(" or ".join(sorted(values)[:10]) + (" …" if len(values) > 10 else ""))  # noqa: PLR2004 - to be read


def joined(path: str, name: str) -> str:
    """Give the path of a property."""
    return f"{path}.{name}" if path else name


def as_object(schema: Schema) -> JsonObject | None:
    """Give a schema as an object; None for false and for what is no schema."""
    if schema is True:
        return {}
    return schema if isinstance(schema, dict) else None


def asserting(schema: JsonObject) -> JsonObject:
    """Leave out what says nothing about documents."""
    return {
        name: value
        for name, value in schema.items()
        if name not in ANNOTATIONS and name not in DEFINITIONS and not name.startswith("x-")
    }


def definitions_of(root: Schema) -> JsonObject:
    """Give what references may name."""
    return {name: root[name] for name in DEFINITIONS if name in root} if isinstance(root, dict) else {}


def reference_of(schema: Schema) -> str:
    """Give what a schema refers to, empty for nothing."""
    if not isinstance(schema, dict):
        return ""
    return next((str(schema[name]) for name in sorted(REFERENCES) if name in schema), "")


def references_in(schema: JsonValue) -> Iterator[str]:
    """Give every reference inside, also where it is only a value that looks like one: too many do no harm."""
    if isinstance(schema, dict):
        for name, value in schema.items():
            if name in REFERENCES:
                yield str(value) if name == "$ref" else name
            yield from references_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references_in(value)


def is_definition(name: str) -> bool:
    """Whether a reference names a definition of its own document."""
    return name.startswith(("#/$defs/", "#/definitions/"))


def alternatives(schema: JsonObject) -> list[Schema] | None:
    """Give the alternatives of a schema that is nothing else; None for any other."""
    any_of = schema.get("anyOf")
    return any_of if schema.keys() == {"anyOf"} and isinstance(any_of, list) and any_of else None


def by_type(schema: JsonObject) -> list[Schema]:
    """Write a schema of several types as one for each."""
    types = schema.get("type")
    return [{**schema, "type": each} for each in types] if isinstance(types, list) and types else [schema]


def type_set(value: JsonValue) -> frozenset[str] | None:
    """Give the types that are allowed; None for what is no `type`. A number may be an integer."""
    if value is None:
        return TYPES
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list):
        return None
    found = frozenset(name for name in names if isinstance(name, str) and name in TYPES)
    if len(found) != len(names):
        return None
    return found | {"integer"} if "number" in found else found


def constants(schema: JsonObject) -> frozenset[str] | None:
    """Give the values that `enum` and `const` leave; None when there is neither."""
    found: frozenset[str] | None = None
    if isinstance(values := schema.get("enum"), list):
        found = frozenset(json_text(value).decode() for value in values)
    if "const" in schema:
        constant = frozenset({json_text(schema["const"]).decode()})
        found = constant if found is None else found & constant
    return found


def as_number(value: JsonValue) -> float | None:
    """Give a number; None for anything else."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def name_set(value: JsonValue) -> frozenset[str] | None:
    """Give a list of names; None for anything else."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        return None
    return frozenset(str(name) for name in value)


def is_silent(schema: JsonObject) -> bool:
    """Whether an object names properties and says nothing of further ones; else it is closed, or a map."""
    return bool(schema.get("properties")) and "additionalProperties" not in schema


def short_name(schema: Schema) -> str:
    """Say in a word what a schema is about."""
    if isinstance(schema, dict):
        return shown(schema.get("type") or reference_of(schema) or ("values" if "enum" in schema else "any"))
    return "anything" if schema is True else "nothing"
