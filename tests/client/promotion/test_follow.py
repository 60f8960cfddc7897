"""Watching a request: how often it is asked for, and when that ends."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.client.cli.channel_server import finding, promotion
from tidegate.formats.jcs import canonical_bytes, parse_object
from tidegate.promotion.follow import MAX_PAUSE_SECONDS, follow
from tidegate.remote.promotion_values import Promotion, RequestState


@dataclass
class Clock:
    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def request(state: str, *states: str) -> Promotion:
    document = promotion(state, *(finding(f"r{number}", each, each) for number, each in enumerate(states)))
    return Promotion.parse(parse_object(canonical_bytes(document), limit=1 << 20, what="a request"))


def test_it_is_asked_for_less_and_less_often_until_the_time_is_over() -> None:
    clock, waiting = Clock(), request("open", "unmet")
    found = list(follow(waiting, lambda: waiting, timeout=100, sleep=clock.sleep, monotonic=lambda: clock.now))
    assert found == []
    assert clock.now == 100
    assert max(clock.pauses) == MAX_PAUSE_SECONDS
    assert clock.pauses[:-1] == sorted(clock.pauses[:-1])


def test_each_change_is_given_once_and_the_end_is_the_last() -> None:
    clock = Clock()
    answers = [request("open", "unmet"), request("open", "met"), request("open", "met"), request("done", "met")]
    found = list(
        follow(request("open", "unmet"), lambda: answers.pop(0), timeout=100, sleep=clock.sleep, monotonic=lambda: 0.0)
    )
    assert [each.state for each in found] == [RequestState.OPEN, RequestState.DONE]


def test_what_is_over_is_not_asked_for() -> None:
    assert list(follow(request("done", "met"), lambda: request("open"), timeout=100)) == []
