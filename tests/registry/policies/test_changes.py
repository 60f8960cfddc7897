"""Propose, agree, apply, go back: over HTTP, as people do it."""

from __future__ import annotations

import pytest

from tests.registry.policies.documents import IDP, overlay, person, policy, text
from tests.registry.policies.helpers import COMPANY_URL, Company, refused
from tests.registry.world import World
from tidegate.policy.load import MAX_POLICY_BYTES

STRICTER = policy(
    transitions=[
        *policy()["transitions"][:2],
        {
            "from": "staging",
            "to": "stable",
            "allow": ["developer"],
            "require": [{"id": "reviewed", "approvals": {"count": 2, "role": "reviewer"}}],
        },
    ]
)


def test_a_registry_without_a_policy_says_how_to_install_one(world: World) -> None:
    company = Company(world)
    answer = company.admin("anna").get(COMPANY_URL)
    assert refused(answer) == (404, "policy-unknown")
    assert company.admin("anna").get("/api/v1/policies").json() == {"items": [], "next": None}


def test_a_change_is_in_force_when_the_second_person_agrees(company: Company) -> None:
    proposed = company.propose(company.admin("anna"), STRICTER)
    assert proposed.status_code == 201, proposed.text
    body = proposed.json()
    assert (body["state"], body["needed"], body["person"], body["base"]) == ("open", 1, "anna", 1)
    assert [reason["code"] for reason in body["missing"]] == ["policy-approvals-missing"]
    assert company.admin("ben").get(COMPANY_URL).json()["number"] == 1

    shown = company.admin("ben").get(f"{COMPANY_URL}/proposals/{body['id']}").json()
    assert shown["changes"] == ["staging → stable: reviewed now needs 2 approvals by reviewer, was 1"]
    agreed = company.approve(company.admin("ben"), body["id"]).json()
    assert (agreed["state"], agreed["applied"]) == ("applied", 2)

    in_force = company.as_("dev", "developers").get(COMPANY_URL).json()
    assert (in_force["number"], in_force["text"], in_force["openProposals"]) == (2, text(STRICTER).decode(), [])
    assert (in_force["author"]["identity"], in_force["proposal"]) == ("anna@acme.example", body["id"])
    first = company.admin("anna").get(f"{COMPANY_URL}/versions/1").json()
    assert first["text"] == text(policy()).decode(), "a version is never edited"
    numbers = [each["number"] for each in company.admin("anna").get(f"{COMPANY_URL}/versions").json()["items"]]
    assert numbers == [2, 1]
    entries = [event["type"] for event in company.world.events() if str(event["type"]).startswith("policy.")]
    assert entries == ["policy.applied", *["policy.proposed"] * 3, "policy.approved", "policy.applied"]


def test_where_nobody_else_must_agree_it_is_in_force_at_once(company: Company) -> None:
    alone = policy(editors={"allow": ["admin"], "approvals": 0})
    proposal = company.propose(company.admin("anna"), alone).json()["id"]
    assert company.approve(company.admin("ben"), proposal).json()["applied"] == 2
    again = company.propose(company.admin("anna"), STRICTER).json()
    assert (again["state"], again["applied"]) == ("applied", 3)


def test_going_back_is_a_new_version_by_the_same_gate(company: Company) -> None:
    proposal = company.propose(company.admin("anna"), STRICTER).json()["id"]
    company.approve(company.admin("ben"), proposal)
    back = company.admin("ben").post(
        f"{COMPANY_URL}/reverts", json={"number": 1, "reason": "too strict"}, headers={"If-Match": company.tag()}
    )
    assert (back.status_code, back.json()["state"], back.json()["reverts"]) == (201, "open", 1)
    assert company.approve(company.admin("anna"), back.json()["id"]).json()["applied"] == 3
    in_force = company.admin("anna").get(COMPANY_URL).json()
    assert (in_force["text"], in_force["reverts"]) == (text(policy()).decode(), 1)
    assert [event["type"] for event in company.world.events()][-1] == "policy.reverted"


