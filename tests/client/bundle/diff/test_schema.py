"""What a change of a schema means: examples a person would write, and any schemas against a real validator."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tidegate.bundle.diff.schema import (
    MAX_NODES,
    Effect,
    SchemaChange,
    breaks_reader,
    breaks_sender,
    compare_schemas,
    overall,
)
from tidegate.formats.jcs import JsonValue

ORDER: dict[str, Any] = {
    "type": "object",
    "properties": {"id": {"type": "string", "maxLength": 4}, "note": {"type": "string"}},
    "required": ["id"],
}


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    return schema | {"additionalProperties": False}


def with_property(name: str, schema: object, base: dict[str, Any] = ORDER) -> dict[str, Any]:
    return base | {"properties": base["properties"] | {name: schema}}


def without(name: str, base: dict[str, Any] = ORDER) -> dict[str, Any]:
    return base | {"properties": {key: value for key, value in base["properties"].items() if key != name}}


EXAMPLES: dict[str, tuple[JsonValue, JsonValue, Effect | None, str]] = {
    "nothing": (ORDER, dict(reversed(ORDER.items())), None, ""),
    "words": (ORDER, ORDER | {"description": "an order"}, Effect.WORDS, "description none → an order"),
    "optional parameter": (ORDER, with_property("express", {"type": "boolean"}), Effect.EITHER, "express: added"),
    "optional parameter of a closed object": (
        closed(ORDER),
        closed(with_property("express", {"type": "boolean"})),
        Effect.WIDER,
        "express: added (boolean)",
    ),
    "parameter removed": (ORDER, without("note"), Effect.NARROWER, "note: removed (was string)"),
    "parameter demanded": (ORDER, ORDER | {"required": ["id", "note"]}, Effect.NARROWER, "note: required now"),
    "parameter no longer demanded": (ORDER, ORDER | {"required": []}, Effect.WIDER, "id: no longer required"),
    "bound lifted": (ORDER, with_property("id", {"type": "string", "maxLength": 5}), Effect.WIDER, "maxLength 4 → 5"),
    "bound gone": (ORDER, with_property("id", {"type": "string"}), Effect.WIDER, "maxLength 4 → none"),
    "bound set": ({"minimum": 1}, {"minimum": 1, "maximum": 9}, Effect.NARROWER, "maximum none → 9"),
    "type opened": ({"type": "integer"}, {"type": "number"}, Effect.WIDER, "type integer → number"),
    "type changed": ({"type": "integer"}, {"type": "string"}, Effect.OTHER, "type integer → string"),
    "true is not one": ({"const": 1}, {"const": True}, Effect.OTHER, "value true added; value 1 removed"),
    "one is one": ({"const": 1}, {"enum": [1.0]}, None, ""),
    "value added": ({"enum": ["a"]}, {"enum": ["a", "b"]}, Effect.WIDER, 'value "b" added'),
    "value removed": ({"enum": ["a", "b"]}, {"enum": ["a"]}, Effect.NARROWER, 'value "b" removed'),
    "pattern changed": ({"pattern": "a"}, {"pattern": "b"}, Effect.OTHER, "pattern a → b"),
    "multiples": ({"multipleOf": 6}, {"multipleOf": 3}, Effect.WIDER, "multipleOf 6 → 3"),
    "closed": (ORDER, closed(ORDER), Effect.NARROWER, "*: no longer allowed"),
    "opened": (closed(ORDER), ORDER, Effect.WIDER, "*: allowed now"),
    "items": (
        {"items": {"type": "integer"}},
        {"items": {"type": "integer", "minimum": 0}},
        Effect.NARROWER,
        "[]: minimum none → 0",
    ),
    "free form gets a property": (
        {"type": "object"},
        with_property("id", {}, {"type": "object", "properties": {}}) | {"properties": {"id": {"type": "string"}}},
        Effect.NARROWER,
        "id: added",
    ),
    "a map gets a property": (
        {"additionalProperties": {"type": "integer"}},
        {"additionalProperties": {"type": "integer"}, "properties": {"id": {"type": "number"}}},
        Effect.WIDER,
        "id: added",
    ),
    "may be null now": (
        {"type": "string"},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        Effect.WIDER,
        "one of string → one of string, null",
    ),
    "may not be null any more": ({"type": ["string", "null"]}, {"type": "string"}, Effect.NARROWER, "type"),
    "two spellings of null": (
        {"type": ["string", "null"]},
        {"anyOf": [{"type": "string"}, {"type": "null"}]},
        Effect.WORDS,
        "",
    ),
    "inside an alternative": (
        {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]},
        {"anyOf": [{"type": "string", "maxLength": 2}, {"type": "null"}]},
        Effect.NARROWER,
        "maxLength 3 → 2",
    ),
    "what it cannot follow": ({"not": {"type": "null"}}, {"not": {"type": "string"}}, Effect.OTHER, "not changed"),
    "an unknown keyword": ({"nullable": True}, {}, Effect.OTHER, "nullable changed"),
    "behind a reference": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"maxLength": 1}}},
        {"$ref": "#/$defs/b", "$defs": {"b": {"maxLength": 2}}},
        Effect.WIDER,
        "maxLength 1 → 2",
    ),
    "a definition changed under a keyword that is not followed": (
        {"not": {"$ref": "#/$defs/a"}, "$defs": {"a": {"maxLength": 1}}},
        {"not": {"$ref": "#/$defs/a"}, "$defs": {"a": {"maxLength": 2}}},
        Effect.OTHER,
        "not changed",
    ),
    "a reference elsewhere": (
        {"$ref": "https://example.com/s", "type": "object"},
        {"$ref": "https://example.com/s"},
        Effect.OTHER,
        "cannot be followed",
    ),
    "one that goes round": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}},
        {"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}},
        Effect.OTHER,
        "cannot be followed",
    ),
    "one that goes round through an alternative": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}},
        {"type": "string"},
        Effect.OTHER,
        "nested too deeply",
    ),
    "a tree unrolled": (
        {"$ref": "#/$defs/n", "$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}, "v": {"type": "string"}}}}},
        {"properties": {"next": {"properties": {"next": True, "v": {"type": "integer"}}}, "v": {"type": "string"}}},
        Effect.OTHER,
        "next.v: type string → integer",
    ),
    "a tree": (
        {"$ref": "#/$defs/n", "$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}, "v": {"minimum": 1}}}}},
        {"$ref": "#/$defs/n", "$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}, "v": {"minimum": 0}}}}},
        Effect.WIDER,
        "v: minimum 1 → 0",
    ),
    "never": ({}, False, Effect.NARROWER, "no longer allowed"),
    "no schema": ({}, "x", Effect.OTHER, "no schema"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_change_is_called_what_it_is(name: str) -> None:
    before, after, effect, said = EXAMPLES[name]
    changes = compare_schemas(before, after)
    assert overall(changes) == effect, changes
    assert said in "\n".join(map(str, changes))


def test_backwards_means_the_mirror_image() -> None:
    mirror = {Effect.WIDER: Effect.NARROWER, Effect.NARROWER: Effect.WIDER}
    for name, (before, after, effect, _) in EXAMPLES.items():
        if name not in {"optional parameter", "parameter removed"}:  # the one reading that is no validator's
            assert overall(compare_schemas(after, before)) == (mirror.get(effect, effect) if effect else None), name


def test_senders_mind_what_is_refused_and_readers_what_is_new() -> None:
    effects = (Effect.WIDER, Effect.NARROWER, Effect.EITHER, Effect.WORDS, Effect.OTHER, None)
    assert [breaks_sender(effect) for effect in effects] == [False, True, False, False, True, False]
    assert [breaks_reader(effect) for effect in effects] == [True, False, False, False, True, False]
    both = [SchemaChange("a", Effect.WIDER, ""), SchemaChange("b", Effect.NARROWER, "")]
    assert overall(both) is Effect.OTHER


def test_what_is_too_large_to_compare_is_never_called_harmless() -> None:
    many: Any = {"properties": {f"p{index}": {"type": "string"} for index in range(MAX_NODES + 1)}}
    more: Any = {"properties": {name: {"type": ["string", "null"]} for name in many["properties"]}}
    assert overall(compare_schemas(many, more)) is Effect.OTHER
    alternatives: Any = [{"properties": {f"p{one}": {"const": one}}, "minProperties": 1} for one in range(200)]
    shifted: Any = [{**each, "maxProperties": 9} for each in alternatives]
    assert overall(compare_schemas({"anyOf": alternatives}, {"anyOf": shifted})) is Effect.OTHER


NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    st.sampled_from([None, True, False, 0, 1, 2, 3, 1.5, "", "x", "xy", "xyz"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
TYPES = st.sampled_from(["null", "boolean", "object", "array", "string", "number", "integer"])
SMALL = st.integers(0, 3)


def _keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
            "enum": st.lists(VALUES, min_size=1, max_size=3),
            "const": VALUES,
            "minimum": SMALL,
            "maximum": SMALL,
            "exclusiveMinimum": SMALL,
            "multipleOf": st.integers(1, 4),
            "minLength": SMALL,
            "maxLength": SMALL,
            "pattern": st.sampled_from(["x", "^x"]),
            "minItems": SMALL,
            "maxItems": SMALL,
            "uniqueItems": st.booleans(),
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "properties": st.dictionaries(NAMES, inner, max_size=3),
            "required": st.lists(NAMES, unique=True, max_size=2),
            "additionalProperties": inner,
            "minProperties": SMALL,
            "propertyNames": st.just({"maxLength": 1}),
            "patternProperties": st.dictionaries(st.just("^a"), inner, min_size=1),
            "anyOf": st.lists(inner, min_size=1, max_size=3),
            "not": inner,
            "$ref": st.just("#/$defs/d"),
            "description": st.just("words"),
        },
    )


SCHEMAS = st.recursive(st.booleans() | _keywords(st.booleans()), _keywords, max_leaves=8)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Any, Any]:
    """Two schemas of which the second is the first with something changed, each with a definition of its own."""
    before = draw(_keywords(SCHEMAS))
    other = draw(_keywords(SCHEMAS))
    kept = {name: value for name, value in before.items() if draw(st.integers(0, 3))}
    taken = {name: value for name, value in other.items() if not draw(st.integers(0, 3))}
    definition = draw(_keywords(st.booleans()).filter(lambda schema: "$ref" not in schema))
    changed = draw(st.just(definition) | _keywords(st.booleans()).filter(lambda schema: "$ref" not in schema))
    return before | {"$defs": {"d": definition}}, kept | taken | {"$defs": {"d": changed}}


def spelt_out(schema: Any) -> Any:
    """Close objects that name properties and are silent about further ones: what is sent by such a schema."""
    if isinstance(schema, list):
        return [spelt_out(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        name: {key: spelt_out(each) for key, each in value.items()}
        if name in {"properties", "patternProperties", "$defs"}
        else spelt_out(value)
        if name in {"items", "prefixItems", "additionalProperties", "anyOf"}
        else value
        for name, value in schema.items()
    }
    if found.get("properties") and not {"additionalProperties", "patternProperties"} & found.keys():
        found["additionalProperties"] = False
    return found


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(pairs(), st.lists(VALUES, min_size=10, max_size=30))
def test_a_document_that_is_good_under_the_narrow_schema_is_good_under_the_wide_one(
    pair: tuple[Any, Any], documents: list[Any]
) -> None:
    effect = overall(compare_schemas(*pair))
    before, after = (jsonschema.Draft202012Validator(schema) for schema in pair)
    sent, given_back = (jsonschema.Draft202012Validator(spelt_out(schema)) for schema in pair)
    for document in documents:
        if not breaks_sender(effect) and sent.is_valid(document):
            assert after.is_valid(document), effect
        if not breaks_reader(effect) and given_back.is_valid(document):
            assert before.is_valid(document), effect
