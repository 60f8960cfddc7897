"""What holds of every decision, whatever comes in."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.client.policy.deciding import (
    DIGEST,
    IDP,
    NOW,
    RELEASES,
    ROOT,
    SERVED,
    Case,
    attested,
    bill,
    charter,
    evaluation,
    human,
    pipeline,
    policy,
    provenance,
    scan,
)
from tests.client.policy.test_record import record_of
from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.approval import Action
from tidegate.formats.predicates.types import PREDICATE_TEST_RESULT
from tidegate.policy.decide import STEPS, decide
from tidegate.policy.inputs import Difference, Inputs, Tenure
from tidegate.policy.record import parse_record, redecide
from tidegate.policy.requirements import Change
from tidegate.policy.verdict import Allowed, Refused, State

QUICK: Final = settings(max_examples=40, deadline=None)
BY_LATEST: Final = {"attestation", "review", "vulnerabilities", "testResult"}

POLICY: Final = policy(
    {"id": "two", "approvals": {"count": 2, "role": "reviewer", "maxAge": "72h"}},
    {"id": "own", "approvals": {"count": 1, "role": "reviewer", "notAuthor": False, "notRequester": False}},
    {"id": "evaluated", "attestation": {"type": "evaluation", "signer": "evals", "maxAge": "7d"}},
    {"id": "looked-at", "review": {"evaluation": "evals", "role": "reviewer"}},
    {"id": "soaked", "soak": {"min": "24h", "minTasks": 5}},
    {"id": "been-there", "upstream": {"channels": ["dev", "staging"], "match": "any", "min": "1h"}},
    {"id": "listed", "sbom": {}, "ifChanged": ["capability-raised"]},
    {"id": "safe", "vulnerabilities": {"signer": "scans", "atMost": "medium", "maxAge": "24h"}},
    {"id": "built", "provenance": {"level": 3}},
    {"id": "tested", "testResult": {"signer": "evals", "maxAge": "30d"}, "warnUntil": "2026-11-22"},
)

AGES = st.sampled_from([timedelta(minutes=-2), timedelta(minutes=1), timedelta(hours=2), timedelta(days=4)])
CHANNELS = st.sampled_from(["dev", "staging", "stable"])
RAISED: Final = Change.CAPABILITY_RAISED
CHANGES: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {"root": "other"}, {"signers": ("nobody",)}, {"log_index": 9}]
)


@st.composite
def evidence(draw: st.DrawFn) -> Any:
    """Draw an attestation, most of which count."""
    outcome = draw(st.integers(0, 1))
    made = draw(
        st.sampled_from(
            [
                evaluation({"a": 1, "b": outcome}),
                scan(("CVE-1", "high")) if outcome else scan(),
                bill(),
                provenance(),
                attested(PREDICATE_TEST_RESULT, {"result": "PASSED" if outcome else "FAILED"}),
            ]
        )
    )
    signed_at = NOW - draw(AGES)
    # another statement: one that is signed again stays as old as it is, which is tested elsewhere
    payload = Digest.of(f"{made.payload_digest} {signed_at}".encode())
    return replace(made, signed_at=signed_at, payload_digest=payload, **draw(CHANGES))


@st.composite
def statements(draw: st.DrawFn, case: Case) -> Any:
    """Draw an approval or a review, most of which count."""
    by = draw(st.sampled_from(["bob", "carol", "alice", "dave", "mallory"]))
    members: dict[str, Any] = {"age": draw(AGES), "groups": draw(st.sampled_from([("reviewers",), ()]))}
    if draw(st.integers(0, 3)) == 0:
        return case.review(by, "b", **members)
    others: list[JsonObject] = [{}, {}, {}, {"sequence": 6}, {"digest": str(SERVED)}]
    said = draw(st.sampled_from(others))
    found = case.approval(by, said=said, **members)
    return replace(found, filed_by=None, known_as=None) if draw(st.integers(0, 5)) == 0 else found


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a request with all that it rests on."""
    case = Case(POLICY)
    names = ("bob", "carol", "alice", "dave")
    case.given(
        charter=draw(
            st.sampled_from(
                [
                    charter(
                        approvers=[
                            {"name": name, "root": ROOT, "issuer": IDP, "identity": f"{name}@acme.example"}
                            for name in names
                        ],
                        approvals={"stable": count},
                    )
                    for count in (0, 1, 2)
                ]
            )
        ),
        tasks=draw(st.sampled_from([None, 0, 5])),
        difference=draw(
            st.sampled_from(
                [None, Difference(), Difference(frozenset({Change.CAPABILITY_RAISED})), Difference(unknown="x")]
            )
        ),
        tenures=tuple(
            Tenure(channel, NOW - timedelta(hours=hours), None if hours < 30 else NOW - timedelta(hours=hours - 20))
            for channel, hours in draw(
                st.lists(
                    st.tuples(st.sampled_from(["dev", "staging", "stable"]), st.sampled_from([1, 26, 50])), max_size=3
                )
            )
        ),
    )
    case.release(
        author=draw(st.sampled_from([None, pipeline(RELEASES, "alice-gh"), human("bob"), human("who")])),
        channels=draw(st.sampled_from([(), ("stable",)])),
        revoked=draw(st.sampled_from([None, None, None, "it leaks"])),
    )
    case.channel(
        serving_evidence=draw(st.sampled_from([(), (evaluation({"a": 1, "b": 1}),)])),
        left=draw(st.sampled_from([frozenset(), frozenset(), frozenset({DIGEST})])),
        sequence=draw(st.sampled_from([7, 7, 8])),
    )
    case.request(
        action=draw(st.sampled_from([Action.PROMOTE, Action.PROMOTE, Action.ROLLBACK])),
        requester=human(draw(st.sampled_from(["dave", "bob", "who"])), *draw(st.sampled_from([("managers",), ()]))),
    )
    if draw(st.integers(0, 3)) == 0:
        others: list[JsonObject] = [{}, {"channel": "dev"}]
        case.request(glass=case.glass(said=draw(st.sampled_from(others))))
    case.given(
        attestations=tuple(draw(st.lists(evidence(), max_size=6))),
        approvals=tuple(draw(st.lists(statements(case), max_size=4))),
    )
    return case


