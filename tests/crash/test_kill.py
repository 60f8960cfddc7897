"""`kill -9` of registry, store and database while four writers publish: what was acknowledged is there, whole.

The moments are random and the seed is told; TIDEGATE_CRASH_SEED=N repeats a run as far as processes can be repeated.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest

from tests.postgres import Postgres, find_binaries, running_postgres
from tests.processes import Persistent, RegistryProcess, Site, make_site, replicas
from tests.registry.admission.world import NO_TLS, GateWorld
from tests.registry.world import store_settings
from tests.workshop import AGENT
from tidegate.digest import Digest
from tidegate.formats.manifest import EMPTY_BLOB, EMPTY_DESCRIPTOR, Descriptor, Manifest, image_manifest
from tidegate_registry.sandbox.s3 import Weed

if TYPE_CHECKING:
    from tests.fixtures_sandbox import Sigstores

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WRITERS = 4
PUBLISHES = 200
REQUESTS_EACH = 8  # of one publish, when nothing goes wrong
Victim = Callable[[], None]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Weed]:
    """A store of this test alone."""
    weed = Weed(tmp_path / "store")
    weed.start()
    try:
        weed.wait_ready()
        yield weed
    finally:
        weed.stop(seconds=0)


@pytest.fixture
def postgres() -> Iterator[Postgres]:
    """A database server of this test alone."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL's programs are not installed (on Debian: apt install postgresql)")
    with running_postgres(binaries) as server:
        yield server


def kill_store(store: Weed) -> None:
    assert store.pid is not None
    os.kill(store.pid, signal.SIGKILL)
    store.stop()
    store.start()
    store.wait_ready()


def kill_database(database: Postgres) -> None:
    database.kill()
    database.start()


def kill_registry(process: RegistryProcess) -> None:
    process.kill()
    process.wait_ready()


def test_registry_and_store_are_killed_over_sqlite(sigstores: Sigstores, store: Weed, tmp_path: Path) -> None:
    site = make_site(sigstores, store_settings(store.endpoint), f"sqlite:///{tmp_path}/registry.db", tmp_path)
    with replicas(site, 1) as (registry,):
        victims: list[Victim] = [partial(kill_registry, registry)] * 3
        victims.append(partial(kill_store, store))
        survive(site, [registry], victims, publishes=PUBLISHES // 10)


def test_registries_store_and_database_are_killed_over_postgresql(
    sigstores: Sigstores, store: Weed, postgres: Postgres, tmp_path: Path
) -> None:
    site = make_site(sigstores, store_settings(store.endpoint), postgres.url, tmp_path)
    with replicas(site, 2) as (first, second):
        victims: list[Victim] = [partial(kill_registry, first), partial(kill_registry, second)] * 2
        victims += [partial(kill_store, store)] * 2 + [partial(kill_database, postgres)] * 3
        survive(site, [first, second], victims, publishes=PUBLISHES)


def survive(site: Site, processes: list[RegistryProcess], victims: list[Victim], *, publishes: int) -> None:
    """Publish and kill at once; then check that nothing is lost, half-named or left over."""
    seed = int(os.environ.get("TIDEGATE_CRASH_SEED") or random.SystemRandom().randrange(1 << 32))
    sys.stdout.write(f"TIDEGATE_CRASH_SEED={seed}\n")  # pytest shows it where the test fails
    chance = random.Random(seed)  # noqa: S311 - to be repeated
    chance.shuffle(victims)
    moments = sorted(chance.sample(range(publishes * REQUESTS_EACH), len(victims)))
    transport = Persistent([process.url for process in processes])
    with site.world(transport) as world, contextlib.ExitStack() as stack:
        stack.callback(transport.end)
        clients = [world.client() for _ in range(WRITERS)]
        world.push_blob(clients[0], EMPTY_BLOB)

        def write(lane: int) -> dict[str, Manifest]:
            return {
                f"1.{number}.0": publish(world, clients[lane], number) for number in range(lane, publishes, WRITERS)
            }

        with ThreadPoolExecutor(WRITERS) as pool, ending_if_it_fails(transport):
            writers = [pool.submit(write, lane) for lane in range(WRITERS)]
            for moment, victim in zip(moments, victims, strict=True):
                wait_until_sent(transport, moment, writers)
                victim()
            acknowledged = {version: named for writer in writers for version, named in writer.result().items()}
        for process in processes:
            process.wait_ready()
        assert len(acknowledged) == publishes
        assert [process.faults() for process in processes] == [[]] * len(processes), transport.met
        check_all(site, world, acknowledged, chance)


@contextlib.contextmanager
def ending_if_it_fails(transport: Persistent) -> Iterator[None]:
    """Let no writer go on for what can come to nothing any more."""
    try:
        yield
    except BaseException:
        transport.end()
        raise


def wait_until_sent(transport: Persistent, moment: int, writers: Sequence[Future[dict[str, Manifest]]]) -> None:
    """Return when so many requests have been sent, or when there is nobody left to send one."""
    while transport.sent < moment and not all(writer.done() for writer in writers):
        for writer in writers:
            if writer.done():
                writer.result()  # its error, if that is why
        time.sleep(0.001)


def publish(world: GateWorld, client: httpx2.Client, number: int) -> Manifest:
    """Push, sign and name one version, and insist until it is acknowledged."""
    version = f"1.{number}.0"
    layer = os.urandom(4000)
    world.push_blob(client, layer)
    manifest = image_manifest(
        artifact_type="application/vnd.example.agent",
        config=EMPTY_DESCRIPTOR,
        layers=(Descriptor("application/octet-stream", Digest.of(layer), len(layer)),),
    )
    world.prepare(client, version, manifest=manifest)
    answer = world.put(client, manifest, version)
    assert answer.status_code == 201, answer.text
    return manifest


def check_all(site: Site, world: GateWorld, acknowledged: dict[str, Manifest], chance: random.Random) -> None:
    client = world.client()
    for version, manifest in acknowledged.items():
        read = client.get(f"/v2/{AGENT}/manifests/{version}")
        assert (read.content, read.headers["Docker-Content-Digest"]) == (manifest.raw, manifest.digest)
    assert set(client.get(f"/v2/{AGENT}/tags/list").json()["tags"]) == set(acknowledged)
    admitted = [(entry["version"], entry["digest"]) for entry in world.data_of("release.admitted")]
    assert sorted(admitted) == sorted((version, manifest.digest) for version, manifest in acknowledged.items())
    subjects = [entry["subject"] for entry in world.data_of("evidence.verified")]
    assert sorted(map(str, subjects)) == sorted(2 * [str(manifest.digest) for manifest in acknowledged.values()])
    for version in chance.sample(sorted(acknowledged), 10):  # of all of them, fsck reads every object
        check_content(client, acknowledged[version])
    checked = site.run("fsck", "--rehash", "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def check_content(client: httpx2.Client, manifest: Manifest) -> None:
    """Read a release as a host does: its content, and the evidence with what that holds."""
    referrers = client.get(f"/v2/{AGENT}/referrers/{manifest.digest}").json()["manifests"]
    assert len(referrers) == 2, "statement and provenance"
    evidence = [client.get(f"/v2/{AGENT}/manifests/{each['digest']}").content for each in referrers]
    for blob in (manifest.layers[0], *(Manifest.parse(raw).layers[0] for raw in evidence)):
        link = client.get(f"/v2/{AGENT}/blobs/{blob.digest}").headers["location"]
        assert Digest.of(httpx2.get(link, trust_env=False, verify=NO_TLS).content) == blob.digest
