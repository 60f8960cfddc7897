"""Times in documents: one way to write each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tidegate.formats.moment import moment_text, parse_moment


@pytest.mark.parametrize("text", ["2026-03-01T09:30:00Z", "2026-03-01T09:30:00.250000Z", "0999-12-31T23:59:59Z"])
def test_a_moment_goes_both_ways(text: str) -> None:
    assert moment_text(parse_moment(text)) == text


def test_a_moment_of_another_zone_is_written_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    assert moment_text(datetime(2026, 3, 1, 10, 30, tzinfo=berlin)) == "2026-03-01T09:30:00Z"
    assert parse_moment("2026-03-01T09:30:00Z").tzinfo == UTC


@pytest.mark.parametrize(
    "text",
    ["2026-03-01", "2026-03-01T09:30:00", "2026-03-01T09:30:00+00:00", "2026-02-30T09:30:00Z", "20260301T093000Z", ""],
)
def test_what_is_not_that_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a time|day is out of range"):
        parse_moment(text)
