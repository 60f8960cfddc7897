"""The GitHub action and the GitLab job: their scripts, run as the runners run them, release an agent for real."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import AGENT, BIN, Done, RunningSandbox, Shell, with_version
from tests.interop.conftest import Job, find_tool

ROOT = Path(__file__).parents[2]
GITHUB, GITLAB = ROOT / "integrations" / "github", ROOT / "integrations" / "gitlab"
ACTION = yaml.safe_load((GITHUB / "action.yml").read_text())
WORKFLOW = yaml.safe_load((GITHUB / "release.yml").read_text())
TEMPLATE = yaml.safe_load((GITLAB / "tidegate.gitlab-ci.yml").read_text())
EXPRESSION = re.compile(r"\$\{\{\s*([a-z_.]+)\s*\}\}")
BASH = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail")  # how a runner starts `shell: bash`
COMMIT = re.compile(r"[^@]+@[0-9a-f]{40}")


# -- the files --------------------------------------------------------------------------------------------------------


def test_the_workflow_and_the_action_pass_zizmor() -> None:
    command = [str(BIN / "zizmor"), "--offline", "--quiet", "--persona=auditor", str(GITHUB / "action.yml")]
    command.append(str(GITHUB / "release.yml"))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_passes_actionlint(tmp_path: Path) -> None:
    linter = find_tool("actionlint", "go install github.com/rhysd/actionlint/cmd/actionlint@latest")
    workflows = tmp_path / ".github" / "workflows"
    workflows.mkdir(parents=True)
    path = shutil.copy(GITHUB / "release.yml", workflows)
    done = subprocess.run([linter, path], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_value_becomes_text_of_a_script() -> None:
    steps = ACTION["runs"]["steps"]
    assert [step["shell"] for step in steps] == ["bash", "bash"]
    assert not any("${{" in step["run"] for step in steps)
    job = TEMPLATE[".tidegate-publish"]
    assert not any("$[[" in line for line in (*job["before_script"], *job["script"]))


def test_the_job_of_the_workflow_may_do_what_it_needs_and_nothing_more() -> None:
    assert WORKFLOW["permissions"] == {}
    job = WORKFLOW["jobs"]["release"]
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    assert all(COMMIT.fullmatch(step["uses"]) for step in job["steps"])
    assert job["steps"][0]["with"]["persist-credentials"] is False
    assert set(job["steps"][1]["with"]) <= set(ACTION["inputs"])


def test_each_token_of_the_gitlab_job_has_one_audience() -> None:
    job = TEMPLATE[".tidegate-publish"]
    tokens = {name: token["aud"] for name, token in job["id_tokens"].items()}
    assert tokens == {"SIGSTORE_ID_TOKEN": "sigstore", "TIDEGATE_TOKEN": "https://$TIDEGATE_REGISTRY"}
    known = {"image", "rules", "variables", "id_tokens", "before_script", "script", "artifacts"}  # of GitLab's keywords
    assert set(job) == known
    assert all(isinstance(value, str) for value in job["variables"].values())


def test_the_guide_shows_what_the_files_hold() -> None:
    guide = (ROOT / "docs" / "guides" / "publish-from-ci.md").read_text(encoding="utf-8")
    jobs = (GITHUB / "release.yml").read_text().partition("jobs:\n")[2]
    assert jobs in guide
    assert all(f"`{name}`" in guide for name in (*ACTION["inputs"], *ACTION["outputs"]))
    assert all(f"`{name}`" in guide for name in TEMPLATE[".tidegate-publish"]["variables"])


def test_the_action_installs_what_its_own_commit_names() -> None:
    script = next(step["run"] for step in ACTION["runs"]["steps"] if step["name"] == "Install Tidegate")
    named = re.findall(r"\$root/(\S+?)\"", script)
    assert named == ["requirements/publish.txt", "requirements/build.txt", "client"]
    assert all((ROOT / path).exists() for path in named)
    assert "--require-hashes" in script
    locked, hosts = (
        set(re.findall(r"^[a-z][a-z0-9-]*==\S+", (ROOT / "requirements" / name).read_text(), flags=re.MULTILINE))
        for name in ("publish.txt", "client.txt")
    )
    assert hosts < locked
    assert any(each.startswith("cyclonedx-python-lib==") for each in locked - hosts)


# -- run for real -----------------------------------------------------------------------------------------------------


def run_step(shell: Shell, name: str, inputs: Mapping[str, str]) -> Done:
    """Run a step of the action as GitHub's runner does."""
    step = next(step for step in ACTION["runs"]["steps"] if step["name"] == name)
    defaults = {key: value.get("default", "") for key, value in ACTION["inputs"].items()}
    values = {f"inputs.{key}": value for key, value in (defaults | dict(inputs)).items()}
    values["github.action_path"] = str(GITHUB)
    env = {key: EXPRESSION.sub(lambda found: values[found[1]], text) for key, text in step["env"].items()}
    script = shell.home / "step.sh"
    script.write_text(step["run"])
    return shell.having(**env).run(*BASH, script)


