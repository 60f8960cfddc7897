"""`tidegate log tail`, `watch` and `export` against a log in a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.client.auditor.made import ISSUER, life_of_a_release, raw_entry
from tests.client.auditor.made_log import MadeLog
from tests.client.auditor.receiver import SECRET, receiving
from tidegate.cli.main import main
from tidegate.tlog.note import Algorithm, VerifierKey


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeLog:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    made = MadeLog.at(tmp_path)
    made.append(life_of_a_release())
    return made


def run(log: MadeLog, *arguments: str) -> int:
    return main(["log", *arguments, "--from", str(log.folder), "--key", str(log.signer.key)])


def documents(text: str) -> Sequence[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]  # noqa: TID251 - our own output


def test_tail_shows_the_last_entries_of_a_type_or_an_agent(log: MadeLog, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(log, "tail", "-n", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "release.revoked" in lines[1]
    assert run(log, "tail", "--type", "channel.*", "--agent", "acme/*", "--json") == 0
    assert [each["index"] for each in documents(capsys.readouterr().out)] == [5, 9, 10]


def test_tail_says_when_it_did_not_look_further(
    log: MadeLog, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tidegate.cli.log_tail.MAX_LOOKED_AT", 5)
    assert run(log, "tail", "--type", "policy.*") == 0
    assert "the last 5 entries only" in capsys.readouterr().err
    assert run(log, "tail", "-n", "2") == 0
    assert "entries only" not in capsys.readouterr().err


def test_tail_of_a_log_that_was_changed_shows_nothing_of_it(log: MadeLog, capsys: pytest.CaptureFixture[str]) -> None:
    (bundle,) = (log.folder / "tile/entries").rglob("*/13")
    bundle.write_bytes(bundle.read_bytes().replace(b"leaks", b"looks"))
    assert run(log, "tail") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "entry-foreign" in captured.err


def test_watch_once_ends_with_1_when_there_is_something_to_tell_and_with_0_the_next_time(
    log: MadeLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resume = str(tmp_path / "watch.json")
    flags = ("watch", "--once", "--policy-changes", "--identity", f"{ISSUER},ci@*", "--resume", resume)
    assert run(log, *flags, "--json") == 1
    assert [each["rule"] for each in documents(capsys.readouterr().out)] == [
        "policy-changed",
        "policy-changed",
        "identity-used",
    ]
    assert run(log, *flags) == 0
    log.append([raw_entry("policy.proposed", {"policy": "x"}, number=99)])
    assert run(log, *flags) == 1
    assert "policy-changed  #13" in capsys.readouterr().out


def test_watch_sends_each_alert_signed_and_ends_with_3_while_nobody_takes_them(
    log: MadeLog, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    config = tmp_path / "watch.yaml"
    (tmp_path / "secret").write_text(f"whsec_{SECRET}\n")
    with receiving() as receiver:
        receiver.answer = lambda count: (503 if count < 5 else 200, {})
        config.write_text(f"breakGlass: true\nwebhook: {{url: '{receiver.url}', secretFile: {tmp_path / 'secret'}}}\n")
        flags = ("watch", "--once", "--config", str(config), "--resume", str(tmp_path / "watch.json"), "--json")
        assert run(log, *flags) == 3
        capsys.readouterr()
        assert run(log, *flags) == 1
    (told,) = documents(capsys.readouterr().out)
    assert len(receiver.got) == 6
    assert receiver.got[-1].is_signed()
    assert documents(receiver.got[-1].body.decode()) == [told]
    assert {request.headers["webhook-id"] for request in receiver.got} == {told["id"]}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), "watch-nothing"),
        (("--identity", "ci@acme"), "watch-identity"),
        (("--break-glass", "--webhook", "http://receiver.example/"), "webhook-secret-missing"),
        (("--config", "{config}"), "watch-file-invalid"),
    ],
)
def test_what_watch_cannot_do_is_told_before_it_begins(
    log: MadeLog,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: str,
) -> None:
    config = tmp_path / "watch.yaml"
    config.write_text("refusals: {limit: 3, within: 2h}\nidentities: [{issuer: https://x}]\nwhat: 1\n")
    given = [each.format(config=config) for each in arguments]
    assert run(log, "watch", "--once", "--json", *given) == 2
    error = json.loads(capsys.readouterr().out)["error"]  # noqa: TID251 - our own output
    assert code in {reason["code"] for reason in error["reasons"]}


@pytest.mark.parametrize("form", ["jsonl", "ocsf"])
def test_export_adds_to_its_file_what_came_since(
    log: MadeLog, tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    file, resume = tmp_path / "out", str(tmp_path / "resume.json")
    flags = ("export", "--format", form, "-o", str(file), "--resume", resume)
    assert run(log, *flags) == 0
    assert run(log, *flags) == 0
    log.append([raw_entry("release.admitted", {}, number=70)])
    Path(resume).unlink()  # lost: the file says itself how far it goes
    assert run(log, *flags) == 0
    lines = documents(file.read_text())
    indices = [line["index"] if form == "jsonl" else line["metadata"]["sequence"] for line in lines]  # type: ignore[index]
    assert indices == list(range(14))
    assert capsys.readouterr().out == ""


def test_export_does_not_go_on_in_the_file_of_a_longer_log(log: MadeLog, tmp_path: Path) -> None:
    output = tmp_path / "export.jsonl"
    output.write_text('{"index":13}\n')
    flags = ("export", "--format", "jsonl", "-o", str(output), "--resume", str(tmp_path / "position.json"))
    assert run(log, *flags) == 1
    output.write_text('{"index":12}\n')
    assert run(log, *flags) == 0


def test_export_to_stdout_goes_on_where_it_was_and_in_its_own_form_only(
    log: MadeLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resume = str(tmp_path / "resume.json")
    assert run(log, "export", "--format", "jsonl", "--resume", resume, "--until", "4") == 0
    assert run(log, "export", "--format", "jsonl", "--resume", resume) == 0
    assert [line["index"] for line in documents(capsys.readouterr().out)] == list(range(13))
    assert run(log, "export", "--format", "ocsf", "--resume", resume) == 2
    assert "export-other" in capsys.readouterr().err


@pytest.mark.parametrize("flags", [("--since", "-5"), ("--refusals-per-minute", "-1"), ("--since", "14")])
def test_watch_begins_at_an_entry_and_counts_from_0(log: MadeLog, flags: tuple[str, ...]) -> None:
    assert run(log, "watch", "--once", "--break-glass", *flags) == 2


def test_watch_once_ends_with_1_as_long_as_the_witnesses_are_missing(log: MadeLog, tmp_path: Path) -> None:
    witness = VerifierKey("witness.example", Algorithm.COSIGNATURE_ED25519, bytes(32))
    trust = tmp_path / "trust.yaml"
    trust.write_text(
        f"roots: {{r: {{file: none}}}}\nlog: {{key: {log.signer.key}, witnesses: {{need: 1, of: ['{witness}']}}}}\n"
    )
    flags = ("--resume", str(tmp_path / "watch.json"), "--from", str(log.folder), "--trust", str(trust))
    for _ in range(2):
        assert main(["log", "watch", "--once", "--break-glass", *flags]) == 1