@QUICK
@given(case=cases(), data=st.data())
def test_the_order_of_what_comes_in_means_nothing(case: Case, data: st.DataObject) -> None:
    inputs, turn = case.inputs, data.draw(st.integers(0, 6))

    def turned(several: tuple[Any, ...]) -> tuple[Any, ...]:
        return (*several[turn:], *several[:turn]) if turn < 4 else several[::-1]

    shuffled = replace(
        inputs,
        attestations=turned(inputs.attestations),
        approvals=turned(inputs.approvals),
        tenures=turned(inputs.tenures),
    )
    assert decide(case.policy, shuffled, NOW) == case.verdict() == case.verdict()


@QUICK
@given(case=cases())
def test_only_what_passes_altogether_is_allowed(case: Case) -> None:
    verdict = case.verdict()
    stopped = [one for one in verdict.findings if one.state in {State.UNMET, State.INCONCLUSIVE}]
    assert isinstance(verdict, Refused if stopped else Allowed)
    assert len(verdict.findings) == len(STEPS) + len(POLICY.document.transitions[-1].require)


@QUICK
@given(case=cases())
def test_every_decision_can_be_made_again_from_its_record(case: Case) -> None:
    assert redecide(parse_record(record_of(case))) == case.verdict()


def states(case: Case, inputs: Inputs) -> dict[tuple[str, str], State]:
    """Decide, and say how each finding stands."""
    return {(one.kind, one.id): one.state for one in decide(case.policy, inputs, NOW).findings}


@QUICK
@given(case=cases(), added=evidence())
def test_more_evidence_turns_met_into_unmet_only_by_being_the_latest(case: Case, added: Any) -> None:
    before, inputs = states(case, case.inputs), case.inputs
    after = states(case, replace(inputs, attestations=(*inputs.attestations, added)))
    for finding, state in before.items():
        if state is State.MET and after[finding] is not State.MET:
            assert finding[0] in BY_LATEST
            assert any(
                added.order > one.order for one in inputs.attestations if one.predicate_type == added.predicate_type
            )


@QUICK
@given(case=cases(), data=st.data())
def test_more_approvals_never_take_anything_away(case: Case, data: st.DataObject) -> None:
    before, inputs = states(case, case.inputs), case.inputs
    added = data.draw(statements(case))
    after = states(case, replace(inputs, approvals=(*inputs.approvals, added)))
    assert all(after[finding].passes for finding, state in before.items() if state.passes)


@QUICK
@given(case=cases(), data=st.data())
def test_taking_an_approval_away_allows_nothing_that_was_refused(case: Case, data: st.DataObject) -> None:
    approvals = case.inputs.approvals
    if isinstance(case.verdict(), Allowed) or not approvals:
        return
    gone = data.draw(st.integers(0, len(approvals) - 1))
    without = replace(case.inputs, approvals=(*approvals[:gone], *approvals[gone + 1 :]))
    assert isinstance(decide(case.policy, without, NOW), Refused)
