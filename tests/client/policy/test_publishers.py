from __future__ import annotations

import pytest

from tests.client.policy.documents import POLICY
from tests.client.verify.plain import AGENT, ISSUER, WORKFLOW, attestation, provenance, release
from tidegate.formats.charter import Role
from tidegate.formats.predicates.types import PREDICATE_EVALUATION
from tidegate.policy.load import LoadedPolicy, load_policy
from tidegate.policy.publishers import narrow_publishers


def policy(*, workflow: str = WORKFLOW, root: str = "main", agents: str = AGENT) -> LoadedPolicy:
    text = POLICY.replace("- {agents: [acme/*], signers: [evals]}", f"- {{agents: [{agents}], signers: [release]}}")
    signer = f"  release: {{root: {root}, issuer: '{ISSUER}', workflow: '{workflow}', refs: [refs/tags/v*]}}"
    return load_policy(text.replace("signers:\n  evals", f"signers:\n{signer}\n  evals", 1).encode())


def test_a_publisher_whom_the_policy_lets_publish_counts() -> None:
    everything = [release(), provenance()]
    assert narrow_publishers(policy(), AGENT, everything) == (everything, [])


def test_a_policy_that_says_nothing_of_an_agent_leaves_it_to_the_charter() -> None:
    everything = [release(), provenance()]
    assert narrow_publishers(policy(workflow=f"{WORKFLOW}x", agents="other/*"), AGENT, everything)[0] == everything


@pytest.mark.parametrize("other", [policy(workflow=f"{WORKFLOW}x"), policy(root="private")], ids=["workflow", "root"])
def test_what_another_publisher_of_the_charter_signed_does_not_count(other: LoadedPolicy) -> None:
    kept, refused = narrow_publishers(other, AGENT, [release(), provenance()])
    assert kept == []
    assert [each.reasons[0].code for each in refused] == ["publisher-not-in-policy"] * 2
    assert [each.reasons[0].step for each in refused] == ["R14"] * 2


def test_attesters_are_no_publishers_and_are_left_alone() -> None:
    evaluation = attestation(PREDICATE_EVALUATION, {}, role=Role.ATTESTER)
    assert narrow_publishers(policy(workflow=f"{WORKFLOW}x"), AGENT, [evaluation]) == ([evaluation], [])
