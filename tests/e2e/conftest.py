"""The installed commands, in subprocesses, against one sandbox for the whole run."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tidegate.credentials.sandbox_login import parse_env
from tidegate.formats.jcs import JsonObject, parse_object
from tidegate_registry.sandbox.cli import register_job
from tidegate_registry.sandbox.folder import SandboxFolder

BIN = Path(sys.executable).parent
START_SECONDS = 60.0
COMMAND_SECONDS = 60
AGENT = "acme/support-agent"
EXAMPLE = Path(__file__).parents[2] / "examples" / "support-agent"


@dataclass(frozen=True)
class Done:
    """How a command ended: exit code, and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> JsonObject:
        return parse_object(self.out.encode(), limit=1 << 22, what="the command's output")

    def succeeded(self) -> Done:
        assert self.code == 0, f"exit code {self.code}\n{self.out}\n{self.err}"
        return self


@dataclass(frozen=True)
class Shell:
    """A shell with an environment of its own; `home` holds nothing but what commands write."""

    home: Path
    env: Mapping[str, str] = field(default_factory=dict)

    def start(self, *command: str | Path) -> subprocess.Popen[str]:
        plain = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(self.home), "TMPDIR": str(self.home)}
        return subprocess.Popen(
            [str(part) for part in command],
            env=plain | dict(self.env),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str | Path) -> Done:
        with self.start(*command) as process:
            out, err = process.communicate(timeout=COMMAND_SECONDS)
        assert "Traceback" not in err, err
        return Done(process.returncode, out, err)

    def tidegate(self, *arguments: str | Path) -> Done:
        return self.run("tidegate", *arguments)

    def having(self, **env: str) -> Shell:
        return Shell(self.home, dict(self.env) | env)


@dataclass(frozen=True)
class RunningSandbox:
    """A sandbox of the installed `tidegate-registry`, and shells to use it from."""

    folder: SandboxFolder
    env: Mapping[str, str]

    @property
    def registry(self) -> str:
        return self.env["TIDEGATE_REGISTRY"]

    def shell(self, home: Path) -> Shell:
        """A shell that has sourced the sandbox's environment."""
        return Shell(home, self.env)

    def job(self, home: Path, **job: object) -> Shell:
        """A shell in a CI job; by default the one whose workflow may release the example agent."""
        request: dict[str, object] = {"repository": AGENT, "ref": "refs/tags/v1.2.0"} | job
        return Shell(home, dict(self.env) | register_job(self.folder, request))


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[RunningSandbox]:
    options: list[str] = []
    if os.environ.get("TIDEGATE_TEST_DATABASE") == "postgresql":
        options += ["--database", request.getfixturevalue("postgres_server")]
    with running_sandbox(tmp_path_factory.mktemp("e2e") / "sandbox", *options) as running:
        yield running


@contextlib.contextmanager
def running_sandbox(path: Path, *options: str) -> Iterator[RunningSandbox]:
    """Start the installed sandbox on a new folder, and stop it."""
    folder = SandboxFolder(path)
    log = path.with_name("log")
    command = [str(BIN / "tidegate-registry"), "sandbox", "--dir", str(path), *options]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=_clean_environment())
        try:
            _wait_until_ready(process, log)
            yield RunningSandbox(folder, parse_env(folder.env.read_text()))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(COMMAND_SECONDS)
            if process.stdout:
                process.stdout.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def shell(sandbox: RunningSandbox, home: Path) -> Shell:
    return sandbox.shell(home)


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """A copy of the example agent, to change."""
    import shutil

    ignored = shutil.ignore_patterns("__pycache__", ".tidegate", "layout")
    return Path(shutil.copytree(EXAMPLE, tmp_path / "agent", ignore=ignored))


def with_version(agent: Path, version: str) -> Path:
    """Give the agent another version; what it is stays the same."""
    file = agent / "agent.yaml"
    file.write_text(file.read_text().replace("version: 1.2.0", f"version: {version}", 1))
    return agent


def _clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}


def _wait_until_ready(process: subprocess.Popen[bytes], log: Path) -> None:
    """Read the banner; its last line comes when everything answers."""
    assert process.stdout is not None
    deadline = time.monotonic() + START_SECONDS
    seen = b""
    while b"Ctrl-C" not in seen:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        chunk = os.read(process.stdout.fileno(), 1 << 16) if ready else b""
        assert chunk, f"the sandbox did not start: {seen!r} {log.read_text()}"
        seen += chunk
