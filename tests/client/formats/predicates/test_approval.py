"""Approvals and break-glass statements: what is read, and what is refused."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.documents import json_example
from tidegate.errors import StatementInvalid
from tidegate.formats.predicates.approval import Action, ApprovalPredicate
from tidegate.formats.predicates.break_glass import BreakGlassPredicate

APPROVAL = json_example("approval")
BREAK_GLASS = json_example("break-glass")
ANOTHER = "sha256:" + "0" * 64


def test_the_documented_approval_goes_both_ways() -> None:
    parsed = ApprovalPredicate.parse(APPROVAL)
    assert parsed.as_json() == APPROVAL
    assert ApprovalPredicate.parse(parsed.view()) == parsed
    assert (parsed.action, parsed.sequence) == (Action.PROMOTE, 7)
    assert parsed.not_full_before == datetime(2026, 3, 1, 14, 30, tzinfo=UTC)


def test_an_approval_into_an_empty_channel_compares_with_nothing() -> None:
    first = copy.deepcopy(APPROVAL)
    del first["computed"]["difference"], first["reason"]
    parsed = ApprovalPredicate.parse(first)
    assert parsed.as_json() == first
    assert parsed.computed.difference is None
    assert parsed.reason is None


@pytest.mark.parametrize(
    "change",
    [
        {"agent": "support-agent"},
        {"version": "1"},
        {"digest": "858072f6"},
        {"channel": "1.2.0"},
        {"sequence": 0},
        {"sequence": 7.0},
        {"sequence": True},
        {"action": "revoke"},
        {"rule": None},
        {"notFullBefore": "2026-03-01T14:30:00+01:00"},
        {"expiresAt": "2026-02-30T00:00:00Z"},
        {"expiresAt": 1772357400},
        {"approvedAt": "2026-03-01T14:30:00Z"},
        {"reason": "x" * 2001},
        {"computed": None},
        {"computed": {"evidence": [ANOTHER, ANOTHER]}},
        {"computed": {"evidence": ["sha256:0"]}},
        {"computed": {"evidence": [f"sha256:{n:064x}" for n in range(1001)]}},
        {"computed": {"verdict": "fine"}},
        {"computed": {"difference": {"against": ANOTHER, "step": "huge", "changes": []}}},
    ],
    ids=str,
)
def test_an_approval_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(StatementInvalid) as refused:
        ApprovalPredicate.parse(APPROVAL | change)
    assert refused.value.reasons[0].code == "approval-malformed"


@pytest.mark.parametrize("missing", sorted(APPROVAL.keys() - {"reason"}))
def test_an_approval_lacks_nothing(missing: str) -> None:
    with pytest.raises(StatementInvalid) as refused:
        ApprovalPredicate.parse({key: value for key, value in APPROVAL.items() if key != missing})
    assert refused.value.reasons[0].code == "approval-malformed"


def test_the_documented_break_glass_statement_goes_both_ways() -> None:
    parsed = BreakGlassPredicate.parse(BREAK_GLASS)
    assert parsed.as_json() == BREAK_GLASS
    assert BreakGlassPredicate.parse(parsed.view()) == parsed


@pytest.mark.parametrize(
    "change", [{"reason": ""}, {"reason": None}, {"action": "lift"}, {"sequence": -1}, {"rule": ANOTHER}], ids=str
)
def test_a_break_glass_statement_of_another_form_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(StatementInvalid) as refused:
        BreakGlassPredicate.parse(BREAK_GLASS | change)
    assert refused.value.reasons[0].code == "break-glass-malformed"
