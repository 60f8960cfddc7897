"""`tidegate-registry sandbox`: start everything on one folder, say when it answers, stop everything.

One process tree: this process serves Sigstore and the registry from two threads, its only child is the object store.
The store is launched before anything heavy is imported, so that both start at the same time on two cores.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TextIO

from tidegate.errors import Unreachable
from tidegate_registry.sandbox.files import FILE_MODE, make_folder
from tidegate_registry.sandbox.folder import SandboxFolder, SandboxPorts
from tidegate_registry.sandbox.ports import HOST, is_free
from tidegate_registry.sandbox.s3 import Weed

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from tidegate_registry.sandbox.serve import ServerThread
    from tidegate_registry.sandbox.sigstore import SigstoreInstance
    from tidegate_registry.settings import Settings

REGISTRY_TOKEN_KEY = "registry-token"  # noqa: S105 - a file name
MAX_ANSWER_BYTES = 4096
POLL_SECONDS = 0.05
WATCH_SECONDS = 0.5
ANSWER_SECONDS = 10.0
LEFTOVER_SECONDS = 4.0  # a store whose sandbox was killed ends by itself in about two
STORE_STOP_SECONDS = 2.5  # with the servers' share this keeps the whole stop below five seconds


class StopRequested(BaseException):
    """SIGINT or SIGTERM arrived; not an error, and nothing in between may take it for one."""


def run_sandbox(
    path: Path, *, registry_port: int | None = None, sigstore_port: int | None = None, out: TextIO = sys.stdout
) -> int:
    """Run a sandbox over `path` until a signal; 0 when it was asked to stop, 1 when a part of it died.

    Must run in the main thread. Raises Conflict (folder or port in use), NotFound (no object store), Unreachable.
    """
    started = time.monotonic()
    folder = SandboxFolder(path.expanduser().absolute())
    try:
        with _stop_on_signals(), folder.held() as clean:
            sandbox = Sandbox(folder, folder.choose_ports(registry_port, sigstore_port))
            try:
                sandbox.start(patient=not clean)
                out.write(banner(folder, sandbox.ports, time.monotonic() - started))
                out.flush()
                return sandbox.watch()
            finally:
                _ignore_signals()  # a second Ctrl-C must not leave half of it running
                sandbox.stop()
    except StopRequested:
        return 0


class Sandbox:
    """The parts of one running sandbox."""

    def __init__(self, folder: SandboxFolder, ports: SandboxPorts) -> None:
        self.folder, self.ports = folder, ports
        self._store = Weed(folder.s3, ports.s3, logs=folder.logs)
        self._instance: SigstoreInstance | None = None
        self._servers: list[ServerThread] = []

    def start(self, *, patient: bool = False) -> None:
        """Start all parts and return when each has answered. `patient`: wait for a killed sandbox's store to end."""
        _log_to(make_folder(self.folder.logs) / "sandbox.log")
        if patient:
            _wait_for_free(self.ports.s3.s3)
        self._store.start()
        from tidegate_registry.sandbox.seed import write_files
        from tidegate_registry.sandbox.serve import ServerThread, bind
        from tidegate_registry.sandbox.sigstore import SigstoreInstance, build_app

        registry_listener = bind(self.ports.registry, "registry")
        sigstore_listener = bind(self.ports.sigstore, "Sigstore")
        self._instance = SigstoreInstance(self.folder.path, self.ports.sigstore_url)
        self._serve(ServerThread(build_app(self._instance), sigstore_listener, "sandbox-sigstore"))
        write_files(self.folder, self.ports, self._instance)
        application = self._registry_app()
        if application is not None:
            self._serve(ServerThread(application, registry_listener, "sandbox-registry"))
        for server in self._servers:
            server.wait()
        self._store.wait_ready()
        _expect_answer(self.ports.sigstore, "/.well-known/openid-configuration")
        if application is not None:
            _expect_answer(self.ports.registry, "/readyz")

    def watch(self) -> int:
        """Wait until a part dies; a signal ends this with StopRequested."""
        while self._store.is_alive() and all(server.is_alive() for server in self._servers):
            time.sleep(WATCH_SECONDS)
        logging.getLogger(__name__).error("a part of the sandbox ended by itself; see %s", self.folder.logs)
        return 1

    def stop(self) -> None:
        """Stop the servers, then the store they use. Safe after any failure of `start`."""
        for server in self._servers:
            server.request_stop()
        for server in self._servers:
            server.stop()
        if self._instance is not None:
            self._instance.close()
        self._store.stop(STORE_STOP_SECONDS)

    def _serve(self, server: ServerThread) -> None:
        self._servers.append(server)
        server.start()

    def _registry_app(self) -> ASGIApp | None:
        if find_spec("tidegate_registry.app") is None:  # TEMPORARY: until the registry has its composition root
            return None
        application = import_module("tidegate_registry.app")
        self._store.wait_ready()  # the registry probes its bucket when it is made
        app: ASGIApp = application.create_app(registry_settings(self.folder, self.ports, self._store))
        return app


