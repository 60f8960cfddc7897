"""Reads answered ahead of FastAPI are the answers of the routes, and only those that cannot become wrong."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.registry.replicas import Replica, replica
from tests.registry.test_operations import log_lines  # noqa: F401 - a fixture
from tests.registry.world import (
    AGENT,
    ATTESTER,
    CHARTERS,
    PUBLISHER,
    READER,
    SIBLING,
    World,
    error_of,
    make_index,
    wait_for,
)
from tidegate.digest import Digest
from tidegate.formats.manifest import Manifest
from tidegate_registry.access.memory import MAX_ALLOWED, CallerMemory, KnownCaller
from tidegate_registry.access.principal import ANONYMOUS, Grant
from tidegate_registry.access.rights import AccessRules, Permission
from tidegate_registry.access.tokens import CheckedToken
from tidegate_registry.artifacts.reads import ANSWER_BYTES, AnswerKey, KeptAnswer, ReadCache
from tidegate_registry.settings import Settings
from tidegate_registry.storage.s3 import S3BlobStore

LAYER = b"0123456789" * 100
VERSION = "1.0.0"


@pytest.fixture
def fast(world: World) -> Iterator[Replica]:
    with replica(world) as running:
        yield running


@pytest.fixture
def slow(world: World) -> Iterator[Replica]:
    with replica(world, cache_bytes=0) as running:
        yield running


def release(world: World, version: str = VERSION, layer: bytes = LAYER) -> Manifest:
    client = world.client()
    manifest = world.make_manifest(client, layer)
    assert world.put(client, manifest, version).status_code == 201
    return manifest


def path(reference: str, kind: str = "manifests") -> str:
    return f"/v2/{AGENT}/{kind}/{reference}"


def callers(of: Replica) -> dict[str, tuple[tuple[str, str], ...]]:
    pull = frozenset({"pull"})
    tokens = {
        "a reader": of.token(READER),
        "a publisher": of.token(PUBLISHER),
        "an attester": of.token(ATTESTER),
        "a reader of another agent": of.token(READER, Grant("repository", SIBLING, pull)),
        "no token": "not.a.token",
    }
    shown = {name: (("Authorization", f"Bearer {token}"),) for name, token in tokens.items()}
    return shown | {
        "nobody": (),
        "two credentials": (*shown["a reader"], *shown["no token"]),
        "two credentials, the good one last": (*shown["no token"], *shown["a reader"]),
        "lower case": (("authorization", f"bearer {tokens['a reader']}"),),
        "basic": (("Authorization", "Basic b2lkYzp4"),),
    }


def test_fast_and_slow_answers_are_equal_for_every_kind_of_caller(world: World, fast: Replica, slow: Replica) -> None:
    manifest = release(world)
    hidden = world.make_manifest(world.client(), b"in quarantine")
    world.put(world.client(), hidden)
    world.put(world.client(), manifest, "a-working-tag")
    etag = f'"{manifest.digest}"'
    targets = [
        path(reference)
        for reference in (
            VERSION,
            manifest.digest,
            hidden.digest,
            "a-working-tag",
            "stable",
            "9.9.9",
            "v1.0",
            "nothing",
        )
    ] + [path(digest, "blobs") for digest in (manifest.layers[0].digest, hidden.layers[0].digest, Digest.of(b"-"))]
    conditions: list[tuple[tuple[str, str], ...]] = [
        (),
        (("If-None-Match", f'"x", W/{etag}'),),
        (("If-None-Match", '"x"'),),
        (("If-None-Match", "*"),),
        (("Range", "bytes=0-3"), ("Accept", "text/plain")),
    ]
    requests = [
        (method, target, caller, condition)
        for method in ("HEAD", "GET")
        for target in targets
        for caller in callers(fast)
        for condition in (conditions if caller == "a reader" else conditions[:2])
        if not (method == "GET" and "/blobs/" in target)  # a link is signed for its moment: tested by itself
    ]
    headers = callers(fast)
    for turn in ("first", "again"):
        fast.passed_on.clear()
        for method, target, caller, condition in requests:
            shown = (*headers[caller], *condition)
            expected = slow.send(method, target.encode(), *shown)
            assert fast.send(method, target.encode(), *shown) == expected, (turn, method, target, caller, condition)
    assert 0 < len(fast.passed_on) < len(requests), "some of the second round were answered ahead"
    assert fast.send("GET", path(VERSION).encode(), *headers["a reader"], *conditions[1]).status == 304


def test_what_is_released_is_answered_ahead_the_second_time_and_nothing_else_is(world: World, fast: Replica) -> None:
    publisher = world.client()
    manifest = release(world)
    hidden = world.make_manifest(publisher, b"in quarantine")
    world.put(publisher, hidden)
    world.put(publisher, manifest, "a-working-tag")
    client = fast.client(fast.token(PUBLISHER))
    lasting = [path(VERSION), path(manifest.digest), path(manifest.layers[0].digest, "blobs")]
    passing = [
        path(hidden.digest),
        path(hidden.layers[0].digest, "blobs"),
        path("a-working-tag"),
        path("stable"),
        path("2.0.0"),
        f"/v2/{AGENT}/tags/list",
        f"{path(VERSION)}?tag=x",
    ]
    with client:
        for method in ("GET", "HEAD"):
            for target in (*lasting, *passing):
                first = client.request(method, target)
                fast.passed_on.clear()
                again = client.request(method, target)
                assert (again.status_code, again.content) == (first.status_code, first.content)
                assert bool(fast.passed_on) == (target in passing), (method, target)


def test_a_link_is_handed_out_again_for_half_of_its_life_and_no_longer(world: World, fast: Replica) -> None:
    manifest = release(world)
    target = path(manifest.layers[0].digest, "blobs")
    with fast.client(fast.token(READER)) as client:
        first = client.get(target)
        assert first.status_code == 307
        world.clock.tick(seconds=299)
        assert client.get(target).headers["location"] == first.headers["location"]
        assert len(fast.passed_on) == 1
        assert client.get(target, follow_redirects=True).content == LAYER
        world.clock.tick(seconds=1)
        fast.passed_on.clear()
        client.get(target)
        assert fast.passed_on == [f"GET {target}"], "five minutes at most: keys of a role may be renewed"
    short = replica(
        world, change=lambda s: s.model_copy(update={"s3": s.s3.model_copy(update={"presign_seconds": 100})})
    )
    with short as quick, quick.client(quick.token(READER)) as client:
        for seconds, passed in ((0, 1), (49, 1), (1, 2)):
            world.clock.tick(seconds=seconds)
            client.get(target)
            assert len(quick.passed_on) == passed


def test_a_working_tag_moved_on_one_replica_is_read_moved_on_the_other_at_once(world: World) -> None:
    publisher = world.client()
    manifests = [world.make_manifest(publisher, data) for data in (b"one", b"two")]
    with (
        replica(world) as a,
        replica(world) as b,
        a.client(a.token(PUBLISHER)) as at_a,
        b.client(b.token(PUBLISHER)) as at_b,
    ):
        for manifest in (*manifests, *manifests):
            world.put(at_a, manifest, "latest")
            for _ in range(2):
                assert at_b.get(path("latest")).content == manifest.raw
                assert at_b.head(path("latest")).headers["docker-content-digest"] == manifest.digest


def test_a_version_named_on_one_replica_is_there_on_the_other_at_once(world: World) -> None:
    publisher = world.client()
    manifest = world.make_manifest(publisher, LAYER)
    with replica(world) as a, replica(world) as b, b.client(b.token(READER)) as reader:
        layer = path(manifest.layers[0].digest, "blobs")
        for _ in range(2):
            for target in (path(VERSION), path(manifest.digest), layer):
                assert reader.get(target).status_code == 404
        with a.client(a.token(PUBLISHER)) as naming:
            assert world.put(naming, manifest, VERSION).status_code == 201
        assert reader.get(path(VERSION)).content == manifest.raw
        assert reader.get(path(manifest.digest)).content == manifest.raw
        assert reader.get(layer).status_code == 307


def test_a_member_of_a_released_index_is_answered_ahead_too(world: World, fast: Replica) -> None:
    publisher = world.client()
    member = world.make_manifest(publisher, LAYER)
    world.put(publisher, member)
    index = make_index(member)
    with fast.client(fast.token(READER)) as reader:
        assert reader.get(path(member.digest)).status_code == 404
        assert world.put(publisher, index, VERSION).status_code == 201
        for _ in range(2):
            assert reader.get(path(member.digest)).content == member.raw
        assert len(fast.passed_on) == 2, "the refusal, the first answer"


def test_answers_from_memory_are_counted_and_logged_like_others(
    world: World,
    fast: Replica,
    log_lines: list[dict[str, object]],  # noqa: F811
) -> None:
    release(world)
    with fast.client(fast.token(READER)) as client:
        client.get(path(VERSION))
        wait_for(lambda: [line for line in log_lines if line["event"] == "request" and line["method"] == "GET"])
        log_lines.clear()
        fast.passed_on.clear()
        answer = client.get(path(VERSION), headers={"X-Request-Id": "seen-before"})
        assert not fast.passed_on
        assert answer.headers["x-request-id"] == "seen-before"
        wait_for(lambda: [line for line in log_lines if line["event"] == "request"])
        (event,) = [line for line in log_lines if line["event"] == "request"]
        assert event | {"ms": 0, "timestamp": ""} == {
            "event": "request",
            "level": "info",
            "method": "GET",
            "route": "/v2/{name}/manifests/{reference}",
            "status": 200,
            "ms": 0,
            "principal": "reader@acme.example",
            "repository": AGENT,
            "request_id": "seen-before",
            "timestamp": "",
        }
        text = client.get("/metrics").text
    assert 'tidegate_requests_total{method="GET",route="/v2/{name}/manifests/{reference}",status="200"} 2.0' in text
    assert 'tidegate_request_seconds_count{method="GET",route="/v2/{name}/manifests/{reference}"} 2.0' in text
    assert "tidegate_requests_in_flight 1.0" in text, "this request alone"


def test_a_link_leads_where_the_network_of_the_caller_sees_the_store(world: World) -> None:
    target = path(release(world).layers[0].digest, "blobs").encode()
    inside = "Registry.internal:5000"

    def two_networks(settings: Settings) -> Settings:
        s3 = settings.s3.model_copy(update={"presign_endpoints": {inside.lower(): "http://store.internal:9000"}})
        return settings.model_copy(update={"s3": s3})

    blobs = S3BlobStore(two_networks(world.services.settings).s3)
    with replica(world, change=two_networks, blobs=blobs) as running:
        caller = ("Authorization", f"Bearer {running.token(READER)}")

        def store_seen_by(host: str) -> str:
            return dict(running.send("GET", target, caller, host=host).headers)["location"].split("/")[2]

        outside = urlsplit(world.services.settings.s3.endpoint or "").netloc
        for _ in range(2):
            assert store_seen_by(inside) == "store.internal:9000"
            for host in ("registry.example", "registry.internal", "evil.example"):
                assert store_seen_by(host) == outside
        assert len(running.passed_on) == 2, "one for each network, however many names are tried"


class TestBounds:
    def answer(self, size: int, repository: str = AGENT) -> KeptAnswer:
        return KeptAnswer(repository, 200, (), b"x" * size, None, None, None, {})

    def key(self, number: int) -> AnswerKey:
        return ("GET", f"/{number}", "")

    def test_bytes_are_bounded_and_the_one_not_asked_for_longest_goes_first(self) -> None:
        cache = ReadCache(most_bytes=3 * (ANSWER_BYTES + 100))
        for number in range(3):
            cache.keep(self.key(number), self.answer(100))
        assert cache.find(self.key(0)) is not None
        cache.keep(self.key(3), self.answer(100))
        assert cache.find(self.key(1)) is None
        assert [cache.find(self.key(number)) is not None for number in (0, 2, 3)] == [True] * 3
        assert cache.size == 3 * (ANSWER_BYTES + 100)
        cache.keep(self.key(0), self.answer(0))
        assert cache.size == 3 * ANSWER_BYTES + 200, "replaced, not counted twice"

    def test_entries_are_bounded_and_what_is_larger_than_all_is_not_kept(self) -> None:
        cache = ReadCache(most_bytes=1 << 20, most_answers=2)
        for number in range(5):
            cache.keep(self.key(number), self.answer(1))
        assert len(cache) == 2
        cache.keep(self.key(9), self.answer(1 << 20))
        assert (len(cache), cache.find(self.key(9))) == (2, None)
        nothing = ReadCache(most_bytes=0)
        nothing.keep(self.key(0), self.answer(0))
        assert len(nothing) == 0

    def test_an_answer_that_was_read_before_a_revocation_does_not_outlive_it(self) -> None:
        cache = ReadCache(most_bytes=1 << 20)
        cache.keep(self.key(0), self.answer(1))
        before = cache.drops
        cache.drop(AGENT)
        assert len(cache) == 0
        cache.keep(self.key(0), self.answer(1), drops=before)
        assert len(cache) == 0
        cache.keep(self.key(0), self.answer(1), drops=cache.drops)
        assert len(cache) == 1

    def test_callers_and_what_they_may_are_bounded(self, world: World) -> None:
        token = world.tokens.check(world.client().headers["authorization"].removeprefix("Bearer "))
        memory = CallerMemory(most=2)
        for number in range(5):
            memory.keep(b"%d" % number, token)
        assert len(memory) == 2
        assert memory.find(b"0") is None
        known, rules, policies = KnownCaller(CheckedToken(ANONYMOUS, token.checked)), AccessRules(), object()
        under = (CHARTERS, rules, policies)
        for number in range(3 * MAX_ALLOWED):
            known.allow(Permission.ARTIFACT_PULL, f"acme/{number}", under)
        assert len(known._allowed) <= MAX_ALLOWED + 1
        assert known.is_allowed(Permission.ARTIFACT_PULL, f"acme/{number}", under)
        for changed in ((CHARTERS, AccessRules(), policies), (CHARTERS, rules, object())):
            assert not known.is_allowed(Permission.ARTIFACT_PULL, f"acme/{number}", changed)


def test_reads_of_what_is_not_there_keep_nothing(world: World, fast: Replica) -> None:
    with fast.client(fast.token(READER)) as client:
        for reference in ("1.0.0", Digest.of(b"nothing"), "tag"):
            assert error_of(client.get(path(reference)))[0] == 404
    assert len(fast.services.reads) == 0
