"""Every case in tests/vectors/log gives what it promises; scripts/log_vectors.py writes them."""

from __future__ import annotations

import pytest

from tests.client.tlog.vector_recipes import RECIPES, outcome, path_of, write
from tidegate.formats.jcs import parse_json


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_every_case_gives_what_it_promises(name: str) -> None:
    cases = parse_json(path_of(name).read_bytes(), limit=1 << 20, what=name)
    assert isinstance(cases, list)
    found, promised = {}, {}
    for each in cases:
        assert isinstance(each, dict)
        given, title = each["given"], str(each["name"])
        assert isinstance(given, dict)
        found[title], promised[title] = outcome(RECIPES[name][1], dict(given)), each["expected"]
    assert found == promised
    assert len(found) == len(cases)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_the_cases_are_those_of_the_recipes(name: str) -> None:
    assert path_of(name).read_bytes() == write(name), "run scripts/log_vectors.py"
