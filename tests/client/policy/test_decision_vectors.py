"""The records in tests/vectors/decisions are read, written and decided again."""

from __future__ import annotations

import pytest

from tests.client.policy.cel.library import needs_library
from tests.client.policy.decision_recipes import FOLDER, RECIPES, path_of
from tidegate.digest import Digest
from tidegate.policy.record import make_record, parse_record, redecide

WITH_CONDITIONS = {"promotion-compared", "promotion-with-everything"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs_library) if name in WITH_CONDITIONS else name for name in RECIPES]
)
def test_a_stored_decision_is_decided_again_as_it_was(name: str) -> None:
    raw = path_of(name).read_bytes()
    record = parse_record(raw)
    verdict = redecide(record)
    assert verdict == record.verdict
    again = make_record(record.policy.load(), record.inputs, verdict, now=record.decided_at, actor=record.actor)
    assert Digest.of(again) == Digest.of(raw)


def test_every_vector_has_a_recipe() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(RECIPES)
