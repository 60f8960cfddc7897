from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.policy.cel.library import needs_library
from tests.client.policy.documents import IDP, POLICY, loaded
from tidegate.errors import PolicyInvalid
from tidegate.policy.cases.model import A_QUIET_WEDNESDAY
from tidegate.policy.cases.run import run_cases
from tidegate.policy.lint import warnings_of
from tidegate.policy.load import load_policy

POLICIES = Path(__file__).parents[3] / "policies"
CASES = """\
format: tidegate/policy-cases/v1
people:
  alice: {roles: [developer]}
  carol: {roles: [reviewer]}
evidence:
  fine: {type: evaluation, signer: evals, view: {cases: 3}}
default: {to: stable, author: alice, served: {staging: 25h}}
cases:
- name: it has all that it needs
  evidence: [fine]
  approvals: {carol: 1h}
  expect: {verdict: allowed, states: {soaked: met}}
"""


@needs_library
@pytest.mark.parametrize("name", ["solo", "team", "regulated"])
def test_the_policies_that_we_ship_do_what_their_cases_say(name: str) -> None:
    policy = load_policy((POLICIES / f"{name}.yaml").read_bytes(), name=f"{name}.yaml")
    assert warnings_of(policy, A_QUIET_WEDNESDAY) == ()
    results = run_cases(policy, (POLICIES / f"{name}.cases.yaml").read_bytes(), name=f"{name}.cases.yaml")
    assert [(result.name, result.differs) for result in results if result.differs] == []


def test_every_policy_that_we_ship_has_cases() -> None:
    shipped = {path.name.split(".")[0] for path in POLICIES.glob("*.yaml")}
    assert shipped == {"solo", "team", "regulated"}
    assert all((POLICIES / f"{name}.cases.yaml").is_file() for name in shipped)


def test_a_case_that_comes_out_as_expected_says_nothing() -> None:
    [result] = run_cases(loaded(), CASES.encode())
    assert (result.name, result.line, result.differs) == ("it has all that it needs", 9, ())


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        ("{carol: 1h}", "{}", ["it is refused, and should be allowed", "reviewed is unmet, and should pass: 0 of 1"]),
        ("[fine]", "[]", ["it is refused", "evaluated is unmet, and should pass: there is no evaluation"]),
        ("states: {soaked: met}", "states: {soaked: unmet}", ["soaked should be unmet, and is met"]),
        ("states: {soaked: met}", "found: {soaked: never}", ["soaked should say 'never', and says"]),
        ("states: {soaked: met}", "states: {soked: met}", ["soked should be met, and is no finding of this"]),
        (
            "verdict: allowed",
            "verdict: refused, missing: [soaked]",
            ["it is allowed, and should", "soaked should hold"],
        ),
    ],
)
def test_a_case_that_comes_out_otherwise_says_how(old: str, new: str, differs: list[str]) -> None:
    [result] = run_cases(loaded(), CASES.replace(old, new).encode())
    assert len(result.differs) == len(differs)
    assert all(said.startswith(wanted) for said, wanted in zip(result.differs, differs, strict=True)), result.differs


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("{carol: 1h}", "{karol: 1h}", "cases[0].approvals.karol: no such person"),
        ("[fine]", "[fin]", "cases[0].evidence[0]: no such evidence"),
        ("signer: evals", "signer: eval", "evidence.fine.signer: no such signer"),
        ("{roles: [reviewer]}", "{roles: [reviwer]}", "people.carol.roles[0]: no such role"),
        ("to: stable", "to: stabel", "default.to: no such channel"),
        ("to: stable, ", "", "cases[0]: `to` is missing"),
        ("verdict: allowed", "verdict: allowed, missing: [soaked]", "expect: what is allowed lacks nothing"),
        ("approvals:", "aprovals:", "cases[0].aprovals: is not a key here"),
        ("{roles: [developer]}", "{issuer: 'https://other.example', roles: [developer]}", "nobody with this identity"),
    ],
)
def test_a_file_of_cases_is_refused_with_its_mistakes(old: str, new: str, told: str) -> None:
    assert CASES.count(old) == 1
    with pytest.raises(PolicyInvalid) as refusal:
        run_cases(loaded(), CASES.replace(old, new).encode(), name="x.cases.yaml")
    assert refusal.value.code == "policy-invalid"
    [message] = [reason.message for reason in refusal.value.reasons]
    assert message.startswith("x.cases.yaml:")
    assert told in message


def test_somebody_in_the_cases_has_the_identity_and_the_roles_of_the_policy_and_nothing_more() -> None:
    text = CASES.replace("approvals: {carol: 1h}", "approvals: {alice: 1h}").replace(
        "alice: {roles: [developer]}", f"alice: {{issuer: '{IDP}', claims: {{groups: [review-eu]}}}}"
    )
    [result] = run_cases(loaded(POLICY), text.encode())
    assert any("is the author" in said for said in result.differs)
