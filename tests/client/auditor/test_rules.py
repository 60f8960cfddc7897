"""What is told of a log, by rule."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.client.auditor.made import DIGEST, ISSUER, RELEASE, START, make_entry
from tidegate.auditor.rules import Mine, Refusals, Rule, WatchRules, judge_age, judge_entry, judge_quiet
from tidegate.formats.entry import Entry
from tidegate.formats.jcs import JsonObject


def told(rules: WatchRules, *entries: Entry, refusals: Refusals | None = None) -> list[Rule]:
    window = refusals or Refusals(rules.window)
    return [finding.rule for entry in entries for finding in judge_entry(rules, window, entry)]


MINE = WatchRules(mine=(Mine(ISSUER, "ci@acme*"), Mine(person="ben")))


@pytest.mark.parametrize(
    ("data", "name", "found"),
    [
        (RELEASE, "ci@acme.example", [Rule.IDENTITY_USED]),  # as the actor
        ({"subject": DIGEST, "issuer": ISSUER, "identity": "ci@acme"}, "somebody", [Rule.IDENTITY_USED]),
        ({"completed_by": {"kind": "ci", "issuer": ISSUER, "name": "ci@acme"}}, "somebody", [Rule.IDENTITY_USED]),
        ({"person": "ben"}, "somebody", [Rule.IDENTITY_USED]),
        ({"approvers": ["cleo", "ben"]}, "somebody", [Rule.IDENTITY_USED]),
        ({"issuer": "https://elsewhere.example", "identity": "ci@acme"}, "somebody", []),
        ({"person": "benno"}, "somebody", []),
    ],
)
def test_my_identity_is_found_wherever_an_entry_names_it_and_only_with_its_issuer(
    data: JsonObject, name: str, found: list[Rule]
) -> None:
    assert told(MINE, make_entry("future.type-nobody-knows", data, name=name)) == found


def test_changes_of_trust_agents_and_emergencies_are_told_by_their_own_rules() -> None:
    applied = make_entry("policy.applied", {"policy": "default", "number": 2, "digest": DIGEST})
    trust = make_entry("trust.changed", {"digest": DIGEST})
    moved = make_entry("channel.moved", {**RELEASE, "channel": "stable"})
    glass = make_entry("break-glass.used", {**RELEASE, "channel": "stable", "reason": "outage"})
    pushed = make_entry("blob.stored", {"repository": "acme/support", "digest": DIGEST})
    lost = make_entry("log.object-missing", {"digest": DIGEST})
    everything = (applied, trust, moved, glass, pushed, lost)
    assert told(WatchRules(policy_changes=True), *everything) == [Rule.POLICY_CHANGED] * 3
    assert told(WatchRules(agents=("acme/*",)), *everything) == [Rule.AGENT_CHANGED] * 2
    assert told(WatchRules(agents=("acme/other",)), *everything) == []
    assert told(WatchRules(break_glass=True), *everything) == [Rule.BREAK_GLASS]


def refusal(seconds: float) -> Entry:
    return make_entry("request.refused", {"operation": "PUT /v2/x", "code": "access-denied"}, seconds=seconds)


def test_a_rate_of_refusals_is_taken_by_their_own_times_and_told_once_for_each_window() -> None:
    rules = WatchRules(refusals=2)
    assert told(rules, *(refusal(40 * n) for n in range(10))) == []
    assert told(rules, *(refusal(n) for n in range(10))) == [Rule.REFUSALS]
    assert told(rules, *(refusal(n) for n in (0, 1, 2, 3, 90, 91, 92, 93))) == [Rule.REFUSALS] * 2
    many = make_entry("request.refusals-suppressed", {"count": 500}, seconds=30)
    assert told(rules, many) == [Rule.REFUSALS]


def test_a_watcher_that_was_restarted_goes_on_counting_where_it_was() -> None:
    rules, first = WatchRules(refusals=2), Refusals(timedelta(minutes=1))
    assert told(rules, refusal(0), refusal(1), refusals=first) == []
    again = Refusals.of(rules.window, first.as_json())
    assert told(rules, refusal(2), refusals=again) == [Rule.REFUSALS]
    assert told(rules, refusal(3), refusals=Refusals.of(rules.window, again.as_json())) == []


def test_what_is_remembered_of_refusals_is_bounded_by_the_window() -> None:
    window = Refusals(timedelta(minutes=1))
    for second in range(10_000):
        window.add(second, 1)
    assert len(window.counts) == 120


def test_a_log_that_stands_still_and_witnesses_that_are_silent_are_told() -> None:
    rules = WatchRules(quiet=timedelta(minutes=10), checkpoint_age=timedelta(minutes=5))
    later = START + timedelta(minutes=10)
    assert judge_quiet(rules, START, later) is None
    still = judge_quiet(rules, START, later + timedelta(seconds=1))
    assert still is not None
    assert still.rule is Rule.LOG_QUIET
    assert judge_quiet(rules, None, later) is not None
    assert judge_age(rules, START + timedelta(minutes=6), later) is None
    for cosigned in (None, START):
        old = judge_age(rules, cosigned, later)
        assert old is not None
        assert old.rule is Rule.CHECKPOINT_OLD
    assert judge_quiet(WatchRules(), None, later) is None
    assert judge_age(WatchRules(), None, later) is None


def test_only_the_star_of_a_pattern_stands_for_more_than_itself() -> None:
    rules = WatchRules(mine=(Mine(ISSUER, "dependabot[bot]"), Mine(ISSUER, "ci?a*")))
    for name, found in (("dependabot[bot]", 1), ("dependabotb", 0), ("ci?anything", 1), ("cixanything", 0)):
        assert told(rules, make_entry("release.admitted", RELEASE, name=name)) == [Rule.IDENTITY_USED] * found


def test_one_refusal_with_a_wrong_time_hides_no_others() -> None:
    rules, year = WatchRules(refusals=2), 365 * 86400
    assert told(rules, refusal(year), *(refusal(n) for n in range(3))) == [Rule.REFUSALS]
    assert told(rules, refusal(0), refusal(year), refusal(1), refusal(-year), refusal(2)) == [Rule.REFUSALS]
