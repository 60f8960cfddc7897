"""The examples in docs/reference/requirements.md say what they do, and leave no key out."""

from __future__ import annotations

import pytest

from tests.client.policy.cel.library import needs_library
from tests.client.policy.requirement_examples import EXAMPLES, Example
from tidegate.policy.decide import KINDS


@pytest.mark.parametrize(
    "example",
    [
        pytest.param(example, id=example.text.split()[1], marks=needs_library if example.needs_cel else ())
        for example in EXAMPLES
    ],
)
def test_an_example_is_lacking_until_it_is_supplied(example: Example) -> None:
    case = example.case()
    finding = case.verdict().findings[-1]
    assert finding.kind == example.kind
    assert case.lacks() == [finding.id]
    example.supply(case)
    assert case.lacks() == []


def test_every_kind_and_each_of_its_keys_has_an_example() -> None:
    assert {example.kind for example in EXAMPLES} == {kind.key for kind in KINDS}
    requirements = [example.case().policy.document.transitions[-1].require[0] for example in EXAMPLES]
    for kind in KINDS:
        named = [getattr(requirement, kind.kind) for requirement in requirements if requirement.kind == kind.kind]
        assert {key for wanted in named for key in wanted.model_fields_set} == set(type(named[0]).model_fields), kind
    optional = {"when", "baseline", "on_missing_baseline", "if_changed", "message", "warn_until"}
    assert optional <= {key for requirement in requirements for key in requirement.model_fields_set}
