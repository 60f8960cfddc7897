from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.client.policy.documents import loaded, value_of
from tidegate.errors import PolicyInvalid
from tidegate.policy.calendar import HORIZON, frozen
from tidegate.policy.load import LoadedPolicy

BERLIN = ZoneInfo("Europe/Berlin")


def with_freezes(*freezes: dict[str, object]) -> LoadedPolicy:
    value = value_of(_POLICY)
    value["freezes"] = [{"channels": ["stable"], **freeze} for freeze in freezes]
    return loaded(value)


def weekly(
    name: str, days: list[str], from_: str = "00:00", to: str = "24:00", tz: str = "Europe/Berlin"
) -> dict[str, object]:
    return {"name": name, "weekly": {"days": days, "from": from_, "to": to, "tz": tz}}


def at(text: str, zone: ZoneInfo = BERLIN, fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).astimezone(UTC)


def is_frozen(policy: LoadedPolicy, moment: datetime, agent: str = "acme/a", channel: str = "stable") -> bool:
    return bool(frozen(policy, agent, channel, moment))


_POLICY = """\
format: tidegate/policy/v1
roles: {admin: [{issuer: "https://idp.example", claims: {groups: admins}}]}
channels: [staging, stable]
transitions: [{to: stable, allow: [admin]}]
editors: {allow: [admin]}
"""
WEEKEND = (weekly("evening", ["fri"], "16:00"), weekly("weekend", ["sat", "sun"]))


def test_a_freeze_holds_from_its_first_moment_to_before_its_last() -> None:
    policy = with_freezes({"name": "holidays", "start": "2026-12-24T00:00:00+01:00", "end": "2027-01-02T00:00:00Z"})
    begin, end = datetime(2026, 12, 23, 23, tzinfo=UTC), datetime(2027, 1, 2, tzinfo=UTC)
    tick = timedelta(microseconds=1)
    assert [is_frozen(policy, moment) for moment in (begin - tick, begin, end - tick, end)] == [
        False, True, True, False,
    ]  # fmt: skip
    assert not is_frozen(policy, begin, channel="staging")
    [active] = frozen(policy, "acme/a", "stable", begin)
    assert (active.name, active.until) == ("holidays", end)


def test_a_freeze_is_about_the_agents_it_names() -> None:
    policy = with_freezes({**weekly("always", ["mon"]), "agents": ["acme/*"]})
    monday = at("2026-11-23T12:00")
    assert is_frozen(policy, monday)
    assert not is_frozen(policy, monday, agent="other/a")


def test_the_end_that_is_told_is_that_of_all_freezes_that_adjoin() -> None:
    policy = with_freezes(*WEEKEND)
    [active] = frozen(policy, "acme/a", "stable", at("2026-11-20T16:00"))
    assert (active.name, active.until) == ("evening", at("2026-11-23T00:00"))
    assert not is_frozen(policy, at("2026-11-20T15:59:59"))
    assert not is_frozen(policy, at("2026-11-23T00:00"))


def test_a_window_over_midnight_belongs_to_the_day_it_begins_on() -> None:
    policy = with_freezes(weekly("night", ["fri"], "22:00", "06:00"))
    inside = [at("2026-11-20T22:00"), at("2026-11-21T05:59:59")]
    outside = [at("2026-11-20T05:00"), at("2026-11-21T06:00"), at("2026-11-21T22:00"), at("2026-11-22T05:00")]
    assert all(is_frozen(policy, moment) for moment in inside)
    assert not any(is_frozen(policy, moment) for moment in outside)
    [active] = frozen(policy, "acme/a", "stable", inside[0])
    assert active.until == at("2026-11-21T06:00")


def test_a_freeze_that_never_ends_is_told_as_far_as_anybody_plans() -> None:
    policy = with_freezes(weekly("never", ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]))
    now = at("2026-11-20T16:00")
    [active] = frozen(policy, "acme/a", "stable", now)
    assert active.until >= now + HORIZON


@pytest.mark.parametrize(
    ("tz", "hours", "day", "begin", "end"),
    [
        # the clock jumps from 02:00 to 03:00 at 01:00 UTC: what it skips is when it jumps
        ("Europe/Berlin", "02:30-04:00", "2026-03-29", "2026-03-29T01:00Z", "2026-03-29T02:00Z"),
        ("Europe/Berlin", "01:00-02:30", "2026-03-29", "2026-03-29T00:00Z", "2026-03-29T01:00Z"),
        ("Europe/Berlin", "00:00-24:00", "2026-03-29", "2026-03-28T23:00Z", "2026-03-29T22:00Z"),
        # it reads 02:00 to 03:00 twice, from 00:00 UTC and again from 01:00 UTC
        ("Europe/Berlin", "02:30-04:00", "2026-10-25", "2026-10-25T00:30Z", "2026-10-25T03:00Z"),
        ("Europe/Berlin", "01:00-02:30", "2026-10-25", "2026-10-24T23:00Z", "2026-10-25T01:30Z"),
        ("Europe/Berlin", "00:00-24:00", "2026-10-25", "2026-10-24T22:00Z", "2026-10-25T23:00Z"),
        ("America/New_York", "02:30-04:00", "2026-03-08", "2026-03-08T07:00Z", "2026-03-08T08:00Z"),
        ("America/New_York", "01:30-03:00", "2026-11-01", "2026-11-01T05:30Z", "2026-11-01T08:00Z"),
    ],
)
def test_a_weekly_freeze_goes_by_the_clock_on_the_wall_also_when_that_is_changed(
    tz: str, hours: str, day: str, begin: str, end: str
) -> None:
    from_, _, to = hours.partition("-")
    policy = with_freezes(weekly("early", ["sun"], from_, to, tz))
    first, last = datetime.fromisoformat(begin), datetime.fromisoformat(end)
    inside = [moment for moment in _minutes(day) if is_frozen(policy, moment)]
    assert (inside[0], inside[-1] + timedelta(minutes=1)) == (first, last)
    assert len(inside) == (last - first) // timedelta(minutes=1)


def _minutes(day: str) -> list[datetime]:
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(hours=12)
    return [start + timedelta(minutes=number) for number in range(48 * 60)]


def test_a_time_zone_that_does_not_exist_and_a_day_that_begins_at_its_end_are_refused() -> None:
    for nowhere in ("Europe/Bonn", "europe/berlin", "localtime", "../UTC", "/etc/localtime", ""):
        with pytest.raises(PolicyInvalid, match=r"tz: (is no time zone|has the wrong form)") as refusal:
            with_freezes(weekly("a", ["sun"], tz=nowhere))
        assert refusal.value.code == "policy-invalid"
    with pytest.raises(PolicyInvalid, match=r"from: is the end of a day"):
        with_freezes(weekly("a", ["sun"], from_="24:00"))
