"""Run an ASGI app on a loopback socket in a thread, ready when the caller gets it, gone when the caller is done."""

from __future__ import annotations

import contextlib
import logging
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from tidegate.errors import Unreachable
from tidegate_registry.sandbox.certificates import utc_now
from tidegate_registry.sandbox.ports import address, bind
from tidegate_registry.sandbox.sigstore import SigstoreInstance, build_app

log = logging.getLogger(__name__)

START_SECONDS = 20.0
DRAIN_SECONDS = 1  # then requests under way are cut
STOP_SECONDS = 1.8


class _Server(uvicorn.Server):
    """A uvicorn server that says when it is up; its thread never installs signal handlers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()


class ServerThread:
    """One app served by one uvicorn in one thread."""

    def __init__(self, app: ASGIApp, listener: socket.socket, name: str) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="auto",
            timeout_graceful_shutdown=DRAIN_SECONDS,
            server_header=False,
            proxy_headers=False,  # as in production: the application alone decides whose word about addresses counts
        )
        self._server = _Server(config)
        self._listener = listener
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def wait(self) -> None:
        """Return when the app answers. Raises Unreachable when it does not come up."""
        if not self._server.up.wait(START_SECONDS) or self._error is not None or self._server.should_exit:
            raise Unreachable(f"{self._thread.name} did not start", found=self._error) from self._error

    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def request_stop(self) -> None:
        """Begin to stop: no new connections, DRAIN_SECONDS for requests under way."""
        self._server.should_exit = True

    def stop(self) -> None:
        """Stop, and wait for it STOP_SECONDS at most."""
        self.request_stop()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        except (Exception, SystemExit) as error:
            log.exception("%s crashed", self._thread.name)
            self._error = error
        finally:
            self._server.up.set()
            self._listener.close()


@dataclass(frozen=True, slots=True)
class RunningSigstore:
    """A private Sigstore that answers at `url`."""

    url: str
    instance: SigstoreInstance


@contextlib.contextmanager
def start_sigstore(
    state_dir: Path,
    port: int = 0,
    *,
    clock: Callable[[], datetime] = utc_now,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
    valid_from: datetime | None = None,
) -> Iterator[RunningSigstore]:
    """Serve a private Sigstore over `state_dir` in a thread, until the context ends."""
    listener = bind(port)
    url = f"http://{address(listener)}"
    instance = SigstoreInstance(state_dir, url, clock=clock, entropy=entropy, valid_from=valid_from)
    with contextlib.closing(instance):
        server = ServerThread(build_app(instance), listener, "sandbox-sigstore")
        server.start()
        try:
            server.wait()
            yield RunningSigstore(url, instance)
        finally:
            server.stop()
