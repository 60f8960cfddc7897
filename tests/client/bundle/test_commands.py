"""`tidegate init`, `build` and `inspect` as a person or a script meets them."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from tests.client.bundle.agents import write_agent
from tests.client.bundle.vector import VECTOR, VECTOR_DIGEST
from tidegate.cli.main import main


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_from_a_folder_to_a_bundle_and_a_look_at_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_agent(tmp_path / "agent", VECTOR)
    (folder / "agent.yaml").unlink()
    code, out, err = run(capsys, "init", folder, "--name", "acme/support-agent")
    assert (code, out) == (0, f"{folder}/agent.yaml\n")
    assert "tidegate build" in err
    code, out, err = run(capsys, "build", folder)
    assert code == 0
    assert out.startswith("sha256:")
    digest = out.strip()
    code, out, _ = run(capsys, "inspect", folder)
    assert code == 0
    assert out.startswith("acme/support-agent 0.1.0")
    assert digest in out


def test_stdout_is_the_digest_and_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_agent(tmp_path / "agent", VECTOR)
    code, out, err = run(capsys, "build", folder, "--out", tmp_path / "out", "--copy")
    assert (code, out) == (0, f"{VECTOR_DIGEST}\n")
    assert "warning: the model gpt-4o is not pinned" in err


def test_publish_tells_of_the_build_what_build_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.remote.transport.FIRST_WAIT_SECONDS", 0.0)
    folder = write_agent(tmp_path / "agent", VECTOR)
    _, _, built = run(capsys, "build", folder)
    nobody = ("--no-sign", "--registry", "http://127.0.0.1:9")  # nothing listens on the discard port
    code, out, published = run(capsys, "publish", folder, *nobody)
    assert (code, out) == (3, "")
    told = [line for line in built.splitlines() if not line.lstrip().startswith("Layout ")]
    assert [line.split()[0] for line in told] == ["Built", "Behaviour", "warning:"]
    assert published.splitlines()[: len(told)] == told


def test_json_is_one_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_agent(tmp_path / "agent", VECTOR)
    _, out, _ = run(capsys, "build", folder, "--json")
    assert json.loads(out)["digest"] == VECTOR_DIGEST  # noqa: TID251 - as a script would
    _, out, _ = run(capsys, "inspect", folder / ".tidegate" / "layout", "--json")
    assert json.loads(out)["unpinned"][0]["id"] == "gpt-4o"  # noqa: TID251 - as a script would


def test_version_revision_and_source_come_from_flags(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_agent(tmp_path / "agent", VECTOR)
    run(capsys, "build", folder, "--version", "9.0.0", "--revision", "4f0c", "--source", "https://git.example/a")
    _, out, _ = run(capsys, "inspect", folder, "--check", "--files")
    assert "acme/support-agent 9.0.0" in out
    assert "https://git.example/a at 4f0c" in out
    assert "prompts/system.md" in out


def test_an_archive_is_inspected_like_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "build", write_agent(tmp_path / "agent", VECTOR), "--out", tmp_path / "layout")
    with tarfile.open(tmp_path / "layout.tar", "w") as tar:
        tar.add(tmp_path / "layout", arcname=".")
    _, folder, _ = run(capsys, "inspect", tmp_path / "layout")
    _, archive, _ = run(capsys, "inspect", tmp_path / "layout.tar", "--version", "1.2.0")
    assert folder == archive


MISTAKES = {
    "build nowhere": ("there is", "hint: run `tidegate init nowhere`"),
    "init nowhere": ("no such folder",),
    "inspect ./nowhere": ("no bundle",),
    "inspect x": ("namespace and an agent",),
    "inspect acme/x:1.0.0": ("which registry",),
}


@pytest.mark.parametrize("line", MISTAKES)
def test_a_mistake_is_one_clear_error_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TIDEGATE_REGISTRY", raising=False)
    code, out, err = run(capsys, *line.split())
    assert (code, out) == (2, "")
    assert all(word in err for word in MISTAKES[line])


def test_every_mistake_in_agent_yaml_is_shown_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_agent(tmp_path, {"agent.yaml": "name: acme/x\nversion: v1\nruntime: vendored\nentrypiont: [x]\n"})
    code, _, err = run(capsys, "build", folder)
    assert code == 2
    assert "agent.yaml:2: version" in err
    assert "agent.yaml:4: entrypiont" in err
    assert "hint: write entrypoint" in err


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys; sys.argv = ['tidegate', 'build', '--help']\n"
        "from tidegate.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'pydantic', 'yaml', 'rich', 'httpx2', 'sigstore', 'cryptography', 'wcmatch'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    for verb in ("build", "init", "inspect"):
        command = [sys.executable, "-c", script.replace("'build'", repr(verb))]
        subprocess.run(command, check=True, capture_output=True)
