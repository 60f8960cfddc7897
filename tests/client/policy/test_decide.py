"""Decisions: what the rule itself demands, in order, each told whatever the others say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.client.policy.deciding import (
    DIGEST,
    FACTS,
    NOW,
    SERVED,
    Case,
    charter,
    human,
    policy,
)
from tidegate.digest import Digest
from tidegate.formats.classes import RefClass
from tidegate.formats.predicates.approval import Action
from tidegate.policy.decide import STEPS, decide
from tidegate.policy.inputs import Release, Tenure
from tidegate.policy.verdict import Allowed, Refused, State


def test_a_promotion_that_lacks_nothing_is_allowed() -> None:
    case = Case()
    assert isinstance(case.verdict(), Allowed)
    assert [finding.id for finding in case.verdict().findings] == [step.name for step in STEPS]


def test_every_finding_is_told_whatever_the_first_ones_say() -> None:
    case = Case(policy({"id": "soaked", "soak": {"min": "7d"}}, {"id": "bill", "sbom": {}}))
    case.request(requester=human("mallory"))
    case.approve()
    case.given(tenures=())
    assert case.lacks() == ["source", "requester", "approvals", "soaked", "bill"]


def test_a_transition_that_the_policy_does_not_have_is_refused_with_those_it_has() -> None:
    case = Case()
    case.request(source="dev")
    finding = case.finding("transition")
    assert finding.state is State.UNMET
    assert finding.expected == "staging → stable"


def test_a_release_that_the_source_channel_no_longer_serves_is_refused() -> None:
    case = Case()
    case.given(tenures=(Tenure("staging", NOW - timedelta(days=2), NOW - timedelta(hours=1)),))
    assert case.finding("source").message == "staging does not serve acme/triage:1.4.0 any more"


def test_who_may_not_ask_is_told_who_may() -> None:
    case = Case()
    case.request(requester=human("bob", "reviewers"))
    finding = case.finding("requester")
    assert (finding.state, finding.found, finding.expected) == (State.UNMET, "roles reviewer", "release-manager")
    assert finding.who_can == ("groups managers at https://idp.example",)


def test_a_channel_that_the_charter_does_not_have_takes_nothing() -> None:
    case = Case()
    case.given(charter=charter(approvals={"staging": 0}))
    assert case.lacks() == ["charter", "approvals"]
    case.given(charter=None)
    assert case.state("charter") is State.UNMET


def test_a_policy_narrows_which_publishers_may_publish_an_agent() -> None:
    case = Case(policy(publishers=[{"agents": ["acme/*"], "signers": ["releases"]}]))
    assert case.state("publisher") is State.MET
    other = Case(policy(publishers=[{"agents": ["acme/*"], "signers": ["evals"]}]))
    assert other.lacks() == ["publisher"]


def test_without_approvals_the_release_statement_must_list_the_channel() -> None:
    case = Case()
    case.approve()
    case.given(charter=charter(approvals={"stable": 0}))
    assert case.lacks() == ["approvals"]
    case.release(channels=("stable",))
    assert isinstance(case.verdict(), Allowed)


def test_the_charters_approvals_say_how_many_there_are_and_who_is_left() -> None:
    case = Case()
    case.given(charter=charter(approvals={"stable": 2}))
    finding = case.finding("approvals")
    assert finding.message == "1 of 2: bob approved; needs 1 more of the charter's approvers (carol)"
    assert finding.who_can == ("carol",)
    # two who say the same words sign the same bytes, and are two all the same
    case.approve(case.approval("bob"), case.approval("carol"))
    assert case.finding("approvals").message == "2 of 2: bob and carol approved"


def test_a_freeze_holds_up_a_promotion_until_it_is_over() -> None:
    freeze = {"name": "fair", "channels": ["stable"], "start": "2026-11-20T00:00:00Z", "end": "2026-11-23T00:00:00Z"}
    case = Case(policy(freezes=[freeze]))
    assert case.finding("freeze").expected == "2026-11-23T00:00:00Z or later"
    case.now = datetime(2026, 11, 23, tzinfo=UTC)
    assert case.state("freeze") is State.MET


def test_nothing_promotes_what_was_revoked() -> None:
    case = Case()
    case.release(revoked="it leaks")
    case.request(glass=case.glass())
    assert case.lacks() == ["revoked"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"serving": Release("1.5.0", SERVED, None, NOW, FACTS)}, "1.4.0 is older than what stable serves"),
        ({"serving": Release("1.4.0", DIGEST, None, NOW, FACTS)}, "stable serves it already"),
        ({"window": (SERVED, DIGEST)}, "1.4.0 was served before in stable"),
    ],
)
def test_a_promotion_never_leads_back(changes: dict[str, object], message: str) -> None:
    case = Case()
    case.channel(**changes)
    finding = case.finding("forward")
    assert (finding.state, finding.message) == (State.UNMET, message)
    assert "serves it already" in message or "tidegate rollback" in (finding.hint or "")


def test_what_a_rollback_left_leads_on_again_once_nobody_holds_it_and_somebody_signs_anew() -> None:
    case = Case()
    case.given(charter=charter(approvals={"stable": 0}))
    case.release(channels=("stable",))
    case.channel(left=frozenset({DIGEST}), window=(SERVED, DIGEST), hold="a rollback left 1.4.0")
    case.approve()
    assert case.lacks() == ["approvals", "hold"]
    case.channel(hold=None)
    case.approve(case.approval("bob"))
    assert isinstance(case.verdict(), Allowed)


def test_a_newer_request_supersedes_an_older_one() -> None:
    case = Case()
    case.channel(sequence=8)
    assert case.lacks() == ["newest"]


def test_an_overdue_review_and_a_hold_stop_promotions() -> None:
    case = Case()
    case.channel(debts=("erin broke the glass on 2026-11-19",), hold="rolled back by dave")
    assert case.lacks() == ["debt", "hold"]
    assert "tidegate lift-hold" in (case.finding("hold").hint or "")
    assert case.finding("hold").who_can == ("groups managers at https://idp.example",)
    assert case.finding("debt").who_can == ("reviewer",)


def test_a_release_that_was_built_less_well_than_what_is_served_is_refused() -> None:
    case = Case()
    case.release(facts=replace(FACTS, builder_level=2))
    assert case.lacks() == ["floor"]
    case.release(facts=None)
    assert case.state("floor") is State.INCONCLUSIVE


def going_back(**channel: object) -> Case:
    """Give a rollback of stable from 1.5.0 to 1.4.0, which it served before, that nobody approved."""
    case = Case(policy({"id": "bill", "sbom": {}}))
    case.request(action=Action.ROLLBACK, source=None)
    case.channel(
        **{
            "serving": Release("1.5.0", SERVED, None, NOW, replace(FACTS, ref_class=RefClass.PROTECTED_TAG)),
            "window": (DIGEST,),
            **channel,
        }
    )
    case.approve()
    return case


def test_a_rollback_within_the_window_waits_for_nobody() -> None:
    freeze = {"name": "fair", "channels": ["stable"], "start": "2026-11-20T00:00:00Z", "end": "2026-11-23T00:00:00Z"}
    case = going_back(debts=("owed",), hold="held")
    case.policy = policy({"id": "bill", "sbom": {}}, freezes=[freeze])
    assert isinstance(case.verdict(), Allowed)
    assert case.state("bill") is State.NOT_APPLICABLE


def test_a_rollback_is_asked_by_who_may_promote_to_the_channel() -> None:
    case = going_back()
    case.request(requester=human("mallory"))
    assert case.lacks() == ["requester"]


@pytest.mark.parametrize(
    "channel",
    [{"left": frozenset({DIGEST})}, {"window": (*(Digest.of(bytes([n])) for n in range(3)), DIGEST)}],
    ids=["left by rollback", "beyond the window"],
)
def test_a_rollback_to_what_was_left_or_is_long_gone_needs_a_new_statement(channel: dict[str, object]) -> None:
    case = going_back(**channel)
    assert case.lacks() == ["approvals"]
    case.approve(case.approval("bob"))
    assert isinstance(case.verdict(), Allowed)
    # a channel that asks for no approvals asks for one here: its release statement is old news
    case.given(charter=charter(approvals={"stable": 0}))
    case.release(channels=("stable",))
    case.approve()
    assert case.lacks() == ["approvals"]


def test_a_rollback_never_leads_to_what_was_revoked_or_was_never_there() -> None:
    case = going_back()
    case.release(revoked="it leaks")
    assert case.lacks() == ["revoked"]
    assert going_back(window=()).lacks() == ["approvals", "back", "floor"]


def test_breaking_the_glass_passes_what_the_policy_asks_and_tells_what_it_passed() -> None:
    case = Case(policy({"id": "bill", "sbom": {}}))
    case.approve()
    case.given(tenures=())
    case.request(requester=human("erin", "on-call"), glass=case.glass())
    verdict = case.verdict()
    assert isinstance(verdict, Allowed)
    excepted = [finding.id for finding in verdict.findings if finding.state is State.EXCEPTED]
    assert excepted == ["source", "requester", "approvals", "bill"]
    assert "erin broke the glass" in case.finding("bill").message


def test_breaking_the_glass_passes_no_floor_no_charter_and_no_newer_request() -> None:
    case = Case()
    case.release(facts=replace(FACTS, builder_level=0))
    case.channel(sequence=8)
    case.given(charter=charter(approvals={"staging": 0}))
    case.request(glass=case.glass())
    assert case.lacks() == ["charter", "newest", "floor"]


def test_requirements_have_no_name_that_break_glass_would_spare() -> None:
    case = Case(policy({"id": "revoked", "sbom": {}}))
    case.request(glass=case.glass())
    assert isinstance(case.verdict(), Allowed)
    case.request(glass=None)
    refused = case.verdict()
    assert isinstance(refused, Refused)
    assert [finding.kind for finding in refused.missing] == ["sbom"]


def test_the_first_release_of_a_channel_is_held_against_the_charters_floor_alone() -> None:
    case = Case()
    case.channel(serving=None, window=())
    assert isinstance(case.verdict(), Allowed)
    case.given(charter=charter(floor={"ref": "protected-tag"}))
    assert case.lacks() == ["floor"]


def test_a_version_is_compared_as_a_version_and_not_as_text() -> None:
    case = Case()
    case.channel(serving=Release("1.10.0", SERVED, None, NOW, FACTS))
    assert case.lacks() == ["forward"]


def test_a_time_without_a_zone_is_no_time() -> None:
    case = Case()
    with pytest.raises(ValueError, match="aware"):
        decide(case.policy, case.inputs, datetime(2026, 11, 21, 12))  # noqa: DTZ001 - which it is about
