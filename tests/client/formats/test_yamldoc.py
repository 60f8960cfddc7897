"""YAML as JSON: one meaning, bounded, every value knows its line."""

from __future__ import annotations

import pytest

from tidegate.errors import InvalidInput, TrustFileInvalid
from tidegate.formats.yamldoc import parse_yaml, path_text

LIMIT = 10_000


def parse(text: str | bytes) -> object:
    raw = text if isinstance(text, bytes) else text.encode()
    return parse_yaml(raw, limit=LIMIT, name="f.yaml").value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", "on"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("true", True),
        ("null", None),
        ("~", None),
        ("", None),
        ("2026-11-21", "2026-11-21"),
        ("012", 12),
        ("0x10", "0x10"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("1.10", 1.1),
        ("'1.10'", "1.10"),
        ('"no"', "no"),
        ("|\n  5", "5"),
        ("1.2.3", "1.2.3"),
        (".inf", ".inf"),
        ("{a: [1, {b: c}]}", {"a": [1, {"b": "c"}]}),
        ("on: x", {"on": "x"}),
        ("1: x", {"1": "x"}),
        ("<<: {a: 1}", {"<<": {"a": 1}}),
    ],
)
def test_plain_scalars_are_those_of_the_core_schema(text: str, value: object) -> None:
    assert parse(text) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &x 1\nb: *x", "alias"),
        ("a: &x [*x]", "alias"),
        ("a: !!python/object:os.system x", "tag"),
        ("a: !custom x", "tag"),
        ("a: !!binary aGk=", "tag"),
        ("a: !!set {b}", "tag"),
        ("a: 1\na: 2", "repeated"),
        ('a: "\\ud800\\udc00"', "not storable"),
        ('a: "\\0"', "not storable"),
        ('"\\0": a', "not storable"),
        ("? [a]\n: 1", "key is not text"),
        ("a: 1\n---\nb: 2", "not valid YAML"),
        ("a: [", "not valid YAML"),
        (b"\xff", "not valid YAML"),
        ("a: 99999999999999999999", "too large"),
        ("a: 1e999", "too large"),
        ("[" * 2000, "not valid YAML"),
        ("[" * 70 + "]" * 70, "too deeply"),
        ("x" * (LIMIT + 1), "too large"),
        ("a: \x07", "not valid YAML"),
    ],
)
def test_what_has_several_meanings_or_no_bound_is_refused(text: str | bytes, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as refused:
        parse(text)
    assert refused.value.reasons[0].code == "invalid-input"


def test_an_error_is_of_the_class_asked_for_and_names_the_line() -> None:
    with pytest.raises(TrustFileInvalid, match=r"^trust.yaml:1: b\[1\]: an alias repeats this") as refused:
        parse_yaml(b"a: &x 1\nb: [1,\n  *x]", limit=LIMIT, name="trust.yaml", error=TrustFileInvalid)
    assert refused.value.reasons[0].code == "trust-file-invalid"


def test_values_know_their_lines() -> None:
    document = parse_yaml(b"a: 1\nb:\n  - c\n  - d: e\n", limit=LIMIT, name="f.yaml")
    assert document.line_of(("a",)) == 1
    assert document.line_of(("b",)) == 2
    assert document.line_of(("b", 1, "d")) == 4
    assert document.line_of(("b", 1, "nowhere", 7)) == 4
    assert document.line_of(()) == 1


def test_paths_are_written_as_people_write_them() -> None:
    assert path_text(("publishers", 0, "claims", "buildTrigger")) == "publishers[0].claims.buildTrigger"
