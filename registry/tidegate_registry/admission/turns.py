"""Taking turns: those who ask this process to name versions of one agent decide one after the other.

Each decision rests on the agent's last release, so of those made side by side all but one are made for nothing. This is
a courtesy and no lock: what is written is checked under the agent's lock in the database, which also orders replicas.
So whoever has waited long enough goes ahead without a turn, and a store that hangs under one decision holds nobody for
longer than that.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

TURN_SECONDS = 5.0  # some hundred decisions; handlers have a thread each, and waiting must not take them all for long


@dataclass(slots=True)
class _Queue:
    held: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0  # who holds it or waits for it; without any it is forgotten


class Turns:
    """One queue for each agent that somebody decides about now."""

    def __init__(self, *, seconds: float = TURN_SECONDS) -> None:
        self._seconds = seconds
        self._queues: dict[str, _Queue] = {}
        self._lock = threading.Lock()

    @contextmanager
    def of(self, repository: str) -> Iterator[bool]:
        """Hold the agent's turn. Blocks for the seconds of this object at most; gives whether it was one's turn."""
        with self._lock:
            queue = self._queues.setdefault(repository, _Queue())
            queue.users += 1
        held = queue.held.acquire(timeout=self._seconds)
        try:
            yield held
        finally:
            if held:
                queue.held.release()
            with self._lock:
                queue.users -= 1
                if not queue.users:
                    del self._queues[repository]

    def __len__(self) -> int:
        return len(self._queues)
