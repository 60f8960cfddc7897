"""Two registry processes over one database and one store, asked for the same thing at the same moment."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

import httpx2
import pytest
from sqlmodel import col, select, update

from tests.postgres import empty_database
from tests.processes import RegistryProcess, Site, make_site, replicas, write_trust
from tests.registry.admission.world import NO_TLS, GateWorld, codes_of
from tests.registry.audit.publishing import publish_log
from tests.registry.world import store_settings, wait_for
from tests.workshop import AGENT, RELEASE_JOB
from tidegate.digest import Digest
from tidegate.formats.manifest import EMPTY_BLOB, EMPTY_DESCRIPTOR, Descriptor, Manifest, image_manifest
from tidegate_registry.artifacts.tables import BlobRow, ReleaseRow
from tidegate_registry.audit.events import Actor
from tidegate_registry.keeping.tables import BlobClaimRow
from tidegate_registry.policies.install import install
from tidegate_registry.sandbox.jobs import SERVER_URL
from tidegate_registry.storage.blobs import STAGING

if TYPE_CHECKING:
    from tests.fixtures_sandbox import Sigstores
    from tidegate_registry.sandbox.s3 import S3Endpoint

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

UPLOADS = f"/v2/{AGENT}/blobs/uploads/"
PROMOTE = f"repository:{AGENT}:pull,promote"
DIRECT = f"/api/v1/agents/{AGENT}/uploads"
T = TypeVar("T")


@dataclass
class Pair:
    """Two replicas. `at`: a publisher's client of the one or the other. `version`: one that no test has used."""

    site: Site
    world: GateWorld
    processes: list[RegistryProcess]
    _minors: Iterator[int] = field(default_factory=itertools.count)

    def at(self, index: int) -> httpx2.Client:
        client = self.world.client()
        client.base_url = httpx2.URL(self.processes[index % 2].url)
        return client

    def version(self) -> str:
        return f"1.{next(self._minors)}.0"

    def push_with_layer(self, client: httpx2.Client, layer: bytes) -> Manifest:
        """Push a manifest with that layer into quarantine, as often as the registry says "again in a moment"."""
        content = Descriptor("application/octet-stream", Digest.of(layer), len(layer))
        manifest = image_manifest(
            artifact_type="application/vnd.example.agent", config=EMPTY_DESCRIPTOR, layers=(content,)
        )
        for _ in range(50):
            statuses = [in_one_request(client, blob) for blob in (EMPTY_BLOB, layer)]
            if statuses == [201, 201]:
                answer = put(client, manifest, manifest.digest)
                if answer.status_code == 201:
                    return manifest
                statuses = [answer.status_code]
            assert 503 in statuses, statuses
        raise AssertionError("it was told to try again fifty times")

    def admitted(self, version: str) -> list[object]:
        return [data["digest"] for data in self.world.data_of("release.admitted") if data["version"] == version]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def pair(
    request: pytest.FixtureRequest, sigstores: Sigstores, s3: S3Endpoint, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    with contextlib.ExitStack() as stack:
        database_url = f"sqlite:///{folder}/registry.db"
        if request.param == "postgresql":
            database_url = stack.enter_context(empty_database(request.getfixturevalue("postgres_server")))
        site = make_site(sigstores, store_settings(s3), database_url, folder)
        charter = site.shop.charter.model_copy(update={"approvals": {"dev": 0}})
        write_trust(folder / "trust.yaml", site.shop, charter)
        processes = stack.enter_context(replicas(site, 2))
        yield Pair(site, stack.enter_context(site.world()), processes)
        assert [process.faults() for process in processes] == [[], []]


def at_once(count: int, work: Callable[[int], T]) -> Sequence[T]:
    """Do it so often in as many threads, all beginning together."""
    start = threading.Barrier(count)

    def one(index: int) -> T:
        start.wait(20)
        return work(index)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def put(client: httpx2.Client, manifest: Manifest, reference: str) -> httpx2.Response:
    return client.put(
        f"/v2/{AGENT}/manifests/{reference}", content=manifest.raw, headers={"Content-Type": manifest.media_type}
    )


def test_of_two_who_publish_one_version_at_once_one_wins_and_the_other_is_told(pair: Pair) -> None:
    clients = [pair.at(0), pair.at(1)]
    for _ in range(3):
        version = pair.version()
        rivals = [pair.world.prepare(clients[0], version) for _ in clients]
        answers = at_once(2, lambda index: put(clients[index], rivals[index], version))  # noqa: B023 - ends before the next round
        assert sorted(answer.status_code for answer in answers) == [201, 409]
        winner, loser = sorted(range(2), key=lambda index: answers[index].status_code)
        assert codes_of(answers[loser]) == ["version-taken"]
        assert rivals[winner].digest in answers[loser].text
        assert pair.admitted(version) == [rivals[winner].digest]
        for client in clients:
            assert client.get(f"/v2/{AGENT}/manifests/{version}").content == rivals[winner].raw


def test_of_many_who_publish_the_same_all_succeed_and_it_is_one_release(pair: Pair) -> None:
    version = pair.version()
    clients = [pair.at(index) for index in range(6)]
    manifest = pair.world.prepare(clients[0], version)
    answers = at_once(6, lambda index: put(clients[index], manifest, version))
    assert [answer.status_code for answer in answers] == [201] * 6
    assert pair.admitted(version) == [manifest.digest]


def test_four_writers_name_many_versions_of_one_agent_and_none_is_told_to_try_again(pair: Pair) -> None:
    clients = [pair.at(index) for index in range(4)]
    each = 10 if pair.world.services.db.engine.dialect.name == "postgresql" else 4  # SQLite has one writer anyway
    versions = [[pair.version() for _ in range(each)] for _ in clients]

    def prepare(index: int) -> list[Manifest]:
        return [pair.world.prepare(clients[index], version) for version in versions[index]]

    pair.world.push_blob(clients[0], EMPTY_BLOB)
    manifests = at_once(4, prepare)

    def name(index: int) -> list[int]:
        named = zip(manifests[index], versions[index], strict=True)
        return [put(clients[index], manifest, version).status_code for manifest, version in named]

    assert at_once(4, name) == [[201] * each] * 4
    with pair.world.services.db.read() as tx:
        numbers = tx.exec(select(ReleaseRow.number).where(ReleaseRow.repository == AGENT)).all()
    assert sorted(numbers) == list(range(1, len(numbers) + 1)), "each is a release after another"


def in_one_request(client: httpx2.Client, data: bytes) -> int:
    return client.post(UPLOADS, params={"digest": Digest.of(data)}, content=data).status_code


def in_two_requests(client: httpx2.Client, data: bytes) -> int:
    begun = client.post(UPLOADS)
    return client.put(begun.headers["location"], params={"digest": Digest.of(data)}, content=data).status_code


def in_chunks(client: httpx2.Client, data: bytes) -> int:
    begun = client.post(UPLOADS)
    sent = client.patch(begun.headers["location"], content=data)
    assert sent.status_code == 202, sent.text
    return client.put(sent.headers["location"], params={"digest": Digest.of(data)}).status_code


def straight_to_the_store(client: httpx2.Client, data: bytes) -> int:
    for _ in range(5):  # who was overtaken on the way is told that the blob is missing still, and plans again
        blob: dict[str, object] = {"digest": Digest.of(data), "size": len(data)}
        planned = client.post(DIRECT, json={"blobs": [blob]}).json()["blobs"][0]
        if planned["state"] == "missing":
            blob |= {"session": planned["session"]} if planned["session"] else {}
            link = planned["put"]
            sent = httpx2.put(link["url"], content=data, headers=link["headers"], trust_env=False, verify=NO_TLS)
            assert sent.status_code in (200, 409, 412), sent.text  # somebody else's bytes, the same ones, came first
        answer = client.post(f"{DIRECT}/commit", json={"blobs": [blob]})
        if answer.status_code == 409:  # another request of this caller takes the same session in
            assert answer.json()["code"] == "upload-busy"
        elif answer.json()["blobs"][0]["state"] == "present":
            return 201
    return answer.status_code


def test_eight_who_push_one_blob_at_once_each_in_their_way_all_succeed(pair: Pair) -> None:
    ways = (in_one_request, in_two_requests, in_chunks, straight_to_the_store)
    clients = [pair.at(index) for index in range(8)]
    for size in (0x1000, 0x200000):
        data = os.urandom(size)
        # two of each way, and both replicas for each
        answers = at_once(8, lambda index: ways[index % 4](clients[(index + index // 4) % 8], data))  # noqa: B023
        assert answers == [201] * 8
        for client in clients[:2]:
            link = client.get(f"/v2/{AGENT}/blobs/{Digest.of(data)}").headers["location"]
            assert httpx2.get(link, trust_env=False, verify=NO_TLS).content == data
        entries = [entry for entry in pair.world.data_of("blob.stored") if entry["digest"] == Digest.of(data)]
        assert len(entries) == 1
    assert list(pair.world.services.blobs.list(STAGING)) == []


def test_a_working_tag_moves_and_a_channel_does_not_while_versions_are_named(pair: Pair) -> None:
    clients = [pair.at(index) for index in range(6)]
    versions = [pair.version() for _ in range(6)]
    manifests = [pair.world.prepare(clients[0], version) for version in versions]

    def work(index: int) -> list[int]:
        client, lane = clients[index], index // 2
        if lane == 0:
            return [put(client, manifests[at], versions[at]).status_code for at in range(index, 6, 2)]
        if lane == 1:
            return [put(client, manifest, "nightly").status_code for manifest in manifests]
        refused = [put(client, manifest, "stable") for manifest in manifests]
        assert {code for answer in refused for code in codes_of(answer)} == {"channel-not-movable"}
        return [answer.status_code for answer in refused]

    named, tagged, refused = {201}, {201}, {403}
    found = at_once(6, work)
    assert [set(statuses) for statuses in found] == [named, named, tagged, tagged, refused, refused]
    for client in clients[:2]:
        for manifest, version in zip(manifests, versions, strict=True):
            assert client.get(f"/v2/{AGENT}/manifests/{version}").content == manifest.raw
        assert client.get(f"/v2/{AGENT}/manifests/stable").status_code == 404
    assert len({client.get(f"/v2/{AGENT}/manifests/nightly").content for client in clients[:2]}) == 1
    assert clients[0].get(f"/v2/{AGENT}/manifests/nightly").content == manifests[-1].raw


POLICY = """\
format: tidegate/policy/v1
roles: {pipeline: [{issuer: ISSUER/ci, claims: {sourceRepositoryURI: "SERVER/AGENT"}}]}
channels: [dev]
transitions: [{to: dev, allow: [pipeline]}]
editors: {allow: [pipeline]}
"""


def test_of_two_who_promote_at_once_at_two_replicas_each_is_told_what_became_of_it(pair: Pair) -> None:
    issuer = pair.site.shop.main.issuer.url
    policy = POLICY.replace("ISSUER", issuer).replace("SERVER", SERVER_URL).replace("AGENT", AGENT)
    install(pair.world.services, Actor("operator", "", "test"), policy.encode(), reason="for a test", recover=True)
    pusher, promoters = pair.at(0), [pair.world.client(RELEASE_JOB, PROMOTE), pair.world.client(RELEASE_JOB, PROMOTE)]
    for client, process in zip(promoters, pair.processes, strict=True):
        client.base_url = httpx2.URL(process.url)
    done: list[str] = []
    for _ in range(4):
        versions = [pair.version(), pair.version()]
        for version in versions:
            manifest = pair.world.bundle_for()
            pair.world.push(pusher, manifest)
            pair.world.sign_release(pusher, manifest, version, channels=("dev",))
            pair.world.sign_provenance(pusher, manifest)
            assert put(pusher, manifest, version).status_code == 201

        def promote(index: int) -> httpx2.Response:
            document = {"agent": AGENT, "version": versions[index], "channel": "dev"}  # noqa: B023 - ends before the next
            return promoters[index].post("/api/v1/promotions", json=document)

        answers = at_once(2, promote)
        lost = [answer for answer in answers if answer.status_code != 201]
        assert len(lost) < len(answers), [answer.text for answer in answers]
        # one who came a moment later was overtaken, or found a greater version there already
        assert {codes_of(answer)[0] for answer in lost} <= {"promotion-overtaken", "forward"}
        assert all(answer.json()["state"] == "done" for answer in answers if answer not in lost)
        done += [answer.json()["id"] for answer in answers if answer not in lost]
    moved = pair.world.data_of("channel.moved")
    assert [data["counter"] for data in moved] == list(range(1, len(done) + 1))
    assert {data["promotion"] for data in moved} == set(done)
    for client in promoters:
        serving = client.get(f"/api/v1/agents/{AGENT}/channels/dev").json()["serving"]
        assert (serving["promotion"], serving["counter"]) == (moved[-1]["promotion"], len(done))


def test_what_is_pushed_while_it_is_collected_is_there_afterwards(pair: Pair) -> None:
    """Blobs that nobody has needed for weeks are collected by one process, and pushed again through two others."""
    clients = [pair.at(index) for index in range(4)]
    layers = [[os.urandom(500) for _ in range(6)] for _ in clients]
    for lane, client in enumerate(clients):
        for layer in layers[lane]:
            assert in_one_request(client, layer) == 201
    let_blobs_age(pair)
    publish_log(pair.world.services)  # their worker does it every second

    def push(lane: int) -> list[Manifest]:
        return [pair.push_with_layer(clients[lane], layer) for layer in layers[lane]]

    with ThreadPoolExecutor(1) as pool:
        collection = pool.submit(pair.site.run, "gc", "--apply", "--json")
        wait_for(lambda: collection.done() or is_collecting(pair), seconds=60)
        manifests = [manifest for lane in at_once(4, push) for manifest in lane]
        collected = collection.result()
    assert collected.returncode == 0, collected.stderr
    assert pair.world.data_of("blob.removed")
    for manifest in manifests:
        assert clients[0].head(f"/v2/{AGENT}/manifests/{manifest.digest}").status_code == 200
    checked = pair.site.run("fsck", "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def is_collecting(pair: Pair) -> bool:
    """Whether some blob is on its way out at this moment."""
    with pair.world.services.db.read() as tx:
        return (
            tx.exec(select(BlobClaimRow.digest).where(col(BlobClaimRow.deleting_at).is_not(None))).first() is not None
        )


def let_blobs_age(pair: Pair) -> None:
    """Make every blob and every claim as old as something that may be collected."""
    long_ago = pair.world.services.clock() - timedelta(days=60)
    with pair.world.services.db.engine.begin() as connection:
        connection.execute(update(BlobRow).values(created_at=long_ago))
        connection.execute(update(BlobClaimRow).values(claimed_at=long_ago))
