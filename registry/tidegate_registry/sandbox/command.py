"""The command of a CI job: a child in our foreground group that outlives no signal meant for us, and our exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import Self

EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND = 126, 127  # as shells answer
FORWARDED = (signal.SIGTERM, signal.SIGHUP)
GIT_SECONDS = 5


def run_command(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run `command` with `environment` added to ours; gives its exit code, or 128 + the signal that ended it.

    Must run in the main thread. Ctrl-C is the child's to answer: the terminal sends it to the whole foreground group.
    SIGTERM and SIGHUP reach us alone and are passed on, so that no job outlives the one who is asked to end it.
    """
    with _Relay() as relay:
        try:
            process = subprocess.Popen(command, env=os.environ | environment)
        except OSError as error:
            sys.stderr.write(f"error: {command[0]}: {error.strerror}\n")
            return EXIT_NOT_FOUND if isinstance(error, FileNotFoundError) else EXIT_NOT_EXECUTABLE
        relay.to(process)
        code = process.wait()
    return code if code >= 0 else 128 - code


def head_commit() -> str | None:
    """Give the commit of the current folder's git checkout; None where there is none, or no git."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(
            ["git", "rev-parse", "--verify", "--quiet", "HEAD"],
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=False,
        )
        return done.stdout.strip() or None if done.returncode == 0 else None
    return None


class _Relay(contextlib.AbstractContextManager["_Relay"]):
    """Holds the signal handlers while a child runs. Handlers, since a child would inherit an ignored signal."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, *FORWARDED):
            if signal.getsignal(number) != signal.SIG_IGN:  # as nohup asks for
                self._stack.enter_context(_handled(number, self))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        if self._process is None:
            self._early.append(number)
        elif number in FORWARDED:
            self._process.send_signal(number)

    def to(self, process: subprocess.Popen[bytes]) -> None:
        """Pass signals to `process` from now on, and those that came before there was one."""
        self._process = process
        for number in self._early:
            process.send_signal(number)


@contextlib.contextmanager
def _handled(number: signal.Signals, handler: _Relay) -> Iterator[None]:
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)
