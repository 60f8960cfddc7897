"""What a person meets who makes a mistake: which option, which file, which line, and what to do about it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.client.bundle.agents import write_agent
from tests.client.bundle.vector import VECTOR
from tidegate.cli.main import main
from tidegate.cli.output import Output
from tidegate.formats.jcs import JsonObject, parse_object

AGENT = "acme/support-agent"


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def error_of(out: str) -> JsonObject:
    error = parse_object(out.encode(), limit=1 << 20, what="output")["error"]
    assert isinstance(error, dict)
    return error


# -- files that the system does not let us use (as root too: permissions would not stop it) ----------------------------


def test_a_file_that_cannot_be_used_is_named_and_is_no_defect_of_ours(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_agent(tmp_path / "agent", VECTOR)
    (folder / "agent.yaml").rename(tmp_path / "kept")
    (folder / "agent.yaml").mkdir()
    long = "x" * 300  # more than any file system takes
    for arguments, path in (
        (("verify", f"{AGENT}:1.2.0", "--trust", long), long),
        (("init", folder, "--force"), folder / "agent.yaml"),
        (("build", folder), folder / "agent.yaml"),
    ):
        code, _, err = run(capsys, *arguments)
        assert code == 2
        assert f"error: {path}: cannot be read or written: " in err
        assert "[file-not-usable]" in err
        assert "tidegate init" not in err
    (folder / "agent.yaml").rmdir()
    (tmp_path / "kept").rename(folder / "agent.yaml")
    code, _, err = run(capsys, "build", folder, "--out", "/proc/x")
    assert (code, "[file-not-usable]" in err, "/proc/x" in err) == (2, True, True)


def test_a_lost_connection_is_not_taken_for_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ConnectionResetError(104, "Connection reset by peer")

    monkeypatch.setattr("tidegate.cli.verify.run", broken)
    code, _, err = run(capsys, "verify", f"{AGENT}:1.2.0")
    assert (code, "[internal-error]" in err) == (1, True)


# -- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["1.2.0", "v7", "1.2", "not a tag", ""])
@pytest.mark.parametrize("verb", ["publish .", f"sign {AGENT}:1.2.0"])
def test_what_is_no_channel_is_refused_before_anything_is_signed(
    capsys: pytest.CaptureFixture[str], verb: str, name: str
) -> None:
    code, out, err = run(capsys, *verb.split(), "--channel", name)
    assert (code, out) == (2, "")
    assert f"error: argument --channel: {name!r} names no channel" in err


def test_wrong_arguments_are_told_in_json_too(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "verify", "x", "--nonsense", "--json")
    assert code == 2
    assert error_of(out) == {"code": "usage", "message": "unrecognized arguments: --nonsense"}
    assert err.startswith("usage: tidegate verify ")
    assert "hint: run `tidegate verify --help`" in err
    code, out, _ = run(capsys, "nonsense", "--json")
    assert (code, error_of(out)["code"]) == (2, "usage")


@pytest.mark.parametrize("arguments", [("-q", "build"), ("build", "-q"), ("build", "--quiet"), ("build",)])
def test_quiet_may_stand_before_or_after_the_verb(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    code, out, err = run(capsys, *arguments, write_agent(tmp_path, VECTOR))
    assert (code, out.startswith("sha256:")) == (0, True)
    assert bool(err) == (len(arguments) == 1)


# -- hints and what was found -----------------------------------------------------------------------------------------


def test_mistakes_come_by_line_each_with_its_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        "nmae: acme/x\nversion: 1.2.0\nruntime: vendored\n"
        "requirements:\n  memoryMiB: '2'\n  programs: [5]\ncapabilities:\n"
        "  egress: ['https://api.x/y']\nentrypiont: [x]\n"
    )
    code, _, err = run(capsys, "build", write_agent(tmp_path, {"agent.yaml": text}))
    assert code == 2
    lines = err.splitlines()
    named = [line.split(":")[2] for line in lines if line.startswith("  agent-file-invalid: agent.yaml:")]
    assert named == sorted(named, key=int)
    assert {"5", "8"} < set(named)
    assert lines[lines.index("      hint: write entrypoint") - 2].startswith("  agent-file-invalid: agent.yaml:9: ")
    number = next(index for index, line in enumerate(lines) if "memoryMiB" in line)
    assert lines[number + 1 : number + 3] == ["      found: '2'", "      expected: a number without quotes"]
    egress = next(index for index, line in enumerate(lines) if line.startswith("  ") and "egress" in line)
    assert "Domains it connects to" in lines[egress + 2]
    assert "^(" not in err
    assert not any(line.startswith("hint:") for line in lines)


def test_what_all_is_sent_is_still_to_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    shown = Terminal()
    with Output(stderr=shown).progress(10, "Pushing", then="Storing") as bar:
        bar.advance(5)
        bar.advance(5)
    assert "Storing" in shown.getvalue()
