"""The cases: what is timed, by whom, in rounds that take turns, so that a slow minute is everybody's.

Every round moves fresh random bytes: nothing is shared with an earlier one. A case gives seconds (or requests for each
CPU second) by contender; the report makes medians and ratios of them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.bench_stage import MIB, Bench, Server, s3_endpoint
from scripts.demo_stage import BIN, DemoFailed

if TYPE_CHECKING:
    from tidegate.bundle.layout import Layout
    from tidegate.formats.manifest import Manifest

SMALL_BLOBS, SMALL_BYTES = 200, 70 << 10
WRK_SECONDS, WRK_CONNECTIONS = 4, 16
ADMISSION_WRITERS = 4
TEXT = "docker-registry"

Samples = dict[str, list[float]]


@dataclass
class Result:
    """What a case measured. `samples` by contender, in `unit`; `notes` are figures beside them, such as memory."""

    name: str
    unit: str
    samples: Samples = field(default_factory=dict)
    notes: dict[str, float] = field(default_factory=dict)

    def add(self, contender: str, value: float) -> None:
        self.samples.setdefault(contender, []).append(value)

    def median(self, contender: str) -> float | None:
        values = self.samples.get(contender)
        return statistics.median(values) if values else None


def large_blob(bench: Bench, rounds: int, size: int = 512 * MIB) -> Iterator[Result]:
    """One weights file of `size` bytes, pushed and pulled by each."""
    yield from _transfer(bench, rounds, f"{size // MIB} MiB", [size])


def small_blobs(bench: Bench, rounds: int) -> Iterator[Result]:
    """Many small weights files, each a layer of its own."""
    yield from _transfer(bench, rounds, f"{SMALL_BLOBS} x {SMALL_BYTES >> 10} KiB", [SMALL_BYTES] * SMALL_BLOBS)


def _transfer(bench: Bench, rounds: int, what: str, sizes: list[int]) -> Iterator[Result]:
    push, pull = Result(f"push {what}", "s"), Result(f"pull {what}", "s")
    for number in range(rounds):
        for contender, (give, take) in _contenders(bench, sizes).items():
            agent = f"bench-{len(sizes)}-{number}-{len(push.samples)}-{len(push.samples.get(contender, ()))}"
            folder = _agent(bench, agent, sizes)
            bench.registry.reset_peak()
            before, cpu = bench.registry.memory_bytes(), bench.registry.cpu_seconds()
            push.add(contender, give(folder, agent))
            if "tidegate" in contender:
                push.notes[f"{contender}: registry CPU, s"] = round(bench.registry.cpu_seconds() - cpu, 2)
                grown = bench.registry.memory_bytes("VmHWM") - before
                push.notes[f"{contender}: registry memory grew by, MiB"] = round(grown / MIB, 1)
            pull.add(contender, take(folder, agent))
            shutil.rmtree(folder)
    yield push
    yield pull


_Give = Callable[[Path, str], float]


def _contenders(bench: Bench, sizes: list[int]) -> dict[str, tuple[_Give, _Give]]:
    """Give, by name, how each pushes an agent's layout and pulls it again; both give seconds."""
    found: dict[str, tuple[_Give, _Give]] = {"tidegate": _ours(bench)}
    if len(sizes) == 1:
        found["curl, presigned"] = _curl(bench)
    found["blobs alone, tidegate"] = _blobs_alone(bench, bench.registry)
    for kind, server in bench.docker.items():
        found[f"blobs alone, {TEXT} {kind}"] = _blobs_alone(bench, server)
    if shutil.which("skopeo"):
        found["skopeo, tidegate"] = _skopeo(bench, bench.registry)
        for kind, server in bench.docker.items():
            found[f"skopeo, {TEXT} {kind}"] = _skopeo(bench, server)
    return found


def _agent(bench: Bench, agent: str, sizes: list[int]) -> Path:
    """Build an agent with one weights file for each of `sizes`; its folder holds the layout under `layout`."""
    folder = bench.folder / agent
    (folder / "source/weights").mkdir(parents=True)
    for number, size in enumerate(sizes):
        with (folder / f"source/weights/{number:04}.bin").open("wb") as file:
            for done in range(0, size, MIB):
                file.write(os.urandom(min(MIB, size - done)))
    (folder / "source/main.py").write_text("print('ready')\n")
    (folder / "source/agent.yaml").write_text(
        f"name: acme/{agent}\nversion: 1.0.0\ndescription: Bytes.\nentrypoint: [python3, main.py]\nruntime: vendored\n"
        "components: {weights: weights/**}\n"
    )
    bench.run("tidegate", "build", folder / "source", "--out", folder / "layout")
    return folder


def _ours(bench: Bench) -> tuple[_Give, _Give]:
    """`tidegate publish` and `tidegate pull`, whole commands: with signing, admission, verification and unpacking."""

    def give(folder: Path, _agent: str) -> float:
        return bench.run("tidegate", "publish", folder / "layout")

    def take(folder: Path, agent: str) -> float:
        return bench.run("tidegate", "pull", f"acme/{agent}:1.0.0", "--to", folder / "pulled")

    return give, take


