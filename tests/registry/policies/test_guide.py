"""docs/guides/change-a-policy.md does what it says: its commands, one after the other, write what it shows."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.registry.admission.world import GateWorld
from tests.registry.keeping.helpers import command
from tests.registry.policies.documents import overlay, policy, text
from tests.registry.policies.helpers import OPERATOR, REVIEWED, TWICE, Run
from tests.registry.world import World
from tidegate.policy.model import COMPANY
from tidegate_registry.policies.install import install
from tidegate_registry.sandbox.policy import policy_file

GUIDE = (Path(__file__).parents[3] / "docs" / "guides" / "change-a-policy.md").read_text("utf-8")
EXAMPLE = "01a1ffb7-a98c-7439-b835-243f693dbbdc"
CHANGING = (r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", r"sha256:[0-9a-f]+…?")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", GUIDE, flags=re.DOTALL | re.MULTILINE)


def shown() -> Iterator[tuple[list[str], list[str]]]:
    """Every command of the guide, with the lines that it shows."""
    for block in blocks("console"):
        for part in block.split("$ ")[1:]:
            line, *lines = part.rstrip("\n").split("\n")
            yield shlex.split(line), [each for each in lines if each.strip() and each.strip() != "…"]


def plain(line: str) -> str:
    for pattern in CHANGING:
        line = re.sub(pattern, "…", line)
    return line.strip()


def test_the_commands_write_what_the_guide_shows(gate_world: GateWorld, run: Run, tmp_path: Path) -> None:
    found = policy_file(gate_world.shop.main.issuer.url)
    install(gate_world.services, OPERATOR, found.encode(), reason="installed by the operator")
    file, proposal, asked = tmp_path / "policy.yaml", EXAMPLE, list(shown())
    assert len(asked) == 7
    for (_, _, verb, *arguments), lines in asked:
        if ">" in arguments:
            arguments = arguments[: arguments.index(">")]  # noqa: PLW2901 - the shell's part is done here
        who = "carol" if verb == "approve" else "dave"
        done = run(who, verb, *(each.replace(EXAMPLE, proposal) for each in arguments))
        waits = verb in {"propose", "revert"}
        assert done.code == (4 if waits else 0), done.err
        if verb == "propose":
            proposal = done.out.strip()
        if verb == "show":
            file.write_text(done.out.replace(REVIEWED, TWICE))
        told = [plain(line) for line in (done.out + done.err).replace(proposal, EXAMPLE).splitlines()]
        assert [line for line in map(plain, lines) if line not in told] == []


def test_the_operators_commands_do_what_the_guide_says(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policy.yaml").write_bytes(text(policy()))
    (tmp_path / "acme.yaml").write_bytes(text(overlay()))
    for line in blocks("sh"):
        _, *arguments = shlex.split(line)
        code, printed, told = command(world, *arguments)
        assert code == 0, told
        assert printed.startswith("sha256:")
    with world.services.db.read() as tx:
        versions = world.services.policies.current(tx).versions
    assert {name: version.number for name, version in versions.items()} == {COMPANY: 2, "acme": 1}
    again = command(world, "policy", "install", "policy.yaml")
    assert (again[0], "policy-installed" in again[2]) == (1, True)
    unreasoned = command(world, "policy", "install", "--force", "policy.yaml")
    assert (unreasoned[0], "reason-missing" in unreasoned[2]) == (2, True)
