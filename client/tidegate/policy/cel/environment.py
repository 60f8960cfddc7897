"""The library: whether it is there, what it is told of types, and the two ways it compiles a condition.

A condition is checked against protobuf messages, where an unknown member is an error, and compiled against maps, where
an absent member is one.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from tidegate.policy.cel.schemas import RELEASE, SCHEMAS

if TYPE_CHECKING:
    from cel_expr_python.cel import Env, Expression, Type

_lock = threading.Lock()  # nothing says that one environment may compile in two threads


class Unavailable(Exception):
    """The library cannot be imported here; `str()` says why."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A condition whose names and types fit. `tree`: serialised; `result`: the name of the type it gives."""

    tree: bytes
    result: str


def check(text: str, predicate_type: str, *, with_baseline: bool) -> Checked:
    """Parse and check a condition, where there is a library. Raises RuntimeError with its own words."""
    known = predicate_type if predicate_type in SCHEMAS else None
    with _lock:
        expression = _checking(known, with_baseline).compile(text)
        return Checked(expression.serialize(), expression.return_type().name())


def compile_checked(text: str) -> Expression:
    """Compile a condition that `check` took, for evaluation on maps. Raises RuntimeError."""
    with _lock:
        return _running().compile(text)


def find_library() -> None:
    """Import the library. Raises Unavailable."""
    try:
        import cel_expr_python.cel  # noqa: F401
        import google.protobuf.descriptor_pool  # noqa: F401 - asked for before either is used
    except ImportError as error:  # no wheel for this platform, the extra is not installed, or its C++ does not load
        raise Unavailable(str(error)) from error


@cache
def _running() -> Env:
    from cel_expr_python import cel

    variables = {
        "predicate": cel.Type.DYN,
        "baseline": cel.Type.DYN,
        "release": cel.Type.DYN,
        "now": cel.Type.TIMESTAMP,
    }
    return cel.NewEnv(variables=variables)


@cache
def _checking(predicate_type: str | None, with_baseline: bool) -> Env:  # noqa: FBT001 - a key of the cache
    from cel_expr_python import cel

    from tidegate.policy.cel.descriptors import PACKAGE, message_pool

    variables: dict[str, Type] = {"release": cel.Type(f"{PACKAGE}.{RELEASE.name}"), "now": cel.Type.TIMESTAMP}
    schema = None if predicate_type is None else SCHEMAS[predicate_type]
    evidence = cel.Type.DYN if schema is None else cel.Type(f"{PACKAGE}.{schema.name}")
    variables |= {"predicate": evidence} | ({"baseline": evidence} if with_baseline else {})
    pool = message_pool(RELEASE, *(() if schema is None else (schema,)))
    return cel.NewEnv(pool, variables=variables)
