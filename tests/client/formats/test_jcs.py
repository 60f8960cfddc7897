from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import JsonInvalid
from tidegate.formats.jcs import MAX_DEPTH, MAX_SAFE_INTEGER, canonical_bytes, parse_json, parse_object

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
    | text
    | st.floats(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=12,
)


def parse(raw: bytes) -> object:
    return parse_json(raw, limit=1 << 16, what="the document")


@given(values)
def test_canonical_bytes_parse_back_and_are_stable(value: object) -> None:
    raw = canonical_bytes(value)
    assert parse(raw) == value
    assert canonical_bytes(parse(raw)) == raw


def test_the_example_of_rfc_8785_comes_out_as_printed_there() -> None:
    source = rb"""{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}"""
    assert (
        canonical_bytes(parse(source))
        == (
            '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
            '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
        ).encode()
    )


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":2}',
        b'{"x":{"a":1,"\\u0061":2}}',
        b"NaN",
        b"[Infinity]",
        b"1e400",
        b"9007199254740992",
        b"1" * 5000,
        b'"\\u0000"',
        b'"\\ud800"',
        b'{"\\udfff":1}',
        b"\xef\xbb\xbf{}",
        b"\xff",
        b"",
        b"{} {}",
        b"{'a':1}",
        b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2),
        b"[" * 50_000,
        b'"' + b"x" * (1 << 16) + b'"',
    ],
)
def test_json_that_could_mean_two_things_or_hurt_is_refused(raw: bytes) -> None:
    with pytest.raises(JsonInvalid) as caught:
        parse(raw)
    assert caught.value.reasons[0].code == "json-invalid"
    assert "the document" in str(caught.value)


def test_depth_is_allowed_up_to_the_limit() -> None:
    assert parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


def test_an_object_is_an_object() -> None:
    with pytest.raises(JsonInvalid, match="not a JSON object"):
        parse_object(b"[]", limit=10, what="it")


@pytest.mark.parametrize("value", [float("nan"), 1 << 60, "\ud800", {1: 2}, object()])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(JsonInvalid):
        canonical_bytes(value)
