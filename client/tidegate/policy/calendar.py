"""Freezes: at which moments nothing is promoted, by the wall clock of a place.

Pure; the time zone database is read by `zoneinfo`. Spec page: docs/spec/policy.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from tidegate.policy.agents import covers
from tidegate.policy.model import MIDNIGHT, Day, Freeze, Weekly

if TYPE_CHECKING:
    from tidegate.policy.load import LoadedPolicy

HORIZON = timedelta(days=366)  # how far ahead the end of a freeze is looked for; one without an end is told so far

MAX_LOOKS = (
    2_000  # at a freeze, in search of that end: one all year looks 366 times, many that adjoin are cut off sooner
)

_A_DAY = timedelta(days=1)
_DAYS = tuple(Day)


@dataclass(frozen=True, slots=True)
class ActiveFreeze:
    """A freeze that holds now. `until`: when the channel is free again, this and every freeze that adjoins it over; at
    the earliest, where there are so many that the search was cut off.
    """

    name: str
    until: datetime
    reason: str | None


def frozen(policy: LoadedPolicy, agent: str, channel: str, now: datetime) -> tuple[ActiveFreeze, ...]:
    """Give the freezes of a channel that hold for an agent at `now`, in the order of the policy."""
    about = [freeze for freeze in policy.freezes if channel in freeze.channels and covers(freeze.agents, agent)]
    active = [freeze for freeze in about if _end_of_window(freeze, now) is not None]
    if not active:
        return ()
    until = now
    for _ in range(MAX_LOOKS // len(about) + 1):
        if until >= now + HORIZON:
            break
        ends = [end for freeze in about if (end := _end_of_window(freeze, until)) is not None]
        if not ends:
            break
        until = max(ends)
    return tuple(ActiveFreeze(freeze.name, until, freeze.reason) for freeze in active)


def _end_of_window(freeze: Freeze, moment: datetime) -> datetime | None:
    """Give the end of the freeze's window that `moment` is in; None outside of any. Windows hold no end."""
    if freeze.weekly is None:
        inside = freeze.start is not None and freeze.end is not None and freeze.start <= moment < freeze.end
        return freeze.end if inside else None
    ends = [end for start, end in _windows(freeze.weekly, moment) if start <= moment < end]
    return max(ends, default=None)


def _windows(weekly: Weekly, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Give the windows that could hold `moment`: those that began today or yesterday, by the clock of the place."""
    zone = ZoneInfo(weekly.tz)
    today = moment.astimezone(zone).date()
    overnight = weekly.to <= weekly.from_  # "24:00" is later than any other text of this form
    for day in (today - _A_DAY, today):
        if _DAYS[day.weekday()] in weekly.days:
            end = day + _A_DAY if overnight else day
            yield _moment(day, weekly.from_, zone, last=False), _moment(end, weekly.to, zone, last=True)


def _moment(day: date, clock: str, zone: ZoneInfo, *, last: bool) -> datetime:
    """Say when the clock of a place reads `clock` on a day: what it skips is when it jumps.

    Of a time that it reads twice, the first or the `last`: so a freeze begins early and ends late, never the reverse.
    """
    if clock == MIDNIGHT:
        day, clock = day + _A_DAY, "00:00"
    local = datetime.combine(day, time.fromisoformat(clock))
    early, late = sorted(local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if early == late or _reading(early, zone) == local:
        return late if last else early
    while late - early > timedelta(seconds=1):  # the clock jumps between the two: no rule of any zone is finer
        middle = early + (late - early) // 2
        early, late = (middle, late) if _reading(middle, zone) < local else (early, middle)
    return late.replace(microsecond=0)


def _reading(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None)
