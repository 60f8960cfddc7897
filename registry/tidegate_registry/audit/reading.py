"""Entries read back as the events that they were: the opposite of `Event.as_json`, for whoever redoes what they say."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from tidegate.errors import InvalidInput, Reason
from tidegate.formats.moment import parse_moment
from tidegate_registry.audit.events import Actor, Event

if TYPE_CHECKING:
    from tidegate.formats.jcs import JsonObject, JsonValue

E = TypeVar("E", bound=Event)


class EntryUnreadable(InvalidInput):
    """An entry lacks a member of its type, or has one of another form."""

    code = "entry-unreadable"


def read_event(kind: type[E], *, at: datetime, actor: Actor, data: JsonObject) -> E:
    """Make the event of an entry of type `kind.type`. Members that this version does not know are left out.

    Raises EntryUnreadable.
    """
    values: dict[str, object] = {"at": at, "actor": actor}
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        if field.name in values:
            continue
        try:
            if data.get(field.name) is not None:
                values[field.name] = _read(hints[field.name], data[field.name])
            elif field.default is dataclasses.MISSING:
                values[field.name] = _read(hints[field.name], None)
        except (TypeError, ValueError, KeyError) as error:
            raise EntryUnreadable(
                f"an entry of type {kind.type} cannot be read",
                found=f"{field.name}: {str(data.get(field.name))[:160]}",
                expected=str(field.type),
                hint="it was written by a newer registry, or by none",
            ) from error
    return kind(**values)  # type: ignore[arg-type] # each value was read by its field's type


def _read(hint: Any, value: JsonValue) -> object:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        return _read(next(each for each in arguments if each is not type(None)), value)
    if origin is tuple and isinstance(value, list):
        return tuple(_read(arguments[0], each) for each in value)
    if origin is not None and issubclass(origin, Mapping) and isinstance(value, dict):
        return value
    if hint is datetime and isinstance(value, str):
        return parse_moment(value)
    if hint in (Actor, Reason) and isinstance(value, dict):
        return hint(**value)
    if hint in (str, int, bool, float) and type(value) is hint:
        return value
    raise TypeError(f"{value!r} is no {hint}")
