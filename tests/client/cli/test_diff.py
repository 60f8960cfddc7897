"""`tidegate diff` as a person on a terminal meets it, and as a script does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.bundle.agents import AGENT_YAML, write_agent
from tidegate.cli.main import main
from tidegate.cli.output import Output
from tidegate.cli.pager import pager_command

OLD = {"agent.yaml": AGENT_YAML + "components: {prompts: prompts/**}\n", "prompts/system.md": "Be brief.\n"}
NEW = {
    "agent.yaml": OLD["agent.yaml"].replace("1.2.0", "1.2.1") + "capabilities: {secrets: [API_KEY]}\n",
    "prompts/system.md": "Be \x1b[2Jkind.\n",
}


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def agents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[Path, Path]:
    folders = write_agent(tmp_path / "old", OLD), write_agent(tmp_path / "new", NEW)
    for folder in folders:
        assert run(capsys, "build", folder, "-q")[0] == 0
    return folders


def test_a_pipe_gets_plain_text_that_says_everything(
    agents: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, "diff", *agents)
    assert code == 0
    assert out.startswith("acme/support-agent 1.2.0 → 1.2.1\n")
    for line in (
        "patch taken, minor demanded: TOO SMALL, release it as 1.3.0",
        "  + minor secret API_KEY asked for now",
        "  ~ patch prompts/system.md changed",
        "      -Be brief.",
        "      +Be \\u{1b}[2Jkind.",
        "files: 2 changed",
    ):
        assert line in out
    assert "\x1b" not in out
    assert "warning: 1.2.0 to 1.2.1 is a patch step" in err


def test_a_folder_that_changed_since_it_was_built_is_not_compared_as_it_was(
    agents: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = agents
    layout, prompt = new / ".tidegate" / "layout", new / "prompts" / "system.md"
    text = prompt.read_text()
    os.utime(prompt)
    assert run(capsys, "diff", *agents)[0] == 0, "touched, and the same"
    changes: dict[str, Callable[[], object]] = {
        "prompts/system.md": lambda: prompt.write_text(text.upper()),
        "prompts/new.md": lambda: (new / "prompts" / "new.md").write_text("Be rude.\n"),
        "main.py": (new / "main.py").unlink,
    }
    for path, change in changes.items():
        change()
        code, out, err = run(capsys, "diff", *agents)
        assert (code, out) == (2, "")
        assert "build-outdated" in err
        assert path in err
    assert run(capsys, "diff", old, layout)[0] == 0
    code, _, err = run(capsys, "diff", write_agent(old.parent / "unbuilt", OLD), new)
    assert code == 2
    assert "not-built" in err


def test_a_step_that_is_too_small_is_an_exit_code_where_asked_for(
    agents: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(capsys, "diff", *agents, "--strict")[0] == 1
    assert run(capsys, "diff", *reversed(agents), "--strict")[0] == 0  # backwards no step is taken
    code, out, err = run(capsys, "diff", agents[0], agents[0], "--strict")
    assert (code, err) == (0, "")
    assert "nothing changed" in out


def test_a_script_gets_one_document_without_what_steers_a_terminal(
    agents: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (agents[1] / "prompts" / "system.md").write_text("Be\x9b2J\u202ekind\U000e0041\x7f.\n")
    run(capsys, "build", agents[1], "-q")
    code, out, _ = run(capsys, "diff", *agents, "--json")
    document = json.loads(out)  # noqa: TID251 - as a script would
    assert code == 0
    assert document["step"]["needed"] == "minor"
    assert document["step"]["lines"] == ["capabilities: secret API_KEY asked for now"]
    assert document["texts"][0]["lines"][-1] == "+Be\x9b2J\u202ekind\U000e0041\x7f."
    assert not re.search("[\x7f-\x9f\u202e\U000e0041]", out)


def test_two_versions_in_one_layout_are_named_by_themselves(
    tmp_path: Path, agents: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    from tidegate.bundle.layout import Layout

    both = Layout.create(tmp_path / "both")
    for folder, version in zip(agents, ("1.2.0", "1.2.1"), strict=True):
        one = Layout.open(folder / ".tidegate" / "layout")
        manifest = one.root()
        for blob in manifest.blobs:
            both.put(one.read_blob(blob.digest, 1 << 20))
        both.add_manifest(manifest, version=version)
    code, out, _ = run(capsys, "diff", f"{both.path}:1.2.0", "1.2.1")
    assert code == 0
    assert out.startswith("acme/support-agent 1.2.0 → 1.2.1\n")
    code, _, err = run(capsys, "diff", both.path, "1.2.1")  # which of the two is it compared with?
    assert (code, "several bundles" in err) == (2, True)
    assert run(capsys, "diff", "1.2.0", agents[1], "--registry", "127.0.0.1:9")[0] == 3  # no folder has it: asked for
    assert run(capsys, "diff", agents[0], tmp_path / "nowhere")[0] == 2
    code, _, err = run(capsys, "diff", "1.2.0", "1.2.1")
    assert (code, "do not say of which agent" in err) == (2, True)


def on_terminal(arguments: list[object], **environment: str) -> str:
    """Run the command with a terminal of its own for stdout, and give what that terminal is sent."""
    ours, theirs = os.openpty()
    with open(ours, "rb", buffering=0) as terminal:  # noqa: PTH123 - a descriptor
        command = [sys.executable, "-m", "tidegate.cli.main", *map(str, arguments)]
        names = ("PATH", "HOME", "SYSTEMROOT")
        kept = {name: os.environ[name] for name in names if name in os.environ}
        process = subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=kept | environment)
        os.close(theirs)
        sent = bytearray()
        try:
            while chunk := terminal.read(4096):
                sent += chunk
        except OSError:  # Linux: the other end was closed
            pass
        process.wait()
    return sent.decode()


def test_on_a_terminal_there_is_colour_and_a_pager_unless_not_wanted(agents: tuple[Path, Path]) -> None:
    text = on_terminal(["diff", *agents], TERM="xterm", PAGER="sed s/^/paged:/")
    assert text.startswith("paged:\x1b[1macme/support-agent 1.2.0 → 1.2.1\x1b[0m")
    codes = set(re.findall("\x1b[^m]*m", text))
    assert codes <= {f"\x1b[{code}m" for code in ("0", "1", "2", "31", "32", "36", "1;31", "1;33")}
    assert "\x1b[2J" not in text
    text = on_terminal(["diff", *agents, "--no-pager"], TERM="xterm", PAGER="sed s/^/paged:/", NO_COLOR="1")
    assert text.startswith("acme/support-agent")
    assert "\x1b" not in text


def test_the_pager_is_the_users_and_never_a_shell() -> None:
    assert pager_command({}) == ["less", "-FRX"]
    assert pager_command({"PAGER": "more -s; rm x"}) == ["more", "-s;", "rm", "x"]
    assert pager_command({"PAGER": ""}) is None
    assert pager_command({"PAGER": "cat"}) is None
    assert pager_command({"PAGER": "'"}) is None


def test_a_pager_that_is_not_there_is_done_without(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PAGER", "/nowhere/pager")
    monkeypatch.setenv("TERM", "xterm")

    class Terminal:
        written = ""

        def write(self, text: str) -> None:
            self.written += text

        def flush(self) -> None:
            return

        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    Output(stdout=terminal).pages(["one", "two"])  # type: ignore[arg-type]  # as much of a file as it takes
    assert terminal.written == "one\ntwo\n"
