"""The HTTP contract: equal to the application, complete, and readable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tidegate_registry.openapi import OPEN, TOKEN_OPERATIONS, describe

FILE = Path(__file__).parents[2] / "openapi.yaml"


@pytest.fixture(scope="module")
def tree() -> dict[str, Any]:
    return describe()


def operations(tree: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in tree["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_the_file_is_what_the_application_says(tree: dict[str, Any]) -> None:
    assert yaml.safe_load(FILE.read_text()) == tree, "run scripts/openapi.py"


def test_every_operation_has_an_id_a_summary_and_a_tag_that_is_explained(tree: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in tree["tags"]}
    ids = []
    for path, method, operation in operations(tree):
        ids.append(operation["operationId"])
        assert operation["operationId"].isidentifier(), path
        assert operation["operationId"][0].islower(), path
        assert operation["summary"], f"{method} {path}"
        assert operation["description"], f"{method} {path}"
        assert set(operation["tags"]) <= tags, path
    assert len(set(ids)) == len(ids)


def test_every_operation_says_what_its_errors_look_like(tree: dict[str, Any]) -> None:
    for path, method, operation in operations(tree):
        if operation["operationId"] in OPEN:
            continue
        codes = set(operation["responses"])
        assert {"401", "503"} <= codes, f"{method} {path}"
        if operation["operationId"] not in TOKEN_OPERATIONS | {"ping"}:
            assert "403" in codes, f"{method} {path}"
        shape = "Oci" if path.startswith("/v2/") else "Problem"
        for code, answer in operation["responses"].items():
            if int(code) >= 400 and method != "head":
                assert answer["$ref"] == f"#/components/responses/{shape}{code}", f"{method} {path} {code}"


def test_every_parameter_says_what_it_is_or_shows_one(tree: dict[str, Any]) -> None:
    for path, _, operation in operations(tree):
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description") or parameter["schema"].get("examples"), f"{path} {parameter['name']}"


def test_every_reference_leads_somewhere_and_nothing_is_left_over(tree: dict[str, Any]) -> None:
    found = set(references(tree))
    for reference in found:
        node: Any = tree
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert node is not None
    for kind in ("schemas", "responses", "headers"):
        unused = {f"#/components/{kind}/{name}" for name in tree["components"][kind]} - found
        assert not unused
