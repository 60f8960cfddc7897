"""No JSON body surprises a route that takes one: it is done, or refused with why. Bounded; `-m slow` looks longer."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzzing import LONG_SECONDS, Target, broken, feed, long_inputs
from tests.registry.world import AGENT, World
from tidegate.digest import Digest
from tidegate.errors import TidegateError
from tidegate.formats.jcs import JsonObject, canonical_bytes

API = f"/api/v1/agents/{AGENT}/uploads"
SESSION = "0190d7c0-0000-7000-8000-000000000000"
BLOB: JsonObject = {"digest": Digest.of(b"a blob"), "size": 6}
PART: JsonObject = {"number": 1, "sha256": Digest.of(b"a blob")}
SEEDS: dict[str, tuple[JsonObject, int]] = {
    "": ({"blobs": [BLOB, {"digest": Digest.of(b""), "size": 0}]}, 200),
    "/commit": ({"blobs": [BLOB | {"session": SESSION}]}, 200),
    "/parts": ({"session": SESSION, "parts": [PART]}, 404),
}
REFUSALS = {400, 404, 413, 422, 429}
paths = pytest.mark.parametrize("path", SEEDS)
fuzzed = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Refused(TidegateError):
    """The registry's reason, so that a refusal is fed back as one of ours."""

    code = "refused"


@pytest.fixture
def body(world: World, path: str) -> Target:
    return Target(path, sender(world.client(), path), canonical_bytes(SEEDS[path][0]))


def sender(client: httpx2.Client, path: str) -> Callable[[bytes], object]:
    def send(raw: bytes) -> object:
        answer = client.post(API + path, content=raw, headers={"Content-Type": "application/json"})
        if answer.status_code == httpx2.codes.OK:
            return answer.json()
        assert answer.status_code in REFUSALS, (raw, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        raise Refused(answer.json()["detail"], found=answer.json()["code"])

    return send


@paths
def test_the_seed_is_what_the_route_takes(world: World, path: str) -> None:
    document, status = SEEDS[path]
    assert world.client().post(API + path, json=document).status_code == status


@paths
@pytest.mark.timeout(LONG_SECONDS)
def test_long_bodies_are_no_more_work_than_they_are_long(body: Target) -> None:
    for raw in long_inputs(body.seed):
        feed(body, raw)


@paths
@given(data=st.data())
@fuzzed
def test_arbitrary_and_broken_bodies_never_surprise_a_route(body: Target, data: st.DataObject) -> None:
    feed(body, data.draw(st.binary(max_size=600) | broken(body.seed)))


@pytest.mark.slow
@paths
@given(data=st.data())
@settings(fuzzed, max_examples=200)
def test_many_broken_bodies_never_surprise_a_route(body: Target, data: st.DataObject) -> None:
    feed(body, data.draw(broken(body.seed)))
