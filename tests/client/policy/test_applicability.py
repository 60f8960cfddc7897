"""When a requirement applies, only warns, or is spared: changes, days and exceptions."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.client.policy.deciding import (
    NOW,
    case_of,
    judged,
)
from tidegate.formats.jcs import JsonObject
from tidegate.policy.inputs import Difference
from tidegate.policy.requirements import Change
from tidegate.policy.verdict import State

ON_TOOLS: JsonObject = {"sbom": {}, "ifChanged": ["capability-raised"]}


@pytest.mark.parametrize(
    ("difference", "state"),
    [
        (Difference(), State.NOT_APPLICABLE),
        (Difference(frozenset({Change.PROMPT_CHANGED})), State.NOT_APPLICABLE),
        (Difference(frozenset({Change.CAPABILITY_RAISED})), State.UNMET),
        (Difference(unknown="an opaque bundle"), State.UNMET),
        (None, State.UNMET),
    ],
)
def test_what_cannot_be_compared_counts_as_changed(difference: Difference | None, state: State) -> None:
    assert judged(ON_TOOLS, difference=difference).state is state


def test_before_its_day_a_requirement_only_warns() -> None:
    case = case_of({"sbom": {}, "warnUntil": "2026-11-22"})
    assert case.state("it") is State.WARNED
    assert case.lacks() == []
    case.now = NOW + timedelta(hours=12)
    assert case.state("it") is State.UNMET


def test_an_exception_spares_its_agents_until_it_is_over_and_says_who_answers_for_it() -> None:
    waiver = {
        "requirement": "it",
        "agents": ["acme/triage"],
        "channels": ["stable"],
        "until": "2026-11-22T00:00:00Z",
        "owner": "frank",
        "reason": "the scanner is down",
    }
    case = case_of({"sbom": {}}, exceptions=[waiver])
    assert case.state("it") is State.EXCEPTED
    assert "frank: the scanner is down" in case.finding("it").message
    case.now = NOW + timedelta(hours=12)
    assert case.state("it") is State.UNMET
    assert case_of({"sbom": {}}, exceptions=[{**waiver, "agents": ["acme/other"]}]).state("it") is State.UNMET
