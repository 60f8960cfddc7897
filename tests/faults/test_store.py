"""A store that is away, stands still, is slow or full: what callers are told, and that it all goes on by itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.faults.proxy import Fault, Proxy
from tests.registry.world import AGENT, World, error_of, running_world, store_settings
from tidegate.digest import Digest
from tidegate.formats.manifest import Manifest
from tidegate_registry import health
from tidegate_registry.storage.blobs import STAGING

if TYPE_CHECKING:
    from tidegate_registry.sandbox.s3 import S3Endpoint

pytestmark = pytest.mark.slow

UPLOADS = f"/v2/{AGENT}/blobs/uploads/"
DATA = b"bytes of a blob\n" * 40_000  # 640 kB: no more than one part
LARGE = DATA * 16  # more than a part, so that it goes through while it comes


@dataclass
class Site:
    """A registry whose store is behind `proxy`, and a release in it."""

    world: World
    proxy: Proxy
    client: httpx2.Client
    release: Manifest

    def push(self, data: bytes) -> httpx2.Response:
        return self.client.post(UPLOADS, params={"digest": Digest.of(data)}, content=data)

    def ready(self) -> tuple[int, dict[str, str]]:
        """Ask anew, not what was found a moment ago."""
        self.world.clock.tick(seconds=health.READY_FOR.total_seconds())
        answer = self.client.get("/readyz")
        return answer.status_code, answer.json()["checks"]


@pytest.fixture
def site(s3: S3Endpoint, database_url: str, tmp_path: Path) -> Iterator[Site]:
    port = urlsplit(s3.url).port
    assert port is not None
    with Proxy(port, bytes_per_second=8 << 20) as proxy:
        behind = dataclasses.replace(s3, url=f"http://127.0.0.1:{proxy.port}")
        store = store_settings(behind).model_copy(update={"timeout_seconds": 1})
        with running_world(s3, database_url, tmp_path, store=store) as world:
            client = world.client()
            release = world.make_manifest(client, b"released")
            assert world.put(client, release, "1.0.0").status_code == 201
            yield Site(world, proxy, client, release)


@pytest.mark.parametrize("fault", [Fault.AWAY, Fault.STILL])
@pytest.mark.parametrize("data", [DATA, LARGE], ids=["one part", "many parts"])
def test_a_store_that_does_not_answer_is_told_and_later_it_goes_on(site: Site, fault: Fault, data: bytes) -> None:
    pushed = len(site.world.events("blob.stored"))
    with site.proxy.having(fault):
        answer = site.push(data)
        assert error_of(answer) == (503, "TOOMANYREQUESTS", "store-unavailable")
        assert answer.headers["Retry-After"]
        status, checks = site.ready()
        assert (status, checks["store"], checks["database"]) == (503, "store-unavailable", "ok")
        read = site.client.get(f"/v2/{AGENT}/manifests/1.0.0")
        assert (read.status_code, read.content) == (200, site.release.raw)
        link = site.client.get(f"/v2/{AGENT}/blobs/{site.release.layers[0].digest}")
        assert link.status_code == 307, "the link is good as soon as the store is back"
    assert site.client.head(f"/v2/{AGENT}/blobs/{Digest.of(data)}").status_code == 404
    assert len(site.world.events("blob.stored")) == pushed
    assert site.push(data).status_code == 201
    assert site.ready()[0] == 200
    assert list(site.world.services.blobs.list(STAGING)) == []


def test_an_upload_that_the_store_broke_goes_on_where_it_was(site: Site) -> None:
    location = site.client.post(UPLOADS).headers["location"]
    half = len(LARGE) // 2
    assert site.client.patch(location, content=LARGE[:half]).status_code == 202
    with site.proxy.having(Fault.AWAY):
        answer = site.client.patch(location, content=LARGE[half:])
        assert error_of(answer) == (503, "TOOMANYREQUESTS", "store-unavailable")
    kept = int(site.client.get(location).headers["range"].partition("-")[2]) + 1
    assert kept >= half, "what was acknowledged is kept"
    done = site.client.put(location, params={"digest": Digest.of(LARGE)}, content=LARGE[kept:])
    assert done.status_code == 201, done.text
    assert list(site.world.services.blobs.list(STAGING)) == []


def test_a_store_that_is_slow_is_waited_for_as_long_as_bytes_move(site: Site) -> None:
    data = 2 * LARGE  # takes longer than the store may stand still
    with site.proxy.having(Fault.SLOW):
        assert site.push(data).status_code == 201
    assert site.client.head(f"/v2/{AGENT}/blobs/{Digest.of(data)}").status_code == 200


@pytest.mark.parametrize("data", [DATA, LARGE], ids=["one part", "many parts"])
def test_a_store_without_room_is_told_and_reads_go_on(site: Site, data: bytes) -> None:
    with site.proxy.having(Fault.FULL):
        answer = site.push(data)
        assert error_of(answer) == (507, "TOOMANYREQUESTS", "store-full")
        assert answer.headers["Retry-After"]
        assert site.client.get(f"/v2/{AGENT}/manifests/1.0.0").status_code == 200
        assert site.ready()[0] == 200, "it serves those who read"
    assert site.push(data).status_code == 201
