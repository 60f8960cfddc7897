"""What the benchmark measures: the sandbox's store and Sigstore, registries in processes of their own, their cost.

Each registry is one process with one worker, so that "per core" can be told from the CPU seconds that it used. All of
them keep their objects in the same SeaweedFS; docker-registry runs on files as well.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from scripts.demo_stage import BIN, DemoFailed, Stage
from tests.postgres import find_binaries, running_postgres
from tidegate.formats.jcs import parse_object

MIB = 1 << 20
START_SECONDS = 30.0
STOP_SECONDS = 25.0  # longer than the registry drains
POLL_SECONDS = 0.05
TICKS = os.sysconf("SC_CLK_TCK")
DOCKER_REGISTRY = shutil.which("docker-registry")
WORKFLOW = "acme/workflows/.ci/workflows/release.yml@refs/heads/main"  # what the sandbox's charter lets publish acme/*


@dataclass
class Server:
    """A registry under test, in a process of its own."""

    name: str
    url: str
    process: subprocess.Popen[bytes]

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def cpu_seconds(self) -> float:
        """CPU that the process and its threads have used so far, user and system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_bytes(self, what: str = "VmRSS") -> int:
        """Memory that the process holds now; `VmHWM`: the most it held since `reset_peak`."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith(f"{what}:"))
        return int(line.split()[1]) * 1024

    def reset_peak(self) -> None:
        """Begin to measure the peak anew. Source: proc(5), clear_refs."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


@dataclass
class Bench:
    """The running stack.

    `pairs`: two registries each that share rows and objects, by what keeps the rows. `docker`: by what it stores on.
    """

    stage: Stage
    job: dict[str, str]
    pairs: dict[str, tuple[Server, Server]]
    docker: dict[str, Server] = field(default_factory=dict)

    @property
    def registry(self) -> Server:
        """The one that single clients talk to."""
        return self.pairs["SQLite"][0]

    @property
    def folder(self) -> Path:
        return self.stage.folder

    def run(self, *command: str | Path, timeout: float = 300, server: Server | None = None) -> float:
        """Run a command as the CI job, insist that it succeeds, and give how many seconds it took."""
        env = self.job | ({"TIDEGATE_REGISTRY": server.host} if server else {})
        begun = time.perf_counter()
        done = subprocess.run(
            list(map(str, command)), env=env, cwd=self.folder, capture_output=True, check=False, timeout=timeout
        )
        seconds = time.perf_counter() - begun
        if done.returncode:
            said = (done.stderr or done.stdout).decode(errors="replace")[-2000:]
            raise DemoFailed(f"{' '.join(map(str, command))[:300]}\nexit code {done.returncode}: {said}")
        return seconds

    def registry_token(self, repository: str, actions: str = "pull,push", server: Server | None = None) -> str:
        """Give a registry token of the CI job for one repository."""
        registry = server or self.registry
        from tidegate.credentials.sources import Credentials
        from tidegate.releases.verify import utc_now

        held = Credentials(self.job, clock=utc_now).find(registry.url)
        if held is None:
            raise DemoFailed("the CI job has no identity")
        url = f"{registry.url}/v2/token?service={registry.url}&scope=repository:{repository}:{actions}"
        status, raw = fetch(url, {"Authorization": _basic("oidc", held.token.raw)})
        if status != HTTPStatus.OK:
            raise DemoFailed(f"no token: {raw[:500]!r}")
        return str(parse_object(raw, limit=MIB, what="the token answer")["token"])


@contextmanager
def running(stage: Stage) -> Iterator[Bench]:
    """Start everything, and stop it again."""
    servers: list[Server] = []
    stack = ExitStack()
    try:
        stage.start_sandbox()
        (stage.folder / "bench").mkdir()
        databases = {"SQLite": f"sqlite:///{stage.folder}/bench/rows.db"}
        if binaries := find_binaries():
            databases["PostgreSQL"] = stack.enter_context(running_postgres(binaries, durable=True)).url
        pairs = {}
        for kind, database in databases.items():
            for name in (f"{kind}-1", f"{kind}-2"):
                server = _tidegate(stage, name, database)
                servers.append(server)
            pairs[kind] = (servers[-2], servers[-1])
        docker = {}
        if DOCKER_REGISTRY is not None:
            for kind in ("s3", "files"):
                docker[kind] = _docker(stage, kind)
                servers.append(docker[kind])
        yield Bench(stage, _job(stage, servers[0]), pairs, docker)
    finally:
        for server in servers:
            server.process.send_signal(signal.SIGTERM)
        for server in servers:
            try:
                server.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.process.kill()
        stack.close()
        stage.stop_sandbox()


