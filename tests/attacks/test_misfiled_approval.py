"""An approval that was given for one thing is filed for another, over the API of a real registry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.registry.admission.world import codes_of
from tests.registry.promotion.world import POLICY, Promotions, finding, missing
from tests.workshop import EVALS_JOB, RELEASE_JOB
from tidegate.digest import Digest
from tidegate.formats.charter import ApproverRule
from tidegate.formats.moment import moment_text
from tidegate_registry.promotion.settling import take_turn
from tidegate_registry.sandbox.jobs import SERVER_URL


@pytest.mark.parametrize(
    "what",
    [
        {"channel": "stable"},
        {"sequence": 7},
        {"rule": str(Digest.of(b"another rule"))},
        {"version": "9.9.9"},
        {"action": "rollback"},
    ],
    ids=lambda what: next(iter(what)),
)
def test_it_is_not_taken_for_another_channel_sequence_rule_version_or_action(
    promotions: Promotions, what: dict[str, Any]
) -> None:
    promotions.publish("1.0.0")
    promotion = promotions.ask("carol", "1.0.0", "staging").json()
    answer = promotions.approve("bob", promotion, **what)
    assert (answer.status_code, codes_of(answer)) == (403, ["statement-differs"])
    shown = promotions.show(promotion)
    assert (shown["approvals"], {"approvals", "reviewed"} <= set(missing(shown))) == ([], True)


def test_it_is_not_taken_for_another_digest(promotions: Promotions) -> None:
    for version in ("1.0.0", "1.1.0"):
        promotions.publish(version)
    first = promotions.ask("carol", "1.0.0", "staging").json()
    manifest = promotions.sign_approval("bob", first)
    second = promotions.ask("carol", "1.1.0", "staging").json()
    answer = promotions.file("bob", second, manifest)
    assert (answer.status_code, codes_of(answer)) == (404, ["statement-unknown"])
    assert {"approvals", "reviewed"} <= set(missing(promotions.show(second)))


def test_it_is_not_taken_for_the_next_request_of_the_same_release(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    first = promotions.ask("carol", "1.0.0", "staging").json()
    manifest = promotions.sign_approval("bob", first)
    assert promotions.file("bob", first, manifest).status_code == 201
    second = promotions.ask("carol", "1.0.0", "staging").json()
    assert {"approvals", "reviewed"} <= set(missing(second)), "attached is not filed, and it names the first request"
    assert codes_of(promotions.file("bob", second, manifest)) == ["statement-differs"]


def test_it_does_not_count_under_a_rule_that_has_changed_since(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    promotions.promote("1.0.0", "dev", "alice")
    promotion = promotions.ask("carol", "1.0.0", "staging").json()
    manifest = promotions.sign_approval("bob", promotion)
    promotions.install(
        POLICY.replace("count: 1, role: reviewer}}\n- from: staging", "count: 1, role: admin}}\n- from: staging")
    )
    answer = promotions.file("bob", promotion, manifest)
    assert answer.status_code == 201, answer.text
    assert {"approvals", "reviewed"} <= set(missing(answer.json()))
    assert "another rule" in str(finding(answer.json(), "approvals")["found"])
    assert answer.json()["ruleDigest"] != promotion["ruleDigest"], "the next approval is given under the new rule"


def test_nobody_files_what_somebody_else_signed(promotions: Promotions) -> None:
    promotions.publish("1.0.0")
    promotion = promotions.ask("carol", "1.0.0", "staging").json()
    manifest = promotions.sign_approval("bob", promotion)
    for thief in ("carol", "alice"):
        answer = promotions.file(thief, promotion, manifest)
        assert (answer.status_code, codes_of(answer)) == (403, ["not-your-signature"])
    assert promotions.show(promotion)["approvals"] == []


def test_the_author_and_the_requester_approve_nothing_and_twice_is_once(promotions: Promotions) -> None:
    promotions.publish("1.0.0")  # by a pipeline that alice set off
    promotions.promote("1.0.0", "dev", "alice")
    promotions.install(
        POLICY.replace("reviewer: [{", "reviewer: [{issuer: ISSUER, claims: {groups: developers}}, {").replace(
            "allow: [release-manager]\n  require:\n", "allow: [release-manager, reviewer]\n  require:\n"
        )
    )
    promotions.evaluate("1.0.0")
    promotion = promotions.ask("bob", "1.0.0", "staging").json()
    for own in ("alice", "bob"):
        assert promotions.approve(own, promotion, reason="mine").status_code == 201
    assert promotions.approve("bob", promotion, reason="and again").status_code == 201
    shown = promotions.show(promotion)
    assert (shown["state"], missing(shown)) == ("open", ["reviewed"])


def test_who_set_off_the_pipeline_that_asks_stays_the_requester_when_somebody_else_sets_it_off(
    promotions: Promotions,
) -> None:
    promotions.publish("1.0.0")
    promotions.promote("1.0.0", "dev", "alice")
    pipeline = "{issuer: ISSUER/ci, claims: {actor: {glob: '*'}}}"
    promotions.install(
        POLICY.replace("release-manager: [{", f"release-manager: [{pipeline}, {{")
        .replace("reviewer: [{", "reviewer: [{issuer: ISSUER, claims: {groups: developers}}, {")
        .replace("role: reviewer}", "role: reviewer, notAuthor: false}")
        .replace(
            "identity: bob@sandbox.example}",
            "identity: bob@sandbox.example}, {issuer: ISSUER/ci, claims: {actor: bob}}",
        )
    )
    promotions.evaluate("1.0.0")
    promotion = promotions.ask(RELEASE_JOB, "1.0.0", "staging").json()  # set off by alice
    promotions.client(RELEASE_JOB.model_copy(update={"actor": "bob"}))  # another run of it
    shown = promotions.approve("alice", promotion).json()
    assert (shown["state"], missing(shown)) == ("open", ["reviewed"])


def test_one_persons_filing_does_not_use_up_the_same_sentence_of_another(promotions: Promotions) -> None:
    promotions.govern(approvals={"dev": 0, "staging": 2, "stable": 2})
    promotions.publish("1.0.0")
    promotions.promote("1.0.0", "dev", "alice")
    promotions.evaluate("1.0.0")
    promotion = promotions.ask("carol", "1.0.0", "staging").json()
    later = moment_text(datetime.now(UTC) + timedelta(days=1))
    same = {"notFullBefore": later, "expiresAt": later}
    answers = [promotions.approve(name, promotion, **same).json() for name in ("alice", "bob")]
    assert answers[0]["approvals"][0]["payload"] == answers[1]["approvals"][1]["payload"]
    assert answers[1]["state"] == "done"


def test_a_pipelines_approval_has_the_role_of_the_run_that_filed_it_not_of_the_next(promotions: Promotions) -> None:
    machine = ApproverRule(
        name="bot",
        root="main",
        issuer=f"{promotions.issuer}/ci",
        workflow=f"{SERVER_URL}/acme/evals/.ci/workflows/run.yml",
        refs=("refs/heads/main",),
    )
    promotions.govern(approvers=(machine,))
    promotions.install(
        POLICY.replace(
            "reviewer: [{issuer: ISSUER, claims: {groups: reviewers}}]",
            "reviewer: [{issuer: ISSUER/ci, claims: {actor: bob}}]",
        )
    )
    promotions.publish("1.0.0")
    promotions.promote("1.0.0", "dev", "alice")
    promotions.evaluate("1.0.0")
    promotion = promotions.ask("carol", "1.0.0", "staging").json()
    shown = promotions.approve(EVALS_JOB.model_copy(update={"actor": "mallory"}), promotion).json()
    assert missing(shown) == ["reviewed"]
    bobs = EVALS_JOB.model_copy(update={"actor": "bob"})
    promotions.client(bobs)
    take_turn(promotions.gate.services)
    assert missing(promotions.show(promotion)) == ["reviewed"]
    assert promotions.approve(bobs, promotion, reason="as bob").json()["state"] == "done"
