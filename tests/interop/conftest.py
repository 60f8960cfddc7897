"""Programs of others against one sandbox, as their users run them. A program that is not here is one line of skip.

They are found on PATH, or in the folder that `scripts/interop-tools` filled and TIDEGATE_INTEROP_TOOLS names.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import httpx2
import pytest

from tests.e2e.conftest import AGENT, EXAMPLE, RunningSandbox, Shell, running_sandbox, with_version
from tidegate.formats.jcs import JsonObject, parse_object

TOOLS = "TIDEGATE_INTEROP_TOOLS"
MAKE_THEM = f"scripts/interop-tools FOLDER, then {TOOLS}=FOLDER"
NAMES = {
    "node": "@sigstore/oci and @sigstore/verify are",
    "python": "oras for Python is",
    "aics": "aics-tlog is",
}  # by folder
OPAQUE = "acme/elsewhere"  # an agent whose bundles other tools make
CHARTER = f"  - agent: {AGENT}\n"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.slow)


def find_tool(name: str, how: str = MAKE_THEM) -> Path:
    """Give the path of a program, or skip and say how to get it."""
    folder = os.environ.get(TOOLS)
    places = [str(Path(folder) / "bin")] if folder else []
    found = shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", "")]))
    if found is None:
        pytest.skip(f"{name} is not installed ({how})")
    return Path(found)


def find_in_tools(*parts: str) -> Path:
    """Give a path in the folder of tools, or skip and say how to fill it."""
    path = Path(os.environ.get(TOOLS, "")).joinpath(*parts)
    if TOOLS not in os.environ or not path.exists():
        pytest.skip(f"{NAMES[parts[0]]} not installed ({MAKE_THEM})")
    return path.absolute()


@dataclass(frozen=True)
class Job:
    """A CI job that may release, and the tokens it gets from its CI."""

    sandbox: RunningSandbox
    shell: Shell

    @property
    def registry(self) -> str:
        return self.sandbox.registry

    @property
    def home(self) -> Path:
        return self.shell.home

    def token(self, audience: str) -> str:
        """Ask the CI for an identity token, as every tool does."""
        env = self.shell.env
        with httpx2.Client(trust_env=False) as http:
            answer = http.get(
                env["ACTIONS_ID_TOKEN_REQUEST_URL"],
                params={"audience": audience},
                headers={"Authorization": f"bearer {env['ACTIONS_ID_TOKEN_REQUEST_TOKEN']}"},
            )
        value = parse_object(answer.content, limit=1 << 16, what="the CI's answer")["value"]
        assert isinstance(value, str)
        return value

    @cached_property
    def registry_token(self) -> str:
        """The password for the user name `oidc`."""
        return self.token(f"http://{self.registry}")

    def layout(self, version: str, change: str = "") -> Path:
        """Build the example agent as that version. `change`: a text that makes it another bundle."""
        ignored = shutil.ignore_patterns("__pycache__", ".tidegate", "layout")
        agent = self.home / f"agent-{version}{change and '-changed'}"
        with_version(Path(shutil.copytree(EXAMPLE, agent, ignore=ignored)), version)
        if change:
            (agent / "README.md").write_text(change)
        layout = agent.with_name(f"layout-{version}{change and '-changed'}")
        self.shell.tidegate("build", agent, "--out", layout).succeeded()
        return layout

    def provenance(self) -> Path:
        """Write a SLSA provenance predicate of this job, as a builder of others would."""
        import json

        env = self.shell.env
        repository = f"{env['GITHUB_SERVER_URL']}/{env['GITHUB_REPOSITORY']}"
        workflow_ref = env["GITHUB_WORKFLOW_REF"]
        predicate = {
            "buildDefinition": {
                "buildType": "https://actions.github.io/buildtypes/workflow/v1",
                "externalParameters": {
                    "workflow": {
                        "repository": repository,
                        "ref": env["GITHUB_REF"],
                        "path": workflow_ref.removeprefix(f"{env['GITHUB_REPOSITORY']}/").partition("@")[0],
                    }
                },
                "resolvedDependencies": [
                    {"uri": f"git+{repository}@{env['GITHUB_REF']}", "digest": {"gitCommit": env["GITHUB_SHA"]}}
                ],
            },
            "runDetails": {
                "builder": {"id": f"{env['GITHUB_SERVER_URL']}/{workflow_ref}"},
                "metadata": {
                    "invocationId": f"{repository}/actions/runs/{env['GITHUB_RUN_ID']}"
                    f"/attempts/{env['GITHUB_RUN_ATTEMPT']}"
                },
            },
        }
        file = self.home / "provenance.json"
        file.write_text(json.dumps(predicate))
        return file

    def granted(self, agent: str) -> str:
        """Give a registry token for pulling and pushing."""
        asked = {"service": f"http://{self.registry}", "scope": f"repository:{agent}:pull,push"}
        with httpx2.Client(base_url=f"http://{self.registry}", trust_env=False) as http:
            answer = http.get("/v2/token", params=asked, auth=("oidc", self.registry_token))
        return str(parse_object(answer.content, limit=1 << 20, what="the token")["token"])

    def release(self, agent: str, version: str) -> JsonObject:
        """What the registry says of a version to this job."""
        url = f"/api/v1/agents/{agent}/releases/{version}"
        with httpx2.Client(base_url=f"http://{self.registry}", trust_env=False) as http:
            answer = http.get(url, headers={"Authorization": f"Bearer {self.granted(agent)}"})
        return parse_object(answer.content, limit=1 << 20, what="the release")


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    """A sandbox whose charters let version tags wait, and whose example pipeline also releases `OPAQUE`."""
    with running_sandbox(tmp_path_factory.mktemp("interop") / "sandbox") as running:
        trust = running.folder.trust
        text = trust.read_text()
        head, _, charter = text.partition(CHARTER)
        assert charter
        deferred = "    admission: deferred\n"
        trust.write_text(f"{head}{CHARTER}{deferred}{charter}  - agent: {OPAQUE}\n{deferred}{charter}")
        yield running


@pytest.fixture
def in_ci(sandbox: RunningSandbox, tmp_path: Path) -> Callable[[str], Job]:
    """Make the job that releases a version: its tag is protected, its home is empty."""

    def job(version: str) -> Job:
        home = tmp_path / f"ci-{version}"
        home.mkdir()
        return Job(sandbox, sandbox.job(home, ref=f"refs/tags/v{version}"))

    return job


@pytest.fixture(scope="session")
def reader(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Somebody who may read, logged in; has the sandbox's trust file. What tests write goes to their own folders."""
    shell = sandbox.shell(tmp_path_factory.mktemp("bob"))
    shell.tidegate("login", "--as", "bob").succeeded()
    return shell
