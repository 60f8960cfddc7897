"""Registries in processes of their own over one database and one store: to be killed, frozen and run side by side."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import yaml

from tests.registry.admission.world import NO_TLS, GateWorld
from tests.workshop import Workshop
from tidegate_registry.access.token_keys import create_token_key
from tidegate_registry.app import build_services
from tidegate_registry.sandbox.jobs import SERVER_URL
from tidegate_registry.sandbox.ports import HOST, pick_ports
from tidegate_registry.settings_file import load_settings

if TYPE_CHECKING:
    from tests.fixtures_sandbox import Sigstores
    from tidegate.formats.charter import Charter
    from tidegate_registry.settings import S3Settings, Settings

BIN = Path(sys.executable).parent
START_SECONDS = 60.0
POLL_SECONDS = 0.02
TRY_AGAIN = frozenset({502, 503, 504, 507})  # what says of itself that trying again later can help


def write_trust(path: Path, shop: Workshop, *charters: Charter) -> None:
    """Write a trust file that names the workshop's main root, and be noticed by who looks at its time."""
    root = path.parent / "root.json"
    root.write_text(json.dumps(shop.main.trusted_root()))
    document = {
        "format": "tidegate/trust/v1",
        "roots": {"main": {"file": root.name, "sandbox": True}},
        "charters": [charter.model_dump(mode="json", by_alias=True, exclude_defaults=True) for charter in charters],
    }
    before = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(yaml.safe_dump(document))
    os.utime(path, ns=(before + 1_000_000, before + 1_000_000))


@dataclass
class Site:
    """What replicas share: a settings file. `url` is the registry's name, and the address of the first replica."""

    folder: Path
    shop: Workshop
    config: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def settings(self) -> Settings:
        return load_settings(self.config)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the registry's command line against this site."""
        command = [str(BIN / "tidegate-registry"), *arguments, "--config", str(self.config)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=120, check=False, env=clean_environment()
        )

    @contextlib.contextmanager
    def world(self, transport: httpx2.BaseTransport | None = None) -> Iterator[GateWorld]:
        """What tests of admission use, for the replicas of this site: a publisher, and a look behind them."""
        services = build_services(self.settings)
        world = GateWorld(self.url, services, self.shop, self.shop.trust, transport=transport)
        try:
            yield world
        finally:
            world.close()
            services.db.close()


def make_site(sigstores: Sigstores, store: S3Settings, database_url: str, folder: Path) -> Site:
    """Write settings, trust file and token key of a registry whose users and signatures are the sandbox's."""
    shop = Workshop(sigstores.main.instance, sigstores.twin.instance, datetime.now(UTC))
    (port,) = pick_ports(1)
    write_trust(folder / "trust.yaml", shop, shop.charter)
    create_token_key(folder / "token.pem")
    assert store.access_key is not None
    assert store.secret_key is not None
    secrets = {"access_key": store.access_key.get_secret_value(), "secret_key": store.secret_key.get_secret_value()}
    document = {
        "mode": "sandbox",
        "public_url": f"http://{HOST}:{port}",
        "database_url": database_url,
        "s3": {**store.model_dump(mode="json", exclude_defaults=True), **secrets},
        "trust_file": str(folder / "trust.yaml"),
        "allow_sandbox_roots": True,
        "issuers": [{"issuer": shop.main.issuer.ci_url, "kind": "github", "server_url": SERVER_URL}],
        "token_key_file": str(folder / "token.pem"),
        "token_lifetime_seconds": 3600,
    }
    config = folder / "registry.yaml"
    config.touch(0o600)
    config.write_text(yaml.safe_dump(document))
    return Site(folder, shop, config, port)


class RegistryProcess:
    """One replica. `start` and `wait_ready` once more after `kill` or `stop`: it comes back at the same address."""

    def __init__(self, site: Site, port: int | None = None) -> None:
        self._site = site
        self.port = port or site.port
        self.url = f"http://{HOST}:{self.port}"
        self.log = site.folder / f"registry-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [str(BIN / "tidegate-registry"), "serve", "--config", str(self._site.config), "--port"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, str(self.port)], stdout=log, stderr=log, env=clean_environment()
            )

    def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Return when it answers that it is ready. As any service manager, begin again where it could not start."""
        deadline = time.monotonic() + seconds
        while self.readiness().get("status") != "ready":
            assert time.monotonic() < deadline, f"not ready: {self.readiness()}\n{self.log.read_text()[-3000:]}"
            if self._process is None or self._process.poll() is not None:
                self.start()
            time.sleep(POLL_SECONDS)

    def readiness(self) -> dict[str, object]:
        """What it says of itself; nothing where it does not answer."""
        try:
            answer = httpx2.get(f"{self.url}/readyz", trust_env=False, verify=NO_TLS, timeout=30)
            return dict(answer.json())
        except (httpx2.TransportError, ValueError):  # it does not listen yet, or somebody else does
            return {}

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it as an orchestrator would."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def faults(self) -> list[str]:
        """The lines of its log that tell of answers with 500."""
        return [line for line in self.log.read_text().splitlines() if "request.fault" in line]


@contextlib.contextmanager
def replicas(site: Site, count: int) -> Iterator[list[RegistryProcess]]:
    """Run so many replicas; the first has the site's own address."""
    ports = [site.port, *pick_ports(count - 1, avoid=frozenset({site.port}))] if count > 1 else [site.port]
    running = [RegistryProcess(site, port) for port in ports]
    try:
        for each in running:  # one after the other: the first makes the schema
            each.start()
            each.wait_ready()
        yield running
    finally:
        for each in running:
            each.kill()


@dataclass
class Persistent(httpx2.BaseTransport):
    """Sends again until somebody answers for good, as a patient client does, and counts what it met meanwhile.

    `urls`: the replicas, asked in turn. What is sent here may all be sent twice.
    """

    urls: list[str]
    seconds: float = 60.0
    met: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    _turn: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _inner: httpx2.HTTPTransport = field(default_factory=lambda: httpx2.HTTPTransport(verify=NO_TLS, trust_env=False))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        deadline = time.monotonic() + self.seconds
        while True:
            with self._lock:
                self.sent += 1
            base = httpx2.URL(self.urls[next(self._turn) % len(self.urls)])
            request.url = request.url.copy_with(host=base.host, port=base.port)
            try:
                response = self._inner.handle_request(request)
                response.read()
            except httpx2.TransportError as error:
                met = type(error).__name__
            else:
                if response.status_code not in TRY_AGAIN:
                    return response
                met = f"{response.status_code} {response.text[:400]}"
                assert response.headers.get("Retry-After"), met
            with self._lock:
                self.met[met] += 1
            assert time.monotonic() < deadline, f"{request.method} {request.url}: {self.met}"
            time.sleep(POLL_SECONDS)

    def close(self) -> None:
        """Stay open: the clients of a world share it."""

    def end(self) -> None:
        """Close it, and let nobody who still waits for an answer try again."""
        self.seconds = 0
        self._inner.close()


def clean_environment() -> dict[str, str]:
    """This process's, without settings of Tidegate."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TIDEGATE_")}