def _skopeo(bench: Bench, server: Server) -> tuple[_Give, _Give]:
    def credentials(agent: str, side: str) -> list[str]:
        if server is not bench.registry:
            return []
        return [f"--{side}-registry-token={bench.registry_token(f'acme/{agent}')}"]

    def give(folder: Path, agent: str) -> float:
        to = f"docker://{server.host}/acme/{agent}:work"
        source = f"oci:{folder / 'layout'}"
        plain = ["--dest-tls-verify=false", "--preserve-digests", *credentials(agent, "dest")]
        return bench.run("skopeo", "copy", "-q", *plain, source, to)

    def take(folder: Path, agent: str) -> float:
        source = f"docker://{server.host}/acme/{agent}:work"
        plain = ["--src-tls-verify=false", "--preserve-digests", *credentials(agent, "src")]
        return bench.run("skopeo", "copy", "-q", *plain, source, f"oci:{folder / 'taken'}:work")

    return give, take


def _blobs_alone(bench: Bench, server: Server) -> tuple[_Give, _Give]:
    """The blobs and nothing else, by the client's own library, in this process."""
    from tidegate.credentials.connect import open_registry
    from tidegate.credentials.sources import Credentials
    from tidegate.releases.verify import utc_now
    from tidegate.remote.address import RegistryAddress

    def timed(folder: Path, agent: str, *, send: bool) -> float:
        layout, manifest = _opened(folder / "layout")
        who = Credentials(os.environ, clock=utc_now) if server is bench.registry else None
        with open_registry(RegistryAddress.parse(server.host), who) as registry:
            begun = time.perf_counter()
            if send:
                registry.push_blobs(f"acme/{agent}", manifest.blobs, layout.open_blob)
                return time.perf_counter() - begun
            for blob in manifest.blobs:
                with registry.open_blob(f"acme/{agent}", blob) as stream:
                    while stream.read(MIB):
                        pass
            return time.perf_counter() - begun

    return (lambda folder, agent: timed(folder, agent, send=True)), (
        lambda folder, agent: timed(folder, agent, send=False)
    )


def _curl(bench: Bench) -> tuple[_Give, _Give]:
    """The floor: one file to the store and back by curl, with links as the registry makes them."""
    import boto3
    from botocore.client import Config

    store = s3_endpoint(bench.stage)
    s3 = boto3.session.Session().client(
        "s3",
        endpoint_url=store["endpoint"],
        region_name=store["region"],
        aws_access_key_id=store["access_key"],
        aws_secret_access_key=store["secret_key"],
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )

    def give(folder: Path, agent: str) -> float:
        file = folder / "source/weights/0000.bin"
        with file.open("rb") as stream:
            checksum = base64.b64encode(hashlib.file_digest(stream, "sha256").digest()).decode()
        what = {"Bucket": store["bucket"], "Key": f"curl/{agent}", "ChecksumSHA256": checksum, "IfNoneMatch": "*"}
        url = s3.generate_presigned_url("put_object", Params=what)
        headers = [f"x-amz-checksum-sha256: {checksum}", "If-None-Match: *", "Expect:"]
        flags = [part for header in headers for part in ("-H", header)]
        return bench.run("curl", "-sS", "--fail", "-X", "PUT", "-T", file, *flags, url)

    def take(folder: Path, agent: str) -> float:
        url = s3.generate_presigned_url("get_object", Params={"Bucket": store["bucket"], "Key": f"curl/{agent}"})
        return bench.run("curl", "-sS", "--fail", "-o", folder / "curled", url)

    return give, take


def manifest_reads(bench: Bench, rounds: int) -> Iterator[Result]:
    """GET of a manifest by tag over keep-alive connections, as requests for each CPU second of the server."""
    result = Result("GET manifest by tag", "requests per CPU s")
    if shutil.which("wrk") is None:
        return
    folder = _agent(bench, "bench-read", [1024])
    bench.run("tidegate", "publish", folder / "layout")
    token = bench.registry_token("acme/bench-read", "pull")
    targets = {"tidegate, authorised": (bench.registry, "1.0.0", f"Authorization: Bearer {token}")}
    for kind, server in bench.docker.items():
        source, to = f"oci:{folder / 'layout'}", f"docker://{server.host}/acme/bench-read:work"
        bench.run("skopeo", "copy", "-q", "--dest-tls-verify=false", "--preserve-digests", source, to)
        targets[f"{TEXT} {kind}, open"] = (server, "work", "X-None: 1")
    for _ in range(rounds):
        for contender, (server, tag, header) in targets.items():
            cpu = server.cpu_seconds()
            accept = "Accept: application/vnd.oci.image.manifest.v1+json"
            flags = [f"-c{WRK_CONNECTIONS}", "-t1", f"-d{WRK_SECONDS}s", "-H", header, "-H", accept]
            url = f"{server.url}/v2/acme/bench-read/manifests/{tag}"
            said = subprocess.run(["wrk", *flags, url], capture_output=True, text=True, check=True, timeout=60).stdout
            if "Non-2xx" in said:
                raise DemoFailed(f"{contender}: {said}")
            requests = next(iter(re.findall(r"(\d+) requests in", said)))
            result.add(contender, int(requests) / (server.cpu_seconds() - cpu))
    yield result


