"""A push and a collection meet: whoever is told that their content is in, can fetch it afterwards.

The sweep is stopped between marking a blob and removing it, which is the only moment at which both could be right.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, cast

import pytest
from sqlmodel import select

from tests.registry.keeping.helpers import OPERATOR, collect, is_stored, released
from tests.registry.world import AGENT, FOREIGN, PUBLISHER_OF_BOTH, READER, SIBLING, STRANGER, World, error_of
from tidegate.digest import Digest
from tidegate.formats.manifest import EMPTY_BLOB
from tidegate_registry.artifacts.tables import BlobLinkRow, BlobRow, ManifestRow
from tidegate_registry.keeping import claims
from tidegate_registry.keeping.fsck.run import check
from tidegate_registry.keeping.plan import named_in, plan_blobs
from tidegate_registry.keeping.sweep import Sweep
from tidegate_registry.keeping.tables import BlobClaimRow
from tidegate_registry.settings import Settings
from tidegate_registry.storage.blobs import BlobKey, BlobStore, ObjectKey, StoreUnavailable

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


class StalledStore(PausedStore):
    """The same, but it stops after it has removed its first object."""

    def delete(self, key: ObjectKey) -> None:
        self._store.delete(key)
        self.reached.set()
        assert self.go_on.wait(30)


class BreakingStore(PausedStore):
    """The store of a sweep that does not answer any more after it has removed its first object."""

    deleted = 0

    def delete(self, key: ObjectKey) -> None:
        self.deleted += 1
        if self.deleted > 1:
            raise StoreUnavailable("the object store did not answer")
        self._store.delete(key)


@dataclasses.dataclass
class Meddling:
    """Settings that let something happen when the terms of keeping are asked for the nth time."""

    settings: Settings
    nth: int
    happen: Callable[[], object]

    def __getattr__(self, name: str) -> object:
        if name == "keeping":
            self.nth -= 1
            if not self.nth:
                self.happen()
        return getattr(self.settings, name)


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
    assert claims.begin_removal(world.services, "acme", planned, grace=grace, needed=named).digests == set()
    world.clock.tick(hours=25)  # the claims are old now, and the manifest still names its blobs
    marked = claims.begin_removal(world.services, "acme", planned, grace=grace, needed=named)
    assert marked.digests == {Digest.of(OTHER)}


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


def test_a_sweep_that_stalled_removes_no_row_of_what_was_pushed_again_meanwhile(world: World) -> None:
    client = world.client()
    world.push_blob(client, LOOSE)
    world.clock.tick(hours=25)
    store = StalledStore(world.services.blobs)
    app = dataclasses.replace(world.services, blobs=cast("BlobStore", store))
    with ThreadPoolExecutor(1) as pool:
        stalled = pool.submit(collect, app)
        assert store.reached.wait(30)
        world.clock.tick(hours=2)
        assert collect(world.services) == {Digest.of(LOOSE)}  # by another process, which took it over
        assert world.put(client, world.make_manifest(client, LOOSE), "1.0.0").status_code == 201
        store.go_on.set()
        assert stalled.result(30) == set()
    assert check(world.services, rehash=True).findings == []
    assert len(world.events("blob.removed")) == 1


def test_what_a_broken_sweep_did_not_reach_can_be_pushed_at_once_and_the_rest_when_its_mark_is_old(
    world: World,
) -> None:
    client = world.client()
    blobs = sorted((LOOSE, OTHER, b"and a third"), key=Digest.of)
    for data in blobs:
        world.push_blob(client, data)
    world.clock.tick(hours=25)
    app = dataclasses.replace(world.services, blobs=cast("BlobStore", BreakingStore(world.services.blobs)))
    with pytest.raises(StoreUnavailable):
        collect(app)
    gone, asked_for, untouched = (Digest.of(data) for data in blobs)
    claims.claim(world.services, AGENT, [gone, untouched])
    with pytest.raises(claims.BlobBeingRemoved):
        claims.claim(world.services, AGENT, [asked_for], sleep=lambda _: None)
    world.services.blobs.delete(BlobKey("acme", asked_for))  # as the store may have done without saying so
    assert [str(each.problem) for each in check(world.services).findings] == ["being-removed"]
    world.clock.tick(hours=2)
    Sweep(world.services, OPERATOR).tidy_claims()  # as a registry that runs does by itself
    claims.claim(world.services, AGENT, [asked_for])
    assert check(world.services).findings == []


def test_a_manifest_that_is_claimed_through_another_agent_stays_although_the_plan_was_made(world: World) -> None:
    if world.services.db.is_sqlite:
        pytest.skip("SQLite has one writer: nobody can claim between plan and removal")
    client = world.client(PUBLISHER_OF_BOTH)
    manifest = world.make_manifest(client, LOOSE, repository=SIBLING)
    assert world.put(client, manifest, None, SIBLING).status_code == 201
    released(world, OTHER)
    world.clock.tick(days=31)
    # they are asked for at the start, as each of two agents is planned, and again under the lock of the one to sweep
    settings = Meddling(world.services.settings, 4, lambda: claims.claim(world.services, AGENT, [manifest.digest]))
    app = dataclasses.replace(world.services, settings=cast("Settings", settings))
    assert collect(app) == set()
    assert settings.nth <= 0
    assert client.get(f"/v2/{SIBLING}/manifests/{manifest.digest}").content == manifest.raw


def test_what_refers_to_a_manifest_that_is_just_coming_stays(world: World) -> None:
    client = world.client()
    subject = world.make_manifest(client, OTHER)
    orphan = world.make_manifest(client, LOOSE, subject=subject.descriptor)
    assert world.put(client, orphan).status_code == 201
    world.clock.tick(days=8)
    claims.claim(world.services, AGENT, [subject.digest])
    assert orphan.digest not in collect(world.services)


def test_who_may_not_push_claims_nothing(world: World) -> None:
    released(world, LOOSE)
    before = claimed(world)
    session, wanted = "00000000-0000-4000-8000-000000000000", Digest.of(b"never sent")
    for name in (None, READER, STRANGER):
        answer = world.client(name).put(f"/v2/{AGENT}/blobs/uploads/{session}", params={"digest": wanted})
        assert answer.status_code in (401, 403, 404)
    stranger = world.client(STRANGER)
    for digest in (wanted, Digest.of(LOOSE)):
        params = {"mount": digest, "from": AGENT}
        assert stranger.post(f"/v2/{FOREIGN}/blobs/uploads/", params=params).status_code in (201, 202)
    assert {row for row in claimed(world) - before if row[0] != "umbra"} == set()


def claimed(world: World) -> set[tuple[str, str]]:
    with world.services.db.read() as tx:
        return {(row.namespace, row.digest) for row in tx.exec(select(BlobClaimRow))}
