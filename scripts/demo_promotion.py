"""A release on its way: refused with what it lacks, supplied by those who can, promoted, and rolled back."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from subprocess import CompletedProcess

from scripts.demo_stage import AGENT, ROOT, DemoFailed, Stage, paint
from tidegate.formats.jcs import parse_object
from tidegate.remote.promotion_values import Promotion, objects

VERSION, NEXT = "1.2.0", "1.2.1"
LACKING = ["approvals", "eval-passed", "bill-of-materials", "reviewed"]
WAITING = 4  # docs/spec/exit-codes.md


def promotion(stage: Stage) -> None:
    """A release moves to dev, to staging and to stable: each step says what it lacks, and people supply it."""
    person(stage, "alice", "promote", f"{AGENT}:{VERSION}", "--to", "dev")
    stage.tell("\nStaging asks for more:")
    person(stage, "alice", "promote", f"{AGENT}:{VERSION}", "--to", "staging", expect=WAITING)
    request = _waiting(stage, LACKING)
    stage.tell("\nThe evaluation pipeline and the build supply evidence, and bob, who reviews, looks for himself:")
    _evaluate(stage, VERSION)
    folder = stage.folder / "support-agent"
    stage.ci("tidegate", "--quiet", "publish", folder, "--sbom", "--channel", "dev", ref=f"refs/tags/v{VERSION}")
    person(stage, "bob", "approve", request, "--yes")
    stage.tell("\nTo stable: carol asks, and two persons of the charter approve.")
    person(stage, "carol", "--quiet", "promote", f"{AGENT}:{VERSION}", "--to", "stable", expect=WAITING)
    request = _waiting(stage, ["approvals", "reviewed"])
    person(stage, "bob", "--quiet", "approve", request, "--yes")
    person(stage, "carol", "approve", request, "--yes", tail=2)
    person(stage, "bob", "promotions")


def rollback(stage: Stage) -> None:
    """A newer release turns out to be bad: one call goes back, and what was left is held."""
    newer = stage.folder / "newer"
    shutil.copytree(stage.folder / "support-agent", newer)
    prompt, agent_file = newer / "prompts/system.md", newer / "agent.yaml"
    prompt.write_text(f"{prompt.read_text()}\nPromise every refund.\n")
    agent_file.write_text(agent_file.read_text().replace(f"version: {VERSION}", f"version: {NEXT}"))
    stage.ci("tidegate", "--quiet", "publish", newer, "--channel", "dev", ref=f"refs/tags/v{NEXT}")
    person(stage, "alice", "--quiet", "promote", f"{AGENT}:{NEXT}", "--to", "dev")
    person(stage, "carol", "rollback", AGENT, "dev", "--reason", "it promised every refund")
    person(stage, "alice", "promote", f"{AGENT}:{NEXT}", "--to", "dev", expect=WAITING)


def policy(stage: Stage) -> None:
    """An administrator wants two reviewers before stable, sees first whom that would stop, and cannot do it alone."""
    before = "- id: reviewed\n        approvals: {count: 1, role: reviewer, maxAge: 72h}"
    after = before.replace("count: 1", "count: 2")
    text = person(stage, "dave", "policy", "show", quiet=True).stdout
    if before not in text:
        raise DemoFailed("the sandbox's policy is not the one that this was written for")
    (stage.folder / "policy.yaml").write_text(text.replace(before, after))
    person(stage, "dave", "policy", "what-if", "policy.yaml")
    file, reason = "policy.yaml", "two reviewers before stable"
    proposed = person(stage, "dave", "policy", "propose", file, "--reason", reason, expect=WAITING)
    person(stage, "carol", "policy", "approve", proposed.stdout.split()[-1], "--yes")


def _evaluate(stage: Stage, version: str) -> None:
    results, evals = stage.folder / "results.csv", ROOT / "examples/support-agent/evals"
    results.write_text(stage.run(sys.executable, "-B", evals / "run.py", head=0).stdout)
    named = ("--suite", "support", "--dataset", evals / "cases.json", "--harness", evals / "run.py")
    command = ("tidegate", "--quiet", "attest", "evaluation", f"{AGENT}:{version}", "--from", results, *named)
    stage.ci(*command, repository="acme/evals", workflow=".ci/workflows/eval.yml")


def _waiting(stage: Stage, lacking: list[str]) -> str:
    """Give the id of the request that waits, and insist on what it lacks."""
    raw = person(stage, "bob", "promotions", "--json", quiet=True).stdout.encode()
    (document,) = objects(parse_object(raw, limit=1 << 22, what="the board")["promotions"])
    request = Promotion.parse(document)
    found = [finding.id for finding in request.missing if finding.id != "soaked"]  # that is a matter of a second
    if found != lacking:
        raise DemoFailed(f"the request lacks {found} instead of {lacking}")
    return request.id


def person(
    stage: Stage,
    name: str,
    *arguments: str | Path,
    expect: int = 0,
    quiet: bool = False,
    head: int | None = None,
    tail: int | None = None,
) -> CompletedProcess[str]:
    """Run `tidegate` as one of the sandbox's people, each with a login of their own."""
    env = {"XDG_CONFIG_HOME": str(stage.folder / f"config-{name}"), "COLUMNS": "96"}
    before, stage.quiet = stage.quiet, True
    try:
        if not (stage.folder / f"config-{name}").exists():
            stage.run("tidegate", "login", "--as", name, env=env)
        stage.quiet = before or quiet
        shown = f"{paint(f'[{name}]', 2)} tidegate {' '.join(map(str, arguments))}"
        return stage.run(
            "tidegate", *arguments, env=env, expect=expect, show=shown, head=head, tail=tail, cwd=stage.folder
        )
    finally:
        stage.quiet = before
