"""An evaluation is run again until it passes, an old result is made young, or a clock is turned."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.client.policy.deciding import NOW, Case, attested, evaluation, policy
from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.types import PREDICATE_TEST_RESULT
from tidegate.policy.verdict import State

MINUTE = timedelta(minutes=1)
TESTED: JsonObject = {"id": "it", "testResult": {"signer": "evals", "maxAge": "24h"}}


def result(outcome: str, age: timedelta = MINUTE, **members: Any) -> Any:
    """Give a test result by evals."""
    return attested(PREDICATE_TEST_RESULT, {"result": outcome}, age=age, **members)


def state_of(*evidence: Any) -> State:
    """Say how the requirement stands with that evidence."""
    case = Case(policy(TESTED))
    case.attach(*evidence)
    return case.state("it")


def test_the_latest_result_counts_whatever_passed_before() -> None:
    assert state_of(result("PASSED", 3 * MINUTE), result("FAILED", 2 * MINUTE)) is State.UNMET
    assert state_of(result("FAILED", 3 * MINUTE), result("PASSED", 2 * MINUTE)) is State.MET


def test_at_one_moment_the_place_in_the_log_decides_and_not_the_order_of_the_list() -> None:
    passed, failed = result("PASSED", log_index=3), result("FAILED", log_index=4)
    assert state_of(passed, failed) is state_of(failed, passed) is State.UNMET


def test_signing_an_old_result_again_does_not_make_it_the_latest() -> None:
    passed = result("PASSED", 9 * MINUTE)
    again = result("PASSED", MINUTE, payload_digest=passed.payload_digest)
    assert state_of(passed, result("FAILED", 5 * MINUTE), again) is State.UNMET


def test_a_first_signature_that_counts_for_nothing_hides_no_later_one_that_does() -> None:
    passed = result("PASSED", MINUTE)
    worthless = result("PASSED", 9 * MINUTE, payload_digest=passed.payload_digest, signers=("nobody",))
    assert state_of(worthless, passed) is state_of(passed) is State.MET


def test_a_result_of_another_signer_or_from_the_future_hides_no_failure() -> None:
    failed = result("FAILED", 2 * MINUTE)
    assert state_of(failed, result("PASSED", signers=("nobody",))) is State.UNMET
    assert state_of(failed, result("PASSED", root="other")) is State.UNMET
    assert state_of(failed, result("PASSED", identity="https://forge.example/mine@refs/heads/main")) is State.UNMET
    assert state_of(failed, result("PASSED", signed_at=NOW + timedelta(seconds=61))) is State.UNMET


@pytest.mark.parametrize(("seconds", "state"), [(60, State.MET), (61, State.UNMET)])
def test_clocks_may_differ_by_a_minute_and_no_more(seconds: int, state: State) -> None:
    assert state_of(result("PASSED", signed_at=NOW + timedelta(seconds=seconds))) is state


def test_age_is_counted_by_the_verified_time_of_signing() -> None:
    assert state_of(result("PASSED", timedelta(hours=24))) is State.MET
    assert state_of(result("PASSED", timedelta(hours=24, seconds=1))) is State.UNMET


def suite(name: str, outcomes: dict[str, int], **members: Any) -> Any:
    """Give an evaluation of another suite than `regression`, or of that one."""
    found = evaluation(outcomes, **members)
    assert found.view is not None
    return replace(found, view={**found.view, "suite": name}, payload_digest=Digest.of(f"{name} {outcomes}".encode()))


def compared(requirement: JsonObject, *evidence: Any) -> State:
    """Say how a requirement stands beside a regression suite of two cases that passed with what is served."""
    case = Case(policy({"id": "it", **requirement}))
    case.attach(*evidence)
    case.channel(serving_evidence=(evaluation({"a": 1, "b": 1}),))
    return case.state("it")


LOOKED_AT: JsonObject = {"review": {"evaluation": "evals", "role": "reviewer"}}


def test_leaving_out_the_cases_that_fail_flips_them_all_the_same() -> None:
    assert compared(LOOKED_AT, evaluation({"a": 1, "b": 0})) is State.UNMET
    assert compared(LOOKED_AT, evaluation({"a": 1})) is State.UNMET
    assert compared(LOOKED_AT, evaluation({"a": 1, "b": 1, "new": 0})) is State.MET


def test_a_suite_that_is_easier_is_not_compared_with_the_one_before() -> None:
    failed, easy = evaluation({"a": 1, "b": 0}, age=3 * MINUTE), suite("smoke", {"a": 1, "b": 1}, age=MINUTE)
    assert compared(LOOKED_AT, failed, easy) is State.INCONCLUSIVE
    named: JsonObject = {"review": {"evaluation": "evals", "role": "reviewer", "suite": "regression"}}
    assert compared(named, failed, easy) is State.UNMET
    no_worse: JsonObject = {
        "attestation": {"type": "evaluation", "signer": "evals"},
        "baseline": "current",
        "when": "predicate.passRate >= baseline.passRate",
    }
    assert compared(no_worse, failed, easy) is State.INCONCLUSIVE
    asked: JsonObject = {"attestation": {"type": "evaluation", "signer": "evals", "suite": "regression"}}
    assert compared({**no_worse, **asked}, failed, easy) is State.UNMET


def test_a_requirement_of_a_suite_takes_no_other_for_it() -> None:
    asked: JsonObject = {"attestation": {"type": "evaluation", "signer": "evals", "suite": "regression"}}
    assert compared(asked, suite("smoke", {"a": 1})) is State.UNMET
    assert compared(asked, suite("smoke", {"a": 1}), evaluation({"a": 1}, age=3 * MINUTE)) is State.MET


def test_a_review_of_the_same_cases_in_another_suite_accepts_nothing() -> None:
    case = Case(policy({"id": "it", **LOOKED_AT}))
    case.attach(suite("safety", {"a": 1, "b": 0}))
    case.channel(serving_evidence=(suite("safety", {"a": 1, "b": 1}),))
    case.approve(case.review("bob", "b"))
    assert "it is about suite regression" in (case.finding("it").found or "")
