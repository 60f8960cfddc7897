"""Shared by the attacks on evidence and admission of a whole running registry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

import httpx2

from tests.registry.admission.world import GateWorld, reasons_of
from tests.workshop import AGENT, RELEASE_JOB, VERSION
from tidegate.digest import Digest
from tidegate.formats.manifest import Manifest
from tidegate_registry.access.principal import Grant, Principal, PrincipalKind
from tidegate_registry.admission.service import Request
from tidegate_registry.sandbox.jobs import JobRequest
from tidegate_registry.storage.blobs import BlobKey, BlobStore
from tidegate_registry.storage.s3 import S3BlobStore

OTHER_AGENT = "acme/other-agent"
BRANCH_JOB = RELEASE_JOB.model_copy(update={"ref": "refs/heads/main"})
FORK_JOB = JobRequest(repository="evil/support-agent", ref="refs/tags/v1.2.0")
LAPTOP_JOB = RELEASE_JOB.model_copy(update={"runner_environment": "self-hosted"})


def step_and_code(answer: httpx2.Response, status: int = 403) -> tuple[str | None, str]:
    """Check the status and give the first reason's step and code."""
    assert answer.status_code == status, answer.text
    first = reasons_of(answer)[0]
    return first.get("step"), first["code"]


def pushed(world: GateWorld) -> tuple[httpx2.Client, Manifest]:
    client, manifest = world.client(), world.bundle_for()
    world.push(client, manifest)
    return client, manifest


def overwrite(world: GateWorld, digest: str, data: bytes) -> None:
    """Write to the bucket as somebody with its keys could."""
    store = world.services.blobs
    assert isinstance(store, S3BlobStore)
    key = store.prefix + BlobKey(AGENT.partition("/")[0], Digest(digest)).path
    store.client.put_object(Bucket=store.bucket, Key=key, Body=data)


def remove(world: GateWorld, digest: str) -> None:
    """Delete from the bucket."""
    store = world.services.blobs
    assert isinstance(store, S3BlobStore)
    key = store.prefix + BlobKey(AGENT.partition("/")[0], Digest(digest)).path
    store.client.delete_object(Bucket=store.bucket, Key=key)


class SlowStore:
    """The store, while something else happens as the first object is opened."""

    def __init__(self, store: BlobStore, meanwhile: Callable[[], object]) -> None:
        self._store, self._meanwhile = store, [meanwhile]

    def open(self, *arguments: Any, **named: Any) -> BinaryIO:
        while self._meanwhile:
            self._meanwhile.pop()()
        return self._store.open(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def request_to_name(world: GateWorld, manifest: Manifest) -> Request:
    """What the publisher's job asks for when it names a manifest."""
    identity = world.shop.verify(world.shop.sign(world.shop.release_statement())).identity
    grants = (Grant("repository", AGENT, frozenset({"pull", "push"})),)
    return Request(Principal(PrincipalKind.CI, identity, "-", {}, grants), AGENT, VERSION, manifest, None)
