"""The registry shows one log to one auditor and another to the other: to each, all is well."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.attacks.auditlog import SIZE, watched_log
from tests.auditing import Auditor, code_of
from tests.smalllog import SmallLog, entry
from tidegate.auditor.compare import compare_shown, fetch_shown, load_shown, refuse_split_view
from tidegate.auditor.source import folder_source
from tidegate.errors import InvalidInput, LogRefused


def fork(log: SmallLog, folder: Path, more: int) -> SmallLog:
    """Give a log that parts from `log` at its last entry, and goes on."""
    forked = log.rewritten(folder, [*log.entries[:-1], entry(SIZE - 1, salt="other")])
    forked.grow(more)
    return forked


@pytest.mark.parametrize("more", [0, 1, 300])
def test_two_auditors_who_compare_find_the_fork_that_neither_sees(tmp_path: Path, more: int) -> None:
    log, one = watched_log(tmp_path)
    forked = fork(log, tmp_path / "forked", more)
    other = Auditor(tmp_path / "other", forked)
    other.verify()
    one.verify()
    shown = [load_shown(one.state, one.trust), fetch_shown(folder_source(forked.folder), one.trust, now=one.now)]
    with pytest.raises(LogRefused) as refused:
        refuse_split_view(compare_shown(shown), one.states, now=one.now)
    assert code_of(refused.value) == "log-split-view"
    (evidence,) = one.evidence
    kept = [load_shown(evidence / f"{number}.checkpoint", one.trust).head.checkpoint for number in (1, 2)]
    assert sorted(kept, key=lambda each: each.root) == sorted((log.head, forked.head), key=lambda each: each.root)


@pytest.mark.parametrize("more", [0, 1, 300])
def test_whoever_is_shown_both_refuses_the_second(tmp_path: Path, more: int) -> None:
    log, auditor = watched_log(tmp_path)
    assert code_of(auditor.refusal(fork(log, tmp_path / "forked", more))) == "log-fork"
    assert auditor.evidence
    auditor.verify(log)


def test_one_history_at_several_times_is_no_fork(tmp_path: Path) -> None:
    log, auditor = watched_log(tmp_path)
    kept = tmp_path / "kept"
    kept.write_bytes(log.note)
    log.grow(1000)
    late = fetch_shown(folder_source(log.folder), auditor.trust, now=auditor.now)
    shown = [late, load_shown(kept, auditor.trust), load_shown(auditor.state, auditor.trust)]
    compared = compare_shown(shown)
    refuse_split_view(compared, auditor.states, now=auditor.now)
    assert (compared.largest, compared.forked) == (late, [])
    with pytest.raises(InvalidInput) as unknown:  # without tiles nothing is said to agree
        compare_shown([load_shown(kept, auditor.trust), replace(late, source=None)])
    assert unknown.value.reasons[0].code == "log-tiles-missing"
