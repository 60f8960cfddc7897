"""Conditions where people write them: a mistake names the file, the line of the `when`, and the place in it."""

from __future__ import annotations

import pytest

from tests.client.policy.cel.library import needs_library
from tidegate.errors import PolicyInvalid
from tidegate.policy.load import load_policy

POLICY = """format: tidegate/policy/v1
roles: {manager: [{issuer: "https://idp.example", claims: {groups: release}}]}
signers:
  evals: {root: public, issuer: "https://ci.example", identity: "https://ci.example/evals@refs/heads/main"}
channels: [dev, stable]
editors: {allow: [manager]}
transitions:
- to: dev
  allow: [manager]
- from: dev
  to: stable
  allow: [manager]
  require:
  - id: good-enough
    attestation: {type: evaluation, signer: evals}
    when: CONDITION
"""


def policy(condition: str) -> bytes:
    return POLICY.replace("CONDITION", condition).encode()


def test_a_policy_loads_with_its_conditions_compiled_or_without_the_library_with_the_reason() -> None:
    loaded = load_policy(policy("predicate.cases >= 200"))
    rule = loaded.rule("acme/support", "dev", "stable")
    assert rule is not None
    (requirement,) = rule.require
    assert requirement.program is not None
    assert bool(requirement.program.reads) != ("cel-unavailable" in [why.code for why in requirement.program.warnings])


@needs_library
def test_a_mistake_in_a_condition_names_the_line_and_the_place() -> None:
    with pytest.raises(PolicyInvalid) as caught:
        load_policy(policy("predicate.case >= 200 && predicate.cases > 0.5"), name="p.yaml")
    assert [(reason.code, reason.message) for reason in caught.value.reasons] == [
        ("when-unknown-field", "p.yaml:16: transitions[1].require[0].when: 1:11: there is no member `case` here"),
        ("when-wrong-types", "p.yaml:16: transitions[1].require[0].when: 1:42: `>` cannot be used on int and double"),
    ]
    assert caught.value.reasons[0].found == "predicate.case >= 200 && predicate.cases > 0.5\n          ^"
    assert caught.value.hint == "did you mean `cases`?"


@needs_library
def test_baseline_is_known_only_where_the_requirement_asks_for_it() -> None:
    with pytest.raises(PolicyInvalid) as caught:
        load_policy(policy("predicate.cases >= baseline.cases"))
    assert caught.value.reasons[0].code == "when-unknown-name"
    load_policy(policy("predicate.cases >= baseline.cases\n    baseline: current"))
