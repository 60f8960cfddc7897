from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.smalllog import SmallLog, entry, entry_id, signer
from tidegate.cli.main import main
from tidegate.tlog.merkle import leaf_hash


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallLog:
    """A log of 300 entries, and an environment in which its key is trusted."""
    log = SmallLog(tmp_path / "log")
    log.grow(300)
    (tmp_path / "trust.yaml").write_text(f"roots: {{main: {{file: none}}}}\nlog: {{key: {log.key}}}\n")
    monkeypatch.setenv("TIDEGATE_TRUST", str(tmp_path / "trust.yaml"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("TIDEGATE_REGISTRY", raising=False)
    monkeypatch.chdir(tmp_path)
    return log


def test_verify_says_what_was_verified_and_since_when(log: SmallLog, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "verify", "--from", "log"]) == 0
    told = capsys.readouterr()
    assert told.out == f"300 {log.head.root.hex()}\n"
    assert "First look" in told.err
    log.grow(20)
    assert main(["log", "verify", "--from", "log", "--since-last", "--json"]) == 0
    told = capsys.readouterr()
    document = json.loads(told.out)  # noqa: TID251 - our own output
    assert (document["size"], document["before"]["size"], document["verifiedFrom"]) == (320, 300, 256)
    assert "20 more since" in told.err


def test_a_fork_is_loud_and_says_where_the_evidence_is(
    log: SmallLog, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["log", "verify", "--from", "log", "--quiet"]) == 0
    log.rewritten(tmp_path / "forked", [entry(0, salt="x"), *log.entries])
    assert main(["log", "verify", "--from", "forked"]) == 1
    told = capsys.readouterr().err
    (evidence,) = (tmp_path / "state" / "tidegate" / "logs" / "evidence").glob("*/*")
    assert "[log-fork]" in told
    assert str(evidence) in told
    kept = [str(evidence / name) for name in ("seen.checkpoint", "shown.checkpoint")]
    assert main(["log", "compare", "forked", *kept]) == 1
    told = capsys.readouterr().err
    assert "[log-split-view]" in told
    assert "DIFFERS  300 entries" in told
    assert main(["log", "compare", "log", kept[0]]) == 0


def test_show_writes_the_exact_bytes_and_prove_what_check_takes(
    log: SmallLog, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    raw = log.entries[42]
    for what in ("42", entry_id(42), f"sha256:{leaf_hash(raw).hex()}"):
        assert main(["log", "show", what, "--from", "log", "--json"]) == 0
        assert capsysbinary.readouterr().out == raw + b"\n"
    assert main(["log", "show", "42", "--from", "log"]) == 0
    assert b"release.admitted, version 1" in capsysbinary.readouterr().out
    assert main(["log", "prove", "42", "--from", "log", "--out", "p.tlog-proof"]) == 0
    assert (tmp_path / "p.json").read_bytes() == raw
    assert (tmp_path / "p.tlog-proof").stat().st_size < 1200
    (tmp_path / "log" / "checkpoint").unlink()
    assert main(["log", "check", "p.tlog-proof"]) == 0
    assert main(["log", "check", "p.tlog-proof", "--key", str(log.key)]) == 0
    (tmp_path / "p.json").rename(tmp_path / "entry")
    assert main(["log", "check", "p.tlog-proof", "entry"]) == 0
    capsysbinary.readouterr()
    assert main(["log", "check", "p.tlog-proof"]) == 2
    assert b"log-entry-not-given" in capsysbinary.readouterr().err


def test_a_proof_writes_no_entry_over_something_else(log: SmallLog, capsys: pytest.CaptureFixture[str]) -> None:
    Path("package.json").write_text("{}")
    assert main(["log", "prove", "42", "--from", "log", "--out", "package.tlog-proof"]) == 2
    assert "log-entry-place" in capsys.readouterr().err
    assert Path("package.json").read_text() == "{}"
    assert not Path("package.tlog-proof").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "exit_code"),
    [
        (["verify"], "log-source-missing", 2),
        (["verify", "--from", "nowhere"], "log-source-missing", 2),
        (["verify", "--from", "."], None, 0),
        (["verify", "--from", "state"], "log-missing", 1),
        (["verify", "--from", "log", "--key", "nonsense"], "log-key-invalid", 2),
        (["verify", "--from", "log", "--key", str(signer("other.example/log").key)], "note-unsigned", 1),
        (["verify", "--from", "log", "--key", str(signer(seed="other").key)], "note-unsigned", 1),
        (["verify", "--from", "log", "--trust", "untrusting.yaml"], "log-key-missing", 2),
        (["verify", "--registry", "127.0.0.1:9"], "unreachable", 3),
        (["show", "300", "--from", "log"], "log-entry-missing", 1),
        (["show", "what", "--from", "log"], "invalid-input", 2),
        (["check", "log/checkpoint"], "proof-malformed", 1),
        (["check", "nowhere"], "file-not-usable", 2),
        (["compare", "log", "untrusting.yaml"], "note-malformed", 1),
    ],
)
def test_what_is_wrong_is_said_with_its_exit_code(
    log: SmallLog,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: str | None,
    exit_code: int,
) -> None:
    Path("untrusting.yaml").write_text("roots: {main: {file: none}}\n")
    Path("state").mkdir()
    assert main(["log", *arguments]) == exit_code
    told = capsys.readouterr()
    assert code is None or f"[{code}" in told.err
    assert "Traceback" not in told.err


def test_a_shown_entry_steers_no_terminal(log: SmallLog, capsys: pytest.CaptureFixture[str]) -> None:
    log.append(entry(300, data={"reason": "\u202edesrever \x1b[31m", "\x07": 1}))
    assert main(["log", "show", "300", "--from", "log"]) == 0
    shown = capsys.readouterr().out
    assert not set(shown) & {"\x1b", "\x07", "\u202e"}
