from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.policy.cel.library import needs_library
from tidegate.errors import WhenInvalid
from tidegate.formats.jcs import JsonValue
from tidegate.policy.cel.program import compile_when
from tidegate.policy.cel.schemas import (
    DOUBLE,
    EVALUATION,
    INT,
    RELEASE,
    SCHEMAS,
    TIMESTAMP,
    FieldType,
    ListOf,
    MapOf,
    Message,
    Scalar,
    mismatches,
)


@pytest.mark.parametrize(
    ("value", "schema"),
    [(1, DOUBLE), (1.0, INT), (True, INT), (True, DOUBLE), ("yesterday", TIMESTAMP), ("2026-03-01", TIMESTAMP)],
)
def test_a_value_of_another_type_is_a_mismatch(value: JsonValue, schema: FieldType) -> None:
    assert list(mismatches(value, schema)) == [f"predicate is no {schema.value}"]  # type: ignore[union-attr]


def test_a_member_that_the_schema_does_not_name_is_a_mismatch() -> None:
    view: JsonValue = {"metrics": {"cost": {"value": 1, "n": 3}}, "outcomes": [{"id": "a", "score": 1.0}], "x": 1}
    assert list(mismatches(view, EVALUATION)) == [
        "predicate.metrics.cost.value is no double",
        "predicate.outcomes[0].score is not in the schema",
        "predicate.x is not in the schema",
    ]


def test_names_of_messages_are_distinct_within_a_schema_as_they_become_types() -> None:
    def names(schema: FieldType) -> list[str]:
        if not isinstance(schema, Message):
            inner = getattr(schema, "item", None) or getattr(schema, "value", None)
            return names(inner) if inner is not None and not isinstance(inner, str) else []
        return [schema.name, *(name for field in schema.fields.values() for name in names(field))]

    for schema in SCHEMAS.values():
        assert len(names(schema)) == len(set(names(schema)))


def reads(schema: FieldType, at: str) -> Iterator[tuple[str, Scalar]]:
    """Give an expression for each value that a schema names, with its type."""
    match schema:
        case Scalar():
            yield at, schema
        case Message(fields=fields):
            for name, field in fields.items():
                yield from reads(field, f"{at}.{name}")
        case ListOf(item=inside):
            yield from reads(inside, f"{at}[0]")
        case MapOf(value=inside):
            yield from reads(inside, f'{at}["x"]')


LITERALS = {
    Scalar.STRING: '"x"',
    Scalar.BOOL: "true",
    Scalar.INT: "1",
    Scalar.DOUBLE: "1.0",
    Scalar.TIMESTAMP: 'timestamp("2026-03-01T09:30:00Z")',
}


@needs_library
@pytest.mark.parametrize("kind", SCHEMAS)
def test_every_member_can_be_read_in_its_type_and_in_no_other(kind: str) -> None:
    for expression, scalar in [*reads(SCHEMAS[kind], "predicate"), *reads(RELEASE, "release")]:
        compile_when(f"{expression} == {LITERALS[scalar]}", kind, with_baseline=False)
        with pytest.raises(WhenInvalid):
            compile_when(
                f"{expression} == {LITERALS[Scalar.BOOL if scalar is INT else INT]}", kind, with_baseline=False
            )
