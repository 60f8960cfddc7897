from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.client.policy.documents import OVERLAY, POLICY
from tests.client.policy.test_cases import CASES
from tidegate.cli.main import main


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A policy and an overlay to it."""
    policy, overlay = tmp_path / "policy.yaml", tmp_path / "acme.yaml"
    policy.write_text(POLICY)
    overlay.write_text(OVERLAY)
    return policy, overlay


def test_lint_says_what_a_policy_asks(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    policy, overlay = files
    assert main(["policy", "lint", str(policy), "--overlay", str(overlay)]) == 0
    told = capsys.readouterr()
    assert "staging → stable of acme/*, also\n    audited: 1 approval by auditor" in told.out
    assert told.err == ""


def test_lint_tells_every_mistake_and_a_hint(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    policy, overlay = files
    overlay.write_text(
        OVERLAY.replace("role: auditor", "role: audditor").replace("namespace: acme", "namespace: other")
    )
    assert main(["policy", "lint", str(policy), "--overlay", str(overlay), "--json"]) == 2
    error = json.loads(capsys.readouterr().out)["error"]  # noqa: TID251 - our own output
    assert error["code"] == "policy-invalid"
    assert [(reason["found"], reason["hint"]) for reason in error["reasons"]] == [("audditor", "write auditor")]


@pytest.mark.skipif(find_spec("cel_expr_python") is None, reason="needs tidegate[policy]")
def test_lint_points_at_what_is_wrong_in_a_condition(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    policy, _ = files
    policy.write_text(POLICY.replace("maxAge: 7d}}", "maxAge: 7d}, when: predicate.metrix.accuracy > 1.0}"))
    assert main(["policy", "lint", str(policy)]) == 2
    told = capsys.readouterr().err.splitlines()
    [found] = [number for number, line in enumerate(told) if "found: predicate" in line]
    assert told[found + 1].index("^") == told[found].index("metrix")
    assert "hint: did you mean `metrics`?" in told[-1]


def test_lint_can_be_strict_about_warnings(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    policy, _ = files
    policy.write_text(POLICY.replace("  admin:", "  idle: []\n  admin:"))
    assert main(["policy", "lint", str(policy)]) == 0
    assert main(["policy", "lint", "-q", "--strict", str(policy)]) == 1
    assert "nothing asks for this role (remove it, or use it) [role-unused]" in capsys.readouterr().err


def test_test_says_which_cases_come_out_otherwise(files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    policy, _ = files
    cases = policy.with_name("policy.cases.yaml")
    cases.write_text(CASES)
    assert main(["policy", "test", str(policy)]) == 0
    assert capsys.readouterr().out == "PASS it has all that it needs\n"
    cases.write_text(CASES.replace("{carol: 1h}", "{}"))
    assert main(["policy", "test", str(policy), str(cases)]) == 1
    told = capsys.readouterr()
    assert told.out.startswith(
        f"FAIL it has all that it needs ({cases}:9)\n     it is refused, and should be allowed\n"
    )
    assert "0 of 1 cases" in told.err
    assert main(["policy", "test", str(policy), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["failed"] == 1  # noqa: TID251 - our own output
