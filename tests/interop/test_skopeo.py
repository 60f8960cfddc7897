"""skopeo, as distributions ship it: login, copy to and from, inspect, and what it shows of a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import AGENT, Done, Shell
from tests.interop.conftest import Job, find_tool
from tidegate.bundle.layout import Layout

NO_TLS = "--dest-tls-verify=false"


@dataclass(frozen=True)
class Skopeo:
    """skopeo in a job, logged in with the job's own identity token."""

    program: Path
    job: Job

    @property
    def authfile(self) -> Path:
        return self.job.home / "auth.json"

    def __call__(self, verb: str, *arguments: str | Path) -> Done:
        return self.job.shell.run(self.program, verb, "--authfile", self.authfile, *arguments)

    def push(self, layout: Path, tag: str) -> Done:
        return self("copy", NO_TLS, "--preserve-digests", f"oci:{layout}", self.where(tag))

    def where(self, tag: str) -> str:
        return f"docker://{self.job.registry}/{AGENT}:{tag}"


@pytest.fixture
def skopeo(in_ci: Callable[[str], Job]) -> Callable[[str], Skopeo]:
    program = find_tool("skopeo", "on Debian: apt install skopeo")

    def logged_in(version: str) -> Skopeo:
        tool = Skopeo(program, in_ci(version))
        token = tool.job.registry_token
        tool("login", "--tls-verify=false", "-u", "oidc", "-p", token, tool.job.registry).succeeded()
        return tool

    return logged_in


def test_what_skopeo_copies_waits_is_signed_and_comes_back_unchanged(
    skopeo: Callable[[str], Skopeo], reader: Shell
) -> None:
    tool = skopeo("2.0.0")
    layout = tool.job.layout("2.0.0")
    digest = Layout.open(layout).root().digest
    tool.push(layout, "2.0.0").succeeded()
    assert tool.job.release(AGENT, "2.0.0")["state"] == "pending"
    again = tool("inspect", "--tls-verify=false", "--raw", tool.where("2.0.0")).succeeded()
    assert again.out.encode() == Layout.open(layout).manifest(digest).raw
    where = f"{AGENT}@{digest}"
    tool.job.shell.tidegate("sign", where).succeeded()
    tool.job.shell.tidegate("attest", "provenance", where).succeeded()
    assert tool.job.release(AGENT, "2.0.0")["state"] == "admitted"
    assert digest in reader.tidegate("verify", f"{AGENT}:2.0.0").succeeded().out
    copied = tool.job.home / "copied"
    tool("copy", "--src-tls-verify=false", tool.where("2.0.0"), f"oci:{copied}").succeeded()
    assert Layout.open(copied).root().digest == digest


def test_skopeo_shows_why_it_is_refused(skopeo: Callable[[str], Skopeo]) -> None:
    tool = skopeo("2.1.0")
    layout = tool.job.layout("2.1.0")
    for tag, said in {
        "stable": ("channel-not-movable", "hint: push a version"),
        "v2.1.0": ("version-misspelt", "use 2.1.0"),
        "9.9.9": ("version-mismatch [R3]", "found: 2.1.0"),
    }.items():
        done = tool.push(layout, tag)
        assert done.code != 0
        for part in said:
            assert part in done.err


def test_skopeo_shows_that_a_version_is_taken(skopeo: Callable[[str], Skopeo]) -> None:
    tool = skopeo("2.2.0")
    released = tool.job.shell.tidegate("publish", tool.job.layout("2.2.0")).succeeded().out.strip()
    done = tool.push(tool.job.layout("2.2.0", change="something else\n"), "2.2.0")
    assert done.code != 0
    assert "version-taken" in done.err
    assert released.partition("@")[2] in done.err
