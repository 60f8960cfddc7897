"""Views: what policies read of each kind is what the schemas of conditions and the pages say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.documents import SPEC, json_example
from tidegate.formats.mediatypes import PREDICATE_COSIGN_SIGN, PREDICATE_RELEASE, PREDICATE_SLSA_PROVENANCE
from tidegate.formats.predicates.types import (
    PREDICATE_CYCLONEDX,
    PREDICATE_EVALUATION,
    PREDICATE_REVIEW,
    PREDICATE_SHADOW,
    PREDICATE_SPDX,
    PREDICATE_TEST_RESULT,
    PREDICATE_TYPES,
    PREDICATE_VULNERABILITIES,
    RESERVED_TYPES,
)
from tidegate.formats.predicates.views import MAX_UNKNOWN_VIEW_BYTES, PARSERS, view_of
from tidegate.policy.cel.schemas import SCHEMAS, FieldType, ListOf, MapOf, Message, mismatches

JUDGE = {"provider": "vllm", "model": "qwen3-32b", "pin": "5a" * 20}
EXAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    PREDICATE_RELEASE: ("release", json_example("release")),
    PREDICATE_SLSA_PROVENANCE: ("evidence-of-others", json_example("provenance")),
    PREDICATE_EVALUATION: ("evaluation", json_example("evaluation") | {"judge": JUDGE}),
    PREDICATE_REVIEW: ("review", json_example("review")),
    PREDICATE_SHADOW: ("shadow-comparison", json_example("shadow-comparison")),
    PREDICATE_VULNERABILITIES: ("evidence-of-others", json_example("evidence-of-others", 0)),
    PREDICATE_TEST_RESULT: ("evidence-of-others", json_example("evidence-of-others", 1)),
    PREDICATE_CYCLONEDX: ("evidence-of-others", json_example("evidence-of-others", 2)),
    PREDICATE_SPDX: ("evidence-of-others", {"spdxVersion": "SPDX-2.3", "packages": []}),
}


def paths(schema: FieldType) -> Iterator[str]:
    """Give the path of each member a schema names."""
    if isinstance(schema, Message):
        for name, inner in schema.fields.items():
            yield name
            yield from (f"{name}.{rest}" for rest in paths(inner))
    elif isinstance(schema, ListOf | MapOf):
        yield from (f"*.{rest}" for rest in paths(schema.item if isinstance(schema, ListOf) else schema.value))


def found(view: object, schema: FieldType) -> Iterator[str]:
    """Give the same paths, of what is there."""
    if isinstance(schema, Message) and isinstance(view, dict):
        for name, inner in view.items():
            yield name
            yield from (f"{name}.{rest}" for rest in found(inner, schema.fields[name]))
    elif isinstance(schema, MapOf) and isinstance(view, dict):
        yield from (f"*.{rest}" for inner in view.values() for rest in found(inner, schema.value))
    elif isinstance(schema, ListOf) and isinstance(view, list):
        yield from (f"*.{rest}" for inner in view for rest in found(inner, schema.item))


def test_every_known_kind_has_a_reader_and_a_schema_unless_it_is_reserved() -> None:
    assert set(PARSERS) | {PREDICATE_COSIGN_SIGN} == set(PREDICATE_TYPES.values())
    assert set(SCHEMAS) == set(PARSERS) - RESERVED_TYPES == set(EXAMPLES)


@pytest.mark.parametrize("kind", EXAMPLES)
def test_a_view_is_what_its_schema_says_and_the_other_way_round(kind: str) -> None:
    view = view_of(kind, EXAMPLES[kind][1])
    assert list(mismatches(view, SCHEMAS[kind])) == []
    assert set(paths(SCHEMAS[kind])) == set(found(view, SCHEMAS[kind]))


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_field_of_a_view_is_in_its_page(kind: str) -> None:
    page, _ = EXAMPLES[kind]
    text = (
        (SPEC / f"{page}.md")
        .read_text(encoding="utf-8")
        .partition("What policies read" if page != "evidence-of-others" else "#")[2]
    )
    names = {path.rpartition(".")[2] for path in paths(SCHEMAS[kind])}
    assert not [name for name in names if name not in text]


def test_numbers_of_kinds_nobody_knows_are_doubles() -> None:
    view = view_of("https://example.org/p", {"n": 1, "deep": [{"m": 2, "yes": True, "word": "1"}], "none": None})
    assert view == {"n": 1.0, "deep": [{"m": 2.0, "yes": True, "word": "1"}], "none": None}
    assert view is not None
    assert isinstance(view["n"], float)


def test_a_predicate_of_an_unknown_kind_that_is_too_large_is_not_read() -> None:
    assert view_of("https://example.org/p", {"text": "x" * MAX_UNKNOWN_VIEW_BYTES}) is None


def test_cosigns_signature_says_nothing() -> None:
    assert view_of(PREDICATE_COSIGN_SIGN, {"anything": 1}) == {}
