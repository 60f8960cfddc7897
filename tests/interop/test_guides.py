"""The commands of the guides on other tools and their artifacts, as they are written there."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import AGENT
from tests.interop.conftest import OPAQUE, Job, find_tool
from tests.interop.test_other_artifacts import skills_folder
from tidegate.bundle.layout import Layout

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
COSIGN = """\
#!/bin/sh -e
verb=$1; shift
case "$verb" in verify*) private=--use-signed-timestamps ;; *) private="--signing-config {signing}" ;; esac
exec {cosign} "$verb" --allow-http-registry --trusted-root {root} $private "$@"
"""


def commands(guide: str, heading: str) -> str:
    """Give the shell block under a heading."""
    text = (GUIDES / guide).read_text(encoding="utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    block = re.search(r"^```sh\n(.*?)^```", section, flags=re.DOTALL | re.MULTILINE)
    assert block is not None
    return block[1]


@pytest.fixture
def follow(in_ci: Callable[[str], Job]) -> Callable[[Job, str], None]:
    """Run a guide's commands in a job, with crane logged in, and cosign told of the private Sigstore."""
    crane, cosign = find_tool("crane"), find_tool("cosign")

    def run(job: Job, script: str) -> None:
        programs = job.home / "bin"
        programs.mkdir()
        folder = job.sandbox.folder
        wrapper = COSIGN.format(cosign=cosign, signing=folder.signing_config, root=folder.trusted_root)
        (programs / "cosign").write_text(wrapper)
        (programs / "cosign").chmod(0o755)
        (programs / "crane").symlink_to(crane)
        job.provenance()
        job.shell.run(crane, "auth", "login", job.registry, "-u", "oidc", "-p", job.registry_token).succeeded()
        here = script.replace("registry.example", job.registry)
        job.shell.run("sh", "-euc", f'PATH="{programs}:$PATH"\n{here}').succeeded()

    return run


def test_crane_and_cosign_release_an_agent(in_ci: Callable[[str], Job], follow: Callable[[Job, str], None]) -> None:
    job = in_ci("7.0.0")
    job.layout("7.0.0").rename(job.home / "layout")
    follow(job, commands("stock-tools.md", "crane and cosign").replace("1.2.0", "7.0.0"))
    assert job.release(AGENT, "7.0.0")["state"] == "admitted"


def test_crane_and_cosign_release_what_another_tool_made(
    in_ci: Callable[[str], Job], follow: Callable[[Job, str], None]
) -> None:
    job = in_ci("7.1.0")
    layout = Layout.create(job.home / "layout")
    layout.add_manifest(skills_folder(layout), version=None)
    script = commands("other-artifacts.md", "With stock tools alone")
    follow(job, script.replace("1.0.0", "7.1.0").replace(AGENT, OPAQUE))
    assert job.release(OPAQUE, "7.1.0")["state"] == "admitted"
