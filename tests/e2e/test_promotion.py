"""docs/guides/promote-and-roll-back.md does what it says, with the installed commands, in a sandbox of its own."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import AGENT, EXAMPLE, Done, RunningSandbox, Shell, running_sandbox, with_version
from tidegate.formats.jcs import JsonObject

pytestmark = pytest.mark.slow

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "promote-and-roll-back.md"
RESULTS = "case,passed\n" + "".join(f"refund-{number},true\n" for number in range(5))


SHARED = "acme/workflows/.ci/workflows/release.yml@refs/heads/main"  # may release every agent of the namespace


class Team:
    """The people of a sandbox, and an agent that no other test uses."""

    def __init__(self, sandbox: RunningSandbox, folder: Path, agent: str) -> None:
        self.sandbox, self.folder, self.agent = sandbox, folder, agent
        self.people: dict[str, Shell] = {}

    def person(self, name: str) -> Shell:
        if name not in self.people:
            home = self.folder / name
            home.mkdir()
            self.people[name] = self.sandbox.shell(home)
            self.people[name].tidegate("login", "--as", name).succeeded()
        return self.people[name]

    def job(self, **job: object) -> Shell:
        home = self.folder / "ci"
        home.mkdir(exist_ok=True)
        return self.sandbox.job(home, **job)

    def publish(self, version: str, *options: str) -> None:
        agent = self.folder / f"agent-{version}"
        if not agent.exists():
            ignored = shutil.ignore_patterns("__pycache__", ".tidegate", "layout")
            with_version(Path(shutil.copytree(EXAMPLE, agent, ignore=ignored)), version)
            yaml = agent / "agent.yaml"
            yaml.write_text(yaml.read_text().replace(f"name: {AGENT}", f"name: {self.agent}", 1))
            prompt = agent / "prompts" / "system.md"
            prompt.write_text(f"{prompt.read_text()}\nAs of {version}.\n")
        job = self.job(repository=self.agent, ref=f"refs/tags/v{version}", job_workflow_ref=SHARED)
        job.tidegate("publish", agent, "--channel", "dev", *options).succeeded()

    def evaluate(self, version: str) -> None:
        results = self.folder / "results.csv"
        results.write_text(RESULTS)
        evals = self.job(repository="acme/evals", workflow=".ci/workflows/eval.yml", ref="refs/heads/main")
        options = ("--suite", "regression", "--dataset", results, "--harness", results)
        evals.tidegate("attest", "evaluation", f"{self.agent}:{version}", "--from", results, *options).succeeded()

    def promote(self, name: str, version: str, channel: str) -> Done:
        return self.person(name).tidegate("promote", f"{self.agent}:{version}", "--to", channel, "--json")

    def to_staging(self, version: str) -> None:
        """Publish it with all it takes, and have bob approve it."""
        self.publish(version, "--sbom")
        assert self.promote("alice", version, "dev").code == 0
        self.evaluate(version)
        asked = self.promote("alice", version, "staging")
        assert asked.code == 4, asked.err
        self.person("bob").tidegate("approve", str(asked.json["id"]), "--yes").succeeded()

    def to_stable(self, version: str) -> None:
        """Have carol ask for it, and bob and carol approve it."""
        asked = self.promote("carol", version, "stable")
        assert asked.code == 4, asked.err
        for name in ("bob", "carol"):
            self.person(name).tidegate("approve", str(asked.json["id"]), "--yes", "--channel", "stable").succeeded()

    def serves(self) -> dict[str, str | None]:
        """What each channel serves, as bob sees it."""
        listed = self.person("bob").tidegate("channels", self.agent, "--json").succeeded().json["channels"]
        assert isinstance(listed, list)
        return {str(each["name"]): version_of(each) for each in listed if isinstance(each, dict)}


def version_of(channel: JsonObject) -> str | None:
    serving = channel["serving"]
    return str(serving["version"]) if isinstance(serving, dict) else None


def missing(done: Done) -> list[str]:
    """The ids of what a request lacks."""
    decision = done.json["decision"]
    findings = decision["findings"] if isinstance(decision, dict) else None
    assert isinstance(findings, list)
    states = {str(each["id"]): each["state"] for each in findings if isinstance(each, dict)}
    return [id_ for id_, state in states.items() if state in ("unmet", "inconclusive")]


@pytest.fixture(scope="module")
def own_sandbox(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[RunningSandbox]:
    """A sandbox that no other module uses: here everything of it is looked at."""
    options: list[str] = []
    if os.environ.get("TIDEGATE_TEST_DATABASE") == "postgresql":
        options = ["--database", request.getfixturevalue("postgres_server")]
    with running_sandbox(tmp_path_factory.mktemp("promotion") / "sandbox", *options) as running:
        yield running


@pytest.fixture
def team(own_sandbox: RunningSandbox, tmp_path: Path) -> Team:
    return Team(own_sandbox, tmp_path, f"acme/agent-{secrets.token_hex(4)}")


def test_a_release_moves_on_when_nothing_is_missing_and_back_when_it_must(team: Team) -> None:
    team.publish("1.2.0")
    assert team.promote("alice", "1.2.0", "dev").code == 0

    asked = team.promote("alice", "1.2.0", "staging")
    assert asked.code == 4
    assert missing(asked) == ["approvals", "eval-passed", "bill-of-materials", "reviewed"]
    request = str(asked.json["id"])
    told = team.person("alice").tidegate("promotions", "--agent", team.agent)
    assert told.succeeded().out.splitlines()[0].split() == ["AGENT", "DEV", "STAGING", "STABLE"]
    assert "who can" in told.out

    team.evaluate("1.2.0")
    team.publish("1.2.0", "--sbom")
    waiting = team.person("alice").start("tidegate", "promote", f"{team.agent}:1.2.0", "--to", "staging", "--wait")
    newer = wait_for_another(team, request)
    with waiting:
        refused = team.person("bob").tidegate("approve", request, "--yes", "--json")
        assert refused.code == 1, "it was superseded"
        approved = team.person("bob").tidegate("approve", newer, "--yes", "--only", f"{team.agent}:1.2.0")
        assert "Promoted" in approved.succeeded().err
        out, err = waiting.communicate(timeout=60)
    assert (waiting.returncode, out.strip()) == (0, newer), err
    assert "changed:" in err
    assert team.serves() == {"dev": "1.2.0", "staging": "1.2.0", "stable": None}

    team.to_stable("1.2.0")
    team.to_staging("1.3.0")
    team.to_stable("1.3.0")
    assert team.serves() == {"dev": "1.3.0", "staging": "1.3.0", "stable": "1.3.0"}

    back = team.person("carol").tidegate("rollback", team.agent, "stable", "--reason", "it lost orders")
    assert "back to 1.2.0" in back.succeeded().err
    again = team.promote("carol", "1.3.0", "stable")
    assert (again.code, missing(again)) == (4, ["approvals", "hold", "reviewed"])
    team.person("carol").tidegate("lift-hold", team.agent, "stable", "--reason", "it was the database").succeeded()

    revoked = team.person("carol").tidegate("revoke", f"{team.agent}:1.3.0", "--reason", "CVE", "--rollback", "--json")
    assert revoked.succeeded().json["version"] == "1.3.0"
    assert team.serves() == {"dev": "1.2.0", "staging": "1.2.0", "stable": "1.2.0"}
    pulled = team.person("bob").tidegate("pull", f"{team.agent}:1.3.0", "--to", team.folder / "pulled")
    assert pulled.code == 1
    assert "release-revoked" in pulled.err


def wait_for_another(team: Team, request: str) -> str:
    """Give the open request for staging once it is another one than `request`."""
    for _ in range(100):
        shown = team.person("bob").tidegate("promotions", "--agent", team.agent, "--json").succeeded()
        listed = shown.json["promotions"]
        ids = [str(each["id"]) for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        if ids and ids != [request]:
            return ids[0]
    raise AssertionError("nobody asked again")


def test_who_may_not_is_told_who_may(team: Team) -> None:
    team.publish("1.2.0")
    stranger = team.job(repository="mallory/fork")
    assert stranger.tidegate("promote", f"{team.agent}:1.2.0", "--to", "dev").code == 1
    asked = team.promote("alice", "1.2.0", "stable")
    assert asked.code == 1
    assert "release-manager" in asked.err


def test_a_request_is_rejected_or_taken_back(team: Team) -> None:
    team.publish("1.4.0")
    assert team.promote("alice", "1.4.0", "dev").code == 0
    for name, words in (("bob", ("reject", "--reason", "not now")), ("alice", ("withdraw",))):
        asked = team.promote("alice", "1.4.0", "staging")
        assert asked.code == 4
        team.person(name).tidegate(words[0], str(asked.json["id"]), *words[1:]).succeeded()
        late = team.person("bob").tidegate("approve", str(asked.json["id"]), "--yes")
        assert late.code == 1


def test_glass_that_was_broken_is_reviewed_by_somebody_else(team: Team) -> None:
    team.publish("1.4.0")
    words = (
        "promote",
        f"{team.agent}:1.4.0",
        "--to",
        "stable",
        "--break-glass",
        "--yes",
        "--reason",
        "orders are lost",
    )
    assert team.person("bob").tidegate(*words).code == 1, "the charter does not list him"
    done = team.person("carol").tidegate(*words)
    assert done.code == 0, done.err
    request = done.out.strip()
    assert team.serves()["stable"] == "1.4.0"
    assert request in team.person("bob").tidegate("break-glass").succeeded().out
    review = ("break-glass", "--review", request, "--verdict", "justified", "--reason", "they were")
    assert team.person("carol").tidegate(*review).code == 1
    team.person("bob").tidegate(*review).succeeded()
    assert request not in team.person("bob").tidegate("break-glass").succeeded().out


def test_the_guide_uses_only_commands_that_there_are(team: Team) -> None:
    commands = re.findall(r"^\$ tidegate ([a-z-]+)(.*)$", GUIDE.read_text(), re.MULTILINE)
    assert {verb for verb, _ in commands} >= {"promote", "approve", "reject", "withdraw", "rollback", "revoke"}
    for verb, rest in commands:
        help_text = team.person("bob").tidegate(verb, "--help").succeeded().out
        assert all(flag in help_text for flag in re.findall(r"--[a-z-]+", rest)), (verb, rest)


def test_everything_that_was_decided_is_decided_again_from_the_log_alone(team: Team) -> None:
    team.to_staging("1.0.0")
    auditor = team.person("dave")
    for _ in range(30):  # the worker publishes every second
        replayed = auditor.tidegate("log", "replay", "--json").succeeded().json
        if int(str(replayed["decisions"])) >= 3:
            break
    assert replayed["decisions"] == replayed["agreed"], replayed["notable"]
    assert (replayed["otherwiseToday"], replayed["notable"]) == (0, [])
