#!/usr/bin/env python3
"""Write docs/reference/requirements.md: every kind of requirement with its keys, an example, and what people are told.

scripts/requirements_doc.py            writes the page
scripts/requirements_doc.py --check    fails when it is not what would be written
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from inspect import getdoc
from pathlib import Path
from typing import Literal, get_args, get_origin

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pydantic import BaseModel  # noqa: E402 - after the path is set
from pydantic.fields import FieldInfo  # noqa: E402
from pydantic_core import PydanticUndefined  # noqa: E402

from tests.client.policy.requirement_examples import EXAMPLES, Example  # noqa: E402
from tidegate.policy.decide import KINDS, Kind  # noqa: E402
from tidegate.policy.requirements import Requirement, show_duration  # noqa: E402
from tidegate.policy.verdict import Finding  # noqa: E402

TARGET = ROOT / "docs" / "reference" / "requirements.md"
HEAD = """\
# Requirements

Written by `scripts/requirements_doc.py` from the source and from examples that are tests; do not edit.

What a transition of a policy can require, under `require`. Each has an `id` and exactly one of the kinds
below. How they are judged, by number: [decisions](../spec/decision.md); how conditions are written:
[conditions](../spec/policy-conditions.md).

## Keys of every requirement

"""


def main() -> int:
    """Write or check."""
    text = render()
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text)
        return 0
    if TARGET.exists() and TARGET.read_text() == text:
        return 0
    print(
        "docs/reference/requirements.md is not what the source says: run scripts/requirements_doc.py", file=sys.stderr
    )
    return 1


def render() -> str:
    """Give the whole page."""
    kinds = {kind.kind for kind in KINDS}
    shared = {name: field for name, field in Requirement.model_fields.items() if name not in kinds}
    return HEAD + _table(shared) + "".join(_section(kind) for kind in KINDS)


def _section(kind: Kind) -> str:
    model = _model(Requirement.model_fields[kind.kind])
    meaning = (getdoc(model) or "").replace("\n", " ")
    keys = _table(model.model_fields)
    return f"\n## `{kind.key}`\n\n{meaning} Step {kind.number}.\n\n{keys}" + "".join(
        _example(example) for example in EXAMPLES if example.kind == kind.key
    )


def _example(example: Example) -> str:
    case = example.case()
    lacking = case.verdict().findings[-1]
    example.supply(case)
    met = case.verdict().findings[-1]
    told = "\n".join((*_told(lacking), "", *_told(met)))
    return (
        f"\n{example.says}\n\n```yaml\n{example.text}```\n\nTold before and after it is met:\n\n```text\n{told}\n```\n"
    )


def _told(finding: Finding) -> Iterator[str]:
    yield f"{finding.state.value}: {finding.message}"
    facts = (("found", finding.found), ("expected", finding.expected), ("hint", finding.hint))
    yield from (f"    {name}: {value}" for name, value in facts if value is not None)
    if finding.who_can:
        yield f"    who can: {', '.join(finding.who_can)}"


def _table(fields: dict[str, FieldInfo]) -> str:
    rows = ["| key | value | default | meaning |", "| --- | --- | --- | --- |"]
    rows += [
        f"| `{field.alias or name}` | {_value(field.annotation)} | {_default(field)} | {field.description or ''} |"
        for name, field in fields.items()
    ]
    return "\n".join(rows) + "\n"


def _value(kind: object) -> str:
    arguments = [each for each in get_args(kind) if each not in (type(None), ...)]
    if get_origin(kind) is Literal:
        return ", ".join(f"`{each}`" for each in arguments)
    if get_origin(kind) is tuple:
        return f"list of {_value(arguments[0])}"
    if arguments:
        return _value(arguments[0])
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return ", ".join(f"`{each.value}`" for each in kind)
    return {timedelta: "duration, such as `24h`", int: "whole number", bool: "`true`, `false`", str: "text"}.get(
        kind if isinstance(kind, type) else str, "day, such as `2026-12-31`"
    )


def _default(field: FieldInfo) -> str:
    value: object = field.default
    if value is PydanticUndefined:
        return "**required**"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return ", ".join(f"`{each}`" for each in value) or "none"
    if isinstance(value, timedelta):
        return f"`{show_duration(value)}`"
    return "none" if value is None else f"`{value}`"


def _model(field: FieldInfo) -> type[BaseModel]:
    return next(each for each in get_args(field.annotation) if isinstance(each, type) and issubclass(each, BaseModel))


if __name__ == "__main__":
    sys.exit(main())
