"""From a view to what a condition is evaluated on: only the members it looks at, typed, and what of them is missing.

A condition is evaluated on maps, not on protobuf messages: there a missing double reads 0 and `error_rate < 0.05` would
be true for want of evidence. What is not there is an error here, and it is looked for before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tidegate.formats.jcs import JsonValue
from tidegate.formats.moment import parse_moment
from tidegate.policy.cel.paths import Each, Path, path_text, type_inside
from tidegate.policy.cel.reads import Read, Reads, Use
from tidegate.policy.cel.schemas import DYN, FieldType, ListOf, MapOf, Message, Scalar, is_of

MAX_INT = (1 << 63) - 1  # CEL's int


class Mismatch(ValueError):
    """A value is not of the type that the schema gives. `path`: which."""

    def __init__(self, path: str, expected: str, found: JsonValue) -> None:
        super().__init__(f"{path} is no {expected}")
        self.path = path
        self.expected = expected
        self.found = type(found).__name__ if isinstance(found, list | dict) else str(found)[:80]


@dataclass(slots=True)
class Pick:
    """Which parts of a value are looked at: all (`whole`), all keys of a map (`keys`), or parts of each element."""

    kind: FieldType
    whole: bool = False
    keys: bool = False
    members: dict[str, Pick] = field(default_factory=dict)
    elements: Pick | None = None

    def inside(self, step: str | int | Each) -> Pick:
        """Give the part one step further."""
        kind = type_inside(self.kind, step)
        if kind is None:
            raise AssertionError(f"no read goes where no type is: {step}")
        if isinstance(step, str):
            return self.members.setdefault(step, Pick(kind))
        if self.elements is None:
            self.elements = Pick(kind)
        return self.elements

    def of(self, value: JsonValue, at: str) -> object:
        """Give the parts of `value` in the types of CEL. Raises Mismatch."""
        if self.whole or (self.members and self.elements is not None):
            return typed(value, self.kind, at)
        if isinstance(value, dict) and not isinstance(self.kind, ListOf):
            return self._object(value, at)
        if isinstance(value, list) and not isinstance(self.kind, Message | MapOf):
            inside = self.elements
            return [
                inside.of(item, f"{at}[{i}]") if inside and item is not None else None for i, item in enumerate(value)
            ]
        if self.kind is DYN:
            return typed(value, self.kind, at)
        raise Mismatch(at, "list" if isinstance(self.kind, ListOf) else "object", value)

    def _object(self, value: dict[str, JsonValue], at: str) -> dict[str, object]:
        if self.elements is None and not self.keys:
            return {
                name: pick.of(value[name], f"{at}.{name}")
                for name, pick in self.members.items()
                if value.get(name) is not None
            }
        pick = self.elements or Pick(DYN, whole=True)
        return {name: pick.of(item, f"{at}.{name}") for name, item in value.items() if item is not None}


def picks(reads: Reads, variables: Mapping[str, FieldType | None]) -> dict[str, Pick]:
    """Give what is looked at of each variable with members that the condition names."""
    result = {name: Pick(kind) for name, kind in variables.items() if kind is not None and name in reads.names}
    for read in reads.reads:
        pick = _pick(result, read.path)
        pick.whole |= read.use is Use.VALUE
        pick.keys |= read.use is Use.SHAPE
    for path in reads.tests:
        pick = _pick(result, path)
        pick.whole |= isinstance(pick.kind, Scalar)
    return result


def _pick(roots: Mapping[str, Pick], path: Path) -> Pick:
    pick = roots[str(path[0])]
    for step in path[1:]:
        pick = pick.inside(step)
    return pick


def typed(value: JsonValue, kind: FieldType, at: str) -> object:
    """Give `value` as CEL shall see it: counts as int, ratios as double whatever JSON wrote. Raises Mismatch."""
    match kind:
        case Scalar.DYN:
            return _doubles(value)
        case Scalar.DOUBLE if type(value) is int:
            return float(value)
        case Scalar.TIMESTAMP if isinstance(value, str):
            return _timestamp(value, at)
        case Scalar.INT if type(value) is int and -MAX_INT <= value <= MAX_INT:
            return value
        case Scalar() if kind is not Scalar.INT and is_of(value, kind):
            return value
        case ListOf(item=inside) if isinstance(value, list):
            return [typed(item, inside, f"{at}[{index}]") for index, item in enumerate(value)]
        case Message(fields=fields) if isinstance(value, dict):
            known = ((name, item) for name, item in value.items() if name in fields and item is not None)
            return {name: typed(item, fields[name], f"{at}.{name}") for name, item in known}
        case MapOf(value=inside) if isinstance(value, dict):
            return {name: typed(item, inside, f"{at}.{name}") for name, item in value.items() if item is not None}
        case _:
            raise Mismatch(at, kind.value if isinstance(kind, Scalar) else type(kind).__name__.lower(), value)


def _doubles(value: JsonValue) -> object:
    if isinstance(value, dict):
        return {name: _doubles(item) for name, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_doubles(item) for item in value]
    return float(value) if type(value) is int else value


def _timestamp(text: str, at: str) -> object:
    from google.protobuf.timestamp_pb2 import Timestamp

    try:
        moment = parse_moment(text)
    except ValueError:
        raise Mismatch(at, "timestamp", text) from None
    # the library takes no datetime inside a map
    result = Timestamp()
    result.FromDatetime(moment)
    return result


Values = Mapping[str, JsonValue]
_Bound = Mapping[int, str | int]


def missing(reads: Iterable[Read], values: Values) -> tuple[str, ...]:
    """Give the paths that the condition would look at and that are not there, one of each read. Null is absent."""
    found = (_first_missing(read, values, values, 0, {}) for read in reads)
    return tuple(sorted({path_text(path) for path in found if path is not None}))


def measured(reads: Iterable[Read], values: Values) -> dict[str, JsonValue]:
    """Give what is read, by path, as far as it is one value; of lists and maps, how long they are: `size(path)`."""
    result: dict[str, JsonValue] = {}
    for read in reads:
        value = _resolve(read.path, values, {})
        if isinstance(value, list | dict):
            result[f"size({path_text(read.path)})"] = len(value)
        elif isinstance(value, str | int | float):
            result[path_text(read.path)] = value
    return result


def _first_missing(read: Read, values: Values, value: object, at: int, bound: _Bound) -> Path | None:
    """Look along the path from step `at` on, where `value` is; `bound`: which elements led there."""
    for number in range(at, len(read.path)):
        step = read.path[number]
        if isinstance(step, Each):
            several = (
                _first_missing(read, values, item, number + 1, {**bound, step.by: key}) for key, item in _items(value)
            )
            return next((path for path in several if path is not None), None)
        value = _member(value, step)
        if value is None:
            break
    if value is not None or any(_resolve(guard, values, bound) is None for guard in read.guards):
        return None
    return tuple(bound.get(step.by, step) if isinstance(step, Each) else step for step in read.path)


def _resolve(path: Path, values: Values, bound: _Bound) -> object:
    """Give the value at `path`; None: it is absent, or goes over elements that are not bound."""
    value: object = values
    for step in path:
        exact = bound.get(step.by) if isinstance(step, Each) else step
        value = None if exact is None else _member(value, exact)
        if value is None:
            return None
    return value


def _member(value: object, step: str | int) -> object:
    if isinstance(value, Mapping):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
        return value[step]
    return None


def _items(value: object) -> Iterable[tuple[str | int, object]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()
