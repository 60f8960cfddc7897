"""Decision records: complete enough to decide again from them alone, and nothing in them can be exchanged."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.client.policy.deciding import (
    DIGEST,
    NOW,
    SERVED,
    Case,
    bill,
    evaluation,
    human,
    policy,
    provenance,
    scan,
)
from tests.client.policy.documents import loaded
from tidegate.digest import Digest
from tidegate.errors import StatementInvalid
from tidegate.formats.identity import MAX_VALUE_CHARACTERS
from tidegate.formats.jcs import JsonObject, canonical_bytes, parse_object
from tidegate.policy.inputs import Caller, Difference, Tenure
from tidegate.policy.record import MAX_RECORD_BYTES, make_record, parse_record, redecide
from tidegate.policy.requirements import Change
from tidegate.policy.verdict import State

ACTOR = {"kind": "human", "issuer": "https://idp.example", "name": "dave@acme.example"}
EVERYTHING: tuple[JsonObject, ...] = (
    {"id": "two", "approvals": {"count": 2, "role": "reviewer", "maxAge": "72h"}},
    {"id": "evaluated", "attestation": {"type": "evaluation", "signer": "evals", "maxAge": "7d"}},
    {
        "id": "no-regression",
        "attestation": {"type": "evaluation", "signer": "evals"},
        "baseline": "current",
        "when": "predicate.passRate >= baseline.passRate - 0.01",
    },
    {"id": "looked-at", "review": {"evaluation": "evals", "role": "reviewer"}},
    {"id": "soaked", "soak": {"min": "24h", "minTasks": 500}},
    {"id": "been-there", "upstream": {"channels": ["dev", "staging"], "match": "any", "min": "1h"}},
    {"id": "listed", "sbom": {}},
    {"id": "safe", "vulnerabilities": {"signer": "scans", "atMost": "medium"}},
    {"id": "built", "provenance": {"level": 3}, "ifChanged": ["capability-raised"]},
    {"id": "tested", "testResult": {"signer": "evals"}, "warnUntil": "2026-12-01"},
)


def full_case() -> Case:
    """Give a case in which every kind of input says something."""
    case = Case(policy(*EVERYTHING))
    case.attach(evaluation({"a": 1, "b": 1}), scan(("CVE-1", "high")), bill(), provenance())
    case.channel(
        serving_evidence=(evaluation({"a": 1, "b": 0}),), hold="held", debts=("owed",), left=frozenset({SERVED})
    )
    case.given(
        difference=Difference(frozenset({Change.CAPABILITY_RAISED}), {"tools": ["shell"]}),
        tasks=12,
        tenures=(*case.inputs.tenures, Tenure("dev", NOW - timedelta(days=3), NOW - timedelta(days=2, seconds=1.5))),
        roots=(("sigstore", Digest.of(b"root")),),
    )
    case.approve(case.approval("bob"), case.approval("carol"), case.review("bob", "b"))
    case.request(glass=case.glass(), reason="tickets", requester=human("dave", "managers", "", "managers"))
    return case


def record_of(case: Case) -> bytes:
    """Decide a case and write its record."""
    return make_record(case.policy, case.inputs, case.verdict(), now=case.now, actor=ACTOR)


@pytest.mark.parametrize("case", [Case(), full_case()], ids=["allowed", "full"])
def test_a_decision_can_be_made_again_from_its_record_alone(case: Case) -> None:
    record = parse_record(record_of(case))
    assert redecide(record) == record.verdict == case.verdict()
    assert record.inputs == case.inputs
    assert (record.decided_at, record.actor, record.policy.load().digest) == (case.now, ACTOR, case.policy.digest)


def test_the_longest_identity_that_a_certificate_may_have_can_be_read_again() -> None:
    case = Case()
    case.request(requester=Caller("ci", f"https://{'i' * 2040}", "w" * MAX_VALUE_CHARACTERS))
    assert parse_record(record_of(case)).inputs == case.inputs


def test_a_decision_by_policy_and_overlay_can_be_made_again() -> None:
    case = Case()
    overlay: dict[str, Any] = {
        "format": "tidegate/policy-overlay/v1",
        "namespace": "acme",
        "transitions": [{"from": "staging", "to": "stable", "require": [{"id": "bill", "sbom": {}}]}],
    }
    case.policy = loaded(case.policy.document.model_dump(mode="json", by_alias=True), overlay)
    case.approve(case.approval("bob"))
    record = parse_record(record_of(case))
    assert redecide(record) == case.verdict()
    assert case.lacks() == ["bill"]


def test_a_record_says_what_another_policy_would_have_said() -> None:
    record = parse_record(record_of(Case()))
    flipped = redecide(record, policy({"id": "bill", "sbom": {}}))
    assert [finding.id for finding in flipped.findings if finding.state is State.UNMET] == ["approvals", "bill"]


def test_the_same_decision_has_the_same_record_byte_for_byte() -> None:
    case = full_case()
    first = record_of(case)
    assert record_of(case) == first
    assert canonical_bytes(parse_object(first, limit=MAX_RECORD_BYTES, what="a record")) == first


def exchange(document: JsonObject, *path: str, value: object) -> bytes:
    """Give the record with one part exchanged."""
    inside: Any = document
    for name in path[:-1]:
        inside = inside[name]
    inside[path[-1]] = value
    return canonical_bytes(document)


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        (("verdict",), "refused", "decision-mismatch"),
        (("digests", "charter"), str(DIGEST), "decision-mismatch"),
        (("digests", "evidence"), [], "decision-mismatch"),
        (("inputs", "charter", "rollbackWindow"), 9, "decision-mismatch"),
        (("inputs", "charter", "rollbackWindows"), 9, "decision-malformed"),
        (("inputs", "surprise"), 1, "decision-malformed"),
        (("inputs", "request", "action"), "delete", "decision-malformed"),
        (("inputs", "tasks"), "many", "decision-malformed"),
        (("inputs", "attestations"), None, "decision-mismatch"),
        (("format",), "tidegate/decision/v2", "decision-malformed"),
        (("decidedAt",), "yesterday", "decision-malformed"),
        (("findings",), [], "decision-mismatch"),
    ],
)
def test_a_record_that_was_changed_is_not_read(path: tuple[str, ...], value: object, code: str) -> None:
    document = parse_object(record_of(Case()), limit=MAX_RECORD_BYTES, what="a record")
    with pytest.raises(StatementInvalid) as refused:
        parse_record(exchange(document, *path, value=value))
    assert refused.value.reasons[0].code == code


def test_a_record_with_another_policy_is_not_decided_again() -> None:
    document = parse_object(record_of(Case()), limit=MAX_RECORD_BYTES, what="a record")
    record = parse_record(exchange(document, "policy", "document", "channels", value=["dev", "staging", "stable", "x"]))
    with pytest.raises(StatementInvalid) as refused:
        redecide(record)
    assert refused.value.reasons[0].code == "decision-mismatch"
