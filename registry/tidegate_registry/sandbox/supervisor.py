"""`tidegate-registry sandbox`: start everything on one folder, say when it answers, stop everything.

One process tree: this process serves Sigstore and the registry from two threads, its only child is the object store.
The store is launched before anything heavy is imported, so that both start at the same time on two cores.
"""

from __future__ import annotations

import contextlib
import gc
import http.client
import logging
import os
import shlex
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, TextIO

from tidegate.errors import Unreachable
from tidegate_registry.sandbox.files import FILE_MODE, create_file, make_folder, replace_file
from tidegate_registry.sandbox.folder import SandboxFolder, SandboxPorts
from tidegate_registry.sandbox.ports import HOST, LOOPBACK, PROXY_EXCEPTIONS, bind, is_free
from tidegate_registry.sandbox.s3 import S3Endpoint, Weed

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from tidegate_registry.sandbox.serve import ServerThread
    from tidegate_registry.sandbox.sigstore import SigstoreInstance
    from tidegate_registry.settings import Settings

log = logging.getLogger(__name__)

REGISTRY_TOKEN_KEY = "registry-token"  # noqa: S105 - a file name
MAX_ANSWER_BYTES = 4096
POLL_SECONDS = 0.05
LOG_NAME = "sandbox.log"
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WATCH_SECONDS = 0.5
ANSWER_SECONDS = 10.0
LEFTOVER_SECONDS = 4.0  # the kernel kills the store of a killed sandbox; its ports are free a moment later
STORE_STOP_SECONDS = 2.5  # with the servers' share this keeps the whole stop below five seconds


class StopRequested(BaseException):
    """A signal asked us to stop; not an error, and nothing in between may take it for one."""


def run_sandbox(
    path: Path,
    *,
    registry_port: int | None = None,
    sigstore_port: int | None = None,
    database_url: str | None = None,
    out: TextIO = sys.stdout,
) -> int:
    """Run a sandbox over `path` until a signal asks it to stop; then give 0.

    `database_url`: a database to use instead of the SQLite file in the folder. Must run in the main thread.
    Raises InvalidInput (unusable folder), Conflict (folder or port in use), NotFound (no object store), Unreachable
    when a part does not start or dies.
    """
    started = time.monotonic()
    folder = SandboxFolder(path.expanduser().absolute())
    try:
        with _stop_on_signals(), folder.held() as clean:
            sandbox = Sandbox(folder, folder.choose_ports(registry_port, sigstore_port), database_url)
            try:
                with _without_collecting():
                    sandbox.start(patient=not clean)
                with contextlib.suppress(BrokenPipeError):  # who started us need not listen
                    out.write(banner(folder, sandbox.ports, time.monotonic() - started))
                    out.flush()
                sandbox.watch()
            finally:
                _ignore_signals()  # a second Ctrl-C must not leave half of it running
                sandbox.stop()
    except StopRequested:
        return 0


class Sandbox:
    """The parts of one running sandbox."""

    def __init__(self, folder: SandboxFolder, ports: SandboxPorts, database_url: str | None = None) -> None:
        self.folder, self.ports = folder, ports
        self._database_url = database_url or f"sqlite:///{folder.database}"
        self._store = Weed(folder.s3, ports.s3, logs=folder.logs)
        self._instance: SigstoreInstance | None = None
        self._servers: list[ServerThread] = []
        self._listeners: list[socket.socket] = []
        self._log: _FileLog | None = None

    def start(self, *, patient: bool = False) -> None:
        """Start all parts and return when each has answered. `patient`: wait for a killed sandbox's store to end."""
        self._log = _FileLog(make_folder(self.folder.logs) / LOG_NAME)
        log.info("starting in %s", self.folder.path)
        _bypass_proxies()
        if patient:
            _wait_for_free(self.ports.s3.listened())
        self._listeners.append(bind(self.ports.registry, "registry"))
        self._listeners.append(bind(self.ports.sigstore, "Sigstore"))
        self.folder.keep_ports(self.ports)
        self._store.start()
        from tidegate_registry.sandbox.seed import make_witness, write_files
        from tidegate_registry.sandbox.serve import ServerThread
        from tidegate_registry.sandbox.sigstore import SigstoreInstance, build_app

        registry_listener, sigstore_listener = self._listeners
        self._instance = SigstoreInstance(self.folder.path, self.ports.sigstore_url)
        witness = make_witness(self.folder, self.ports)
        sigstore = build_app(self._instance, witness.routes())
        self._serve(ServerThread(sigstore, sigstore_listener, "sandbox-sigstore"))
        write_files(self.folder, self.ports, self._instance)
        application = registry_app(self.folder, self.ports, self._store, self._database_url)
        self._serve(ServerThread(application, registry_listener, "sandbox-registry"))
        for server in self._servers:
            server.wait()
        _expect_answer(self.ports.sigstore, "/.well-known/openid-configuration")
        _expect_answer(self.ports.registry, "/readyz")

    def watch(self) -> NoReturn:
        """Wait for the signal that ends this with StopRequested. Raises Unreachable when a part dies before."""
        while self._store.is_alive() and all(server.is_alive() for server in self._servers):
            time.sleep(WATCH_SECONDS)
        raise Unreachable("a part of the sandbox ended by itself", hint=f"see {self.folder.logs}; start it again")

    def stop(self) -> None:
        """Stop the servers, then the store they use. Safe after any failure of `start`."""
        for server in self._servers:
            server.request_stop()
        for server in self._servers:
            server.stop()
        if self._instance is not None:
            self._instance.close()
        for listener in self._listeners:
            listener.close()
        self._store.stop(STORE_STOP_SECONDS)
        if self._log is not None:
            self._log.close()

    def _serve(self, server: ServerThread) -> None:
        self._servers.append(server)
        server.start()