def registry_settings(folder: SandboxFolder, ports: SandboxPorts, store: Weed) -> Settings:
    """Give the registry's settings for this sandbox: the one place where both know of each other."""
    from pydantic import SecretStr

    from tidegate_registry.access.issuers import IssuerRule
    from tidegate_registry.sandbox.jobs import SERVER_URL
    from tidegate_registry.sandbox.keys import KeyStore
    from tidegate_registry.settings import Mode, S3Settings, Settings

    KeyStore(folder.keys).ed25519_key(REGISTRY_TOKEN_KEY)
    endpoint = store.endpoint
    return Settings(
        mode=Mode.SANDBOX,
        public_url=ports.registry_url,
        listen_host=HOST,
        listen_port=ports.registry,
        database_url=SecretStr(f"sqlite:///{folder.database}"),
        s3=S3Settings(
            endpoint=endpoint.url,
            region=endpoint.region,
            bucket=endpoint.bucket,
            access_key=SecretStr(endpoint.access_key),
            secret_key=SecretStr(endpoint.secret_key),
        ),
        spool_dir=folder.spool,
        trust_file=folder.trust,
        allow_sandbox_roots=True,
        issuers=(
            IssuerRule(issuer=ports.sigstore_url, kind="email", carried_claims=("groups",)),
            IssuerRule(issuer=f"{ports.sigstore_url}/ci", kind="github", server_url=SERVER_URL),
        ),
        token_key_file=folder.keys / f"{REGISTRY_TOKEN_KEY}.key",
    )


def banner(folder: SandboxFolder, ports: SandboxPorts, seconds: float) -> str:
    """Give what a person needs to know, the next command last."""
    from tidegate_registry.sandbox.users import USERS

    people = "\n".join(f"  {user.name:<7}{user.email:<24}{user.role}" for user in USERS.values())
    return f"""\
Tidegate sandbox ready in {seconds:.1f} s. For this machine only: its keys are files and anybody here may be anybody.

  registry    {ports.registry_url}
  sigstore    {ports.sigstore_url}  (OIDC issuer, Fulcio, CT log, Rekor v2, timestamps)
  CI issuer   {ports.sigstore_url}/ci  (tidegate-registry sandbox ci -- COMMAND)
  storage     http://{HOST}:{ports.s3.s3}
  folder      {folder.path}

{people}

Next, in another terminal:

  source {shlex.quote(str(folder.env))} && tidegate login --as alice

Ctrl-C stops everything; the data stay.
"""


@contextlib.contextmanager
def _stop_on_signals() -> Iterator[None]:
    """Turn SIGINT and SIGTERM into StopRequested, and give the handlers back afterwards."""

    def request_stop(_number: int, _frame: FrameType | None) -> None:
        raise StopRequested

    before = {number: signal.signal(number, request_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _wait_for_free(port: int) -> None:
    deadline = time.monotonic() + LEFTOVER_SECONDS
    while not is_free(port) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _expect_answer(port: int, path: str) -> None:
    connection = http.client.HTTPConnection(HOST, port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read(MAX_ANSWER_BYTES).decode(errors="replace")
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"port {port} does not answer", found=error) from error
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise Unreachable(f"http://{HOST}:{port}{path} is not ready", found=f"{answer.status} {text[:200]}")


def _log_to(path: Path) -> None:
    """Send this process's log records to a file: the terminal belongs to the person who started the sandbox."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
    handler = logging.StreamHandler(os.fdopen(descriptor, "a", encoding="utf-8"))
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
