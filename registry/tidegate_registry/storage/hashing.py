"""What a process remembers of uploads between their requests, so that their bytes need not be read again.

Only a saving: another replica, or this one after a restart, reads the bytes back from the store and hashes them anew.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.digest import Digest, Hasher
from tidegate_registry.storage.staging import Part

MAX_REMEMBERED = 256
SHORT_TAIL_BYTES = 128 << 10  # 32 MiB for all that is remembered; most blobs of an agent are no longer


@dataclass(frozen=True, slots=True)
class Hashed:
    """The state after `hasher.size` bytes: the hash of all, the full parts that were stored, the sha256 of the tail.

    `short_tail`: the tail itself, if it has at most SHORT_TAIL_BYTES.
    """

    hasher: Hasher
    parts: Sequence[Part]
    tail: Digest
    short_tail: bytes | None = None


class HashStates:
    """The states of the uploads continued last. Thread-safe."""

    def __init__(self, most: int = MAX_REMEMBERED) -> None:
        self._most = most
        self._states: OrderedDict[str, Hashed] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, session: str, state: Hashed) -> None:
        """Remember where `session` stands."""
        with self._lock:
            self._states[session] = state
            self._states.move_to_end(session)
            while len(self._states) > self._most:
                self._states.popitem(last=False)

    def take(self, session: str, size: int) -> Hashed | None:
        """Give the state after exactly `size` bytes, and forget it: its hasher is the taker's from now on."""
        with self._lock:
            state = self._states.pop(session, None)
        return state if state is not None and state.hasher.size == size else None