def test_a_stale_edit_is_refused_with_what_changed_meanwhile(company: Company) -> None:
    tag = company.tag()
    other = company.propose(company.admin("anna"), policy(description="mine"), tag=tag).json()["id"]
    proposal = company.propose(company.admin("anna"), STRICTER, tag=tag).json()["id"]
    company.approve(company.admin("ben"), proposal)
    late = company.propose(company.admin("ben"), policy(description="other"), tag=tag)
    assert refused(late) == (412, "policy-stale")
    assert "reviewed now needs 2 approvals by reviewer, was 1" in late.json()["reasons"][0]["found"]
    assert refused(company.approve(company.admin("ben"), other)) == (412, "policy-stale")
    assert company.admin("ben").get(f"{COMPANY_URL}/proposals/{other}").json()["state"] == "stale"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, (428, "policy-unconditional")),
        ({"If-Match": '"x"'}, (412, "policy-stale")),
        ({"If-Match": f'"1.{"0" * 32}"'}, (412, "policy-stale")),
        ({"If-Match": f'"0.{"0" * 32}"'}, (412, "policy-stale")),
        ({"If-Match": f'"{"9" * 40}.{"0" * 32}"'}, (412, "policy-stale")),
        ({"If-Match": "*"}, (412, "policy-stale")),
        ({"If-None-Match": "*"}, (412, "policy-stale")),
    ],
)
def test_an_edit_says_from_which_version_it_was_made(
    company: Company, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    document = {"document": text(STRICTER).decode(), "reason": "better"}
    answer = company.admin("anna").post(f"{COMPANY_URL}/proposals", json=document, headers=headers)
    assert refused(answer) == expected


def test_a_document_with_mistakes_is_refused_with_each_line(company: Company) -> None:
    wrong = policy(channels=["dev", "staging", "stabel"], editors={"allow": ["admins"], "approvals": 1})
    answer = company.propose(company.admin("anna"), wrong)
    assert refused(answer) == (400, "policy-invalid")
    messages = [reason["message"] for reason in answer.json()["reasons"]]
    assert len(messages) >= 2
    assert all(message.startswith("_company:") for message in messages)


def test_the_largest_text_that_can_be_a_policy_can_be_proposed(company: Company) -> None:
    document = text(STRICTER)
    largest = document + b"#\n" * ((MAX_POLICY_BYTES - len(document)) // 2)
    answer = company.propose(company.admin("anna"), largest.decode())
    assert (answer.status_code, answer.json().get("state")) == (201, "open")
    assert company.propose(company.admin("anna"), largest.decode() + "#\n#\n").status_code in (400, 422)


def test_the_text_in_force_is_no_change(company: Company) -> None:
    assert refused(company.propose(company.admin("anna"), policy())) == (400, "policy-unchanged")


def test_a_namespace_gets_an_overlay_by_its_own_editors(company: Company) -> None:
    own = policy(overlayEditors={"acme": {"allow": ["developer"]}})
    proposal = company.propose(company.admin("anna"), own).json()["id"]
    company.approve(company.admin("ben"), proposal)
    url, dev = "/api/v1/policies/acme/proposals", company.as_("dev", "developers")
    first = {"document": text(overlay()).decode(), "reason": "ours"}
    made = dev.post(url, json=first, headers={"If-None-Match": "*"})
    assert (made.status_code, made.json()["state"]) == (201, "applied")
    umbra = {"document": text(overlay("umbra")).decode(), "reason": "theirs"}
    other = dev.post("/api/v1/policies/umbra/proposals", json=umbra, headers={"If-None-Match": "*"})
    assert refused(other) == (403, "policy-editor-missing")
    names = [each["name"] for each in dev.get("/api/v1/policies").json()["items"]]
    assert names == ["_company", "acme"]


def test_a_company_wide_change_that_breaks_an_overlay_is_refused_with_its_line(company: Company) -> None:
    more = [{"id": "also", "approvals": {"count": 1, "role": "reviewer"}}]
    company.install(overlay(transitions=[{"from": "staging", "to": "stable", "require": more}]), "acme")
    answer = company.propose(company.admin("anna"), policy(transitions=policy()["transitions"][:2]))
    assert refused(answer) == (400, "policy-invalid")
    assert "acme@1:" in answer.json()["reasons"][0]["message"]


def test_whoever_agreed_and_lost_the_role_since_does_not_count(company: Company) -> None:
    company.meet("cleo")
    two = policy(editors={"allow": ["admin"], "approvals": 2})
    proposal = company.propose(company.admin("anna"), two).json()["id"]
    assert company.approve(company.admin("ben"), proposal).json()["state"] == "applied"
    proposal = company.propose(company.admin("anna"), STRICTER).json()["id"]
    assert company.approve(company.admin("ben"), proposal).json()["agreed"] == ["ben"]
    company.seen_as("ben", "developers")
    last = company.approve(company.admin("cleo"), proposal).json()
    assert (last["state"], last["agreed"]) == ("open", ["cleo"])
    assert "ben@acme.example: has none of the roles" in last["missing"][0]["found"]


def test_an_agreement_twice_is_one(company: Company) -> None:
    two = policy(editors={"allow": ["admin"], "approvals": 2})
    company.meet("cleo")
    proposal = company.propose(company.admin("anna"), two).json()["id"]
    company.approve(company.admin("ben"), proposal)
    proposal = company.propose(company.admin("anna"), STRICTER).json()["id"]
    for _ in range(2):
        assert company.approve(company.admin("ben"), proposal).json()["agreed"] == ["ben"]
    agreements = [event["data"] for event in company.world.events("policy.approved")]
    assert [isinstance(data, dict) and data["proposal"] for data in agreements].count(proposal) == 1
    assert refused(company.apply(company.admin("ben"), proposal)) == (403, "policy-approvals-missing")
    assert company.approve(company.admin("cleo"), proposal).json()["state"] == "applied"
    assert refused(company.apply(company.admin("ben"), proposal)) == (409, "proposal-closed")


def test_the_list_of_proposals_has_pages(company: Company) -> None:
    seen: list[str] = []
    after = ""
    for _ in range(2):
        page = company.admin("anna").get(f"{COMPANY_URL}/proposals", params={"limit": 1, "after": after}).json()
        seen += [item["person"] for item in page["items"]]
        after = page["next"] or ""
    assert seen == ["ben", "anna"]
    assert after == ""


def test_a_person_by_another_identity_is_no_further_person(company: Company) -> None:
    assert person("anna-2") in policy()["persons"]["anna"]
    proposal = company.propose(company.admin("anna"), STRICTER).json()["id"]
    assert refused(company.approve(company.admin("anna-2"), proposal)) == (403, "policy-approver-is-author")


def test_a_proposal_that_is_sent_again_is_the_one_there_is(company: Company) -> None:
    """Its answer was lost, perhaps; also where it was in force at once."""
    tag = company.tag()
    first, again = (company.propose(company.admin("anna"), STRICTER, tag=tag).json() for _ in range(2))
    assert first["id"] == again["id"]
    assert company.propose(company.admin("ben"), STRICTER, tag=tag).json()["id"] != first["id"]
    alone = policy(editors={"allow": ["admin"], "approvals": 0})
    proposal = company.propose(company.admin("anna"), alone, tag=tag).json()["id"]
    assert company.approve(company.admin("ben"), proposal).json()["applied"] == 2
    tag = company.tag()
    first, again = (company.propose(company.admin("anna"), STRICTER, tag=tag).json() for _ in range(2))
    assert (first["applied"], again["applied"], first["id"]) == (3, 3, again["id"])
    since = company.propose(company.admin("anna"), policy(description="since then")).json()["id"]
    assert company.approve(company.admin("ben"), since).json()["applied"] == 4
    assert refused(company.propose(company.admin("anna"), STRICTER, tag=tag)) == (412, "policy-stale")


def test_what_others_agreed_to_is_not_for_anybody_to_put_in_force(company: Company) -> None:
    proposal = company.propose(company.admin("anna"), STRICTER).json()["id"]
    assert refused(company.apply(company.as_("dev", "developers"), proposal)) == (403, "policy-editor-missing")
    elsewhere = company.approve(company.admin("ben"), proposal, name="acme")
    assert refused(elsewhere) == (404, "proposal-unknown"), "a proposal is for one policy"


def test_an_overlay_that_no_longer_fits_is_not_put_in_force(company: Company) -> None:
    """The company-wide document changed while the overlay waited for others to agree."""
    more = [{"id": "also", "approvals": {"count": 1, "role": "reviewer"}}]
    first = {"document": text(overlay(transitions=[{"from": "staging", "to": "stable", "require": more}])).decode()}
    url = "/api/v1/policies/acme"
    proposal = (
        company.admin("anna")
        .post(f"{url}/proposals", json={**first, "reason": "ours"}, headers={"If-None-Match": "*"})
        .json()["id"]
    )
    shorter = company.propose(company.admin("anna"), policy(transitions=policy()["transitions"][:2])).json()["id"]
    assert company.approve(company.admin("ben"), shorter).json()["applied"] == 2
    assert refused(company.approve(company.admin("ben"), proposal, name="acme")) == (400, "policy-invalid")
    assert company.admin("ben").get(url).status_code == 404
    shown = company.admin("ben").get(f"{url}/proposals/{proposal}").json()
    assert shown["state"] == "open"
    assert "cannot be compared" in shown["changes"][0]


def test_a_role_that_one_namespace_gives_asks_about_no_other(company: Company) -> None:
    """What was decided elsewhere, and whose rights would move, is nothing to whoever an overlay's editors let in."""
    company.install(overlay(roles={"ops": [{"issuer": IDP, "claims": {"groups": "outsiders"}}]}), "acme")
    outsider = company.as_("otto", "outsiders")
    asked = {
        name: outsider.post(f"/api/v1/policies/{name}/what-if", json={"document": text(document).decode()})
        for name, document in {"acme": overlay(), "umbra": overlay("umbra"), "_company": STRICTER}.items()
    }
    assert asked["acme"].status_code == 200
    assert [refused(asked[name]) for name in ("umbra", "_company")] == [(403, "role-missing")] * 2
