"""The sandbox's folder: what lies where, who holds it, and the ports it keeps for life.

Imports nothing heavy: the object store is launched right after this, before anything else is imported.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from tidegate.errors import Conflict, InvalidInput, JsonInvalid
from tidegate.formats.jcs import JsonObject, JsonValue, parse_object
from tidegate_registry.sandbox.files import FILE_MODE, make_folder, replace_file, unusable
from tidegate_registry.sandbox.ports import HOST, pick_ports
from tidegate_registry.sandbox.s3 import S3Ports

MAX_STATE_BYTES = 64 << 10
STATE_VERSION = 1
LOG_KEY, VSA_KEY = "log", "vsa"
BEFORE_STATE = frozenset({"lock", "logs", "s3"})  # what a first start makes before it keeps its ports


class FolderInUse(Conflict):
    """Another sandbox runs on that folder."""

    code = "sandbox-in-use"


@dataclass(frozen=True, slots=True)
class SandboxPorts:
    """Every port of one sandbox. The Sigstore port is part of certificates and tokens: it never changes."""

    registry: int
    sigstore: int
    s3: S3Ports

    @property
    def registry_address(self) -> str:
        """`host:port`, as references write the registry."""
        return f"{HOST}:{self.registry}"

    @property
    def registry_url(self) -> str:
        return f"http://{self.registry_address}"

    @property
    def sigstore_url(self) -> str:
        return f"http://{HOST}:{self.sigstore}"

    @property
    def log_origin(self) -> str:
        """The log's name: made of the one port that never changes, since a log keeps its name."""
        return f"sandbox-{self.sigstore}/log"


@dataclass(frozen=True, slots=True)
class SandboxFolder:
    """Paths below the one folder that holds everything a sandbox has."""

    path: Path

    @property
    def keys(self) -> Path:
        return self.path / "keys"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def s3(self) -> Path:
        return self.path / "s3"

    @property
    def database(self) -> Path:
        return self.path / "registry.db"

    @property
    def env(self) -> Path:
        return self.path / "env"

    @property
    def trust(self) -> Path:
        return self.path / "trust.yaml"

    @property
    def settings(self) -> Path:
        return self.path / "registry.yaml"

    @property
    def policy(self) -> Path:
        return self.path / "policy.yaml"

    @property
    def trusted_root(self) -> Path:
        return self.path / "trusted_root.json"

    @property
    def client_trust_config(self) -> Path:
        return self.path / "client_trust_config.json"

    @property
    def signing_config(self) -> Path:
        return self.path / "signing_config.json"

    @property
    def admin_secret(self) -> Path:
        return self.keys / "ci-admin.secret"

    @property
    def log_key(self) -> Path:
        return self.keys / f"{LOG_KEY}.key"

    @property
    def vsa_key(self) -> Path:
        return self.keys / f"{VSA_KEY}.key"

    @property
    def witness(self) -> Path:
        return self.path / "witness"

    @property
    def vsa_public_key(self) -> Path:
        return self.path / "vsa.pub"

    @property
    def _state(self) -> Path:
        return self.path / "sandbox.json"

    @contextlib.contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the folder for this process; gives whether the one before ended cleanly.

        Raises FolderInUse, and InvalidInput when it cannot be made, is not writable, or holds something else.
        """
        make_folder(self.path)
        try:
            self._refuse_others()
            descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise unusable(self.path, error) from error
        with contextlib.closing(os.fdopen(descriptor, "r+b", buffering=0)) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = lock.read(20).decode(errors="replace").strip() or "unknown"
                raise FolderInUse(
                    f"{self.path} is in use by the sandbox with process id {holder}",
                    hint="use that one, stop it, or choose another folder with --dir",
                ) from None
            clean = not lock.read(1)
            lock.truncate(0)
            lock.seek(0)
            lock.write(f"{os.getpid()}\n".encode())
            try:
                yield clean
            finally:
                lock.truncate(0)

    def _refuse_others(self) -> None:
        """Never fill a folder that holds something else: a home folder, a checkout."""
        if self._state.exists():
            return
        others = sorted(entry.name for entry in self.path.iterdir() if entry.name not in BEFORE_STATE)
        if others:
            raise InvalidInput(
                f"{self.path} is not empty, and no sandbox",
                code="sandbox-folder-not-empty",
                found=others[0],
                hint="choose a new or empty folder with --dir",
            )

    def load_ports(self) -> SandboxPorts | None:
        """Read the ports of an earlier start; None when there was none. Raises Conflict on a file we cannot read."""
        try:
            if not self._state.exists():
                return None
            return _parse_ports(parse_object(self._state.read_bytes(), limit=MAX_STATE_BYTES, what=str(self._state)))
        except (JsonInvalid, KeyError, ValueError, OSError) as error:
            raise Conflict(
                f"{self._state} is not a file this version of the sandbox wrote",
                code="sandbox-state-invalid",
                found=error,
                hint="start on a new folder with --dir",
            ) from error

    def choose_ports(self, registry: int | None = None, sigstore: int | None = None) -> SandboxPorts:
        """Give this folder's ports, chosen at the first start; `keep_ports` keeps them once they are bound.

        A `registry` port given later moves the registry; a `sigstore` port given later must be the one it has.
        """
        known = self.load_ports()
        if known is None:
            free = pick_ports(2)
            registry, sigstore = registry or free[0], sigstore or free[1]
            return SandboxPorts(registry, sigstore, S3Ports.pick(avoid=frozenset({registry, sigstore})))
        if sigstore not in (None, known.sigstore):
            raise Conflict(
                f"the Sigstore of {self.path} is bound to port {known.sigstore}: its certificates name it",
                code="sandbox-port-fixed",
                hint="start on a new folder with --dir to use another port",
            )
        return SandboxPorts(registry or known.registry, known.sigstore, known.s3)

    def keep_ports(self, ports: SandboxPorts) -> None:
        """Keep the ports for the starts to come: only those that could be bound, or a taken one would spoil all."""
        if ports != self.load_ports():
            replace_file(self._state, json.dumps({"version": STATE_VERSION, **asdict(ports)}, indent=1).encode())


def _parse_ports(document: JsonObject) -> SandboxPorts:
    s3 = document["s3"]
    if document["version"] != STATE_VERSION or not isinstance(s3, dict):
        raise ValueError("unknown version")
    return SandboxPorts(
        registry=_port(document["registry"]),
        sigstore=_port(document["sigstore"]),
        s3=S3Ports(*(_port(s3[field.name]) for field in fields(S3Ports))),
    )


def _port(value: JsonValue) -> int:
    if not isinstance(value, int) or not 0 < value < 1 << 16:
        raise ValueError(f"{value!r} is no port")
    return value
