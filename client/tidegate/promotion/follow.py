"""Watching a request until it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tidegate.remote.promotion_values import Promotion, RequestState

FIRST_PAUSE_SECONDS = 1.0
MAX_PAUSE_SECONDS = 15.0  # people wait for people: more often helps nobody
_GROWTH = 1.5


def follow(
    begun: Promotion,
    ask: Callable[[], Promotion],
    *,
    timeout: float,
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> Iterator[Promotion]:
    """Give a request again each time that something about it has changed, until it is over or `timeout` seconds are.

    Who iterates sees by the last one given which of both it was. Raises what `ask` raises.
    """
    known, pause, deadline = begun, FIRST_PAUSE_SECONDS, monotonic() + timeout
    while known.state is RequestState.OPEN and (left := deadline - monotonic()) > 0:
        sleep(min(pause, left))
        found = ask()
        pause = min(pause * _GROWTH, MAX_PAUSE_SECONDS)
        if (found.state, found.findings) != (known.state, known.findings):
            known, pause = found, FIRST_PAUSE_SECONDS
            yield found
