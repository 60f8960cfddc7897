"""What was found true a moment ago is kept for that moment, and never more of it than there is room for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tidegate_registry.recent import Recent

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


def test_what_was_kept_is_found_until_its_time_is_over() -> None:
    recent = Recent[str, str](seconds=60)
    recent.keep("a", "true", NOW, weight=1)
    assert recent.find("a", NOW) == "true"
    assert recent.find("a", NOW + timedelta(seconds=59)) == "true"
    assert recent.find("a", NOW + timedelta(seconds=60)) is None
    assert recent.find("b", NOW) is None


def test_a_clock_that_was_put_back_finds_nothing() -> None:
    recent = Recent[str, str](seconds=60)
    recent.keep("a", "true", NOW, weight=1)
    assert recent.find("a", NOW - timedelta(seconds=1)) is None


def test_the_oldest_makes_room_and_what_is_too_heavy_is_not_kept() -> None:
    recent = Recent[str, str](seconds=60, most_weight=10)
    for key in "abc":
        recent.keep(key, key, NOW, weight=4)
    assert [recent.find(key, NOW) for key in "abc"] == [None, "b", "c"]
    recent.keep("d", "d", NOW, weight=11)
    assert [recent.find(key, NOW) for key in "bcd"] == [None, None, None]
    recent.keep("e", "e", NOW, weight=10)
    recent.keep("e", "again", NOW, weight=10)
    assert recent.find("e", NOW) == "again"
