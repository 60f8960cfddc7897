"""A push and a collection meet: whoever is told that their content is in, can fetch it afterwards.

The sweep is stopped between marking a blob and removing it, which is the only moment at which both could be right.
"""

from __future__ import annotations

import dataclasses
import threading
from typing import TYPE_CHECKING, cast

import pytest
from sqlmodel import select

from tests.registry.keeping.helpers import collect, is_stored
from tests.registry.world import AGENT, World, error_of
from tidegate.digest import Digest
from tidegate.formats.manifest import EMPTY_BLOB
from tidegate_registry.artifacts.tables import BlobLinkRow, BlobRow, ManifestRow
from tidegate_registry.keeping import claims
from tidegate_registry.keeping.fsck.run import check
from tidegate_registry.keeping.plan import named_in, plan_blobs
from tidegate_registry.storage.blobs import BlobStore, ObjectKey

if TYPE_CHECKING:
    from tidegate_registry.db import Tx

LOOSE, OTHER = b"sent, and never named", b"sent as well"


class PausedStore:
    """The store of a sweep that stops before it removes its first object, until it is told to go on."""

    def __init__(self, store: BlobStore) -> None:
        self._store = store
        self.reached, self.go_on = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def delete(self, key: ObjectKey) -> None:
        self.reached.set()
        assert self.go_on.wait(30)
        self._store.delete(key)


@pytest.fixture
def sweeping(world: World) -> tuple[PausedStore, threading.Thread]:
    """A sweep in another thread that has marked LOOSE as on its way out, and not removed it yet."""
    client = world.client()
    world.push_blob(client, LOOSE)
    world.push_blob(client, EMPTY_BLOB)
    world.clock.tick(hours=25)
    store = PausedStore(world.services.blobs)
    app = dataclasses.replace(world.services, blobs=cast("BlobStore", store))
    thread = threading.Thread(target=collect, args=(app,), daemon=True)
    thread.start()
    assert store.reached.wait(30)
    return store, thread


def test_a_push_of_what_is_being_removed_is_told_to_try_again_and_then_brings_it_back(
    world: World, sweeping: tuple[PausedStore, threading.Thread]
) -> None:
    store, thread = sweeping
    client = world.client()
    assert is_stored(world, LOOSE)
    link = {"digest": str(Digest.of(LOOSE))}
    refused = client.post(f"/v2/{AGENT}/blobs/uploads/", params=link, content=LOOSE)
    assert (refused.status_code, error_of(refused)[2]) == (503, "blob-being-removed")
    assert refused.headers["Retry-After"]
    store.go_on.set()
    thread.join(30)
    assert not is_stored(world, LOOSE)
    manifest = world.make_manifest(client, LOOSE)
    assert world.put(client, manifest, "1.0.0").status_code == 201
    assert check(world.services, rehash=True).findings == []


def test_a_writer_that_waits_for_the_sweep_finds_the_blob_gone(
    world: World, sweeping: tuple[PausedStore, threading.Thread]
) -> None:
    store, thread = sweeping

    def wait(_: float) -> None:
        store.go_on.set()
        thread.join(30)

    claims.claim(world.services, AGENT, [Digest.of(LOOSE)], sleep=wait)
    assert not is_stored(world, LOOSE)
    with world.services.db.read() as tx:
        assert tx.get(BlobRow, ("acme", Digest.of(LOOSE))) is None
        assert tx.get(BlobLinkRow, (AGENT, Digest.of(LOOSE))) is None


def test_what_is_claimed_or_named_after_the_plan_was_made_stays(world: World) -> None:
    client = world.client()
    world.push_blob(client, OTHER)
    manifest = world.make_manifest(client, LOOSE)
    world.clock.tick(hours=25)
    planned = {each.digest: each.since for each in plan_blobs(world.services)}
    assert planned.keys() >= {Digest.of(OTHER), Digest.of(LOOSE)}
    claims.claim(world.services, AGENT, [Digest.of(OTHER)])
    assert world.put(client, manifest).status_code == 201

    def named(tx: Tx) -> set[str]:
        return named_in(tx, "acme", planned.keys())

    grace = claims.MIN_GRACE
    assert claims.begin_removal(world.services, "acme", planned, grace=grace, needed=named) == set()
    world.clock.tick(hours=25)  # the claims are old now, and the manifest still names its blobs
    assert claims.begin_removal(world.services, "acme", planned, grace=grace, needed=named) == {Digest.of(OTHER)}


def test_a_push_that_took_too_long_is_refused_rather_than_left_without_its_blobs(world: World) -> None:
    claims.claim(world.services, AGENT, [Digest.of(LOOSE)])
    world.clock.tick(hours=3)
    with world.services.db.begin() as tx, pytest.raises(claims.ClaimLapsed) as caught:
        claims.confirm(tx, AGENT, [Digest.of(LOOSE)], now=world.clock())
    assert caught.value.reasons[0].code == "claim-lapsed"
    with world.services.db.begin() as tx, pytest.raises(claims.ClaimLapsed):
        claims.confirm(tx, AGENT, [Digest.of(OTHER)], now=world.clock())
    with world.services.db.read() as tx:
        assert tx.exec(select(ManifestRow)).all() == []
