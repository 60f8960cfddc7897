"""What a text would change, asked of a registry in which something was decided and is served."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.registry.admission.world import GateWorld
from tests.registry.policies.documents import overlay, text
from tests.registry.policies.helpers import Run, refused
from tests.registry.promotion.world import POLICY, Promotions
from tests.workshop import AGENT
from tidegate_registry.sandbox.jobs import SERVER_URL

URL = "/api/v1/policies/_company/what-if"
SCOPES = ("registry:api:*,manage",)


@pytest.fixture
def promotions(gate_world: GateWorld) -> Promotions:
    made = Promotions(gate_world)
    made.publish("1.0.0")
    for channel in ("dev", "staging"):
        made.promote("1.0.0", channel)
    return made


def ask(promotions: Promotions, text: str, **more: object) -> dict[str, Any]:
    document = text.replace("ISSUER", promotions.issuer).replace("SERVER", SERVER_URL).replace("FREEZES", "")
    answer = promotions.gate.client("dave", *SCOPES).post(URL, json={"document": document} | more)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_text_in_force_flips_nothing(promotions: Promotions) -> None:
    found = ask(promotions, POLICY)
    assert found["decisions"] >= 4
    assert (found["serving"], found["flips"], found["rights"], found["leftOut"]) == (2, [], [], 0)
    assert found["changes"] == []


def test_an_overlay_is_asked_about_what_its_own_namespace_did(promotions: Promotions) -> None:
    dave = promotions.gate.client("dave", *SCOPES)
    looked_at = {}
    for name in ("acme", "acm", "umbra"):
        answer = dave.post(f"/api/v1/policies/{name}/what-if", json={"document": text(overlay(name)).decode()})
        looked_at[name] = answer.json()["decisions"] > 0, answer.json()["serving"]
    assert looked_at == {"acme": (True, 2), "acm": (False, 0), "umbra": (False, 0)}


def test_a_stricter_text_flips_what_was_decided_and_what_is_served_with_the_reason(promotions: Promotions) -> None:
    stricter = POLICY.replace("approvals: {count: 1, role: reviewer}}", "approvals: {count: 2, role: reviewer}}", 1)
    found = ask(promotions, stricter)
    assert found["changes"] == ["dev → staging: reviewed now needs 2 approvals by reviewer, was 1"]
    flips = [
        (flip["kind"], flip["agent"], flip["version"], flip["channel"], flip["allowed"]) for flip in found["flips"]
    ]
    assert flips == [(kind, AGENT, "1.0.0", "staging", False) for kind in ("decision", "serving")]
    assert [why["id"] for why in found["flips"][0]["why"]] == ["reviewed"]
    assert "1 of 2: bob approved" in found["flips"][0]["why"][0]["message"]
    assert [flip["kind"] for flip in ask(promotions, stricter, decisions=0)["flips"]] == ["serving"]


def test_the_command_tells_each_flip_with_what_was_found(promotions: Promotions, run: Run, tmp_path: Path) -> None:
    stricter = POLICY.replace("count: 1, role: reviewer}}", "count: 2, role: reviewer}, message: Ask two.}", 1)
    text = stricter.replace("ISSUER", promotions.issuer).replace("SERVER", SERVER_URL).replace("FREEZES", "")
    (tmp_path / "policy.yaml").write_text(text)
    done = run("dave", "what-if", "policy.yaml")
    assert done.code == 0, done.err
    lines = [line.strip() for line in done.out.splitlines()]
    assert f"✗ {AGENT}:1.0.0 → staging could no longer enter its channel" in lines
    at = lines.index("reviewed: Ask two.")
    assert lines[at + 1].startswith("found: 1 of 2: bob approved")


def test_it_says_who_would_gain_lose_and_be_locked_out(promotions: Promotions) -> None:
    found = ask(promotions, POLICY.replace("editors: {allow: [admin]}", "editors: {allow: [release-manager]}"))
    rights = {each["who"]: (each["gains"], each["loses"]) for each in found["rights"]}
    change = ["change the policy", "read the audit log"]
    assert rights == {"carol": (change, []), "dave": ([], change)}, "who has acted, or asks, is known by their token"
    assert (found["lockedOut"], found["lockout"]) == (["dave"], [])
    nobody = ask(promotions, POLICY.replace("editors: {allow: [admin]}", "editors: {allow: [developer]}"))
    assert [reason["code"] for reason in nobody["lockout"]] == ["policy-lockout"]


def test_who_has_no_role_may_not_ask_and_a_wrong_text_is_told_line_by_line(promotions: Promotions) -> None:
    wrong = {"document": POLICY.replace("editors: {allow: [admin]}", "editors: {allow: [admins]}")}
    assert refused(promotions.gate.client("dave", *SCOPES).post(URL, json=wrong)) == (400, "policy-invalid")
    promotions.install(POLICY.replace("developer: [{issuer: ISSUER, claims: {groups: developers}}]", "developer: []"))
    assert promotions.gate.client("alice", *SCOPES).post(URL, json=wrong).status_code in {401, 403}


def test_only_so_many_are_answered_at_once(promotions: Promotions) -> None:
    client, known = promotions.gate.client("dave", *SCOPES), promotions.gate.services.what_ifs
    while known.acquire(blocking=False):
        promotions.gate._clients.callback(known.release)
    answer = client.post(URL, json={"document": "x"})
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many-what-ifs")
    assert answer.headers["Retry-After"]