def registry_app(folder: SandboxFolder, ports: SandboxPorts, store: Weed, database_url: str) -> ASGIApp:
    """Make the registry's application, checked; the one place where sandbox and registry know of each other.

    Everything that does not need the object store happens before it is waited for. Raises what `check_start` does.
    """
    from tidegate_registry.app import build_services, check_start, create_app
    from tidegate_registry.sandbox.policy import seed_policy
    from tidegate_registry.sandbox.registry_file import settings_text

    settings = registry_settings(folder, ports, store.endpoint, database_url)
    replace_file(folder.settings, settings_text(settings))
    services = build_services(settings)
    log.info("registry built, waiting for the store")
    store.wait_ready()
    log.info("store ready, checking what the registry rests on")
    check_start(services)
    seed_policy(services, folder.policy.read_bytes())
    return create_app(settings, services=services, checked=True)


def registry_settings(folder: SandboxFolder, ports: SandboxPorts, endpoint: S3Endpoint, database_url: str) -> Settings:
    """Give the registry's settings for this sandbox."""
    from pydantic import SecretStr

    from tidegate_registry.access.issuers import IssuerRule
    from tidegate_registry.sandbox.jobs import SERVER_URL
    from tidegate_registry.sandbox.keys import KeyStore
    from tidegate_registry.sandbox.seed import make_witness
    from tidegate_registry.sandbox.witness import PATH as WITNESS_PATH
    from tidegate_registry.settings import Mode, S3Settings, Settings
    from tidegate_registry.settings_log import LogSettings, VsaSettings, WitnessSettings

    KeyStore(folder.keys).ed25519_key(REGISTRY_TOKEN_KEY)
    create_file(folder.database, b"")  # SQLite would make it readable by all who may enter the folder
    return Settings(
        mode=Mode.SANDBOX,
        public_url=ports.registry_url,
        listen_host=HOST,
        listen_port=ports.registry,
        database_url=SecretStr(database_url),
        s3=S3Settings(
            endpoint=endpoint.url,
            region=endpoint.region,
            bucket=endpoint.bucket,
            access_key=SecretStr(endpoint.access_key),
            secret_key=SecretStr(endpoint.secret_key),
        ),
        trust_file=folder.trust,
        allow_sandbox_roots=True,
        issuers=(
            IssuerRule(
                issuer=ports.sigstore_url,
                kind="email",
                client_id=ports.registry_url,  # any text is a client there: tokens of both logins are for the registry
                login_scopes=("openid", "email", "offline_access"),
                carried_claims={"groups": ("groups",)},
            ),
            IssuerRule(issuer=f"{ports.sigstore_url}/ci", kind="github", server_url=SERVER_URL),
        ),
        token_key_file=folder.keys / f"{REGISTRY_TOKEN_KEY}.key",
        log=LogSettings(
            origin=ports.log_origin,
            key=f"file:{folder.log_key}",
            witnesses=(
                WitnessSettings(url=ports.sigstore_url + WITNESS_PATH, key=str(make_witness(folder, ports).key)),
            ),
        ),
        vsa=VsaSettings(key=f"file:{folder.vsa_key}"),
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
    """Turn the signals that end a program into StopRequested, and give the handlers back afterwards."""

    def request_stop(_number: int, _frame: FrameType | None) -> None:
        raise StopRequested

    before = {number: signal.signal(number, request_stop) for number in STOP_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _without_collecting() -> Iterator[None]:
    """Let a start make its thousands of classes without looking for garbage among them: a tenth of its time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _bypass_proxies() -> None:
    """Reach this machine directly: boto3 and requests would ask a configured proxy even for 127.0.0.1."""
    for name in PROXY_EXCEPTIONS:
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), *LOOPBACK)))


def _ignore_signals() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _wait_for_free(ports: list[int]) -> None:
    deadline = time.monotonic() + LEFTOVER_SECONDS
    while not all(is_free(port) for port in ports) and time.monotonic() < deadline:
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


class _FileLog:
    """This process's log records, in a file: the terminal belongs to the person who started the sandbox."""

    def __init__(self, path: Path) -> None:
        path.touch(FILE_MODE)
        self._handler = logging.FileHandler(path, encoding="utf-8")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
        root = logging.getLogger()
        self._level_before = root.level
        root.addHandler(self._handler)
        root.setLevel(logging.INFO)

    def close(self) -> None:
        root = logging.getLogger()
        root.removeHandler(self._handler)
        root.setLevel(self._level_before)
        self._handler.close()
