"""Somebody changes which of two things happened first."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.auditlog import assert_no_way, watched_log


def test_two_entries_cannot_change_places(tmp_path: Path) -> None:
    log, auditor = watched_log(tmp_path)
    swapped = [*log.entries]
    swapped[10], swapped[600] = swapped[600], swapped[10]
    assert_no_way(log, auditor, swapped, tmp_path)
