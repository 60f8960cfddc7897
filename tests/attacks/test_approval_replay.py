"""An approval, or a break-glass statement, is used for what it was not signed for, or after its time."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.client.policy.deciding import NOW, SERVED, Case, human, policy
from tidegate.digest import Digest
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.types import PREDICATE_APPROVAL
from tidegate.policy.verdict import Refused

REPLAYS: list[dict[str, Any]] = [
    {"digest": str(SERVED)},
    {"version": "1.3.0"},
    {"agent": "acme/other"},
    {"channel": "staging"},
    {"sequence": 6},
    {"sequence": 7.0},
    {"sequence": True},
    {"action": "rollback"},
    {"expiresAt": moment_text(NOW)},
    {"expiresAt": "2027-01-01"},
    {"expiresAt": None},
    {"expiresAt": moment_text(NOW + timedelta(days=3650))},
]


@pytest.mark.parametrize("said", [*REPLAYS, {"rule": str(Digest.of(b"another rule"))}, {"rule": None}], ids=str)
def test_an_approval_counts_for_nothing_but_what_it_says(said: dict[str, Any]) -> None:
    case = Case(policy({"id": "it", "approvals": {"count": 1, "role": "reviewer"}}))
    case.approve(case.approval("bob", said=said))
    assert case.lacks() == ["approvals", "it"]


def test_an_approval_dies_with_the_rule_it_was_given_under() -> None:
    case = Case(policy({"id": "it", "approvals": {"count": 1, "role": "reviewer"}}))
    case.approve(case.approval("bob"))
    assert case.lacks() == []
    case.policy = policy({"id": "it", "approvals": {"count": 1, "role": "reviewer", "notAuthor": False}})
    assert case.lacks() == ["approvals", "it"]


def test_an_approval_of_a_request_that_was_superseded_does_not_serve_the_next() -> None:
    case = Case()
    case.request(sequence=8)
    case.channel(sequence=8)
    assert case.lacks() == ["approvals"]


def test_an_approval_that_is_older_than_may_be_does_not_count() -> None:
    case = Case(policy({"id": "it", "approvals": {"count": 1, "role": "reviewer", "maxAge": "72h"}}))
    case.approve(case.approval("bob", age=timedelta(hours=73)))
    assert case.lacks() == ["it"]


def test_an_approval_from_the_future_does_not_count() -> None:
    case = Case()
    case.approve(case.approval("bob", age=timedelta(seconds=-61)))
    assert case.lacks() == ["approvals"]


@pytest.mark.parametrize("said", REPLAYS, ids=str)
def test_a_break_glass_statement_counts_for_nothing_but_what_it_says(said: dict[str, Any]) -> None:
    case = Case(policy({"id": "bill", "sbom": {}}))
    case.request(glass=case.glass(said=said))
    assert case.lacks() == ["break-glass", "bill"]


def test_the_glass_is_broken_by_nobody_else_and_for_no_longer_than_the_policy_allows() -> None:
    case = Case(policy({"id": "bill", "sbom": {}}))
    good = case.glass()
    nobody = human("erin", "reviewers")
    for glass in (
        case.glass(age=timedelta(hours=4)),
        replace(good, known_as=nobody),
        replace(good, filed_by=human("bob"), known_as=human("bob", "on-call")),
        replace(good, attested=replace(good.attested, signers=("bob",))),
        replace(good, attested=replace(good.attested, predicate_type=PREDICATE_APPROVAL, signers=("erin",))),
        case.approval("bob", groups=("on-call",)),
    ):
        case.request(glass=glass)
        assert case.lacks() == ["break-glass", "bill"]


@pytest.mark.parametrize(
    "limits",
    [
        {"channels": ["staging"]},
        {"actions": ["rollback"]},
        {"allow": ["reviewer"]},
    ],
    ids=str,
)
def test_the_policy_bounds_what_broken_glass_may_do(limits: dict[str, Any]) -> None:
    allowed = {
        "allow": ["on-call"],
        "channels": ["stable"],
        "expiresAfter": "4h",
        "review": {"within": "24h", "allow": ["reviewer"]},
        **limits,
    }
    case = Case(policy({"id": "bill", "sbom": {}}, breakGlass=allowed))
    case.request(glass=case.glass())
    assert case.lacks() == ["break-glass", "bill"]
    none = Case(policy({"id": "bill", "sbom": {}}, breakGlass=None))
    none.request(glass=none.glass())
    assert isinstance(none.verdict(), Refused)


def test_people_are_told_of_statements_about_this_request_and_the_record_has_all() -> None:
    case = Case(policy({"id": "it", "approvals": {"count": 1, "role": "reviewer"}}))
    case.approve(
        case.approval("bob", said={"channel": "staging"}),
        case.approval("carol", said={"sequence": 6, "rule": str(Digest.of(b"another rule"))}),
    )
    finding = case.finding("it")
    assert finding.found == "nobody; carol does not count: it is for request number 6 of the channel, and this is 7"
    passed_over = finding.measured["passedOver"]
    assert isinstance(passed_over, list)
    assert ["staging" in str(each) for each in passed_over].count(True) == 1
    assert ["another rule" in str(each) for each in passed_over].count(True) == 1
