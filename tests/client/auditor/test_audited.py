"""An auditor who saw a log once is told when it did not only grow; what shows it is kept."""

from __future__ import annotations

import json
import shutil
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.auditing import Auditor
from tests.smalllog import SmallLog, entry, signer
from tidegate.auditor.audited import record_verified
from tidegate.auditor.state import Verified
from tidegate.errors import TidegateError
from tidegate.verify.trust import LogTrust


@pytest.fixture
def log(tmp_path: Path) -> SmallLog:
    log = SmallLog(tmp_path / "log")
    log.grow(300)
    return log


@pytest.fixture
def auditor(tmp_path: Path, log: SmallLog) -> Auditor:
    return Auditor(tmp_path / "state", log)


def test_what_was_seen_is_kept_for_this_user_alone(auditor: Auditor, log: SmallLog) -> None:
    assert auditor.look().before is None
    assert stat.S_IMODE(auditor.state.stat().st_mode) == 0o600
    assert json.loads(auditor.state.read_text())["checkpoint"].encode() == log.note  # noqa: TID251 - our own
    again = auditor.look()
    assert again.seen is not None
    assert again.seen.checkpoint == log.head


def test_a_log_may_grow(auditor: Auditor, log: SmallLog) -> None:
    for count in (0, 1, 255, 256, 1000):
        before = auditor.look().head.checkpoint
        log.grow(count)
        audited = auditor.look()
        assert audited.seen is not None
        assert (audited.seen.checkpoint, audited.head.checkpoint.size) == (before, before.size + count)


def test_how_far_files_were_verified_is_kept_until_more_are(auditor: Auditor, log: SmallLog) -> None:
    record_verified(auditor.look(), auditor.states)
    done = Verified(log.head.size, log.head.root)
    log.grow(5)
    for _ in range(2):
        audited = auditor.look()
        assert audited.before is not None
        assert audited.before.verified == done


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"not json", b'{"format":"tidegate/log-state/v1"}', None],
    ids=["empty", "nothing", "no JSON", "no checkpoint", "a bit"],
)
def test_a_damaged_state_is_not_a_first_use(auditor: Auditor, content: bytes | None) -> None:
    auditor.look()
    kept = auditor.state.read_bytes()
    auditor.state.write_bytes(kept.replace(b"300\\n", b"299\\n") if content is None else content)
    refused = auditor.refusal()
    assert refused.reasons[0].code in ("log-state-damaged", "log-state-foreign")
    assert str(auditor.state) in f"{refused.message} {refused.hint}"
    auditor.state.write_bytes(kept)
    auditor.look()


def test_another_key_does_not_continue_what_was_seen(auditor: Auditor, tmp_path: Path) -> None:
    auditor.look()
    other = SmallLog(tmp_path / "other", own=signer(seed="another"))
    auditor.trust = LogTrust(other.key)
    assert auditor.refusal(other).reasons[0].code == "log-state-foreign"


def test_too_few_witnesses_are_refused_and_nothing_is_remembered(auditor: Auditor, log: SmallLog) -> None:
    witness = replace(signer("w.example", "w").key, algorithm=4)  # type: ignore[arg-type]
    auditor.trust = LogTrust(log.key, (witness,), 1)
    assert auditor.refusal().reasons[0].code == "witnesses-missing"
    assert not auditor.state.exists()


def test_evidence_is_whole_and_never_written_over(auditor: Auditor, log: SmallLog, tmp_path: Path) -> None:
    auditor.look()
    forked = log.rewritten(tmp_path / "fork", [entry(0, salt="other"), *log.entries[1:], entry(300)])
    refused = auditor.refusal(forked)
    auditor.now -= timedelta(minutes=1)
    auditor.refusal(forked)
    first, second = auditor.evidence
    assert str(first) in (refused.hint or "")
    assert (first / "seen.checkpoint").read_bytes() == (second / "seen.checkpoint").read_bytes() == log.note
    assert (first / "shown.checkpoint").read_bytes() == forked.note
    report = json.loads((first / "report.json").read_text())  # noqa: TID251 - our own
    assert (report["code"], report["seen"]["size"], report["shown"]["size"]) == ("log-fork", 300, 301)
    assert report["consistencyProofThatFailed"]
    assert auditor.look().seen is not None  # the log that was seen goes on


def test_a_fork_is_told_where_evidence_cannot_be_kept(auditor: Auditor, log: SmallLog, tmp_path: Path) -> None:
    auditor.look()
    (auditor.states.folder / "evidence").write_text("in the way")
    refused = auditor.refusal(log.rewritten(tmp_path / "fork", [entry(0, salt="other"), *log.entries[1:]]))
    assert refused.reasons[0].code == "log-fork"
    assert "could NOT be kept" in (refused.hint or "")


def test_a_fork_whose_proof_is_withheld_is_remembered_until_the_log_contradicts_it(
    auditor: Auditor, log: SmallLog, tmp_path: Path
) -> None:
    auditor.look()
    forked = log.rewritten(tmp_path / "fork", [entry(0, salt="other"), *log.entries[1:], entry(300)])
    shutil.rmtree(forked.folder / "tile")
    assert auditor.refusal(forked).reasons[0].code == "tile-missing"
    assert auditor.evidence == []
    auditor.look()  # not larger yet: nothing contradicts it
    log.grow(2)
    assert auditor.refusal().reasons[0].code == "log-fork"
    (evidence,) = auditor.evidence
    assert (evidence / "seen.checkpoint").read_bytes() == forked.note
    assert (evidence / "shown.checkpoint").read_bytes() == log.note
    auditor.look()  # told once; the log that was seen goes on


def test_a_mirror_that_lagged_behind_its_checkpoint_is_no_fork(auditor: Auditor, log: SmallLog, tmp_path: Path) -> None:
    auditor.look()
    log.grow(2)
    aside = (log.folder / "tile").rename(tmp_path / "aside")
    assert auditor.refusal().reasons[0].code == "tile-missing"
    aside.rename(log.folder / "tile")
    log.grow(2)
    auditor.look()
    assert "unproven" not in auditor.state.read_text()


def test_a_state_cannot_be_kept_half(auditor: Auditor, monkeypatch: pytest.MonkeyPatch) -> None:
    auditor.look()
    kept = auditor.state.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises((OSError, TidegateError)):
            auditor.look()
    assert auditor.state.read_bytes() == kept
    assert {path.suffix for path in auditor.states.folder.iterdir()} == {".json", ".lock"}
