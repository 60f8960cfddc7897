"""docs/guides/audit-the-log.md does what it says, against the sandbox, with the installed commands."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.conftest import RunningSandbox, Shell
from tidegate.formats.jcs import parse_object

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "audit-the-log.md"


@pytest.fixture
def dave(sandbox: RunningSandbox, tmp_path: Path) -> Shell:
    """The auditor."""
    shell = sandbox.shell(tmp_path)
    shell.tidegate("login", "--as", "dave").succeeded()
    return shell


def test_an_auditor_verifies_shows_proves_and_checks_without_further_flags(
    dave: Shell, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    for line in (
        "tidegate log verify",
        "tidegate log show 0",
        "tidegate log prove 0 --out first.tlog-proof",
        "tidegate log check first.tlog-proof",
        "tidegate log verify --since-last",
    ):
        assert re.search(rf"^{re.escape(line)}(\s|$)", guide, flags=re.MULTILINE), line
        dave.run(*line.split()).succeeded()
    first = dave.tidegate("log", "show", "0", "--json").succeeded()
    entry = parse_object(first.out.encode(), limit=1 << 17, what="the entry")
    assert entry["type"] == "policy.applied"
    assert first.out.removesuffix("\n") == (tmp_path / "first.json").read_text(encoding="utf-8")
    assert dave.tidegate("log", "show", str(entry["id"]), "--json").succeeded().out == first.out
    size = dave.tidegate("log", "verify", "--json").succeeded().json["size"]
    assert isinstance(size, int)
    assert size >= 2

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    trust = shutil.copy(dave.env["TIDEGATE_TRUST"], elsewhere / "trust.yaml")
    offline = Shell(elsewhere)  # no registry, no login, no state
    checked = offline.tidegate("log", "check", tmp_path / "first.tlog-proof", "--trust", trust).succeeded()
    assert checked.out.startswith("0 ")
    (tmp_path / "first.json").write_text(first.out.replace("policy.applied", "policy.reverted"), encoding="utf-8")
    refused = offline.tidegate("log", "check", tmp_path / "first.tlog-proof", "--trust", trust)
    assert refused.code == 1
    assert "proof-wrong" in refused.err


def test_entries_are_for_auditors_and_checkpoints_for_everybody(sandbox: RunningSandbox, tmp_path: Path) -> None:
    anybody = sandbox.shell(tmp_path)
    refused = anybody.tidegate("log", "verify")
    assert refused.code == 1
    assert "login-needed" in refused.err
    registry = anybody.env["TIDEGATE_REGISTRY"]
    assert anybody.tidegate("log", "compare", f"http://{registry}/log").code == 0
