"""Paths into the variables of a condition, and the types that lie along them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.policy.cel.schemas import DYN, FieldType, ListOf, MapOf, Message, member


@dataclass(frozen=True, slots=True)
class Each:
    """Any element of a list or map. `by`: which macro or index goes over them, so that two reads can share one."""

    by: int


Step = str | int | Each
Path = tuple[Step, ...]
"""A variable's name, then members, constant indices and `Each`."""


def path_text(path: Path) -> str:
    """Write a path as a condition does: `predicate.outcomes[].id`, `predicate.metrics["p95 latency"].value`."""
    return "".join(_steps(path))


def _steps(path: Path) -> Iterator[str]:
    for number, step in enumerate(path):
        match step:
            case Each():
                yield "[]"
            case int():
                yield f"[{step}]"
            case str() if step.isidentifier() and step.isascii():
                yield f".{step}" if number else step
            case str():
                yield f'["{step}"]'


def binders(path: Path) -> frozenset[int]:
    """Give what goes over elements along the path."""
    return frozenset(step.by for step in path if isinstance(step, Each))


def type_inside(kind: FieldType, step: Step) -> FieldType | None:
    """Give the type one step further; None: there is none."""
    if kind is DYN:
        return DYN
    match kind, step:
        case Message() | MapOf(), str():
            return member(kind, step)
        case ListOf(), int() | Each():
            return kind.item
        case MapOf(), Each():
            return kind.value
        case _:
            return None


def has_members(kind: FieldType) -> bool:
    """Whether a value of that type is or holds an object whose members can be absent one by one."""
    match kind:
        case Message():
            return True
        case ListOf(item=inside) | MapOf(value=inside):
            return has_members(inside)
        case _:
            return False