def runner(job: Shell) -> Shell:
    """A job with what a runner gives to every step."""
    (job.home / "temp" / "tidegate").mkdir(parents=True)
    (job.home / "temp" / "tidegate" / "bin").symlink_to(BIN)
    return job.having(
        RUNNER_TEMP=str(job.home / "temp"),
        GITHUB_OUTPUT=str(job.home / "output"),
        GITHUB_STEP_SUMMARY=str(job.home / "summary"),
    )


@pytest.mark.slow
def test_the_action_releases_an_agent_and_gives_its_reference(sandbox: RunningSandbox, home: Path, agent: Path) -> None:
    with_version(agent, "1.2.71").rename(home / "my agent")
    shell = runner(sandbox.job(home))
    inputs = {"agent": "./my agent", "registry": sandbox.registry, "channels": "dev\n canary "}
    run_step(shell, "Publish", inputs).succeeded()
    outputs = dict(line.split("=", 1) for line in (home / "output").read_text().splitlines())
    assert set(outputs) == set(ACTION["outputs"])
    assert outputs["reference"] == f"{sandbox.registry}/{AGENT}:1.2.71@{outputs['digest']}"
    assert outputs["reference"] in (home / "summary").read_text()
    verified = sandbox.job(home).tidegate("verify", outputs["reference"], "--json").succeeded().json
    assert verified["channels"] == ["canary", "dev"]
    assert "https://cyclonedx.org/bom" in str(verified["evidence"])


@pytest.mark.slow
def test_the_step_fails_where_the_release_is_refused_and_gives_no_outputs(
    sandbox: RunningSandbox, home: Path, agent: Path
) -> None:
    shell = runner(sandbox.job(home, repository="mallory/fork"))
    inputs = {"agent": str(with_version(agent, "1.2.72")), "registry": sandbox.registry}
    done = run_step(shell, "Publish", inputs)
    assert done.code == 1
    assert "not-in-charter" in done.err
    assert not (home / "output").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["agent", "channels", "sbom", "registry"])
def test_no_input_of_the_action_runs_as_a_command(sandbox: RunningSandbox, home: Path, name: str) -> None:
    value = '$(touch pwned)`touch pwned`; touch pwned\n touch pwned "; touch pwned; \'; touch pwned; " --no-sign'
    inputs = {"agent": "nowhere", "registry": sandbox.registry, name: value}
    done = run_step(runner(sandbox.job(home)), "Publish", inputs)
    assert done.code in {1, 2}
    assert not (home / "pwned").exists()
    assert not (home / "output").exists()


@pytest.mark.slow
def test_the_gitlab_job_releases_an_agent(sandbox: RunningSandbox, home: Path, agent: Path) -> None:
    job = Job(sandbox, sandbox.job(home))
    template = TEMPLATE[".tidegate-publish"]
    host = sandbox.registry
    audiences = {
        name: token["aud"].replace("$TIDEGATE_REGISTRY", host) for name, token in template["id_tokens"].items()
    }
    assert audiences["TIDEGATE_TOKEN"] == f"https://{host}"
    audiences["TIDEGATE_TOKEN"] = f"http://{host}"  # the sandbox is on this machine and speaks http
    env = {name: value for name, value in job.shell.env.items() if not name.startswith(("GITHUB_", "ACTIONS_"))}
    env |= template["variables"] | {name: job.token(audience) for name, audience in audiences.items()}
    env |= {"GITLAB_CI": "true", "CI_SERVER_URL": "https://git.sandbox.internal", "TIDEGATE_REGISTRY": host}
    env |= {"AGENT": str(with_version(agent, "1.2.73")), "CHANNELS": "dev canary"}
    shell = Shell(home, env)
    script = home / "script.sh"
    script.write_text("\n".join(template["script"]))
    shell.run("sh", "-e", script).succeeded()
    name, _, reference = (home / "tidegate.env").read_text().strip().partition("=")
    assert (name, reference.partition("@")[0]) == ("TIDEGATE_REFERENCE", f"{host}/{AGENT}:1.2.73")
    verified = sandbox.job(home).tidegate("verify", reference, "--json").succeeded().json
    assert verified["channels"] == ["canary", "dev"]


@pytest.mark.slow
@pytest.mark.network
def test_the_action_builds_the_client_from_its_own_commit(home: Path) -> None:
    packages = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    shell = Shell(home, packages | {"RUNNER_TEMP": str(home), "ACTION_PATH": str(GITHUB)})
    script = home / "step.sh"
    needed = ' -r "$root/requirements/publish.txt"'  # which takes a minute to fetch and is left out here
    step = next(step["run"] for step in ACTION["runs"]["steps"] if step["name"] == "Install Tidegate")
    assert needed in step
    script.write_text(step.replace(needed, ""))
    done = shell.run(*BASH, script)
    if done.code and "No matching distribution" in done.err:
        pytest.skip("the package index is out of reach")
    done.succeeded()
    assert shell.run(home / "tidegate" / "bin" / "tidegate", "--version").succeeded().out.startswith("tidegate ")
