"""Tokens that count once: who may make them, what they are good for, and that nobody gets two uses out of one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx2
import pytest

from tests.registry.policies.documents import policy
from tests.registry.policies.helpers import Company, refused
from tests.registry.world import ISSUER, World
from tidegate_registry.enrolment.tables import EnrolmentRow

ENROLMENTS, REDEMPTION = "/api/v1/enrolments", "/api/v1/enrolments/redemption"
HOST = {"purpose": "host", "name": "edge-berlin-07"}


@pytest.fixture
def company(world: World) -> Company:
    company = Company(world)
    company.install()
    return company


@pytest.fixture
def stranger(world: World) -> httpx2.Client:
    return world.client(None)


def made(company: Company, **more: object) -> dict[str, str]:
    answer = company.admin("anna").post(ENROLMENTS, json={**HOST, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


def test_whoever_edits_the_policy_makes_a_token_that_brings_one_machine_in_once(
    company: Company, stranger: httpx2.Client, world: World
) -> None:
    enrolment = made(company)
    answer = stranger.post(REDEMPTION, json={**HOST, "token": enrolment["token"]})
    assert answer.status_code == 200
    assert {name: answer.json()[name] for name in ("id", *HOST)} == {"id": enrolment["id"], **HOST}
    assert refused(stranger.post(REDEMPTION, json={**HOST, "token": enrolment["token"]})) == (403, "enrolment-refused")
    made_event, redeemed = (world.events(f"enrolment.{what}")[0] for what in ("made", "redeemed"))
    assert made_event["actor"] == {"kind": "human", "issuer": ISSUER, "name": "anna", "person": "anna"}
    assert redeemed["actor"] == {"kind": "enrolment", "issuer": "", "name": "host/edge-berlin-07"}
    assert redeemed["id"] == answer.json()["eventId"]


def test_the_token_is_nowhere_but_in_the_answer(company: Company, world: World) -> None:
    enrolment = made(company)
    _, id_, secret = enrolment["token"].split("_", 2)
    with world.services.db.read() as tx:
        row = tx.get(EnrolmentRow, id_)
        assert row is not None
        assert secret not in str(row.model_dump())
    assert all(secret not in str(event) for event in world.events())


@pytest.mark.parametrize("groups", [("developers",), ()])
def test_nobody_else_makes_one(company: Company, stranger: httpx2.Client, groups: tuple[str, ...]) -> None:
    assert refused(company.as_("dev", *groups).post(ENROLMENTS, json=HOST)) == (403, "role-missing")
    assert refused(stranger.post(ENROLMENTS, json=HOST)) == (401, "login-needed")


def test_the_editors_of_one_namespace_bring_no_machines_in(company: Company) -> None:
    company.install(policy(overlayEditors={"acme": {"allow": ["developer"]}}), "_company", recover=True)
    assert refused(company.as_("dev", "developers").post(ENROLMENTS, json=HOST)) == (403, "role-missing")
    assert company.admin("anna").post(ENROLMENTS, json=HOST).status_code == 201


def test_whatever_is_wrong_with_a_token_strangers_are_told_the_same(
    company: Company, stranger: httpx2.Client, world: World
) -> None:
    token = made(company, expiresInSeconds=60)["token"]
    other = made(company)["token"]
    swapped = f"{token[:-43]}{other[-43:]}"  # the id of one, the secret of another
    answers = [
        stranger.post(REDEMPTION, json={**HOST, **wrong})
        for wrong in (
            {"token": "nonsense"},
            {"token": swapped},
            {"token": token.replace("tdge_", "tdge_0")},
            {"token": token, "name": "edge-berlin-08"},
        )
    ]
    assert stranger.post(REDEMPTION, json={**HOST, "token": other}).status_code == 200
    answers.append(stranger.post(REDEMPTION, json={**HOST, "token": other}))
    world.clock.tick(seconds=60)
    answers.append(stranger.post(REDEMPTION, json={**HOST, "token": token}))
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.json()["detail"] + str(answer.json()["reasons"]) for answer in answers}) == 1


@pytest.mark.parametrize(
    "wrong", [{"purpose": "everything"}, {"name": "../x"}, {"name": ""}, {"expiresInSeconds": 86_401}, {"more": 1}]
)
def test_a_token_for_too_much_is_not_made(company: Company, wrong: dict[str, object]) -> None:
    assert company.admin("anna").post(ENROLMENTS, json={**HOST, **wrong}).status_code == 422


def test_of_those_who_use_a_token_at_once_one_gets_through(company: Company, world: World) -> None:
    token, together = made(company)["token"], Barrier(6)

    def redeem(_: int) -> int:
        with httpx2.Client(base_url=world.url, trust_env=False, timeout=30) as client:
            together.wait(20)
            return client.post(REDEMPTION, json={**HOST, "token": token}).status_code

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(redeem, range(6))) == [200, *[403] * 5]
    assert len(world.events("enrolment.redeemed")) == 1
