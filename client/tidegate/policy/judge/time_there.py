"""Time spent in channels: soaking in the one it comes from, and having been current in others."""

from __future__ import annotations

from datetime import datetime, timedelta

from tidegate.policy.inputs import Tenure
from tidegate.policy.judge.matter import About, Matter, either
from tidegate.policy.load import LoadedRequirement
from tidegate.policy.requirements import show_duration
from tidegate.policy.verdict import Finding, State


def judge_soak(matter: Matter, loaded: LoadedRequirement, about: About) -> tuple[Finding, ...]:
    """D19: it was current in the source channel for long enough without a break, and served enough tasks there."""
    asked, source = loaded.requirement.soak, matter.request.source
    if asked is None:
        return ()
    if source is None:
        return (
            about.unmet("it comes from no channel in which it could have soaked", hint="ask for it from a channel"),
        )
    longest = longest_in(matter.inputs.tenures, source, matter.now)
    tasks = matter.inputs.tasks
    measured = {"seconds": int(longest.total_seconds()), "tasks": tasks}
    found = f"{_rounded(longest)} in {source}, {tasks or 0} tasks"
    expected = f"{show_duration(asked.min)}" + (f" and {asked.min_tasks} tasks" if asked.min_tasks else "")
    if longest < asked.min:
        there = any(tenure.channel == source and tenure.until is None for tenure in matter.inputs.tenures)
        wait = f"{_rounded(asked.min - longest)} more in {source}; it goes on by itself"
        hint = wait if there else f"promote it to {source} first, where it has to stay for {show_duration(asked.min)}"
        message = f"it has not soaked long enough in {source}"
        return (about.unmet(message, found=found, expected=expected, hint=hint, measured=measured),)
    if asked.min_tasks and tasks is None:
        message = f"nobody reports yet how many tasks it served in {source}, so 0 are counted"
        hint = f"let the hosts of {source} report, or leave `minTasks` out"
        return (
            about.unmet(
                message, found=found, expected=expected, hint=hint, measured=measured, state=State.INCONCLUSIVE
            ),
        )
    if (tasks or 0) < asked.min_tasks:
        message = f"it has not served enough tasks in {source}"
        hint = f"{asked.min_tasks - (tasks or 0)} more tasks; it goes on by itself"
        return (about.unmet(message, found=found, expected=expected, hint=hint, measured=measured),)
    return (about.met(f"it soaked in {source}", found=found, measured=measured),)


def judge_upstream(matter: Matter, loaded: LoadedRequirement, about: About) -> tuple[Finding, ...]:
    """D20: it is or was current in all, or one, of other channels, for long enough without a break."""
    asked = loaded.requirement.upstream
    if asked is None:
        return ()
    least = asked.min or timedelta(0)
    been = {
        channel: longest_in(matter.inputs.tenures, channel, matter.now)
        for channel in asked.channels
        if any(tenure.channel == channel and tenure.since <= matter.now for tenure in matter.inputs.tenures)
    }
    done = [channel for channel, time in been.items() if time >= least]
    lacking = [channel for channel in asked.channels if channel not in done]
    measured = {channel: int(time.total_seconds()) for channel, time in been.items()}
    found = (
        either((f"{_rounded(time)} in {channel}" for channel, time in been.items()), "and") if been else "none of them"
    )
    if not lacking or (done and asked.match == "any"):
        return (about.met(f"it has been current in {either(done, 'and')}", found=found, measured=measured),)
    word = "and" if asked.match == "all" else "or"
    long = f" for {show_duration(asked.min)}" if asked.min else ""
    return (
        about.unmet(
            f"it has not been current in {either(lacking, word)}{long}",
            found=found,
            expected=f"{either(asked.channels, word)}{long}",
            hint=f"promote it to {lacking[0]} first" if lacking[0] not in been else "wait, and it goes on by itself",
            measured=measured,
        ),
    )


def longest_in(tenures: tuple[Tenure, ...], channel: str, now: datetime) -> timedelta:
    """Give the longest time without a break in which the release was current in `channel`, up to `now`.

    Tenures that touch or overlap are one time.
    """
    spans = sorted((one.since, min(one.until or now, now)) for one in tenures if one.channel == channel)
    longest, began, ended = timedelta(0), None, None
    for since, until in spans:
        if began is None or ended is None or since > ended:
            began, ended = since, until
        else:
            ended = max(ended, until)
        longest = max(longest, ended - began)
    return longest


def _rounded(span: timedelta) -> str:
    """Write a time in its greatest sensible unit, cut: what is nearly enough must not read as enough."""
    seconds = max(int(span.total_seconds()), 0)
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
