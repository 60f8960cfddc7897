"""What a condition looks at, found in the evidence: what is there, what is missing, and what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tidegate.formats.jcs import JsonValue
from tidegate.policy.cel.paths import Each, Path, path_text
from tidegate.policy.cel.reads import Read

Values = Mapping[str, JsonValue]
_Bound = dict[int, str | int]


@dataclass(frozen=True, slots=True)
class Look:
    """A read, ready to be looked for. `straight`: it goes over no elements."""

    read: Read
    text: str
    straight: bool

    @classmethod
    def at(cls, read: Read) -> Look:
        """Prepare a read."""
        return cls(read, path_text(read.path), not any(isinstance(step, Each) for step in read.path))


@dataclass(slots=True)
class Seen:
    """`absent`: paths that matter and are not there, null included, one of each read. `measured`: values by path.

    Of lists and maps only how long they are is measured: `size(path)`.
    """

    absent: list[str] = field(default_factory=list)
    measured: dict[str, JsonValue] = field(default_factory=dict)


def look(looks: Iterable[Look], values: Values) -> Seen:
    """Look for everything that a condition reads in the values of its variables."""
    seen = Seen()
    bound: _Bound = {}
    for one in looks:
        if one.straight:
            value = _resolve(one.read.path, values, bound)
            if value is None:
                if _owed(one.read, values, bound):
                    seen.absent.append(one.text)
            elif isinstance(value, dict | list):
                seen.measured[f"size({one.text})"] = len(value)
            elif isinstance(value, str | int | float):
                seen.measured[one.text] = value
        else:
            absent = _first_absent(one.read, values, values, 0, {})
            if absent is not None:
                seen.absent.append(path_text(absent))
    return seen


def _first_absent(read: Read, values: Values, value: object, at: int, bound: _Bound) -> Path | None:
    """Look along the path from step `at` on, where `value` is; `bound`: which elements led there."""
    for number in range(at, len(read.path)):
        step = read.path[number]
        if isinstance(step, Each):
            last = read.path[number + 1] if number + 2 == len(read.path) else None
            for key, item in _items(value):
                if last is not None and isinstance(item, dict) and item.get(last) is not None:
                    continue  # nearly always, and there may be thousands
                bound[step.by] = key
                absent = _first_absent(read, values, item, number + 1, bound)
                if absent is not None:
                    return absent
            bound.pop(step.by, None)
            return None
        value = _member(value, step)
        if value is None:
            break
    if value is not None or not _owed(read, values, bound):
        return None
    return tuple(bound.get(step.by, step) if isinstance(step, Each) else step for step in read.path)


def _owed(read: Read, values: Values, bound: _Bound) -> bool:
    return all(_resolve(guard, values, bound) is not None for guard in read.guards)


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
    if isinstance(value, dict):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and 0 <= step < len(value):
        return value[step]
    return None


def _items(value: object) -> Iterable[tuple[str | int, object]]:
    if isinstance(value, dict):
        return value.items()
    return enumerate(value) if isinstance(value, list) else ()
