"""The support agent as a bundle: it declares what it is, and what is unpacked is what runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tidegate.bundle.build import Built, build
from tidegate.bundle.recheck import recheck_files
from tidegate.bundle.spec import AgentFile
from tidegate.bundle.unpack import unpack
from tidegate.errors import BundleRefused
from tidegate.formats.config import Kind
from tidegate.formats.jcs import JsonObject, parse_object

FOLDER = Path(__file__).parents[3] / "examples" / "support-agent"


@pytest.fixture
def built(tmp_path: Path) -> Built:
    return build(FOLDER, tmp_path / "layout")


def load(path: Path) -> JsonObject:
    return parse_object(path.read_bytes(), limit=1 << 20, what=path.name)


def test_it_has_a_component_of_every_kind_that_it_explains(built: Built) -> None:
    kinds = {component.kind for component in built.config.components}
    assert kinds == set(Kind) - {Kind.SKILLS, Kind.CONFIG}


def test_its_model_is_pinned_by_the_weights_that_it_runs(built: Built) -> None:
    (pin,) = built.config.models
    assert pin.file is not None
    assert not pin.floats
    assert load(FOLDER / pin.file)["model"] == pin.id
    assert f'"{pin.file}"' in (FOLDER / "support_agent" / "loop.py").read_text()


def test_the_tools_that_it_asks_for_are_those_of_its_schemas(built: Built) -> None:
    tools = load(FOLDER / "tools.json")["tools"]
    assert isinstance(tools, list)
    names = [tool["name"] for tool in tools if isinstance(tool, dict)]
    assert list(built.config.capabilities.tools) == names


def test_the_state_schema_that_it_declares_is_the_one_that_it_writes() -> None:
    state = AgentFile.load(FOLDER).spec.state
    assert state is not None
    source = (FOLDER / "support_agent" / "memory.py").read_text()
    assert re.findall(r"^SCHEMA = (\d+)", source, flags=re.MULTILINE) == [str(state.schema_)]
    assert re.findall(r"^OLDER = \((\d+),\)", source, flags=re.MULTILINE) == [str(min(state.reads))]


def test_what_is_unpacked_starts_by_its_entrypoint_and_stays_as_signed(built: Built, tmp_path: Path) -> None:
    agent = tmp_path / "agent"
    config = unpack(built.manifest, built.layout.open_blob, agent)
    assert config.entrypoint[0] == "python3"
    command = [sys.executable, *config.entrypoint[1:], "--task", "Where is order 1003?"]
    done = subprocess.run(command, cwd=agent, env={}, capture_output=True, text=True, check=True)
    assert "delivered" in done.stdout
    recheck_files(config, agent)


def test_a_prompt_edited_on_disk_is_noticed_before_the_next_load(built: Built, tmp_path: Path) -> None:
    agent = tmp_path / "agent"
    config = unpack(built.manifest, built.layout.open_blob, agent)
    prompt = agent / "prompts" / "system.md"
    prompt.write_text(prompt.read_text().replace("50.00", "90.00"))
    with pytest.raises(BundleRefused) as caught:
        recheck_files(config, agent)
    assert caught.value.reasons[0].code == "file-changed"
