"""Somebody with the log's key signs a checkpoint of an older size: for a while, nothing happened."""

from __future__ import annotations

from pathlib import Path

from tests.attacks.auditlog import OLDER, SIZE, watched_log
from tests.auditing import Auditor, code_of
from tidegate.tlog.checkpoint import Checkpoint


def test_an_older_size_signed_again_is_refused_though_it_is_of_the_same_tree(tmp_path: Path) -> None:
    log, auditor = watched_log(tmp_path)
    older = Checkpoint(log.head.origin, OLDER, auditor.look().reader().root(OLDER))
    log.publish(older)
    assert code_of(auditor.refusal()) == "log-truncated"
    assert len(auditor.evidence) == 1
    newcomer = Auditor(tmp_path / "newcomer", log)
    assert newcomer.verify().size == OLDER  # whoever never saw more cannot know: that is what comparing is for


def test_a_size_that_the_tree_never_had_with_that_root_is_refused(tmp_path: Path) -> None:
    log, auditor = watched_log(tmp_path)
    for size in (SIZE - 1, SIZE + 1):
        log.publish(Checkpoint(log.head.origin, size, log.head.root))
        assert code_of(auditor.refusal()) in {"log-fork", "log-truncated", "tile-foreign", "tile-missing"}
        assert code_of(Auditor(tmp_path / f"newcomer-{size}", log).refusal()) in {"tile-foreign", "tile-missing"}
