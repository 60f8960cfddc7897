"""All types of entries of all rooms, and the JSON Schema that their classes give: the only source of it."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib import import_module

from tidegate.errors import Reason
from tidegate.formats.entry import MAX_ISSUER, MAX_NAME, MAX_PERSON, ActorKind
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate_registry.audit.events import Actor, Event
from tidegate_registry.audit.fields import EVENT_ID, Form

ROOMS = (
    "admission.events",
    "artifacts.events",
    "audit.events",
    "audit.objects",
    "enrolment.events",
    "evidence.events",
    "keeping.events",
    "policies.events",
    "promotion.events",
    "summaries.events",
    "trusting.events",
)
SCHEMA_ID = "https://tidegate.dev/schema/log-entry-v1.json"
AT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$"


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """One member of a type's data. `form`: None where the type alone says it."""

    name: str
    annotation: object
    form: Form | None
    is_required: bool


def event_types() -> list[type[Event]]:
    """Give the classes of all rooms in the order of their types' names."""
    for room in ROOMS:
        import_module(f"tidegate_registry.{room}")
    return sorted(set(_below(Event)), key=lambda each: each.type)


def members_of(kind: type[Event]) -> list[Member]:
    """Give what stands in the data of an entry of this type."""
    hints = typing.get_type_hints(kind, include_extras=True)
    names = [field.name for field in dataclasses.fields(kind) if field.name not in ("at", "actor")]
    return [_member(name, hints[name]) for name in names]


def schema() -> JsonObject:
    """Give the JSON Schema (2020-12) of an entry."""
    kinds = event_types()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Entry of a Tidegate audit log",
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": EVENT_ID},
            "version": {"type": "integer", "minimum": 1},
            "type": {"enum": [kind.type for kind in kinds]},
            "at": {"type": "string", "pattern": AT},
            "actor": {"$ref": "#/$defs/actor"},
            "data": {"type": "object"},
        },
        "required": ["id", "version", "type", "at", "actor", "data"],
        "additionalProperties": False,
        "allOf": [
            {
                "if": {"properties": {"type": {"const": kind.type}}},
                "then": {
                    "properties": {"version": {"const": kind.entry_version}, "data": {"$ref": f"#/$defs/{kind.type}"}}
                },
            }
            for kind in kinds
        ],
        "$defs": {
            "actor": _object(
                {
                    "kind": {"enum": [str(each) for each in ActorKind]},
                    "issuer": {"type": "string", "maxLength": MAX_ISSUER},
                    "name": {"type": "string", "minLength": 1, "maxLength": MAX_NAME},
                    "person": {"type": "string", "minLength": 1, "maxLength": MAX_PERSON},
                },
                required=["kind", "issuer", "name"],
            ),
            "reason": _object(
                {name: {"type": "string"} for name in ("code", "message", "found", "expected", "hint", "step")},
                required=["code", "message"],
            ),
            **{kind.type: _data(kind) for kind in kinds},
        },
    }


def _below(kind: type[Event]) -> Iterator[type[Event]]:
    for each in kind.__subclasses__():
        if each.__module__.startswith("tidegate_registry."):  # tests have some of their own
            yield each
        yield from _below(each)


def _member(name: str, annotation: object) -> Member:
    parts = [each for each in typing.get_args(annotation) if each is not types.NoneType]
    is_optional = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    inner = parts[0] if is_optional else annotation
    forms = [each for each in getattr(inner, "__metadata__", ()) if isinstance(each, Form)]
    bare = typing.get_args(inner)[0] if forms else inner
    return Member(name, bare, forms[0] if forms else None, not is_optional)


def _data(kind: type[Event]) -> JsonObject:
    members = members_of(kind)
    found = _object(
        {each.name: _value(kind, each) for each in members},
        required=[each.name for each in members if each.is_required],
    )
    return {"description": summary(kind), **found}


def summary(kind: type[Event]) -> str:
    """Give the words of a type, in one paragraph."""
    return " ".join((kind.__doc__ or "").split())


def _value(kind: type[Event], member: Member) -> JsonObject:
    simple: Mapping[object, JsonObject] = {
        int: {"type": "integer", "minimum": 0},
        bool: {"type": "boolean"},
        datetime: {"type": "string", "pattern": AT},
        Actor: {"$ref": "#/$defs/actor"},
    }
    if member.annotation in simple:
        return dict(simple[member.annotation])
    if typing.get_origin(member.annotation) is Mapping or member.annotation is Mapping:
        return {"type": "object"}
    form = member.form
    if form is None:
        raise TypeError(f"{kind.__name__}.{member.name}: how long it may be is not said")
    if member.annotation is str:
        return _text(form)
    item = typing.get_args(member.annotation)[0]
    if item is Reason:
        return {"type": "array", "items": {"$ref": "#/$defs/reason"}, "maxItems": form.most}
    inner = _member(member.name, item)
    return {"type": "array", "items": _value(kind, inner), "maxItems": form.most}


def _text(form: Form) -> JsonObject:
    found: JsonObject = {"type": "string", "maxLength": form.most}
    return found if form.pattern is None else found | {"pattern": form.pattern}


def _object(properties: Mapping[str, JsonValue], *, required: list[str]) -> JsonObject:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list[JsonValue](required),
        "additionalProperties": False,
    }
