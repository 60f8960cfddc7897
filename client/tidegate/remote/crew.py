"""A few threads for transfers: each does one task after another, tasks may add tasks, one failure stops the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event, Lock, Thread

from tidegate.errors import TidegateError

LEAVE_SECONDS = (
    2.0  # all threads together; one that waits for a silent server is left behind: a daemon, it writes no more
)

Task = Callable[[], None]


@contextmanager
def beside(task: Callable[[], object], name: str) -> Iterator[None]:
    """Run `task` in a daemon thread while the block runs, and raise its error when the block has ended well.

    When the block fails, nobody waits for it: what `task` does must do no harm when it is left alone.
    """
    ended = SimpleQueue["BaseException | None"]()

    def work() -> None:
        try:
            task()
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            ended.put(error)
        else:
            ended.put(None)

    Thread(target=work, name=name, daemon=True).start()
    yield
    if (failed := ended.get()) is not None:
        raise failed


class Crew:
    """Runs tasks in at most `threads` daemon threads: whoever presses Ctrl-C does not wait for a silent server."""

    def __init__(self, threads: int, name: str, stop: Event | None = None) -> None:
        """Take the event that stops it, if somebody else may."""
        self._most, self._name = threads, name
        self._tasks = SimpleQueue["Task | None"]()
        self._done = SimpleQueue["BaseException | None"]()
        self._threads: list[Thread] = []
        self._added = 0
        self._lock = Lock()
        self._stop = stop or Event()

    def add(self, task: Task) -> None:
        """Add a task; a task may add others while it runs."""
        with self._lock:
            self._added += 1
            if len(self._threads) < self._most and not self._stop.is_set():
                thread = Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._tasks.put(task)

    def run(self) -> None:
        """Wait until all tasks are done. Raises the first error, after the other threads have let go."""
        finished = 0
        try:
            while finished < self._added:
                error = self._done.get()
                if error is not None:
                    raise error
                finished += 1
        finally:
            self._stop.set()
            for _ in self._threads:
                self._tasks.put(None)
            for thread in self._threads:
                thread.join(LEAVE_SECONDS / self._most)

    def check(self) -> None:
        """Raise when the others have stopped: tasks call it between chunks."""
        if self._stop.is_set():
            raise TidegateError("stopped because something else failed", code="stopped")

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                self.check()
                task()
            except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
                self._done.put(error)
            else:
                self._done.put(None)
