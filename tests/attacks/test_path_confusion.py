"""Somebody writes a path so that two readers of it disagree: one decides about this agent, the other serves that one.

The answers kept in memory are found by the path as the router saw it, verbatim, and say themselves which agent they
are of; so whatever a path looks like, the answer is the one of the routes.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.registry.replicas import Replica, replica
from tests.registry.world import AGENT, NEIGHBOUR, PUBLISHER, READER, SIBLING, World
from tidegate.formats.manifest import Manifest
from tidegate_registry.access.principal import Grant

VERSION = "1.0.0"


@pytest.fixture
def manifests(world: World) -> tuple[Manifest, Manifest]:
    """A release of one agent, and one of its sibling."""
    made = []
    for name, agent in ((PUBLISHER, AGENT), (NEIGHBOUR, SIBLING)):
        client = world.client(name)
        made.append(world.make_manifest(client, agent.encode(), repository=agent))
        assert world.put(client, made[-1], VERSION, agent).status_code == 201
    return made[0], made[1]


@pytest.fixture
def pair(world: World) -> Iterator[tuple[Replica, Replica]]:
    with replica(world) as fast, replica(world, cache_bytes=0) as slow:
        yield fast, slow


def spellings(agent: str, kind: str, reference: str) -> list[bytes]:
    """Ways to write a path that some reader of paths, somewhere, takes for the plain one."""
    namespace, name = agent.split("/")
    plain = f"/v2/{agent}/{kind}/{reference}"
    written = [
        plain,
        f"{plain}/",
        f"/{plain}",
        f"{plain}//",
        plain.replace("/v2/", "/v2//"),
        plain.replace(f"/{kind}/", f"//{kind}/"),
        plain.replace(f"/{kind}/", f"/{kind}//"),
        plain.replace(f"{namespace}/", f"{namespace}%2F"),
        plain.replace(f"{namespace}/", f"{namespace}%2f"),
        plain.replace(f"{namespace}/", f"{namespace}%252F"),
        plain.replace(f"/{kind}/", f"%2F{kind}%2F"),
        plain.replace("/v2/", "%2Fv2/"),
        plain.replace("/v2/", "/V2/"),
        plain.replace("/v2/", "/v2/./"),
        plain.replace("/v2/", "/v2/x/../"),
        plain.replace("/v2/", "/v2/%2e%2e/v2/"),
        plain.replace(agent, f"{SIBLING}/../{name}"),
        plain.replace(agent, f"{SIBLING}/manifests/../../{agent}"),
        plain.replace(agent, agent.upper()),
        plain.replace(agent, f"{agent};a=b"),
        plain.replace(name, name.replace("a", "%61")),
        f"/v2/{SIBLING}/{kind}/{reference}/../../../{agent}/{kind}/{reference}",
        f"/v2/{SIBLING}/{kind}/{VERSION}?x=/v2/{agent}/{kind}/{reference}",
        f"{plain}?",
        f"{plain}?a=b",
        f"{plain}%3Fa=b",
        f"{plain}%23a",
        f"{plain};a=b",
        f"{plain}%00",
        f"{plain}%0a",
        f"{plain}%0d%0aX-Y:z",
        f"{plain}%20",
        f"{plain}.",
        f"{plain}%ff",
        f"{plain}%c0%af",
        plain.replace(":", "%3A"),
        plain.replace(f"/{kind}/", "/%6danifests/"),
        plain + "a" * 5000,
        "/v2/" + "a/" * 3000 + f"{kind}/{reference}",
        f"/v2/{namespace}/{kind}/{reference}",
        f"/v2/{kind}/{reference}",
        f"/v2/{agent}/{kind}/",
        f"/v2/{agent}/{kind}",
        f"/v2/{agent}/{kind}/{reference}/{kind}/{reference}",
        f"http://other.example{plain}",
    ]
    return [each.encode("latin-1") for each in dict.fromkeys(written)] + [plain.encode() + b"\xff"]


def test_however_a_path_is_written_memory_and_routes_answer_alike(
    pair: tuple[Replica, Replica], manifests: tuple[Manifest, Manifest]
) -> None:
    fast, slow = pair
    mine, _ = manifests
    everything = ("Authorization", f"Bearer {fast.token(READER)}")
    narrow = ("Authorization", f"Bearer {fast.token(READER, Grant('repository', SIBLING, frozenset({'pull'})))}")
    paths = {
        (kind, each)
        for kind, reference in (("manifests", VERSION), ("manifests", mine.digest), ("blobs", mine.layers[0].digest))
        for each in spellings(AGENT, kind, reference)
    }
    for _, plain in paths:  # fill the memory with whatever gets in
        fast.send("GET", plain, everything)
        fast.send("HEAD", plain, everything)
    assert len(fast.services.reads) > 0
    for caller in (everything, narrow):
        for kind, each in sorted(paths):
            for method in ("GET", "HEAD"):
                if kind == "blobs" and method == "GET" and caller is everything:
                    continue  # links differ by their moment
                answer = fast.send(method, each, caller)
                assert answer == slow.send(method, each, caller), (method, each)
                assert mine.raw not in answer.body or caller is everything, (method, each)


def test_every_kept_answer_is_of_the_agent_that_its_path_names(
    pair: tuple[Replica, Replica], manifests: tuple[Manifest, Manifest]
) -> None:
    fast, _ = pair
    grants = [Grant("repository", agent, frozenset({"pull"})) for agent in (AGENT, SIBLING)]
    caller = ("Authorization", f"Bearer {fast.token(READER, *grants)}")
    for agent, manifest in zip((AGENT, SIBLING), manifests, strict=True):
        for each in (*spellings(agent, "manifests", VERSION), *spellings(agent, "manifests", manifest.digest)):
            fast.send("GET", each, caller)
    kept = fast.services.reads._answers
    assert {path for _, path, _ in kept} == {
        f"/v2/{agent}/manifests/{reference}"
        for agent, manifest in zip((AGENT, SIBLING), manifests, strict=True)
        for reference in (VERSION, manifest.digest)
    }
    for (_, path, _), answer in kept.items():
        assert path.startswith(f"/v2/{answer.repository}/manifests/")
        assert answer.path_params["name"] == answer.repository
