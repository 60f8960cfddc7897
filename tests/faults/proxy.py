"""A TCP proxy on loopback that passes bytes on, or does what a fault does."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from enum import Enum
from types import TracebackType
from typing import Self

CHUNK = 16 << 10
WRITES = (b"PUT ", b"POST ")
NO_ROOM = b"<Error><Code>InsufficientStorage</Code><Message>no room</Message></Error>"


class Fault(Enum):
    """What happens to the connections. `NONE`: they work."""

    NONE = "none"
    AWAY = "away"  # none is taken, and those that there are end: its process is gone
    STILL = "still"  # taken, and nothing comes back: its process was stopped, or the network lost it
    SLOW = "slow"
    FULL = "full"  # of an HTTP store: reads work, whatever writes is answered with 507


class Proxy:
    """Passes connections to `target`, a port on loopback, until it is told to do worse."""

    def __init__(self, target: int, *, bytes_per_second: int = 1 << 20) -> None:
        self._target, self._rate = target, bytes_per_second
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, CHUNK)  # who sends waits for us, as it should
        self.port: int = self._listener.getsockname()[1]
        self._fault = Fault.NONE
        self._flowing = threading.Event()
        self._flowing.set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._set(Fault.AWAY)
        self._listener.close()

    @contextlib.contextmanager
    def having(self, fault: Fault) -> Iterator[None]:
        """Have this fault until the context ends."""
        self._set(fault)
        try:
            yield
        finally:
            self._set(Fault.NONE)

    def _set(self, fault: Fault) -> None:
        self._fault = fault
        if fault is Fault.STILL:
            self._flowing.clear()
            return
        self._flowing.set()
        if fault in (Fault.AWAY, Fault.FULL):
            with self._lock:
                for each in self._open:
                    with contextlib.suppress(OSError):
                        each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # closed: the test is over
            if self._fault is Fault.AWAY:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                self._open |= {client, server}
            for source, sink, is_request in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pump, args=(source, sink, is_request), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_request: bool) -> None:  # noqa: FBT001
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                self._flowing.wait()
                if self._fault is Fault.FULL and is_request and data.startswith(WRITES):
                    head = b"HTTP/1.1 507 Insufficient Storage\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                    source.sendall(head % len(NO_ROOM) + NO_ROOM)
                    while source.recv(CHUNK):  # the rest; a connection that is reset would take the answer with it
                        pass
                    break
                if self._fault is Fault.SLOW:
                    time.sleep(len(data) / self._rate)
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open -= {source, sink}
        if not is_request:
            source.close()
            sink.close()
