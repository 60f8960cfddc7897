"""From a view to what a condition is evaluated on: only the parts it looks at, in the types of CEL.

A condition is evaluated on maps, not on protobuf messages: there a missing double reads 0, and `error_rate < 0.05`
would be true for want of evidence. In a map, what is not there is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from tidegate.formats.jcs import JsonValue
from tidegate.formats.moment import parse_moment
from tidegate.policy.cel.paths import Path, Step, path_text, type_inside
from tidegate.policy.cel.reads import Reads, Use
from tidegate.policy.cel.schemas import FieldType, ListOf, MapOf, Message, Scalar

MAX_INT: Final = (1 << 63) - 1  # CEL's int

Convert = Callable[[JsonValue], object]
"""Gives the parts of a value that are looked at. Raises Mismatch."""


class Mismatch(ValueError):
    """A value is not of the type that the schema gives."""

    def __init__(self, expected: str, found: JsonValue) -> None:
        super().__init__()
        self.expected = expected
        self.found = type(found).__name__ if isinstance(found, list | dict) else str(found)[:80]
        self.path: Path = ()

    def within(self, step: str | int) -> Mismatch:
        """Say one step more of where it is; steps are known from the inside out."""
        self.path = (step, *self.path)
        return self

    def __str__(self) -> str:
        return f"{path_text(self.path)} is no {self.expected}"


@dataclass(slots=True)
class _Pick:
    """Which parts of a value are looked at: all (`whole`), all keys of a map (`keys`), or parts of each element."""

    kind: FieldType
    whole: bool = False
    keys: bool = False
    members: dict[str, _Pick] = field(default_factory=dict)
    elements: _Pick | None = None

    def inside(self, step: Step) -> _Pick:
        kind = type_inside(self.kind, step)
        if kind is None:
            raise AssertionError(f"no read goes where no type is: {step}")
        if isinstance(step, str):
            return self.members.setdefault(step, _Pick(kind))
        if self.elements is None:
            self.elements = _Pick(kind)
        return self.elements

    def convert(self) -> Convert:
        # parts of each element, and other parts of some: simpler to take it all
        if self.whole or (self.members and (self.keys or self.elements is not None)):
            return _whole(self.kind)
        members = {name: pick.convert() for name, pick in self.members.items()}
        each = _shape if self.elements is None else self.elements.convert()
        match self.kind:
            case ListOf():
                return partial(_list, each)
            case Message():
                return partial(_object, members)
            case MapOf():
                return partial(_map, each) if self.keys or self.elements is not None else partial(_object, members)
            case Scalar.DYN:
                return partial(_anything, members, each)
            case _:
                return _whole(self.kind)


def converters(reads: Reads, variables: Mapping[str, FieldType | None]) -> dict[str, Convert]:
    """Give what prepares the value of each variable with members that the condition names."""
    roots = {name: _Pick(kind) for name, kind in variables.items() if kind is not None and name in reads.names}
    for read in reads.reads:
        pick = _find(roots, read.path)
        pick.whole |= read.use is Use.VALUE
        pick.keys |= read.use is Use.SHAPE
    for path in reads.tests:
        _find(roots, path)
    return {name: pick.convert() for name, pick in roots.items()}


def _find(roots: Mapping[str, _Pick], path: Path) -> _Pick:
    pick = roots[str(path[0])]
    for step in path[1:]:
        pick = pick.inside(step)
    return pick


def _whole(kind: FieldType) -> Convert:
    match kind:
        case Scalar():
            return _SCALARS[kind]
        case ListOf(item=inside):
            return partial(_list, _whole(inside))
        case MapOf(value=inside):
            return partial(_map, _whole(inside))
        case Message(fields=fields):
            return partial(_object, {name: _whole(inside) for name, inside in fields.items()})


def _object(members: Mapping[str, Convert], value: JsonValue) -> object:
    if not isinstance(value, dict):
        raise Mismatch("object", value)
    result = {}
    for name, convert in members.items():
        item = value.get(name)
        if item is not None:
            try:
                result[name] = convert(item)
            except Mismatch as error:
                raise error.within(name) from None
    return result


def _map(each: Convert, value: JsonValue) -> object:
    if not isinstance(value, dict):
        raise Mismatch("object", value)
    return _object(dict.fromkeys(value, each), value)


def _list(each: Convert, value: JsonValue) -> object:
    if not isinstance(value, list):
        raise Mismatch("list", value)
    result = []
    for index, item in enumerate(value):
        try:
            result.append(None if item is None else each(item))
        except Mismatch as error:
            raise error.within(index) from None
    return result


def _anything(members: Mapping[str, Convert], each: Convert, value: JsonValue) -> object:
    if isinstance(value, list):
        return _list(each, value)
    if isinstance(value, dict):
        return _object(members, value) if members else _map(each, value)
    return _doubles(value)


def _shape(_: JsonValue) -> object:
    """Stand for a value of which only is looked at that it is there."""
    return True


def _string(value: JsonValue) -> object:
    if not isinstance(value, str):
        raise Mismatch("string", value)
    return value


def _bool(value: JsonValue) -> object:
    if not isinstance(value, bool):
        raise Mismatch("bool", value)
    return value


def _int(value: JsonValue) -> object:
    if type(value) is not int or not -MAX_INT <= value <= MAX_INT:
        raise Mismatch("int", value)
    return value


def _double(value: JsonValue) -> object:
    """Give a double whatever JSON wrote: 1 and 1.0 are one number there."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Mismatch("double", value)
    return float(value)


def _timestamp(value: JsonValue) -> object:
    from google.protobuf.timestamp_pb2 import Timestamp

    try:
        moment = parse_moment(value if isinstance(value, str) else "")
    except ValueError:
        raise Mismatch("timestamp", value) from None
    # the library takes no datetime inside a map
    result = Timestamp()
    result.FromDatetime(moment)
    return result


def _doubles(value: JsonValue) -> object:
    if isinstance(value, dict):
        return {name: _doubles(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_doubles(item) for item in value]
    return float(value) if type(value) is int else value


_SCALARS: Final[Mapping[Scalar, Convert]] = {
    Scalar.STRING: _string,
    Scalar.BOOL: _bool,
    Scalar.INT: _int,
    Scalar.DOUBLE: _double,
    Scalar.TIMESTAMP: _timestamp,
    Scalar.DYN: _doubles,
}
