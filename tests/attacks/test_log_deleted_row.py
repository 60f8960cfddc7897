"""Somebody deletes an entry, in the database and in everything that is made of it."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.auditlog import assert_no_way, watched_log
from tests.smalllog import entry


def test_a_deleted_entry_is_missed_however_far_the_deletion_reaches(tmp_path: Path) -> None:
    log, auditor = watched_log(tmp_path)
    assert_no_way(log, auditor, [*log.entries[:300], *log.entries[301:]], tmp_path)


def test_so_is_one_that_another_was_put_in_place_of(tmp_path: Path) -> None:
    log, auditor = watched_log(tmp_path)
    assert_no_way(log, auditor, [*log.entries[:300], *log.entries[301:], entry(700)], tmp_path)
