"""A promise that can be kept: while it holds, this process opens no socket."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tidegate.errors import Refusal

_EVENTS = frozenset(
    {"socket.__new__", "socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"}
)


class NetworkUsed(Refusal):
    """Something tried to open a socket although the caller had asked for none."""

    code = "offline"


class _Guard:
    """The audit hook (PEP 578). It cannot be taken out again, so there is one, and it counts who wants it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._installed = False
        self._holders = 0

    def hold(self, count: int) -> None:
        with self._lock:
            if not self._installed:
                sys.addaudithook(self._audit)
                self._installed = True
            self._holders += count

    def _audit(self, event: str, _: tuple[object, ...]) -> None:
        if self._holders and event in _EVENTS:
            raise NetworkUsed(
                "verification offline must not use the network", found=event, hint="report this: it is a defect"
            )


_guard = _Guard()


@contextmanager
def no_network() -> Iterator[None]:
    """Refuse every socket of this process, in all threads, while the block runs. Raises NetworkUsed from within."""
    _guard.hold(+1)
    try:
        yield
    finally:
        _guard.hold(-1)
