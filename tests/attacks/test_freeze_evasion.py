"""Somebody promotes in the hours in which clocks disagree about whether the freeze holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tests.client.policy.documents import loaded, value_of
from tidegate.policy.calendar import frozen
from tidegate.policy.load import LoadedPolicy


def weekend_in(zone: str) -> LoadedPolicy:
    value = value_of(_POLICY)
    value["freezes"][0]["weekly"]["tz"] = zone
    return loaded(value)


_POLICY = """\
format: tidegate/policy/v1
roles: {admin: [{issuer: "https://idp.example", claims: {groups: admins}}]}
channels: [stable]
freezes: [{name: weekend, channels: [stable], weekly: {days: [sat, sun], tz: UTC}}]
transitions: [{to: stable, allow: [admin]}]
editors: {allow: [admin]}
"""


@pytest.mark.parametrize(
    ("zone", "begin", "end"),
    [
        ("Europe/Berlin", "2026-03-27T23:00Z", "2026-03-29T22:00Z"),  # the clock is put forward on that Sunday
        ("Europe/Berlin", "2026-10-23T22:00Z", "2026-10-25T23:00Z"),  # and back on this one
        ("America/New_York", "2026-03-07T05:00Z", "2026-03-09T04:00Z"),
        ("America/New_York", "2026-10-31T04:00Z", "2026-11-02T05:00Z"),
        ("Pacific/Auckland", "2026-11-20T11:00Z", "2026-11-22T11:00Z"),  # it is Friday in most of the world
    ],
)
def test_a_freeze_holds_by_the_clock_of_its_own_place_alone(zone: str, begin: str, end: str) -> None:
    policy, tick = weekend_in(zone), timedelta(seconds=1)
    first, last = datetime.fromisoformat(begin), datetime.fromisoformat(end)
    assert not frozen(policy, "acme/a", "stable", first - tick)
    assert not frozen(policy, "acme/a", "stable", last)
    for inside in (first, last - tick):
        # whatever offset the asking machine writes its time in
        for hours in (-11, 0, 5, 14):
            [active] = frozen(policy, "acme/a", "stable", inside.astimezone(timezone(timedelta(hours=hours))))
            assert active.until.astimezone(UTC) == last


def test_freezes_that_adjoin_without_end_hold_and_take_no_time_to_speak_of() -> None:
    value = value_of(_POLICY)
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    value["freezes"] = [
        {
            "name": f"hour-{hour}",
            "channels": ["stable"],
            "weekly": {"days": days, "from": f"{hour:02}:00", "to": f"{hour + 1:02}:00", "tz": "Europe/Berlin"},
        }
        for hour in range(24)
    ]
    now = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
    [active] = frozen(loaded(value), "acme/a", "stable", now)
    # told as far as it was looked for: a year of hours would be 200,000 looks at a freeze
    assert now < active.until < now + timedelta(days=30)
