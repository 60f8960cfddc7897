"""Somebody cuts off the end of the log, and with it what was done last."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.auditlog import SIZE, watched_log
from tests.auditing import code_of


def test_a_log_that_was_cut_is_refused_by_who_saw_more_of_it(tmp_path: Path) -> None:
    log, auditor = watched_log(tmp_path)
    cut = log.rewritten(tmp_path / "cut", log.entries[: SIZE - 1])
    refused = auditor.refusal(cut)
    assert code_of(refused) == "log-truncated"
    assert refused.reasons[0].found is not None
    assert refused.reasons[0].found.startswith("699 entries")
    (evidence,) = auditor.evidence
    assert (evidence / "seen.checkpoint").read_bytes() == log.note
    assert (evidence / "shown.checkpoint").read_bytes() == cut.note


def test_a_log_that_begins_anew_is_refused(tmp_path: Path) -> None:
    log, auditor = watched_log(tmp_path)
    assert code_of(auditor.refusal(log.rewritten(tmp_path / "empty", []))) == "log-truncated"


def test_files_that_are_gone_below_a_good_checkpoint_are_missed(tmp_path: Path) -> None:
    log, auditor = watched_log(tmp_path)
    for path in ("tile/entries/002.p/188", "tile/0/002.p/188", "tile/1/000.p/2", "tile/entries/000", "tile/0/001"):
        kept = (log.folder / path).read_bytes()
        (log.folder / path).unlink()
        assert code_of(auditor.refusal()) == "tile-missing", path
        log.write(path, kept)
    auditor.verify()
