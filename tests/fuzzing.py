"""How parsers are fuzzed, on either side: what a target is, and bytes that are nearly what it accepts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml
from hypothesis import strategies as st

from tidegate.errors import TidegateError

LONG_BYTES = 64 << 10  # work that grows with more than the size does not end in time for this many
LONG_SECONDS = 30  # a limit, not a measurement: what is linear takes milliseconds

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("x" * 5000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@dataclass(frozen=True)
class Target:
    """`parse` may return or raise a TidegateError, nothing else. `seed`: something it accepts, or nearly."""

    name: str
    parse: Callable[[bytes], object]
    seed: bytes


def feed(target: Target, raw: bytes) -> None:
    """Parse `raw`; fails unless that gives a value or an error with a reason."""
    refusal = None
    try:
        target.parse(raw)
    except TidegateError as error:
        refusal = error
    assert refusal is None or refusal.reasons[0].message


def broken(seed: bytes) -> st.SearchStrategy[bytes]:
    """Bytes near `seed`: some flipped, cut or repeated, and, where it is a document, one member replaced by junk."""

    @st.composite
    def bytewise(draw: st.DrawFn) -> bytes:
        raw = bytearray(seed)
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, max(0, len(raw) - 1)))
            raw[at : at + draw(st.integers(0, 8))] = draw(st.binary(max_size=8) | st.just(seed[:64]))
        return bytes(raw)

    try:
        document = yaml.safe_load(seed)
    except (yaml.YAMLError, UnicodeDecodeError):
        document = None
    if not isinstance(document, dict):
        return bytewise()

    @st.composite
    def memberwise(draw: st.DrawFn) -> bytes:
        value: Any = document
        path: list[str | int] = []
        junked = draw(junk)
        while isinstance(value, dict | list) and value and (not path or draw(st.booleans())):
            key = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
            path.append(key)
            value = value[key]
        return json.dumps(_replaced(document, path, junked), default=str).encode()

    return bytewise() | memberwise()


def long_inputs(seed: bytes) -> list[bytes]:
    """LONG_BYTES of the seed's own material: all of it again and again, and each of its kinds of character drawn out.

    A parser whose work grows faster than its input is found by such, or by nothing.
    """
    marks = sorted(set(seed) - set(b"abcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWYZ23456789"))
    pieces = [bytes([mark]) for mark in marks if mark < 0x80] + [b"a,", b"a:", b"[", b'{"":', b"x000/", b"a.", b"1"]
    drawn = [seed[: len(seed) // 2] + piece * (LONG_BYTES // len(piece)) + b"\xff" for piece in pieces]
    return [seed * (LONG_BYTES // max(1, len(seed)) + 1), *drawn]


def _replaced(value: object, path: list[str | int], by: object) -> object:
    if not path:
        return by
    head, *rest = path
    if isinstance(value, dict):
        return {key: _replaced(item, rest, by) if key == head else item for key, item in value.items()}
    assert isinstance(value, list)
    return [_replaced(item, rest, by) if index == head else item for index, item in enumerate(value)]
