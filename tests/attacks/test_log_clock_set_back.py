"""Somebody sets a clock back: what was done now is to look as if it was done before, or was never looked at."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from tests.attacks.auditlog import SIZE, watched_log
from tests.auditing import code_of
from tests.smalllog import START, entry, signer
from tidegate.tlog.cosigner import Ed25519Cosigner
from tidegate.verify.trust import LogTrust


def test_entries_written_by_a_clock_that_was_set_back_are_told(tmp_path: Path) -> None:
    log, auditor = watched_log(tmp_path)
    log.append(entry(SIZE, at=START), entry(SIZE + 1))
    for since_last in (False, True):
        found = auditor.verify(since_last=since_last).findings
        assert found.clock_back.indices == [SIZE]


def test_an_auditor_whose_own_clock_went_back_judges_nothing(tmp_path: Path) -> None:
    log, auditor = watched_log(tmp_path)
    log.grow(1)
    auditor.now -= timedelta(days=1)
    assert code_of(auditor.refusal()) == "clock-set-back"


def test_a_witness_does_not_sign_more_at_an_earlier_time(tmp_path: Path) -> None:
    log, auditor = watched_log(tmp_path)
    times = [auditor.now]
    witness = Ed25519Cosigner("w.example", signer(seed="w").private, lambda: times[-1])
    auditor.trust, log.cosigners = LogTrust(log.key, (witness.key,), 1), [witness]
    log.grow(1)
    auditor.verify()
    times.append(times[-1] - timedelta(days=1))
    log.grow(1)
    assert code_of(auditor.refusal()) == "witness-clock-back"