def s3_endpoint(stage: Stage) -> dict[str, str]:
    """Give endpoint, bucket and keys of the sandbox's store."""
    from tidegate_registry.sandbox.folder import SandboxFolder
    from tidegate_registry.sandbox.s3 import Weed

    folder = SandboxFolder(stage.sandbox_dir)
    ports = folder.load_ports()
    if ports is None:
        raise DemoFailed("the sandbox has not kept its ports")
    endpoint = Weed(folder.s3, ports.s3, logs=folder.logs).endpoint
    return {
        "endpoint": endpoint.url,
        "bucket": endpoint.bucket,
        "region": endpoint.region,
        "access_key": endpoint.access_key,
        "secret_key": endpoint.secret_key,
    }


def _settings(stage: Stage, name: str, port: int, database: str) -> Path:
    """Write a registry's settings: as the sandbox's own, with other rows and another prefix, which replicas share."""
    issuer = stage.env["TIDEGATE_SANDBOX_ISSUER"]
    folder = stage.folder / "bench"
    document = {
        "mode": "sandbox",
        "public_url": f"http://127.0.0.1:{port}",
        "database_url": database,
        "s3": {**s3_endpoint(stage), "prefix": f"bench-{name.partition('-')[0].lower()}/"},
        "trust_file": stage.env["TIDEGATE_TRUST"],
        "allow_sandbox_roots": True,
        "issuers": [
            {"issuer": issuer, "kind": "email"},
            {"issuer": f"{issuer}/ci", "kind": "github", "server_url": "https://git.sandbox.internal"},
        ],
        "token_key_file": str(stage.sandbox_dir / "keys/registry-token.key"),
        "token_lifetime_seconds": 3600,
    }
    file = folder / f"{name}.yaml"
    file.touch(0o600)
    file.write_text(json.dumps(document))  # JSON is YAML
    return file


def _tidegate(stage: Stage, name: str, database: str) -> Server:
    port = _free_port()
    settings = _settings(stage, name, port, database)
    command: list[str | Path] = [BIN / "tidegate-registry", "serve", "--config", settings, "--port", str(port)]
    return _start(stage, name, command, port, "/readyz")


def _docker(stage: Stage, kind: str) -> Server:
    port, folder = _free_port(), stage.folder / f"docker-{kind}"
    folder.mkdir()
    storage: dict[str, object] = {"filesystem": {"rootdirectory": str(folder)}}
    if kind == "s3":
        store = s3_endpoint(stage)
        storage = {
            "s3": {
                "regionendpoint": store["endpoint"],
                "region": store["region"],
                "bucket": store["bucket"],
                "rootdirectory": "/docker",
                "accesskey": store["access_key"],
                "secretkey": store["secret_key"],
                "secure": False,
                "v4auth": True,
            }
        }
    config = {
        "version": "0.1",
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": storage | {"cache": {"blobdescriptor": "inmemory"}},
        "http": {"addr": f"127.0.0.1:{port}"},
    }
    file = folder / "config.yml"
    file.touch(0o600)
    file.write_text(json.dumps(config))
    return _start(stage, f"docker-{kind}", [str(DOCKER_REGISTRY), "serve", file], port, "/v2/")


def _start(stage: Stage, name: str, command: list[str | Path], port: int, path: str) -> Server:
    log = (stage.folder / f"{name}.log").open("wb")
    # docker-registry's S3 driver does not start where AWS_CA_BUNDLE is set; nothing here speaks TLS
    environment = {key: value for key, value in stage.env.items() if key != "AWS_CA_BUNDLE"}
    process = subprocess.Popen(command, stdout=log, stderr=log, cwd=stage.folder, env=environment)
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if fetch(url + path)[0] == HTTPStatus.OK:
                return Server(name, url, process)
        except OSError:
            time.sleep(POLL_SECONDS)  # it does not listen yet
    process.kill()
    raise DemoFailed(f"{name} did not start:\n{(stage.folder / f'{name}.log').read_text()[-2000:]}")


def _job(stage: Stage, registry: Server) -> dict[str, str]:
    """Give the environment of one CI job that may publish agents of `acme`."""
    job = ["tidegate-registry", "sandbox", "ci", "--repository", "acme/bench", "--reusable", WORKFLOW, "--"]
    show = [sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"]
    done = subprocess.run([*job, *show], env=stage.env, capture_output=True, text=True, check=True, timeout=60)
    environment = parse_object(done.stdout.encode(), limit=MIB, what="the environment of the job")
    return {name: str(value) for name, value in environment.items()} | {"TIDEGATE_REGISTRY": registry.host}


def fetch(url: str, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
    """GET from a server under test: status and body. Raises OSError when it does not listen."""
    import httpx2

    try:
        answer = httpx2.get(url, headers=headers or {}, timeout=10, trust_env=False)
    except httpx2.TransportError as error:
        raise OSError(str(error)) from error
    return answer.status_code, answer.content


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
