from __future__ import annotations

import pytest

from tidegate.formats.jcs import JsonValue
from tidegate.policy.cel.schemas import DOUBLE, EVALUATION, INT, SCHEMAS, TIMESTAMP, FieldType, Message, mismatches


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
