"""A company with a policy, over a running registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.registry.admission.world import GateWorld
from tests.registry.policies.helpers import Company, Done, Run, founded
from tests.registry.world import World
from tidegate.cli.main import main


@pytest.fixture
def company(world: World) -> Company:
    return founded(world)


@pytest.fixture
def run(
    gate_world: GateWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run a command as somebody."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TIDEGATE_REGISTRY", gate_world.url.removeprefix("http://"))

    def run_command(who: str, *arguments: str) -> Done:
        monkeypatch.setenv("TIDEGATE_TOKEN", gate_world.shop.main.mint_token(who, gate_world.url))
        code = main(["policy", *arguments])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return run_command
