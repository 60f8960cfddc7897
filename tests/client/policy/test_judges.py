"""Each kind of requirement: when it is met, when it is not, when nobody can tell, and what people are told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.client.policy.cel.library import needs_library
from tests.client.policy.deciding import (
    BUILDER,
    FORGE,
    NOW,
    RELEASES,
    Case,
    attested,
    bill,
    case_of,
    charter,
    evaluation,
    human,
    judged,
    pipeline,
    policy,
    provenance,
    scan,
)
from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.types import PREDICATE_EVALUATION, PREDICATE_TEST_RESULT
from tidegate.policy.inputs import Tenure
from tidegate.policy.verdict import State

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


EVALUATED: JsonObject = {"attestation": {"type": "evaluation", "signer": "evals", "maxAge": "7d"}}


def test_an_attestation_that_is_missing_is_told_with_who_can_make_one() -> None:
    finding = judged(EVALUATED)
    assert finding.state is State.UNMET
    assert finding.message == "there is no evaluation attestation by signer `evals` for acme/triage:1.4.0"
    assert finding.who_can == ("evals (https://forge.example/acme/evals/run.yml)",)


def test_the_latest_attestation_counts_and_nobody_reruns_until_one_passes() -> None:
    finding = judged(EVALUATED, evaluation({"a": 1}, age=HOUR), evaluation({"a": 0}, age=2 * HOUR))
    assert finding.measured["signedAt"] == "2026-11-21T11:00:00Z"


def test_of_two_at_one_moment_the_later_in_the_log_counts() -> None:
    finding = judged(EVALUATED, evaluation({"a": 1}, log_index=9), evaluation({"a": 0}, log_index=10))
    assert finding.measured["logIndex"] == 10


def test_a_statement_that_was_signed_anew_stays_as_old_as_it_is() -> None:
    old = evaluation({"a": 1}, age=8 * DAY)
    again = evaluation({"a": 1}, age=HOUR, payload_digest=old.payload_digest)
    assert judged(EVALUATED, old, again).state is State.UNMET


def test_an_attestation_that_is_too_old_is_told_with_its_age() -> None:
    finding = judged(EVALUATED, evaluation({"a": 1}, age=8 * DAY))
    assert (finding.found, finding.expected) == ("signed 8d ago, at 2026-11-13T12:00:00Z", "at most 7d ago")
    assert judged(EVALUATED, evaluation({"a": 1}, age=7 * DAY)).state is State.MET


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"root": "other"}, "its root is other, not sigstore"),
        ({"issuer": "https://evil.example"}, "issuer https://evil.example is not https://forge.example"),
        ({"claims": {"sourceRepositoryRef": "refs/heads/mine"}}, "source ref refs/heads/mine is not among"),
        ({"signers": ("scans",), "identity": "https://forge.example/acme/scans/run.yml@refs/heads/main"}, "identity"),
        ({"signers": ("nobody",)}, "the charter does not let it attest that"),
        ({"signed_at": NOW + timedelta(seconds=61)}, "yet to come"),
    ],
)
def test_an_attestation_by_anybody_else_does_not_count_and_is_told_why(changes: dict[str, Any], why: str) -> None:
    finding = judged(EVALUATED, evaluation({"a": 1}, **changes))
    assert finding.state is State.UNMET
    assert why in (finding.found or "")


def test_clocks_may_differ_by_a_minute() -> None:
    assert judged(EVALUATED, evaluation({"a": 1}, signed_at=NOW + timedelta(seconds=60))).state is State.MET


GOOD: JsonObject = {
    "attestation": {"type": "evaluation", "signer": "evals"},
    "when": "predicate.passRate >= 0.75 && predicate.cases >= 2",
    "message": "The regression suite must pass.",
}


@needs_library
def test_a_condition_is_met_unmet_or_cannot_be_told() -> None:
    met = judged(GOOD, evaluation({"a": 1, "b": 1}))
    assert (met.state, met.found) == (State.MET, "predicate.cases is 2, predicate.passRate is 1")
    unmet = judged(GOOD, evaluation({"a": 1, "b": 0}))
    assert (unmet.state, unmet.message) == (State.UNMET, "The regression suite must pass.")
    assert unmet.expected == GOOD["when"]
    unknown = judged(GOOD, attested(PREDICATE_EVALUATION, {"suite": "regression"}))
    assert unknown.state is State.INCONCLUSIVE
    assert "predicate.cases" in (unknown.found or "")


def test_evidence_that_is_too_large_to_be_read_tells_nothing() -> None:
    assert judged(GOOD, attested(PREDICATE_EVALUATION, None)).state is State.INCONCLUSIVE


NO_WORSE: JsonObject = {
    "attestation": {"type": "evaluation", "signer": "evals"},
    "baseline": "current",
    "when": "predicate.passRate >= baseline.passRate",
}


@needs_library
@pytest.mark.parametrize(
    ("before", "after", "state"), [(0, 1, State.MET), (1, 1, State.MET), (0, 0, State.MET), (1, 0, State.UNMET)]
)
def test_the_comparison_is_with_what_the_channel_serves(before: int, after: int, state: State) -> None:
    case = case_of(NO_WORSE)
    case.attach(evaluation({"a": after}))
    case.channel(serving_evidence=(evaluation({"a": before}),))
    assert case.state("it") is state


@needs_library
def test_without_evidence_about_what_is_served_the_comparison_cannot_be_made() -> None:
    finding = judged(NO_WORSE, evaluation({"a": 1}))
    assert finding.state is State.INCONCLUSIVE
    assert finding.hint == "attach one to acme/triage:1.3.0 first"


@needs_library
@pytest.mark.parametrize(("choice", "state"), [("pass", State.MET), ("fail", State.UNMET)])
def test_the_first_release_of_a_channel_has_nothing_to_be_compared_with(choice: str, state: State) -> None:
    case = case_of({**NO_WORSE, "onMissingBaseline": choice})
    case.channel(serving=None, window=())
    assert case.state("it") is State.UNMET  # the evidence itself must be there all the same
    case.attach(evaluation({"a": 1}))
    assert case.state("it") is state


TWO: JsonObject = {"approvals": {"count": 2, "role": "reviewer", "maxAge": "72h"}}


def test_approvals_say_who_approved_and_who_else_may() -> None:
    case = case_of(TWO)
    finding = case.finding("it")
    assert finding.message == "1 of 2: bob approved; needs 1 more of reviewer (carol)"
    assert finding.who_can == ("carol",)
    case.approve(case.approval("bob"), case.approval("carol"))
    assert case.finding("it").message == "2 of 2: bob and carol approved"


def test_an_approval_does_not_count_for_want_of_the_role_or_the_age() -> None:
    case = case_of(TWO)
    case.approve(case.approval("bob", groups=("managers",)), case.approval("carol", age=4 * DAY))
    assert case.finding("it").measured["passedOver"] == [
        "carol does not count: it was signed 4d ago, and may be 3d old",
        "bob does not count: does not have the role reviewer",
    ]


def test_the_requester_must_be_known_as_well_as_the_author() -> None:
    case = case_of({"approvals": {"count": 1, "role": "reviewer"}})
    assert case.state("it") is State.MET
    case.request(requester=human("somebody", "managers"))
    finding = case.finding("it")
    assert finding.state is State.INCONCLUSIVE
    assert "who the requester somebody@acme.example is" in finding.message
    case.policy = policy({"id": "it", "approvals": {"count": 1, "role": "reviewer", "notRequester": False}})
    case.approve(case.approval("bob"))
    assert case.state("it") is State.MET


def test_a_pipeline_that_nobody_knows_as_a_person_leaves_the_author_open() -> None:
    case = case_of({"approvals": {"count": 1, "role": "reviewer"}})
    case.release(author=pipeline(RELEASES, "somebody-else"))
    assert case.state("it") is State.INCONCLUSIVE
    case.release(author=None)
    assert "was not kept" in case.finding("it").message


LOOKED_AT: JsonObject = {"review": {"evaluation": "evals", "role": "reviewer", "suite": "regression"}}


def flipping() -> Case:
    """Give a release with which case b fails, which passes with what stable serves."""
    case = case_of(LOOKED_AT)
    case.attach(evaluation({"a": 1, "b": 0, "new": 0}))
    case.channel(serving_evidence=(evaluation({"a": 1, "b": 1, "gone": 0}),))
    return case


def test_cases_that_flipped_need_a_review_that_speaks_of_them() -> None:
    case = flipping()
    finding = case.finding("it")
    assert finding.message == "1 cases flipped against what stable serves, and nobody reviewed them"
    assert finding.found == "b"
    case.approve(*case.inputs.approvals, case.review("bob", "b"))
    assert case.finding("it").message == "bob reviewed the flipped cases"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"verdict": "rejected"}, "the review rejects them"),
        ({"groups": ()}, "does not have the role reviewer"),
        ({"age": -DAY}, "yet to come"),
    ],
)
def test_a_review_that_does_not_count_is_told_why(changes: dict[str, Any], why: str) -> None:
    case = flipping()
    case.approve(case.review("bob", "b", **changes))
    assert why in (case.finding("it").found or "")


def test_a_review_of_other_cases_or_of_ones_own_release_does_not_count() -> None:
    case = flipping()
    case.approve(case.review("bob", "a"))
    assert "it does not speak of b" in (case.finding("it").found or "")
    case.release(author=human("bob"))
    case.approve(case.review("bob", "b"))
    assert "is the author" in (case.finding("it").found or "")
    case.release(author=pipeline(RELEASES, "nobody-knows"))
    assert case.state("it") is State.INCONCLUSIVE


def test_a_case_that_passed_and_is_left_out_now_has_flipped() -> None:
    case = flipping()
    case.given(attestations=(evaluation({"a": 1}),))
    assert case.finding("it").found == "b"
    case.approve(case.review("bob", "b"))
    assert case.state("it") is State.MET


def test_of_what_one_reviewer_says_the_latest_counts() -> None:
    case, hour = flipping(), timedelta(hours=1)
    accepted = case.review("bob", "b", age=2 * hour)
    case.approve(accepted, case.review("bob", "b", verdict="rejected", age=hour))
    assert "has rejected them since" in (case.finding("it").found or "")
    case.approve(accepted, case.review("bob", "b", verdict="rejected", age=3 * hour))
    assert case.state("it") is State.MET
    case.approve(accepted, case.review("carol", "b", verdict="rejected", age=hour))
    assert case.state("it") is State.MET


def test_a_review_is_not_needed_where_nothing_flipped_and_not_spared_where_nobody_can_tell() -> None:
    case = flipping()
    case.given(attestations=(evaluation({"a": 1, "b": 1}),))
    assert case.state("it") is State.MET
    case.channel(serving_evidence=())
    assert case.state("it") is State.INCONCLUSIVE
    case.given(attestations=())
    assert case.state("it") is State.UNMET
    case.channel(serving=None)
    assert case.state("it") is State.MET


SOAKED: JsonObject = {"soak": {"min": "24h"}}


@pytest.mark.parametrize(
    ("tenures", "state"),
    [
        ((Tenure("staging", NOW - DAY),), State.MET),
        ((Tenure("staging", NOW - DAY + timedelta(seconds=1)),), State.UNMET),
        ((Tenure("dev", NOW - 9 * DAY),), State.UNMET),
        # twice twenty hours are not once a day
        ((Tenure("staging", NOW - 50 * HOUR, NOW - 30 * HOUR), Tenure("staging", NOW - 20 * HOUR)), State.UNMET),
        # what touches has no break
        ((Tenure("staging", NOW - 30 * HOUR, NOW - 10 * HOUR), Tenure("staging", NOW - 10 * HOUR)), State.MET),
        # it soaked long ago, which counts
        ((Tenure("staging", NOW - 90 * HOUR, NOW - 60 * HOUR), Tenure("staging", NOW - HOUR)), State.MET),
    ],
)
def test_soaking_is_the_longest_time_without_a_break(tenures: tuple[Tenure, ...], state: State) -> None:
    assert judged(SOAKED, tenures=tenures).state is state


def test_whoever_is_not_in_the_source_channel_is_not_told_to_wait_there() -> None:
    assert (judged(SOAKED, tenures=()).hint or "").startswith("promote it to staging first")
    assert "goes on by itself" in (judged(SOAKED, tenures=(Tenure("staging", NOW - timedelta(hours=1)),)).hint or "")


def test_tasks_that_nobody_reports_are_none_and_cannot_be_told() -> None:
    requirement: JsonObject = {"soak": {"min": "24h", "minTasks": 500}}
    unknown = judged(requirement)
    assert (unknown.state, unknown.found) == (State.INCONCLUSIVE, "2d in staging, 0 tasks")
    assert judged(requirement, tasks=499).state is State.UNMET
    assert judged(requirement, tasks=500).state is State.MET


@pytest.mark.parametrize(("match", "state"), [("all", State.UNMET), ("any", State.MET)])
def test_having_been_current_upstream_counts_in_all_or_in_one(match: str, state: State) -> None:
    requirement: JsonObject = {"upstream": {"channels": ["dev", "staging"], "match": match}}
    finding = judged(requirement)
    assert finding.state is state
    assert judged(requirement, tenures=(Tenure("dev", NOW - DAY, NOW), Tenure("staging", NOW - DAY))).state is State.MET
    assert match == "any" or finding.hint == "promote it to dev first"


def test_a_bill_of_materials_is_there_or_not() -> None:
    assert judged({"sbom": {}}).message == "there is no bill of materials (cyclonedx or spdx)"
    assert judged({"sbom": {}}, bill()).message == "there is a bill of materials (cyclonedx) of 12 components"
    assert judged({"sbom": {"formats": ["spdx"]}}, bill()).state is State.UNMET
    assert judged({"sbom": {"signer": "evals"}}, bill()).state is State.UNMET


SAFE: JsonObject = {"vulnerabilities": {"signer": "scans", "atMost": "medium", "ignore": ["CVE-9"], "maxAge": "24h"}}


@pytest.mark.parametrize(
    ("findings", "state"),
    [
        ((), State.MET),
        ((("CVE-1", "medium"), ("CVE-9", "critical")), State.MET),
        ((("CVE-1", "high"),), State.UNMET),
        ((("CVE-1", "who knows"),), State.UNMET),
    ],
)
def test_a_scan_finds_nothing_above_what_is_tolerated(findings: tuple[tuple[str, str], ...], state: State) -> None:
    assert judged(SAFE, scan(*findings)).state is state


def test_a_long_scan_is_judged_by_its_counts_unless_what_is_tolerated_may_be_among_them() -> None:
    many = [(f"CVE-{number}", "low") for number in range(2_000)]
    assert judged(SAFE, scan(*many)).state is State.MET
    assert judged(SAFE, scan(*many, ("CVE-9", "critical"))).state is State.INCONCLUSIVE
    assert judged(SAFE, scan(*many, ("CVE-9", "critical"), ("X", "high"))).state is State.UNMET


def test_a_fresh_signature_does_not_make_an_old_scan_young() -> None:
    finding = judged(SAFE, scan(finished=2 * DAY))
    assert (finding.state, finding.message) == (State.UNMET, "the latest vulnerability scan is too old")


def test_a_scan_of_a_time_that_is_yet_to_come_is_not_young() -> None:
    finding = judged(SAFE, scan(finished=-365 * DAY))
    assert finding.state is State.UNMET
    assert "yet to come" in finding.message
    assert judged(SAFE, scan(finished=timedelta(seconds=-30))).state is State.MET


def test_provenance_is_worth_what_the_charter_says_of_its_builder() -> None:
    wanted: JsonObject = {"provenance": {"level": 3, "builders": [f"{BUILDER}@refs/tags/v1"]}}
    assert judged(wanted, provenance()).state is State.MET
    assert judged(wanted, provenance(f"{BUILDER}@refs/tags/v2")).state is State.UNMET
    own = judged({"provenance": {"level": 3}}, provenance(f"{FORGE}/acme/triage/build.yml@refs/heads/main"))
    assert own.found == f"level 1 by {FORGE}/acme/triage/build.yml@refs/heads/main"
    assert judged(wanted).state is State.UNMET
    assert judged(wanted, provenance(), charter=None).state is State.UNMET


@pytest.mark.parametrize(("result", "state"), [("PASSED", State.MET), ("WARNED", State.UNMET), ("FAILED", State.UNMET)])
def test_only_tests_that_passed_have_passed(result: str, state: State) -> None:
    view: JsonObject = {"result": result, "failedTests": ["test_refund"] if result == "FAILED" else []}
    finding = judged({"testResult": {"signer": "evals"}}, attested(PREDICATE_TEST_RESULT, view))
    assert finding.state is state
    assert result != "FAILED" or finding.found == "FAILED: test_refund"


def test_the_charter_has_a_say_in_who_may_attest_whatever_the_policy_names() -> None:
    finding = judged(EVALUATED, evaluation({"a": 1}), charter=charter(attesters=[]))
    assert "the charter does not let it attest that" in (finding.found or "")
