"""Whether a leader may go on, from what database and bucket say: every way in which they can differ."""

from __future__ import annotations

import pytest

from tidegate.tlog.merkle import EMPTY_ROOT
from tidegate_registry.audit.standing import Ahead, Behind, Continue, DatabaseLog, Forked, PublishedLog, decide_start

A, B = b"a" * 32, b"b" * 32


@pytest.mark.parametrize(
    ("database", "published", "verdict"),
    [
        (DatabaseLog(0, 0, 0), None, Continue(0)),
        (DatabaseLog(7, 7, 0), None, Continue(0)),  # indices were given, and nothing was published yet
        (DatabaseLog(7, 7, 5, A), None, Behind(0, 5)),
        (DatabaseLog(7, 7, 5, A), PublishedLog(5, A, A), Continue(5)),
        (DatabaseLog(7, 7, 5, A), PublishedLog(7, B, B, B), Continue(7)),  # published, and not noted before the crash
        (DatabaseLog(7, 7, 0), PublishedLog(0, EMPTY_ROOT, EMPTY_ROOT), Continue(0)),
        (DatabaseLog(7, 7, 5, A), PublishedLog(8, B, B), Ahead(8, 7)),
        (DatabaseLog(7, 6, 5, A), PublishedLog(8, B, B), Ahead(8, 7)),  # a restore puts the row back, too
        (DatabaseLog(7, 7, 5, A), PublishedLog(4, B, B), Behind(4, 5)),
        # the database gave other entries the indices that are public
        (DatabaseLog(7, 7, 5, A), PublishedLog(7, B, B, A), Ahead(7, 5)),
        (DatabaseLog(9, 9, 5, A), PublishedLog(7, B, B, None), Ahead(7, 5)),
    ],
)
def test_the_log_goes_on_or_waits_for_a_restore(
    database: DatabaseLog, published: PublishedLog | None, verdict: object
) -> None:
    assert decide_start(database, published) == verdict


@pytest.mark.parametrize(
    ("database", "published", "found"),
    [
        (DatabaseLog(7, 7, 5, A), PublishedLog(5, A, B), f"root {B.hex()} from the tiles"),
        (DatabaseLog(7, 7, 5, A), PublishedLog(5, A, None), "no root from the tiles"),
        (DatabaseLog(7, 7, 5, A), PublishedLog(9, B, A), f"root {A.hex()} from the tiles"),  # larger, and of nothing
        (DatabaseLog(7, 7, 5, A), PublishedLog(5, B, B), f"root {B.hex()} as the checkpoint says"),
        (DatabaseLog(7, 6, 5, A), PublishedLog(5, A, A), "6 rows with an index"),
        (DatabaseLog(7, 9, 0), None, "9 rows with an index"),
    ],
)
def test_what_contradicts_stops_the_log(database: DatabaseLog, published: PublishedLog | None, found: str) -> None:
    verdict = decide_start(database, published)
    assert isinstance(verdict, Forked)
    assert verdict.found == found
