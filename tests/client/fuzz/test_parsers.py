"""No parser answers hostile input with anything but a typed error. Bounded; `-m slow` looks longer."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.fuzz.targets import TARGETS, Target
from tidegate.errors import TidegateError

targets = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("x" * 5000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def feed(target: Target, raw: bytes) -> None:
    refusal = None
    try:
        target.parse(raw)
    except TidegateError as error:
        refusal = error
    assert refusal is None or refusal.reasons[0].message


@targets
def test_the_seed_is_not_far_from_what_the_parser_accepts(target: Target) -> None:
    feed(target, target.seed)


@targets
@given(data=st.data())
def test_arbitrary_bytes_never_surprise_a_parser(target: Target, data: st.DataObject) -> None:
    feed(target, data.draw(st.binary(max_size=600)))


@targets
@given(data=st.data())
def test_broken_documents_never_surprise_a_parser(target: Target, data: st.DataObject) -> None:
    feed(target, data.draw(broken(target.seed)))


@pytest.mark.slow
@targets
@given(data=st.data())
@settings(max_examples=800)
def test_many_broken_documents_never_surprise_a_parser(target: Target, data: st.DataObject) -> None:
    feed(target, data.draw(broken(target.seed)))


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


def _replaced(value: object, path: list[str | int], by: object) -> object:
    if not path:
        return by
    head, *rest = path
    if isinstance(value, dict):
        return {key: _replaced(item, rest, by) if key == head else item for key, item in value.items()}
    assert isinstance(value, list)
    return [_replaced(item, rest, by) if index == head else item for index, item in enumerate(value)]
