"""Who may change a policy, whose agreement counts, and when nobody could change it again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client.policy.documents import IDP, POLICY, loaded, value_of
from tidegate.policy.editing import Known, able_editors, judge_agreement, judge_consent, judge_lockout, may_edit
from tidegate.policy.inputs import Caller
from tidegate.policy.load import LoadedPolicy
from tidegate.policy.model import COMPANY

FORGE = "https://forge.example"


def who(name: str, *groups: str, issuer: str = IDP, **claims: str) -> Caller:
    values = {"groups": groups} | {key: (value,) for key, value in claims.items()}
    return Caller("human", issuer, f"{name}@acme.example", values)


def policy(approvals: int = 1, **changes: Any) -> LoadedPolicy:
    """Chiefs change it, with others of them; carl has two identities, one of them by his actor at the forge."""
    persons = {
        "anna": [{"issuer": IDP, "identity": "anna@acme.example"}],
        "ben": [{"issuer": IDP, "identity": "ben@acme.example"}],
        "carl": [{"issuer": IDP, "identity": "carl@acme.example"}, {"issuer": FORGE, "claims": {"actor": "carl-gh"}}],
    }
    document = value_of(POLICY)
    document["persons"] = persons
    document["roles"]["admin"] = [
        {"issuer": IDP, "claims": {"groups": "chiefs"}},
        {"issuer": FORGE, "claims": {"actor": "carl-gh"}},
    ]
    document["roles"]["release-manager"] = [{"issuer": IDP, "claims": {"groups": "managers"}}]
    document["editors"] = {"allow": ["admin"], "approvals": approvals}
    return loaded(document | changes)


ANNA, BEN, CARL = (who(name, "chiefs") for name in ("anna", "ben", "carl"))
CARL_AT_THE_FORGE = Caller("human", FORGE, "carl-gh@users.example", {"actor": ("carl-gh",)})


def known(*callers: Caller) -> Known:
    return Known(callers, frozenset({IDP, FORGE}))


STRANGER = who("zoe", "chiefs")  # has the role, and is nobody in `persons`


def test_whoever_the_policy_names_may_propose_and_nobody_else() -> None:
    assert may_edit(policy(), COMPANY, ANNA)
    assert not may_edit(policy(), COMPANY, who("anna", "managers"))
    consent = judge_consent(policy(), COMPANY, who("anna", "managers"), [BEN])
    assert not consent.complete
    assert consent.missing[0].code == "policy-editor-missing"


def test_it_is_complete_when_enough_further_persons_agreed() -> None:
    assert judge_consent(policy(approvals=0), COMPANY, ANNA, []).complete
    incomplete = judge_consent(policy(approvals=2), COMPANY, ANNA, [BEN])
    assert (incomplete.needed, incomplete.persons, incomplete.missing[0].code) == (
        2,
        ("ben",),
        "policy-approvals-missing",
    )
    assert judge_consent(policy(approvals=2), COMPANY, ANNA, [BEN, CARL]).persons == ("ben", "carl")


@pytest.mark.parametrize(
    ("author", "approver", "code"),
    [
        (ANNA, ANNA, "policy-approver-is-author"),
        (CARL, CARL_AT_THE_FORGE, "policy-approver-is-author"),
        (CARL_AT_THE_FORGE, CARL, "policy-approver-is-author"),
        (STRANGER, STRANGER, "policy-approver-is-author"),
        (ANNA, who("ben", "managers"), "policy-approver-without-role"),
        (ANNA, STRANGER, "policy-person-unknown"),
    ],
)
def test_an_agreement_that_does_not_count_is_told_why(author: Caller, approver: Caller, code: str) -> None:
    consent = judge_consent(policy(), COMPANY, author, [approver])
    assert not consent.complete
    assert consent.persons == ()
    against = judge_agreement(policy(), COMPANY, author, approver)
    assert against is not None
    assert against.code == code


def test_two_identities_of_one_person_agree_once() -> None:
    assert judge_consent(policy(approvals=2), COMPANY, ANNA, [CARL, CARL_AT_THE_FORGE]).persons == ("carl",)


def test_a_token_that_is_two_persons_is_no_further_one_than_either_of_them() -> None:
    """Ben by his identity, carl by a claim: whoever else is carl may be the same human."""
    persons = dict(policy().document.model_dump(mode="json", by_alias=True, exclude_none=True)["persons"])
    persons["carl"].append({"issuer": IDP, "claims": {"employee": "7"}})
    two = policy(approvals=2, persons=persons)
    both = who("ben", "chiefs", employee="7")
    assert two.people.all_of(both) == ("ben", "carl")
    for agreed in ([both, CARL], [CARL, both]):
        assert not judge_consent(two, COMPANY, ANNA, agreed).complete
    assert judge_consent(two, COMPANY, ANNA, [both, BEN, CARL]).persons == ("ben", "carl"), "these two are apart"
    assert judge_lockout(policy(approvals=1, persons=persons), known(both, CARL))[0].code == "policy-lockout"


def test_an_author_who_is_nobody_in_persons_cannot_be_told_from_those_who_agree() -> None:
    consent = judge_consent(policy(), COMPANY, STRANGER, [ANNA])
    assert consent.missing[0].code == "policy-person-unknown"
    assert judge_consent(policy(approvals=0), COMPANY, STRANGER, []).complete


def test_an_overlay_has_editors_of_its_own_besides() -> None:
    own = policy(overlayEditors={"acme": {"allow": ["release-manager"], "approvals": 1}})
    manager, other = who("anna", "managers"), who("ben", "managers")
    assert may_edit(own, "acme", manager)
    assert not may_edit(own, "umbra", manager)
    assert not may_edit(own, COMPANY, manager)
    assert judge_consent(own, "acme", manager, [other]).persons == ("ben",)
    assert judge_consent(own, "acme", manager, [BEN]).complete, "an editor of the company agrees to overlays as well"
    assert judge_agreement(own, "acme", manager, BEN) is None
    assert not judge_consent(own, "acme", BEN, [other]).complete, (
        "of what the company's editors propose, they are the judges"
    )


def test_a_document_is_refused_that_too_few_could_change_again() -> None:
    assert judge_lockout(policy(), known(ANNA, BEN)) == ()
    (reason,) = judge_lockout(policy(), known(ANNA, who("ben", "managers")))
    assert (reason.code, reason.found) == ("policy-lockout", "1: anna")
    (nobody,) = judge_lockout(policy(approvals=0), known(who("anna", "managers")))
    assert nobody.found == "nobody that is known"


def test_one_person_with_two_identities_is_not_two() -> None:
    assert judge_lockout(policy(), known(CARL, CARL_AT_THE_FORGE))[0].code == "policy-lockout"


def test_whoever_is_named_by_exact_identity_is_able_before_they_are_seen() -> None:
    document = value_of(POLICY)
    named = loaded(document)  # its admin is bob, exactly
    assert able_editors(named, known()) == ("bob",)
    assert judge_lockout(named, known()) == ()


def test_nobody_is_able_whose_issuer_is_no_longer_asked() -> None:
    named = loaded(value_of(POLICY))
    assert judge_lockout(named, Known((), frozenset({FORGE})))[0].found == "nobody that is known"
    assert judge_lockout(policy(), known(ANNA, STRANGER))[0].code == "policy-lockout", "nobody can tell who zoe is"
    assert judge_lockout(policy(approvals=0), Known((ANNA,), frozenset({FORGE})))[0].code == "policy-lockout"
