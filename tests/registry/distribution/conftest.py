"""One registry for all tests of the OCI protocol: anonymous pull is on, deletes are off, a digest is in quarantine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import httpx2
import pytest

from tests.registry.distribution.oci import Pushable
from tests.registry.fixtures import world_database
from tests.registry.world import AGENT, READER, World, running_world
from tidegate_registry.sandbox.s3 import S3Endpoint


@pytest.fixture(scope="package")
def running_registry(
    s3: S3Endpoint, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[World]:
    """Use `registry`."""
    folder = tmp_path_factory.mktemp("distribution")
    with world_database(request, folder) as url, running_world(s3, url, folder, anonymous_pull=True) as running:
        yield running


@pytest.fixture
def registry(running_registry: World) -> Iterator[World]:
    """A running registry with nothing in it."""
    yield running_registry
    running_registry.renew()


@pytest.fixture
def publisher(registry: World) -> httpx2.Client:
    """A client with a publisher's bearer token."""
    return registry.client()


@dataclass(frozen=True)
class Reader:
    """Somebody who pulls, and the tag under which the content is there for them. None of them sees more than that."""

    client: httpx2.Client
    tag: str
    pusher: httpx2.Client

    def given(self, content: Pushable) -> Pushable:
        """Have the publisher push `content` so that this reader may read it: a version, unless it is in quarantine."""
        answer = content.push(self.pusher, AGENT, self.tag)
        assert answer.status_code == 201, answer.text
        return content


@pytest.fixture(params=["publisher of what is in quarantine", "reader of a release", "anonymous reader of a release"])
def reader(request: pytest.FixtureRequest, registry: World, publisher: httpx2.Client) -> Reader:
    """The three ways to read: with a publisher's token what only signers see, with a token, and without one."""
    if request.param.startswith("publisher"):
        return Reader(registry.client(), "working", publisher)
    return Reader(registry.client(READER if request.param.startswith("reader") else None), "1.0.0", publisher)
