"""What we write as a log, implementations of others read: the Go project's, and one in Python."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.client.tlog.logs import files_of, log_signer, signed, witness
from tests.interop.conftest import find_in_tools, find_tool

AICS = Path(__file__).with_name("aics_tool.py")
READER = Path(__file__).with_name("log_reader.go")
GO_MODULE = "golang.org/x/mod@v0.29.0"
SIZE = 70_000


@pytest.fixture(scope="module")
def log_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    for path, raw in (files_of(SIZE) | {"checkpoint": signed(SIZE, witnesses=[witness(1)])}).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(raw)
    return folder


@pytest.fixture(scope="module")
def go_reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the reader, or skip: Go and its module proxy are not everywhere."""
    go, folder = find_tool("go", "https://go.dev/doc/install"), tmp_path_factory.mktemp("reader")
    shutil.copy(READER, folder / "main.go")
    for command in (["mod", "init", "reader"], ["get", GO_MODULE], ["build", "-o", "reader", "."]):
        done = subprocess.run([go, *command], cwd=folder, capture_output=True, text=True, check=False)
        if command[0] == "get" and done.returncode:
            pytest.skip(f"{GO_MODULE} could not be had from the module proxy")
        assert done.returncode == 0, done.stderr
    return folder / "reader"


def read(reader: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [reader, folder, str(log_signer().key)], capture_output=True, text=True, check=False, timeout=60
    )


def test_go_reads_checkpoint_and_tiles_and_proves_entries_and_growth(go_reader: Path, log_folder: Path) -> None:
    done = read(go_reader, log_folder)
    assert (done.returncode, done.stdout) == (0, f"{-(-SIZE // 997)}\n"), done.stderr


def test_go_refuses_a_tile_that_is_not_of_the_tree(go_reader: Path, log_folder: Path, tmp_path: Path) -> None:
    spoilt = shutil.copytree(log_folder, tmp_path / "log")
    tile = spoilt / "tile/0/000"
    tile.write_bytes(bytes(32) + tile.read_bytes()[32:])
    assert read(go_reader, spoilt).returncode != 0


def test_another_implementation_in_python_verifies_cosignature_tiles_and_every_entry(log_folder: Path) -> None:
    keys = [str(log_signer().key), str(witness(1).key)]
    command: list[str | Path] = [find_in_tools("aics", "bin", "python"), AICS, log_folder, *keys]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert (done.returncode, done.stdout) == (0, f"{SIZE} 1\n"), done.stderr
