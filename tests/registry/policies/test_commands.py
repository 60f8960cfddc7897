"""`tidegate policy show`, `diff`, `history`, `what-if`, `propose`, `approve`, `apply`, `revert` against a registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.registry.admission.world import GateWorld
from tests.registry.policies.helpers import OPERATOR, REVIEWED, TWICE, Run
from tidegate_registry.policies.install import install
from tidegate_registry.sandbox.policy import policy_file


@pytest.fixture
def text(gate_world: GateWorld) -> str:
    """The policy in force: that of a new sandbox."""
    found = policy_file(gate_world.shop.main.issuer.url)
    install(gate_world.services, OPERATOR, found.encode(), reason="first")
    return found


def test_an_edit_from_show_to_apply_and_back(text: str, run: Run, tmp_path: Path) -> None:
    shown = run("dave", "show")
    assert (shown.code, shown.out) == (0, text), "what is shown is what is edited"
    assert "_company version 1, sha256:" in shown.err
    (tmp_path / "new.yaml").write_text(text.replace(REVIEWED, TWICE))

    compared = run("dave", "diff", "current", "new.yaml")
    assert compared.code == 0
    assert "~ staging → stable: reviewed now needs 2 approvals by reviewer, at most 3d old, was 1\n" in compared.out
    assert f"\n-        {REVIEWED}\n+        {TWICE}\n" in compared.out
    assert run("dave", "what-if", "new.yaml").code == 0

    proposed = run("dave", "propose", "new.yaml", "--from", "1", "--reason", "two before stable")
    assert proposed.code == 4, proposed.err
    assert "Waiting" in proposed.err
    proposal = proposed.out.strip()
    assert f"waiting  {proposal}  from version 1, 0 of 1 agreed" in run("alice", "history").out
    assert "waiting: proposal " + proposal in run("alice", "show").err
    own = run("dave", "approve", proposal, "--yes")
    assert own.code == 1
    assert "policy-approver-is-author" in own.err
    agreed = run("carol", "approve", proposal, "--yes")
    assert (agreed.code, agreed.out) == (0, f"{proposal}\n")
    assert "reviewed now needs 2 approvals" in agreed.err, "the second person sees what it changes"

    history = run("alice", "history").out.splitlines()
    assert [line.split()[0] for line in history] == ["2", "1"]
    assert "dave@sandbox.example: two before stable" in history[0]
    late = run("carol", "propose", "new.yaml", "--from", "1", "--reason", "late")
    assert late.code == 1
    assert "policy-stale" in late.err
    back = run("carol", "revert", "1", "--reason", "too strict", "--json")
    assert (back.code, back.json["reverts"], back.json["state"]) == (4, 1, "open")
    assert run("dave", "apply", back.json["id"]).code == 1, "it still waits for another person"
    assert run("dave", "approve", back.json["id"], "--yes").code == 0
    assert run("alice", "show", "--version", "3").out == text


def test_mistakes_are_told_before_anybody_is_asked(text: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text(text.replace("allow: [admin, release-manager]", "allow: [admins]"))
    done = run("dave", "propose", "new.yaml", "--reason", "x")
    assert done.code == 2
    assert "new.yaml:" in done.err
    assert "no such role" in done.err


def test_nobody_agrees_without_a_terminal_or_yes(text: str, run: Run) -> None:
    assert text
    done = run("carol", "approve", "0190d7c0-0000-7000-8000-000000000000")
    assert done.code == 2
    assert "approval-not-confirmed" in done.err


def test_the_first_overlay_of_a_namespace_is_proposed_too(text: str, run: Run, tmp_path: Path) -> None:
    assert text
    (tmp_path / "acme.yaml").write_text("format: tidegate/policy-overlay/v1\nnamespace: acme\n")
    done = run("dave", "propose", "acme.yaml", "--namespace", "acme", "--reason", "ours", "--json")
    assert (done.code, done.json["policy"], done.json["base"]) == (4, "acme", 0)
    assert run("carol", "approve", done.json["id"], "--namespace", "acme", "--yes").code == 0
    assert "namespace: acme" in run("alice", "show", "acme").out


def test_whoever_may_not_is_told_who_may(text: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text(text.replace(REVIEWED, TWICE))
    done = run("alice", "propose", "new.yaml", "--reason", "x")
    assert done.code == 1
    assert "policy-editor-missing" in done.err
    assert "admin or release-manager" in done.err


def test_what_if_says_in_words_what_would_change(text: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "new.yaml").write_text(text.replace("allow: [admin, release-manager]", "allow: [developer]"))
    done = run("dave", "what-if", "new.yaml")
    assert done.code == 1, "it could not be applied"
    assert "dave could no longer change the policy" in done.out
    assert "✗ too few people could change the policy again" in done.out
    assert "0 decisions made again, 0 channels looked at" in done.out
    assert run("dave", "what-if", "new.yaml", "--json").json["lockedOut"] == ["dave"]
