"""A promotion or a rollback that lacks one single thing tries to get through on all the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.client.policy.deciding import (
    DIGEST,
    FACTS,
    NOW,
    SERVED,
    Case,
    attested,
    bill,
    charter,
    evaluation,
    human,
    policy,
    provenance,
    scan,
)
from tests.client.policy.test_decide import going_back
from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.types import PREDICATE_TEST_RESULT
from tidegate.policy.inputs import Release, Tenure
from tidegate.policy.verdict import Allowed, Refused

FROZEN = {"name": "fair", "channels": ["stable"], "start": "2026-11-20T00:00:00Z", "end": "2026-11-23T00:00:00Z"}

LACKING: dict[str, Callable[[Case], object]] = {
    "source": lambda case: case.given(tenures=(Tenure("dev", NOW - timedelta(days=9)),)),
    "requester": lambda case: case.request(requester=human("mallory")),
    "approvals": lambda case: case.approve(),
    "revoked": lambda case: case.release(revoked="it leaks"),
    "forward": lambda case: case.channel(serving=Release("1.10.0", SERVED, None, NOW, FACTS)),
    "newest": lambda case: case.channel(sequence=8),
    "debt": lambda case: case.channel(debts=("erin broke the glass",)),
    "hold": lambda case: case.channel(hold="rolled back"),
    "floor": lambda case: case.release(facts=replace(FACTS, builder_level=0)),
}


@pytest.mark.parametrize("name", LACKING)
def test_one_thing_that_is_lacking_is_enough(name: str) -> None:
    case = Case()
    assert isinstance(case.verdict(), Allowed)
    LACKING[name](case)
    assert case.lacks() == [name]


def test_an_edge_that_the_policy_does_not_have_is_not_gone_with_the_approvals_of_another() -> None:
    case = Case()
    case.request(source=None)
    case.given(charter=charter(approvals={"stable": 0}))
    case.release(channels=("stable",))
    case.request(requester=human("dave", "managers"))
    assert case.lacks() == ["transition", "requester"]


def test_a_channel_that_the_charter_does_not_name_takes_nothing_whatever_the_policy_says() -> None:
    case = Case()
    case.given(charter=charter(approvals={"staging": 0}))
    assert "charter" in case.lacks()
    case.given(charter=charter(agent="acme/other"))
    assert case.lacks() == ["charter"]


def test_a_publisher_whom_the_policy_does_not_name_publishes_nothing_that_moves() -> None:
    case = Case(policy(publishers=[{"agents": ["acme/*"], "signers": ["evals"]}]))
    assert case.lacks() == ["publisher"]


def test_a_freeze_stops_what_is_complete() -> None:
    case = Case(policy(freezes=[FROZEN]))
    assert case.lacks() == ["freeze"]


def test_a_rollback_leads_nowhere_new() -> None:
    case = going_back(window=())
    case.approve(case.approval("bob"))
    assert case.lacks() == ["back", "floor"]
    case.release(facts=replace(FACTS, ref_class=type(FACTS.ref_class)(2)))
    assert case.lacks() == ["back"]


def test_a_rollback_of_a_rollback_waits_for_a_signature() -> None:
    assert going_back(left=frozenset({DIGEST})).lacks() == ["approvals"]


GOOD = (
    evaluation({"a": 1}),
    scan(),
    bill(),
    provenance(),
    attested(PREDICATE_TEST_RESULT, {"result": "PASSED"}),
)
REQUIRED: dict[str, tuple[JsonObject, Callable[[Case], object]]] = {
    "attestation": (
        {"attestation": {"type": "evaluation", "signer": "evals"}},
        lambda case: case.given(attestations=(*case.inputs.attestations[:1], *GOOD[1:])),
    ),
    "approvals": (
        {"approvals": {"count": 2, "role": "reviewer"}},
        lambda case: case.approve(*case.inputs.approvals[:1]),
    ),
    "review": (
        {"review": {"evaluation": "evals", "role": "reviewer"}},
        lambda case: case.channel(serving_evidence=(evaluation({"a": 0}),)),
    ),
    "soak": ({"soak": {"min": "24h"}}, lambda case: case.given(tenures=(Tenure("staging", NOW),))),
    "upstream": (
        {"upstream": {"channels": ["dev"]}},
        lambda case: case.given(tenures=(Tenure("staging", NOW - timedelta(days=2)),)),
    ),
    "sbom": ({"sbom": {}}, lambda case: case.given(attestations=(*case.inputs.attestations[:1], *GOOD[:2], GOOD[3]))),
    "vulnerabilities": (
        {"vulnerabilities": {"signer": "scans", "atMost": "low"}},
        lambda case: case.attach(scan(("CVE-1", "critical"), age=timedelta(minutes=1))),
    ),
    "provenance": (
        {"provenance": {"level": 3}},
        lambda case: case.given(charter=charter(builders={})),
    ),
    "testResult": (
        {"testResult": {"signer": "evals"}},
        lambda case: case.attach(attested(PREDICATE_TEST_RESULT, {"result": "FAILED"}, age=timedelta(minutes=1))),
    ),
}


@pytest.mark.parametrize("kind", REQUIRED)
def test_one_requirement_that_is_not_met_is_enough(kind: str) -> None:
    requirement, spoil = REQUIRED[kind]
    case = Case(policy({"id": "it", **requirement}))
    case.attach(*GOOD)
    case.given(tenures=(*case.inputs.tenures, Tenure("dev", NOW - timedelta(days=3), NOW - timedelta(days=2))))
    case.channel(serving_evidence=(evaluation({"a": 1}),))
    case.approve(case.approval("bob"), case.approval("carol"))
    assert isinstance(case.verdict(), Allowed)
    spoil(case)
    verdict = case.verdict()
    assert isinstance(verdict, Refused)
    assert [finding.kind for finding in verdict.missing] == [kind]
