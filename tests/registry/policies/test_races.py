"""Changes that meet: exactly one becomes the next version."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx2

from tests.registry.policies.documents import policy
from tests.registry.policies.helpers import COMPANY_URL, Company


def test_of_two_proposals_from_one_version_that_are_agreed_to_at_once_one_is_in_force(company: Company) -> None:
    tag = company.tag()
    proposals = [
        company.propose(company.admin("anna"), policy(description=f"of anna, {number}"), tag=tag).json()["id"]
        for number in range(4)
    ]
    clients = [company.admin("ben") for _ in proposals]
    together = Barrier(len(proposals))

    def agree(client: httpx2.Client, proposal: str) -> httpx2.Response:
        together.wait()
        return company.approve(client, proposal)

    with ThreadPoolExecutor(len(proposals)) as pool:
        answers = list(pool.map(agree, clients, proposals))
    assert sorted(answer.status_code for answer in answers) == [201, 412, 412, 412]
    assert [answer.json()["code"] for answer in answers if answer.status_code == 412] == ["policy-stale"] * 3
    versions = company.admin("anna").get(f"{COMPANY_URL}/versions").json()["items"]
    assert [version["number"] for version in versions] == [2, 1]


def test_one_proposal_that_is_applied_twice_at_once_becomes_one_version(company: Company) -> None:
    proposal = company.propose(company.admin("anna"), policy(editors={"allow": ["admin"], "approvals": 2})).json()["id"]
    company.approve(company.admin("ben"), proposal)
    company.meet("cleo")
    clients = [company.admin(name) for name in ("anna", "ben", "cleo")]
    together = Barrier(len(clients))

    def apply(client: httpx2.Client) -> int:
        together.wait()
        return company.apply(client, proposal).status_code

    with ThreadPoolExecutor(len(clients)) as pool:
        assert sorted(pool.map(apply, clients)) == [200, 409, 409]
    applied = [event for event in company.world.events() if event["type"] == "policy.applied"]
    assert len(applied) == 2, "the first one was installed"
