"""fsck finds what was done behind the registry's back, names the releases that break, and puts right what it can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy
from sqlmodel import delete, update

from tests.registry.keeping.helpers import command, released, store_of
from tests.registry.world import AGENT, READER, World, make_index
from tidegate.bundle.layout import Layout
from tidegate.digest import Digest
from tidegate.formats.mediatypes import SIGSTORE_BUNDLE
from tidegate_registry.artifacts.tables import BlobLinkRow, BlobRow, ManifestEdgeRow, ManifestRow, ReleaseRow
from tidegate_registry.audit.tables import AuditEventRow
from tidegate_registry.keeping.fsck.run import check
from tidegate_registry.storage.blobs import BlobKey

if TYPE_CHECKING:
    from tidegate.formats.manifest import Manifest

LAYER, OTHER = b"what the agent does", b"what it also does"


def found(world: World, *, rehash: bool = False) -> dict[str, tuple[str, ...]]:
    return {str(each.problem): each.breaks for each in check(world.services, rehash=rehash).findings}


def change(world: World, statement: sqlalchemy.Executable) -> None:
    """Write without an entry, as somebody with the database's password would."""
    with world.services.db.engine.begin() as connection:
        connection.execute(statement)


def layout_with(folder: Path, *blobs: bytes) -> Path:
    layout = Layout.create(folder)
    for data in blobs:
        with layout.write_blob() as writer:
            writer.write(data)
            writer.commit()
    return folder


@pytest.fixture
def manifest(world: World) -> Manifest:
    return released(world, LAYER, OTHER)


def test_a_registry_that_was_only_used_is_clean(world: World, manifest: Manifest) -> None:
    assert manifest.digest
    assert found(world, rehash=True) == {}
    assert command(world, "fsck", "--rehash")[0] == 0


def test_a_lost_object_is_named_with_the_releases_it_breaks_and_restored_from_a_layout(
    world: World, manifest: Manifest, tmp_path: Path
) -> None:
    key = BlobKey("acme", Digest.of(LAYER))
    world.services.blobs.delete(key)
    code, printed, _ = command(world, "fsck")
    assert (code, f"breaks {AGENT}:1.0.0" in printed) == (1, True)
    assert f"problem object-missing acme {Digest.of(LAYER)}" in printed
    spoilt = layout_with(tmp_path / "spoilt", LAYER)
    (spoilt / "blobs" / "sha256" / Digest.of(LAYER).hex).write_bytes(b"other bytes")
    assert command(world, "fsck", "--restore-from", str(spoilt))[0] == 1
    assert world.services.blobs.stat(key) is None
    good = layout_with(tmp_path / "good", LAYER)
    assert command(world, "fsck", "--restore-from", str(good))[0] == 0
    assert found(world, rehash=True) == {}
    (event,) = world.events("object.restored")
    assert event["data"]["digest"] == Digest.of(LAYER)  # type: ignore[index,call-overload]


def test_altered_bytes_are_found_by_size_by_checksum_and_by_reading(world: World, manifest: Manifest) -> None:
    store, bucket = store_of(world)
    key = store.full_key(BlobKey("acme", Digest.of(LAYER)))
    broken = (f"{AGENT}:1.0.0",)
    bucket.put_object(Bucket=store.bucket, Key=key, Body=b"shorter")
    assert found(world) == {"object-size-differs": broken}
    altered = LAYER.upper()
    bucket.put_object(Bucket=store.bucket, Key=key, Body=altered, ChecksumAlgorithm="SHA256")
    assert found(world) == {"object-checksum-differs": broken}
    bucket.put_object(Bucket=store.bucket, Key=key, Body=altered)
    assert found(world) == {}  # the store has no word on it
    assert found(world, rehash=True) == {"object-bytes-differ": broken}


def test_objects_without_rows_are_notes_and_no_problem(world: World, manifest: Manifest) -> None:
    store, bucket = store_of(world)
    extra = Digest.of(b"left by an upload")
    world.services.blobs.put(BlobKey("acme", extra), b"left by an upload", size=17, sha256=extra)
    world.services.blobs.put(BlobKey("nobody", extra), b"left by an upload", size=17, sha256=extra)
    bucket.put_object(Bucket=store.bucket, Key=f"{store.prefix}blobs/acme/other", Body=b"")
    code, printed, _ = command(world, "fsck", "--json")
    document = json.loads(printed)  # noqa: TID251 - what we printed ourselves
    assert (code, document["clean"], document["problems"]) == (0, True, [])
    assert sorted((note["code"], note["where"]) for note in document["notes"]) == [
        ("object-of-unknown-path", "acme"),
        ("object-without-row", "acme"),
        ("object-without-row", "nobody"),
    ]


def test_rows_of_a_namespace_whose_objects_are_all_gone_are_found(world: World, manifest: Manifest) -> None:
    for each in list(world.services.blobs.list("blobs/")):
        store, bucket = store_of(world)
        bucket.delete_object(Bucket=store.bucket, Key=store.prefix + each.path)
    assert [each.problem for each in check(world.services).findings] == ["object-missing"] * 3


