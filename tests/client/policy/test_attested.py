"""What decisions read of verified evidence."""

from __future__ import annotations

import pytest

from tests.documents import evaluation, json_example
from tests.vectorcase import VECTORS, VectorCase
from tidegate.formats.predicates.approval import ApprovalPredicate
from tidegate.formats.predicates.evaluation import EvaluationPredicate
from tidegate.policy.attested import attested_of


def test_a_decision_reads_who_signed_and_what_the_outcomes_give() -> None:
    verified = VectorCase.load(VECTORS / "evaluation-by-attester").verify()
    attested = attested_of(verified)
    assert attested.view == EvaluationPredicate.parse(evaluation()).view()
    assert (attested.root, attested.signers, attested.identity) == ("main", ("evals",), verified.identity.san)
    assert attested.claims["sourceRepositoryRef"] == "refs/heads/main"
    assert (attested.signed_at, attested.log_index) == verified.order
    assert attested.payload_digest != attested.bundle_digest


def test_an_approval_is_read_as_it_was_signed() -> None:
    case = VectorCase.load(VECTORS / "approval")
    attested = attested_of(case.verify())
    assert attested.view is not None
    approval = ApprovalPredicate.parse(attested.view)
    assert (approval.agent, approval.digest) == (case.agent, case.subject)
    assert attested.view["computed"] == json_example("approval")["computed"]
    assert attested.signers == ("bob",)


@pytest.mark.parametrize("name", ["cosign-signature-without-name", "provenance", "release", "review-by-person"])
def test_every_kind_of_evidence_can_be_read(name: str) -> None:
    assert attested_of(VectorCase.load(VECTORS / name).verify()).view is not None
