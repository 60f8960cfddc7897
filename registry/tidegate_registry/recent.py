"""What was found true a moment ago: costly checks whose outcome depends on their key alone, so that naming a release
need not repeat what its push has just shown.

A key holds everything that the outcome depends on (digests of the bytes, of the charter, of the roots), never a name
for it. Only success is kept, for RECENT_SECONDS; what is refused is looked at anew each time. What this leaves to the
hosts, who believe no registry: objects that somebody altered in the store within those seconds. See docs/threats.md.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Generic, TypeVar

RECENT_SECONDS = 120  # between the push of a bundle and its naming: a publish takes a few of them
MOST_WEIGHT = 32 << 20  # bytes of what was checked; parsed it takes several times as much

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """At most `most_weight` in all; the oldest goes first. Safe to share between threads."""

    def __init__(self, *, seconds: int = RECENT_SECONDS, most_weight: int = MOST_WEIGHT) -> None:
        self._life, self._most_weight = timedelta(seconds=seconds), most_weight
        self._found: OrderedDict[K, tuple[V, datetime, int]] = OrderedDict()
        self._weight = 0
        self._lock = threading.Lock()

    def find(self, key: K, now: datetime) -> V | None:
        """Give what was kept under `key` in the last seconds before `now`; None if nothing was."""
        with self._lock:
            value, kept_at, _ = self._found.get(key, (None, now, 0))
        return value if kept_at <= now < kept_at + self._life else None

    def keep(self, key: K, value: V, now: datetime, *, weight: int) -> None:
        """Keep `value`, of `weight` bytes, from `now` on."""
        with self._lock:
            self._drop(key)
            self._found[key] = (value, now, weight)
            self._weight += weight
            while self._weight > self._most_weight:
                self._drop(next(iter(self._found)))

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._found.clear()
            self._weight = 0

    def _drop(self, key: K) -> None:
        _, _, weight = self._found.pop(key, (None, None, 0))
        self._weight -= weight
