"""Garbage collection removes what nobody needs, says what and why, and never takes from under somebody's feet."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from sqlmodel import delete, select

from tests.registry.audit.publishing import publish_log
from tests.registry.keeping.helpers import collect, command, is_stored, released
from tests.registry.world import AGENT, World, make_index, missing_subject
from tidegate.digest import Digest
from tidegate.formats.mediatypes import SIGSTORE_BUNDLE
from tidegate_registry.artifacts.tables import ManifestEdgeRow
from tidegate_registry.keeping import claims
from tidegate_registry.keeping.fsck.run import check
from tidegate_registry.keeping.plan import Named
from tidegate_registry.keeping.sweep import RecordsDamaged
from tidegate_registry.keeping.tables import BlobClaimRow
from tidegate_registry.storage.blobs import BlobKey

LAYER, OTHER, LOOSE = b"what the agent does", b"what an older one did", b"sent, and never named"
QUARANTINE = {"hours": 721}


def test_what_no_release_needs_goes_after_its_time_and_nothing_else_does(world: World) -> None:
    client = world.client()
    kept = released(world, LAYER)
    signature = world.make_manifest(client, b"bundle", artifact_type=SIGSTORE_BUNDLE, subject=kept.descriptor)
    assert world.put(client, signature).status_code == 201
    forgotten = world.make_manifest(client, OTHER)
    assert world.put(client, forgotten).status_code == 201
    orphan = world.make_manifest(client, b"orphan", subject=missing_subject())
    assert world.put(client, orphan).status_code == 201
    tagged = world.make_manifest(client, b"tagged")
    assert world.put(client, tagged, "working").status_code == 201
    world.push_blob(client, LOOSE)
    assert collect(world.services) == set()
    world.clock.tick(hours=25)
    assert collect(world.services) == {Digest.of(LOOSE)}
    world.clock.tick(hours=168)
    assert collect(world.services) == {orphan.digest, Digest.of(b"orphan")}
    world.clock.tick(**QUARANTINE)
    assert collect(world.services) == {forgotten.digest, Digest.of(OTHER)}
    assert collect(world.services) == set()
    problems = {str(each.problem) for each in check(world.services, rehash=True).findings}
    assert problems == {"entry-missing"}  # of evidence that nobody verified
    assert client.get(f"/v2/{AGENT}/manifests/1.0.0").content == kept.raw
    assert client.get(f"/v2/{AGENT}/referrers/{kept.digest}").json()["manifests"]
    reasons = [event["data"]["why"] for event in world.events("blob.removed")]  # type: ignore[index,call-overload]
    assert (len(world.events("manifest.removed")), reasons) == (2, ["no manifest names it"] * 3)


def test_an_index_that_goes_frees_its_members_and_one_that_stays_keeps_them(world: World) -> None:
    client = world.client()
    members = [world.make_manifest(client, data) for data in (LAYER, OTHER)]
    kept, forgotten = make_index(members[0]), make_index(*members)
    for manifest in (*members, kept, forgotten):
        assert world.put(client, manifest).status_code == 201
    assert world.put(client, kept, "1.0.0").status_code == 201
    world.clock.tick(**QUARANTINE)
    assert collect(world.services) == {forgotten.digest, members[1].digest, Digest.of(OTHER)}
    assert check(world.services).findings == []


def test_the_command_only_tells_until_it_is_told_to_apply(world: World) -> None:
    client = world.client()
    released(world, LAYER)
    forgotten = world.make_manifest(client, OTHER)
    assert world.put(client, forgotten).status_code == 201
    refused = command(world, "gc")
    assert (refused[0], "log-missing" in refused[2]) == (1, True)
    publish_log(world.services)
    entries = len(world.events())
    code, printed, told = command(world, "gc")  # by the real clock, months later
    lines = printed.splitlines()
    assert (code, len(lines), len(world.events())) == (0, 2, entries)
    assert lines[0].startswith(
        f"{AGENT}@{forgotten.digest} {len(forgotten.raw)} bytes: in quarantine for more than 720 h"
    )
    assert lines[1] == f"acme {Digest.of(OTHER)} {len(OTHER)} bytes: no manifest names it"
    assert "--apply removes it" in told
    document = json.loads(command(world, "gc", "--apply", "--json")[1])  # noqa: TID251 - what we printed ourselves
    size = len(forgotten.raw) + len(OTHER)
    assert [document[name] for name in ("applied", "manifests", "blobs", "bytes")] == [True, 1, 1, size]
    assert not is_stored(world, OTHER)
    assert command(world, "gc", "--apply")[1] == ""


def test_an_operator_may_name_what_is_in_quarantine_and_not_what_is_needed(world: World) -> None:
    client = world.client()
    kept = released(world, LAYER)
    young = world.make_manifest(client, OTHER)
    assert world.put(client, young).status_code == 201
    assert collect(world.services, Named(AGENT, young.digest)) == set()  # it came a moment ago
    world.clock.tick(hours=5)
    assert collect(world.services, Named(AGENT, kept.digest)) == set()
    assert collect(world.services, Named(AGENT, young.digest)) == {young.digest}
    code, _, told = command(world, "gc", "--forget", f"{AGENT}@{kept.digest}")
    assert (code, f"stays: {AGENT}@{kept.digest}" in told) == (1, True)


def test_an_object_without_a_row_goes_after_the_grace_period_by_the_clock_of_the_store(world: World) -> None:
    digest = Digest.of(LOOSE)
    released(world, LAYER)
    world.services.blobs.put(BlobKey("acme", digest), LOOSE, size=len(LOOSE), sha256=digest)
    world.clock.now = datetime.now(UTC)
    assert collect(world.services) == set()
    world.clock.tick(hours=25)
    assert collect(world.services) == {digest}
    assert not is_stored(world, LOOSE)


def test_nothing_is_collected_while_the_records_do_not_say_what_manifests_name(world: World) -> None:
    released(world, LAYER)
    with world.services.db.engine.begin() as connection:
        connection.execute(delete(ManifestEdgeRow).where(ManifestEdgeRow.child == Digest.of(LAYER)))  # type: ignore[arg-type]
    world.clock.tick(**QUARANTINE)
    with pytest.raises(RecordsDamaged) as caught:
        collect(world.services)
    assert caught.value.reasons[0].code == "records-damaged"
    assert is_stored(world, LAYER)


def test_a_blob_that_somebody_asked_about_stays_for_another_grace_period(world: World) -> None:
    client = world.client()
    world.push_blob(client, LOOSE)
    world.clock.tick(hours=25)
    claims.claim(world.services, AGENT, [Digest.of(LOOSE)])
    assert collect(world.services) == set()
    world.clock.tick(hours=25)
    assert collect(world.services) == {Digest.of(LOOSE)}


def test_a_manifest_that_is_put_again_stays_while_that_request_may_rely_on_it(world: World) -> None:
    client = world.client()
    manifest = world.make_manifest(client, OTHER)
    assert world.put(client, manifest).status_code == 201
    world.clock.tick(**QUARANTINE)
    assert world.put(client, manifest).status_code == 201  # nothing is written but the claim
    assert collect(world.services) == set()
    world.clock.tick(hours=5)
    assert manifest.digest in collect(world.services)


def test_old_claims_are_dropped_with_the_sweep(world: World) -> None:
    released(world, LAYER)
    claims.claim(world.services, AGENT, [Digest.of(b"never sent")])
    world.clock.tick(hours=25)
    collect(world.services)
    with world.services.db.read() as tx:
        assert tx.exec(select(BlobClaimRow)).all() == []


def test_a_collection_that_died_is_ended_by_the_next_one(world: World) -> None:
    client = world.client()
    world.push_blob(client, LOOSE)
    world.clock.tick(hours=25)
    since = {str(Digest.of(LOOSE)): world.clock.now.replace(year=2025)}
    assert claims.begin_removal(world.services, "acme", since, grace=claims.MIN_GRACE, needed=lambda _: set()).digests
    assert collect(world.services) == set()  # it may still be at work
    world.clock.tick(hours=2)
    assert collect(world.services) == {Digest.of(LOOSE)}
    assert not is_stored(world, LOOSE)
    manifest = world.make_manifest(client, LOOSE)
    assert world.put(client, manifest, "1.0.0").status_code == 201
