"""A throw-away PostgreSQL server from the binaries that Debian installs; started once a test process."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy


def find_binaries() -> Path | None:
    """Give the folder that holds initdb and pg_ctl, or None."""
    found = shutil.which("initdb")
    candidates = [Path(found).resolve().parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in candidates if (folder / "pg_ctl").exists()), None)


class Postgres:
    """A server on a random loopback port. `url` is the SQLAlchemy URL of an empty database."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self.folder = Path(tempfile.mkdtemp(prefix="tidegate-pg-"))
        self._data = self.folder / "data"
        self._as_user: list[str] = []
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(self.folder, "postgres", "postgres")
            self._as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"postgresql+psycopg://tidegate@127.0.0.1:{self._port}/postgres"
        self._run("initdb", "-A", "trust", "-U", "tidegate", "--no-sync", "-E", "UTF8")

    def start(self, *, durable: bool = False) -> None:
        """Start it. Not `durable`: nothing is waited for that only a power cut would take."""
        fsync = "on" if durable else "off"
        options = (
            f"-c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder} -c fsync={fsync} -p {self._port}"
        )
        # `-l` keeps the server's output out of our pipes, which it would otherwise hold open for ever
        self._run("pg_ctl", "-w", "-l", str(self.folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        if self.pids():
            self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def pids(self) -> list[int]:
        """The server's process, and those that it made; none where it does not run."""
        try:
            main = int((self._data / "postmaster.pid").read_text().split()[0])
            return [main, *map(int, Path(f"/proc/{main}/task/{main}/children").read_text().split())]
        except FileNotFoundError:
            return []

    def kill(self) -> None:
        """End every process of the server at once, and wait until they are gone."""
        pids = self.pids()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 20
        while any(_is_running(pid) for pid in pids):
            if time.monotonic() > deadline:
                raise RuntimeError("PostgreSQL did not end")
            time.sleep(0.01)
        # where nobody collects dead processes, as in a container, a new server would take the dead one for alive
        for left in (self._data / "postmaster.pid", *self.folder.glob(".s.PGSQL.*")):
            left.unlink(missing_ok=True)

    def _run(self, program: str, *options: str) -> None:
        command = [*self._as_user, str(self._binaries / program), "-D", str(self._data), *options]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            log = self.folder / "log"
            detail = log.read_text() if log.exists() else ""
            raise RuntimeError(f"{program} failed: {done.stdout}{done.stderr}{detail}")


def _is_running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@contextmanager
def running_postgres(binaries: Path, *, durable: bool = False) -> Iterator[Postgres]:
    """Run a server until the context ends."""
    server = Postgres(binaries)
    server.start(durable=durable)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder)


@contextmanager
def empty_database(server: str) -> Iterator[str]:
    """Make a database on `server` and give its URL; it is dropped afterwards, whoever is still connected."""
    name = f"t{uuid.uuid4().hex}"
    admin = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sqlalchemy.text(f"CREATE DATABASE {name}"))
    yield server.rpartition("/")[0] + f"/{name}"
    with admin.connect() as connection:
        connection.execute(sqlalchemy.text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()
