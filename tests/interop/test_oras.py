"""The `oras` package for Python: push, attach, list and pull.

A refusal is not tried: it takes a 403 for a wish to log in, repeats it for two minutes, and shows nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import Done, Shell
from tests.interop.conftest import OPAQUE, Job, find_in_tools

SCRIPT = Path(__file__).with_name("oras_tool.py")
CONFIG = "application/vnd.docker.agent.config.v1+json"
LAYER = "application/vnd.docker.agent.v1+yaml"
AGENT_YAML = """\
version: "2"
agents:
  root:
    model: openai/gpt-5-mini-2025-08-07
    description: Answers questions about orders
    instruction: You answer questions about the orders of a small shop.
"""


@dataclass(frozen=True)
class Oras:
    """`oras` in a job, with a folder of files to push."""

    python: Path
    job: Job

    def __call__(self, verb: str, tag: str, *arguments: str | Path) -> Done:
        shell = self.job.shell.having(REGISTRY_TOKEN=self.job.granted(OPAQUE))
        return shell.run(self.python, SCRIPT, verb, f"{self.job.registry}/{OPAQUE}:{tag}", *arguments)

    def push(self, tag: str, text: str, *arguments: str) -> Done:
        (self.job.home / "agent.yaml").write_text(text)
        (self.job.home / "config.json").write_text("{}")
        return self("push", tag, f"agent.yaml:{LAYER}", "--config", f"config.json:{CONFIG}", *arguments)


@pytest.fixture
def oras(in_ci: Callable[[str], Job]) -> Callable[[str], Oras]:
    python = find_in_tools("python", "bin", "python")
    return lambda version: Oras(python, in_ci(version))


def test_what_oras_pushes_waits_is_signed_and_comes_back(
    oras: Callable[[str], Oras], reader: Shell, tmp_path: Path
) -> None:
    tool = oras("5.0.0")
    digest, _ = tool.push("5.0.0", AGENT_YAML).succeeded().out.split()
    waiting = tool.job.release(OPAQUE, "5.0.0")
    assert (waiting["state"], waiting["digest"]) == ("pending", digest)

    sign = ("--as", f"{OPAQUE}:5.0.0")
    tool.job.shell.tidegate("sign", f"{OPAQUE}@{digest}", *sign).succeeded()
    tool.job.shell.tidegate("attest", "provenance", f"{OPAQUE}@{digest}", *sign).succeeded()
    assert tool.job.release(OPAQUE, "5.0.0")["state"] == "admitted"

    assert "5.0.0" in tool("tags", "5.0.0").succeeded().out.split()
    tool("pull", "5.0.0", tmp_path / "pulled").succeeded()
    assert (tmp_path / "pulled" / "agent.yaml").read_text() == AGENT_YAML
    assert digest in reader.tidegate("verify", f"{OPAQUE}:5.0.0").succeeded().out


def test_oras_attaches_a_note_about_a_release(oras: Callable[[str], Oras]) -> None:
    tool = oras("5.1.0")
    digest, size = tool.push("5.1.0", AGENT_YAML).succeeded().out.split()
    subject = f"application/vnd.oci.image.manifest.v1+json,{digest},{size}"
    tool.push("notes", "reviewed by hand\n", "--subject", subject).succeeded()
