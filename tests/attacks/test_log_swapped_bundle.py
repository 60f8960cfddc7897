"""Somebody who holds the bucket puts another entry bundle in the place of one, so that entries say something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.attacks.auditlog import watched_log
from tests.auditing import Auditor, code_of
from tests.smalllog import SmallLog, entry
from tidegate.auditor.find import find_entry
from tidegate.errors import TileInvalid
from tidegate.tlog.tiles import encode_bundle

BUNDLE = "tile/entries/001"


@pytest.mark.parametrize("where", ["here", "elsewhere", "another log"])
def test_a_changed_bundle_is_found_and_none_of_its_entries_is_shown(tmp_path: Path, where: str) -> None:
    log, auditor = watched_log(tmp_path)
    other = SmallLog(tmp_path / "other")
    other.append(*(entry(number, salt="other") for number in range(512)))
    log.write(
        BUNDLE,
        {
            "here": encode_bundle([*log.entries[256:511], entry(511, salt="other")]),
            "elsewhere": (log.folder / "tile/entries/000").read_bytes(),
            "another log": (other.folder / BUNDLE).read_bytes(),
        }[where],
    )
    assert code_of(auditor.refusal()) == "entry-foreign"
    for index in (256, 511):
        with pytest.raises(TileInvalid) as refused:
            find_entry(auditor.look(), str(index))
        assert code_of(refused.value) == "entry-foreign"
    assert find_entry(auditor.look(), "0").raw == log.entries[0]


def test_a_bundle_that_cannot_be_taken_apart_is_found(tmp_path: Path) -> None:
    log, _ = watched_log(tmp_path)
    kept = (log.folder / BUNDLE).read_bytes()
    for planted in (kept[:-1], kept + b"\0\0", b"", kept[2:]):
        log.write(BUNDLE, planted)
        assert code_of(Auditor(tmp_path / "newcomer", log).refusal()) == "entries-malformed"
