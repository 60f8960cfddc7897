"""docs/guides/air-gap.md does what it says, with the installed commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.e2e.conftest import AGENT, EXAMPLE, Done, RunningSandbox, Shell

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "air-gap.md"
DEAD = "127.0.0.1:9"  # nothing listens on the discard port


@pytest.fixture(scope="module")
def released(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The example agent, released as 1.2.0; gives its reference with the digest."""
    done = sandbox.job(tmp_path_factory.mktemp("ci")).tidegate("publish", EXAMPLE, "--channel", "canary").succeeded()
    return done.out.strip()


def blocks() -> list[list[str]]:
    """The commands of the guide's shell blocks."""
    found = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    return [block.strip().splitlines() for block in found]


def follow(shell: Shell, lines: list[str], host: str) -> Done:
    done = Done(0, "", "")
    for line in lines:
        done = shell.run(*shlex.split(re.sub(r"\b(registry|mirror)\.example\b", host, line))).succeeded()
    return done


def test_the_air_gap_guide_from_the_registry_to_a_host_without_a_network(
    sandbox: RunningSandbox, released: str, home: Path
) -> None:
    export, carried, into_registry = blocks()
    shell = sandbox.shell(home)
    shell.tidegate("login", "--as", "bob").succeeded()
    follow(shell, export, sandbox.registry)
    alone = Shell(home, {key: value for key, value in sandbox.env.items() if key != "TIDEGATE_REGISTRY"})
    alone = alone.having(TIDEGATE_SANDBOX_ISSUER=f"http://{DEAD}", HTTP_PROXY=f"http://{DEAD}")
    assert follow(alone, carried, DEAD).out.strip() == released.partition("/")[2]
    follow(sandbox.job(home), into_registry, sandbox.registry)
    assert (home / "agent" / "bundle" / "agent.yaml").is_file()
    assert shell.tidegate("copy", "support-agent.tar", f"{DEAD}/{AGENT}").code == 3
