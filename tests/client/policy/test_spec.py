"""docs/spec/policy.md and policy-cases.md: their examples work, and their schemas and tables have every key."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

from tests.client.policy.cel.library import needs_library
from tidegate.formats.yamldoc import parse_yaml
from tidegate.policy.cases.model import CaseExpect, CasesDocument, Situation
from tidegate.policy.cases.run import run_cases
from tidegate.policy.load import load_policy
from tidegate.policy.model import BreakGlass, Editors, Freeze, PolicyDocument, PolicyOverlay, Transition, Waiver, Weekly
from tidegate.policy.requirements import KINDS, Requirement

ROOT = Path(__file__).parents[3]
SPEC = ROOT / "docs" / "spec"
POLICY, CASES = ((SPEC / name).read_text("utf-8") for name in ("policy.md", "policy-cases.md"))


def examples(page: str) -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)


@cache
def schema(name: str) -> jsonschema.Draft202012Validator:
    found = json.loads((SPEC / name).read_text("utf-8"))  # noqa: TID251 - our own file
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


def value(text: str) -> Any:
    return parse_yaml(text.encode(), limit=1 << 20, name="example").value


@needs_library
def test_the_examples_of_the_specification_work_together() -> None:
    policy, overlay = examples(POLICY)
    [cases] = examples(CASES)
    assert [result.differs for result in run_cases(load_policy(policy.encode()), cases.encode())] == [(), ()]
    loaded = load_policy(policy.encode(), overlay.encode())
    rule = loaded.rule("example-org/triage", "staging", "stable")
    assert rule is not None
    assert [one.requirement.id for one in rule.require] == ["four-eyes", "soaked", "audited"]


def test_the_published_schemas_take_the_examples_and_what_we_ship() -> None:
    policy, overlay = examples(POLICY)
    [cases] = examples(CASES)
    shipped = sorted((ROOT / "policies").glob("*.yaml"))
    assert len(shipped) == 6
    for text, name in (
        (policy, "policy"),
        (overlay, "policy-overlay"),
        (cases, "policy-cases"),
        *((path.read_text("utf-8"), "policy-cases" if "cases" in path.name else "policy") for path in shipped),
    ):
        schema(f"{name}.schema.json").validate(value(text))


@pytest.mark.parametrize(
    ("old", "new"),
    [("channels:", "chanels:"), ("approvals: {count: 1", "approvals: {cout: 1"), ("maxAge: 3d", "maxAge: 3")],
)
def test_the_published_schema_refuses_what_is_no_key_and_no_value(old: str, new: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        schema("policy.schema.json").validate(value(examples(POLICY)[0].replace(old, new)))


@pytest.mark.parametrize(
    ("page", "models"),
    [
        (POLICY, (PolicyDocument, PolicyOverlay, Waiver, BreakGlass, Editors, Freeze, Weekly, Transition, Requirement)),
        (CASES, (CasesDocument, Situation, CaseExpect)),
    ],
)
def test_every_key_is_in_the_specification(page: str, models: tuple[type[BaseModel], ...]) -> None:
    keys = {field.alias or name for model in models for name, field in model.model_fields.items()}
    assert not sorted(key for key in keys if f"`{key}`" not in page)


def test_every_key_of_every_requirement_is_in_the_specification() -> None:
    for kind in KINDS:
        field = Requirement.model_fields[kind]
        [model] = [one for one in getattr(field.annotation, "__args__", ()) if one is not type(None)]
        row = next(line for line in POLICY.splitlines() if line.startswith(f"| `{field.alias or kind}` "))
        assert not [name for name, key in model.model_fields.items() if f"`{key.alias or name}`" not in row], row
