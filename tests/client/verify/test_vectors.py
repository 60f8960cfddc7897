"""Every folder under tests/vectors gives the outcome it promises; scripts/vectors.py writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.vectorcase import VectorCase, vector_folders

FOLDERS = vector_folders()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_outcome_is_the_one_promised(folder: Path) -> None:
    case = VectorCase.load(folder)
    assert case.outcome() == case.expected
    assert folder.name.endswith("_fail") == (case.expected != "verified")


def test_most_of_the_many_vectors_are_attacks() -> None:
    assert len(FOLDERS) > 60
    assert sum(folder.name.endswith("_fail") for folder in FOLDERS) > len(FOLDERS) / 2
