"""A bell that threads ring and the event loop waits for: work that comes around every second comes sooner."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    until: int
    loop: asyncio.AbstractEventLoop
    event: asyncio.Event


class Bell:
    """Counts how often it was rung. Thread-safe; ringing costs nothing while nobody waits."""

    def __init__(self) -> None:
        self.rung = 0
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []

    def ring(self) -> None:
        """Count one more, and wake those who waited for it."""
        with self._lock:
            self.rung += 1
            due = [each for each in self._waiting if each.until <= self.rung]
        for each in due:
            with suppress(RuntimeError):  # its loop is closed: nobody waits any more
                each.loop.call_soon_threadsafe(each.event.set)

    async def reach(self, count: int) -> None:
        """Wait until it has been rung `count` times since it was made."""
        waiting = _Waiting(count, asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            if self.rung >= count:
                return
            self._waiting.append(waiting)
        try:
            await waiting.event.wait()
        finally:
            with self._lock:
                self._waiting.remove(waiting)