def admissions(bench: Bench, rounds: int, count: int = 150) -> Iterator[Result]:
    """Name `count` releases that are pushed and signed already: the one request that decides, from several writers."""
    throughput, latency = Result("admissions", "per s"), Result("admission, p95", "ms")
    for number in range(rounds):
        for kind, servers in bench.pairs.items():
            agents = [f"bench-admit-{number}-{lane}" for lane in range(ADMISSION_WRITERS)]
            lanes = [  # each client stays with one server, as behind a balancer of connections
                Lane(server, f"acme/{agent}", prepared(bench, server, agent, count // ADMISSION_WRITERS))
                for server, agent in zip(servers * (ADMISSION_WRITERS // len(servers)), agents, strict=True)
            ]
            cpu = sum(server.cpu_seconds() for server in servers)
            seconds, times = name_all(bench, lanes)
            cpu = sum(server.cpu_seconds() for server in servers) - cpu
            contender = f"two processes, {kind}"
            throughput.add(contender, len(times) / seconds)
            throughput.notes[f"{contender}: registry CPU for each, ms"] = round(cpu * 1000 / len(times), 2)
            latency.add(contender, statistics.quantiles(times, n=20)[-1] * 1000)
    yield throughput
    yield latency


@dataclass(frozen=True, slots=True)
class Lane:
    """What one writer names, and where. `manifests`: version and bytes."""

    server: Server
    repository: str
    manifests: list[tuple[str, bytes]]


def prepared(
    bench: Bench, server: Server, agent: str, count: int, channels: tuple[str, ...] = ()
) -> list[tuple[str, bytes]]:
    """Push, sign and attest `count` versions of an agent without naming them. Gives (version, manifest).

    `channels`: those that the release statements list.
    """
    script = Path(__file__).with_name("bench_prepare.py")
    out = bench.folder / f"{agent}.json"
    bench.run(sys.executable, script, f"acme/{agent}", str(count), out, *channels, timeout=600, server=server)
    written = json.loads(out.read_bytes())  # noqa: TID251 - our own script wrote it
    return [(version, base64.b64decode(raw)) for version, raw in written]


def name_all(bench: Bench, lanes: list[Lane]) -> tuple[float, list[float]]:
    """Name everything, one writer for each agent; give the seconds in all and of each request."""
    import http.client

    times, failures = list[float](), list[str]()
    tokens = {lane.repository: bench.registry_token(lane.repository, server=lane.server) for lane in lanes}

    def write(lane: Lane) -> None:
        headers = {
            "Authorization": f"Bearer {tokens[lane.repository]}",
            "Content-Type": "application/vnd.oci.image.manifest.v1+json",
        }
        connection = http.client.HTTPConnection(lane.server.host, timeout=60)
        for version, raw in lane.manifests:
            begun = time.perf_counter()
            connection.request("PUT", f"/v2/{lane.repository}/manifests/{version}", raw, headers)
            answer = connection.getresponse()
            said = answer.read()
            times.append(time.perf_counter() - begun)
            if answer.status != HTTPStatus.CREATED:
                failures.append(f"{answer.status} {said[:500]!r}")
        connection.close()

    threads = [threading.Thread(target=write, args=(lane,)) for lane in lanes]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    if failures:
        raise DemoFailed(f"{len(failures)} of {len(times)} were not admitted: {failures[0]}")
    return seconds, times


def commands(bench: Bench, rounds: int) -> Iterator[Result]:
    """What a person or a host waits for: `--help`, a cold verification, a warm one."""
    folder = _agent(bench, "bench-verify", [1024])
    bench.run("tidegate", "publish", folder / "layout")
    bench.run("tidegate", "pull", "acme/bench-verify:1.0.0", "--to", folder / "pulled")
    timed = Result("start", "s")
    warm = Result("verify, warm", "ms")
    cold: list[str | Path] = [sys.executable, Path(__file__).with_name("bench_verify.py"), folder / "pulled"]
    for _ in range(max(rounds, 5)):
        timed.add("tidegate --help", bench.run(BIN / "tidegate", "--help"))
        timed.add("python -c pass", bench.run(sys.executable, "-c", "pass"))
        timed.add("import sigstore.verify", bench.run(sys.executable, "-c", "import sigstore.verify"))
        timed.add("import tidegate", bench.run(sys.executable, "-c", "import tidegate"))
        timed.add("tidegate.verify, cold", bench.run(*cold, "1"))
    done = subprocess.run([*map(str, cold), "200"], env=bench.job, capture_output=True, text=True, check=True)
    warm.samples["tidegate.verify of a pulled folder"] = json.loads(done.stdout)  # noqa: TID251 - ours
    yield timed
    yield warm


def _opened(path: Path) -> tuple[Layout, Manifest]:
    from tidegate.bundle.layout import Layout

    layout = Layout.open(path)
    return layout, layout.root()
