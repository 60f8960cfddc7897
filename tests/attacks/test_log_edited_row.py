"""Somebody edits what an entry says, in the database and in everything that is made of it."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.auditlog import assert_no_way, watched_log
from tests.smalllog import entry


def test_an_edited_entry_is_found_however_far_the_edit_reaches(tmp_path: Path) -> None:
    log, auditor = watched_log(tmp_path)
    edited = [*log.entries]
    edited[300] = entry(300, actor={"issuer": "https://id.example", "kind": "human", "name": "eve", "person": "eve"})
    assert_no_way(log, auditor, edited, tmp_path)
