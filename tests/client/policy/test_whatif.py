"""What another text would have done: flips with their reasons, rights, and who would be locked out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.client.policy.deciding import NOW, POLICY, Case, human, policy
from tests.client.policy.documents import loaded
from tests.client.policy.test_record import full_case, record_of
from tidegate.errors import StatementInvalid
from tidegate.formats.charter import Charter
from tidegate.formats.jcs import JsonObject
from tidegate.policy.decide import rule_for
from tidegate.policy.editing import Known
from tidegate.policy.load import LoadedPolicy
from tidegate.policy.model import COMPANY
from tidegate.policy.recorded import read_case
from tidegate.policy.rights import rights_of
from tidegate.policy.whatif import Case as Asked
from tidegate.policy.whatif import WhatIf, what_if

REVIEWED: JsonObject = {"id": "reviewed", "approvals": {"count": 1, "role": "reviewer"}}
TWICE: JsonObject = {"id": "reviewed", "approvals": {"count": 2, "role": "reviewer"}}
PEOPLE = (human("bob", "reviewers"), human("carol", "reviewers"), human("rita", "managers"))
KNOWN = Known(PEOPLE, frozenset(each.issuer for each in PEOPLE))


def asked(case: Case, number: str = "1") -> Asked:
    request = case.inputs.request
    rule = rule_for(case.policy, request.action, request.agent, request.source, request.channel)
    return Asked("decision", number, case.inputs, rule.digest if rule else None, case.now)


def compare(before: LoadedPolicy, after: LoadedPolicy, *cases: Asked) -> WhatIf:
    return what_if(lambda _: before, lambda _: after, cases, KNOWN, names=[COMPANY])


def test_the_same_text_changes_nothing() -> None:
    case = Case(policy(REVIEWED))
    found = compare(case.policy, policy(REVIEWED), asked(case))
    assert (found.decisions, found.flips, found.rights, found.locked_out) == (1, (), (), ())


def test_a_stricter_text_flips_a_yes_and_says_what_would_be_missing() -> None:
    case = Case(policy(REVIEWED))
    assert case.lacks() == []
    (flip,) = compare(case.policy, policy(TWICE), asked(case)).flips
    assert flip.allowed_before
    assert [(finding.id, finding.state.value) for finding in flip.why] == [("reviewed", "unmet")]
    assert "1 of 2: bob approved" in flip.why[0].message


def test_a_looser_text_flips_a_no_and_says_what_would_no_longer_be_asked() -> None:
    case = Case(policy(TWICE))
    (flip,) = compare(case.policy, policy(), asked(case)).flips
    assert not flip.allowed_before
    assert [finding.id for finding in flip.why] == ["reviewed"]


def test_an_approval_that_did_not_count_in_its_day_does_not_count_now() -> None:
    case = Case(policy(REVIEWED))
    case.approve(case.approval("bob", said={"rule": f"sha256:{'0' * 64}"}))
    assert compare(case.policy, policy(TWICE), asked(case)).flips == ()


def test_each_case_is_judged_at_its_own_time() -> None:
    case = Case(policy(REVIEWED))
    short = policy({"id": "reviewed", "approvals": {"count": 1, "role": "reviewer", "maxAge": "1h"}})
    later = Asked("serving", "2", case.inputs, asked(case).rule, NOW + timedelta(days=1))
    (flip,) = compare(case.policy, short, asked(case), later).flips
    assert flip.case.id == "2"


def test_an_agent_without_a_rule_any_more_is_a_flip() -> None:
    case = Case(policy(REVIEWED))
    less = loaded({**POLICY, "transitions": [{"to": "dev", "allow": ["release-manager"]}]})
    (flip,) = compare(case.policy, less, asked(case)).flips
    assert "transition" in [finding.id for finding in flip.why]


def test_rights_are_told_by_person_with_what_they_gain_and_lose() -> None:
    before = policy(REVIEWED)
    roles = {**before.document.model_dump(mode="json", by_alias=True)["roles"]}
    roles["release-manager"] = roles["reviewer"]
    after = policy(REVIEWED, roles=roles)
    found = compare(before, after)
    by_name = {each.who: each for each in found.rights}
    assert "change the policy" in by_name["bob"].gains
    assert "ask for staging → stable" in by_name["bob"].gains
    assert [each for each in found.locked_out if each.startswith("rita")]
    assert found.lockout == ()


def test_a_text_that_locks_everybody_out_says_so() -> None:
    before = policy()
    found = compare(before, policy(editors={"allow": ["on-call"]}))
    assert [reason.code for reason in found.lockout] == ["policy-lockout"]


def test_rights_are_what_roles_say_of_transitions_editing_and_break_glass() -> None:
    assert rights_of(policy(REVIEWED), human("rita", "managers")) == {
        "ask for → dev",
        "ask for dev → staging",
        "ask for staging → stable",
        "change the policy",
        "read the audit log",
    }
    assert rights_of(policy(REVIEWED), human("bob", "reviewers")) == {
        "approve staging → stable as reviewer",
        "review a use of break-glass",
    }
    assert rights_of(policy(REVIEWED), human("erin", "on-call")) == {"break the glass for stable"}


def test_a_stored_record_is_read_as_the_case_it_was() -> None:
    case, charters = full_case(), dict[str, Charter]()
    for number in ("1", "2"):  # the second time its charter is known
        found = read_case(record_of(case), charters, id_=number)
        assert (found.inputs, found.at, found.rule) == (case.inputs, case.now, asked(case).rule)
    assert list(charters.values()) == [case.inputs.charter]


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"digests":{"rule":"x"},"inputs":{},"decidedAt":"now"}'])
def test_what_is_no_record_is_refused(raw: bytes) -> None:
    with pytest.raises(StatementInvalid) as caught:
        read_case(raw, {}, id_="1")
    assert caught.value.reasons[0].code == "decision-malformed"
