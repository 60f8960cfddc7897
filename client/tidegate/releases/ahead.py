"""A release that begins to come while it is still being verified: so many bytes, and nothing stays when it is refused.

To load Sigstore's library takes half a second of processor time, while the network has nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event, Lock, Thread

from tidegate.remote.crew import LEAVE_SECONDS

AHEAD_BYTES = 256 << 20  # what a fast network brings meanwhile; the most that a refused release can cost

Advance = Callable[[int], None]
Fetch = Callable[[Advance, Event], None]
"""Fetches everything; tells each count of bytes before it goes on, and ends soon after the event is set."""


class FetchAhead:
    """Runs `fetch` in a thread; after AHEAD_BYTES it waits until `finish` lets it go on. Made by `ahead_of`."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._ended = SimpleQueue["BaseException | None"]()
        self._thread: Thread | None = None
        self._lock = Lock()
        self._come = 0
        self._decided, self._stop = Event(), Event()

    @property
    def begun(self) -> bool:
        """Whether anything was asked for."""
        return self._thread is not None

    def begin(self) -> None:
        """Begin, unless it has begun."""
        if self._thread is None:
            self._thread = Thread(target=self._work, name="ahead", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Let all of it come, and wait for it. Raises what `fetch` raises."""
        self._decided.set()
        self.begin()
        if (error := self._ended.get()) is not None:
            raise error

    def stop(self) -> None:
        """Let nothing more come, and wait until nobody writes any more; not for long for a server that is silent."""
        self._stop.set()
        self._decided.set()
        if self._thread is not None:
            self._thread.join(2 * LEAVE_SECONDS)

    def _advance(self, count: int) -> None:
        with self._lock:
            self._come += count
            enough = self._come >= AHEAD_BYTES
        if enough:
            self._decided.wait()

    def _work(self) -> None:
        try:
            self._fetch(self._advance, self._stop)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            self._ended.put(error)
        else:
            self._ended.put(None)


@contextmanager
def ahead_of(fetch: Fetch) -> Iterator[FetchAhead]:
    """Give what can begin to fetch in the block; whatever is not finished at its end is stopped."""
    ahead = FetchAhead(fetch)
    try:
        yield ahead
    finally:
        ahead.stop()