def test_an_altered_manifest_breaks_its_release_and_is_restored_from_a_layout(
    world: World, manifest: Manifest, tmp_path: Path
) -> None:
    change(world, update(ManifestRow).values(raw=b"{}"))
    assert found(world) == {"manifest-bytes-differ": (f"{AGENT}:1.0.0",)}
    assert command(world, "fsck", "--repair")[0] == 1  # nothing here proves what it was
    layout = layout_with(tmp_path / "layout", manifest.raw)
    assert command(world, "fsck", "--restore-from", str(layout))[0] == 0
    assert found(world) == {}


def test_what_can_be_proven_is_repaired_only_when_asked_and_has_an_entry(world: World, manifest: Manifest) -> None:
    blob = Digest.of(LAYER)
    change(world, delete(ManifestEdgeRow).where(ManifestEdgeRow.child == blob))  # type: ignore[arg-type]
    change(world, delete(BlobLinkRow).where(BlobLinkRow.digest == blob))  # type: ignore[arg-type]
    change(world, delete(BlobRow).where(BlobRow.digest == blob))  # type: ignore[arg-type]
    change(world, update(ManifestRow).values(released=False, artifact_type="application/vnd.other"))
    expected = {"edge-missing", "blob-row-missing", "manifest-row-differs", "release-in-quarantine"}
    before = len(world.events())
    code, _, told = command(world, "fsck")
    assert (code, "--repair would write what the manifest names" in told) == (1, True)
    assert (set(found(world)), len(world.events())) == (expected | {"object-without-row"}, before)
    assert command(world, "fsck", "--repair")[0] == 0
    assert found(world, rehash=True) == {}
    assert {event["data"]["problem"] for event in world.events("record.repaired")} == expected  # type: ignore[index,call-overload]


def test_a_row_is_not_written_again_for_bytes_that_have_another_digest(world: World, manifest: Manifest) -> None:
    blob = Digest.of(LAYER)
    change(world, delete(BlobLinkRow).where(BlobLinkRow.digest == blob))  # type: ignore[arg-type]
    change(world, delete(BlobRow).where(BlobRow.digest == blob))  # type: ignore[arg-type]
    store, bucket = store_of(world)
    bucket.put_object(Bucket=store.bucket, Key=store.full_key(BlobKey("acme", blob)), Body=LAYER.upper())
    assert command(world, "fsck", "--repair")[0] == 1
    assert "blob-row-missing" in found(world)


def test_a_version_that_was_turned_to_another_manifest_is_found_by_its_entry(world: World, manifest: Manifest) -> None:
    other = released(world, OTHER, version="1.1.0")
    change(world, update(ReleaseRow).where(ReleaseRow.version == "1.1.0").values(digest=manifest.digest))  # type: ignore[arg-type]
    (finding,) = check(world.services).findings
    assert (str(finding.problem), finding.breaks) == ("entry-differs", (f"{AGENT}:1.0.0", f"{AGENT}:1.1.0"))
    assert (finding.found, other.digest in finding.expected) == (f"digest {manifest.digest}", True)
    change(world, delete(ReleaseRow).where(ReleaseRow.version == "1.1.0"))  # type: ignore[arg-type]
    (finding,) = check(world.services).findings
    assert (str(finding.problem), finding.digest) == ("record-missing", other.digest)
    assert finding.breaks == (f"{AGENT}:1.1.0",)
    change(world, update(AuditEventRow).where(AuditEventRow.type == "release.admitted").values(body=b"{"))  # type: ignore[arg-type]
    assert {str(each.problem) for each in check(world.services).findings} == {"entry-missing", "entry-differs"}


def test_evidence_that_is_hidden_or_whose_row_is_gone_is_found(world: World, manifest: Manifest) -> None:
    bundle = world.make_manifest(world.client(), b"bundle", artifact_type=SIGSTORE_BUNDLE, subject=manifest.descriptor)
    assert world.put(world.client(), bundle).status_code == 201
    change(world, update(ManifestRow).where(ManifestRow.digest == bundle.digest).values(released=False))  # type: ignore[arg-type]
    assert found(world)["release-in-quarantine"] == (f"{AGENT}:1.0.0",)
    command(world, "fsck", "--repair")
    assert "release-in-quarantine" not in found(world)


def test_a_lost_member_of_an_index_is_restored_as_a_manifest(world: World, tmp_path: Path) -> None:
    client = world.client()
    member = world.make_manifest(client, LAYER)
    index = make_index(member)
    for manifest, reference in ((member, None), (index, "1.0.0")):
        assert world.put(client, manifest, reference).status_code == 201
    change(world, delete(ManifestEdgeRow).where(ManifestEdgeRow.parent == member.digest))  # type: ignore[arg-type]
    change(world, delete(ManifestRow).where(ManifestRow.digest == member.digest))  # type: ignore[arg-type]
    assert found(world) == {"member-missing": (f"{AGENT}:1.0.0",)}
    layout = layout_with(tmp_path / "layout", member.raw)
    assert command(world, "fsck", "--restore-from", str(layout))[0] == 0
    assert found(world, rehash=True) == {}
    assert world.client(READER).get(f"/v2/{AGENT}/manifests/{member.digest}").content == member.raw
