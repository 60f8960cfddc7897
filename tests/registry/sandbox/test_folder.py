"""A sandbox takes a folder that is new, empty or its own, and keeps the ports it could bind."""

from __future__ import annotations

import json
import socket
import stat
from pathlib import Path

import pytest

from tests.registry.sandbox.lines import assert_told, chosen, run
from tidegate.errors import Conflict, InvalidInput
from tidegate_registry.sandbox.folder import SandboxFolder
from tidegate_registry.sandbox.ports import PortTaken
from tidegate_registry.sandbox.supervisor import run_sandbox


@pytest.mark.parametrize("below", [".", "below"])
def test_a_folder_that_cannot_be_made_is_one_line(
    tmp_path: Path, below: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(InvalidInput) as refused:
        run_sandbox(file / below)
    assert refused.value.reasons[0].code == "sandbox-folder-unusable"
    assert run(["--dir", str(file / below)]) == 2
    assert_told(capsys.readouterr().err, str(file), "--dir")


def test_a_folder_that_is_not_writable_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "lock").mkdir()  # what no permission hides from root
    assert run(["--dir", str(tmp_path)]) == 2
    assert_told(capsys.readouterr().err, str(tmp_path), "--dir")


def test_a_folder_of_something_else_is_refused_and_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(InvalidInput) as refused:
        run_sandbox(tmp_path)
    assert refused.value.reasons[0].code == "sandbox-folder-not-empty"
    assert run(["--dir", str(tmp_path)]) == 2
    assert_told(capsys.readouterr().err, str(tmp_path), "thesis.txt", "--dir")
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_folder_is_private_when_the_sandbox_makes_it(tmp_path: Path) -> None:
    with SandboxFolder(tmp_path / "new").held():
        assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    there = tmp_path / "there"
    there.mkdir()
    there.chmod(0o755)
    with SandboxFolder(there).held():
        assert stat.S_IMODE(there.stat().st_mode) == 0o755


@pytest.mark.parametrize("flag", ["--port", "--sigstore-port"])
def test_a_taken_port_is_not_kept(tmp_path: Path, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        number = str(other.getsockname()[1])
        assert run(["--dir", str(tmp_path), flag, number]) == 1
    assert_told(capsys.readouterr().err, f"port {number} ", f"{flag} N")
    folder = SandboxFolder(tmp_path)
    assert folder.load_ports() is None
    with folder.held():  # and the folder can still be a sandbox's
        assert int(number) not in (folder.choose_ports().registry, folder.choose_ports().sigstore)


def test_a_sandbox_is_not_moved_to_a_taken_port(tmp_path: Path) -> None:
    before = chosen(SandboxFolder(tmp_path))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(PortTaken) as refused:
            run_sandbox(tmp_path, registry_port=other.getsockname()[1])
    assert refused.value.reasons[0].code == "port-taken"
    assert SandboxFolder(tmp_path).load_ports() == before


def test_ports_are_chosen_once_and_sigstores_never_moves(tmp_path: Path) -> None:
    folder = SandboxFolder(tmp_path)
    assert folder.load_ports() is None
    first = folder.choose_ports(registry=5001)
    assert first.registry == 5001
    assert folder.load_ports() is None
    folder.keep_ports(first)
    assert folder.choose_ports() == first == folder.load_ports()
    moved = folder.choose_ports(registry=5002, sigstore=first.sigstore)
    assert (moved.registry, moved.sigstore, moved.s3) == (5002, first.sigstore, first.s3)
    folder.keep_ports(moved)
    assert folder.load_ports() == moved
    with pytest.raises(Conflict) as refused:
        folder.choose_ports(sigstore=first.sigstore + 1)
    assert refused.value.reasons[0].code == "sandbox-port-fixed"


PORTS = {"s3": 1, "filer": 1, "volume": 1, "master": 1, "admin": 1}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{}",
        "[]",
        '{"version": 2, "s3": {}}',
        '{"version": 1, "registry": 1, "sigstore": 2, "s3": {}}',
        json.dumps({"version": 1, "registry": "1", "sigstore": 2, "s3": PORTS}),
        json.dumps({"version": 1, "registry": 1, "sigstore": 2, "s3": PORTS | {"admin": 70_000}}),
    ],
)
def test_a_state_file_of_something_else_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "sandbox.json").write_text(content)
    with pytest.raises(Conflict) as refused:
        SandboxFolder(tmp_path).choose_ports()
    assert refused.value.reasons[0].code == "sandbox-state-invalid"
