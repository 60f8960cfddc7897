"""Carrying a release from one place to another: what goes along, in which order, and what a break leaves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from tests.carrying import NOTE_TYPE, WANTED, Carrier, copy_of, members, released, write_tar
from tests.client.remote.fake_registry import FakeRegistry, oci_error
from tests.fixtures_sandbox import Sigstores
from tests.forge import dump
from tests.workshop import AGENT, VERSION, Workshop
from tidegate.bundle.layout import Layout
from tidegate.digest import Digest
from tidegate.errors import (
    Conflict,
    InvalidInput,
    LimitExceeded,
    NotFound,
    ReferenceInvalid,
    TidegateError,
    Unreachable,
)
from tidegate.evidence import Attached, LayoutShelf
from tidegate.formats.jcs import canonical_bytes, parse_object
from tidegate.formats.manifest import EMPTY_BLOB, EMPTY_DESCRIPTOR, Manifest, image_manifest
from tidegate.formats.mediatypes import OCI_INDEX, SIGSTORE_BUNDLE
from tidegate.formats.reference import Reference
from tidegate.releases import shipment
from tidegate.releases.copy import copy
from tidegate.releases.destination import ArchiveDestination, LayoutDestination, RegistryDestination
from tidegate.releases.ends import Connecting, Place
from tidegate.releases.origin import from_layout


@pytest.fixture(scope="module")
def shop(sigstores: Sigstores) -> Workshop:
    return Workshop(sigstores.main.instance, sigstores.twin.instance, datetime.now(UTC))


@pytest.fixture(scope="module")
def origin(shop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Carrier:
    return released(shop, tmp_path_factory.mktemp("origin"))


@pytest.fixture
def carrier(origin: Carrier, tmp_path: Path) -> Carrier:
    """A release in a layout that the test may change."""
    return Carrier(origin.shop, copy_of(origin.layout, tmp_path / "origin"))


@contextmanager
def refused(kind: type[TidegateError], code: str) -> Iterator[None]:
    with pytest.raises(kind) as caught:
        yield
    assert code in {reason.code for reason in caught.value.reasons}


def index_of(carrier: Carrier, path: Path) -> Carrier:
    """Release an index over an index over two images, in another layout."""
    layout, entries = Layout.create(path), []
    for number in "12":
        image = image_manifest(
            artifact_type="application/vnd.example.image",
            config=EMPTY_DESCRIPTOR,
            layers=(),
            annotations={"example.number": number},
        )
        layout.put(image.raw)
        entries.append(image.descriptor.as_json())
    layout.put(EMPTY_BLOB)
    inner = canonical_bytes({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})
    layout.put(inner)
    outer = Manifest.parse(
        canonical_bytes(
            {
                "schemaVersion": 2,
                "mediaType": OCI_INDEX,
                "manifests": [entries[0], Manifest.parse(inner).descriptor.as_json()],
            }
        )
    )
    layout.add_manifest(outer, version=VERSION)
    shop = Workshop(carrier.shop.main, carrier.shop.other, carrier.shop.now, manifest=outer)
    for payload in (shop.release_statement(), shop.provenance_statement()):
        LayoutShelf(layout).attach(Attached.parse(dump(shop.sign(payload))), outer.descriptor)
    return Carrier(shop, layout)


class TestWhatGoesAlong:
    def test_a_folder_a_file_and_a_registry_get_the_same(self, carrier: Carrier, tmp_path: Path) -> None:
        note = carrier.note()
        carrier.note(note, b"about the note")
        carrier.noise()
        registry = FakeRegistry()
        carrier.to_layout(tmp_path / "folder")
        carrier.to_archive(tmp_path / "one.tar")
        served = carrier.served()
        registry.referrers = served.referrers
        carrier.to_fake(registry)
        carrier.copy(carrier.from_fake(served), ArchiveDestination(tmp_path / "two.tar"))
        carrier.copy(from_layout(tmp_path / "folder", None), ArchiveDestination(tmp_path / "three.tar"))
        archive = (tmp_path / "one.tar").read_bytes()
        assert (tmp_path / "two.tar").read_bytes() == archive
        assert (tmp_path / "three.tar").read_bytes() == archive
        assert registry.blobs == served.blobs
        assert registry.manifests == served.manifests

    def test_evidence_that_counts_comes_first_and_the_name_comes_last(self, carrier: Carrier) -> None:
        note, noise = carrier.note(), carrier.noise()
        registry = FakeRegistry()
        registry.referrers = carrier.served().referrers
        copied = carrier.to_fake(registry)
        put = [request.url.path.rpartition("/")[2] for request in registry.seen("PUT", "/manifests/")]
        counted = [each.manifest.digest for each in copied.sent if each.counted]
        assert len(counted) == 2
        assert put == [carrier.manifest.digest, *counted, noise.digest, note.digest, VERSION]

    def test_an_index_goes_with_all_that_it_reaches_each_after_what_it_names(
        self, carrier: Carrier, tmp_path: Path
    ) -> None:
        several = index_of(carrier, tmp_path / "index")
        registry = FakeRegistry()
        registry.referrers = several.served().referrers
        origin = from_layout(several.layout.path, WANTED)
        several.to_fake(registry, origin)
        put = [request.url.path.rpartition("/")[2] for request in registry.seen("PUT", "/manifests/")]
        first, inner = (item.digest for item in several.manifest.manifests)
        (second,) = (item.digest for item in several.layout.manifest(inner).manifests if item.digest != first)
        assert put[:4] == [first, second, inner, several.manifest.digest]
        several.copy(origin, ArchiveDestination(tmp_path / "one.tar"))
        again = from_layout(tmp_path / "one.tar", WANTED)  # one release: members are no bundles of their own
        several.copy(again, LayoutDestination(tmp_path / "out"))
        assert Layout.open(tmp_path / "out").manifest(second).annotations == {"example.number": "2"}

    def test_there_is_an_end_to_what_an_index_reaches_and_to_what_is_attached(
        self, carrier: Carrier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(shipment, "MAX_REFERRERS", 2)
        carrier.note()
        with refused(LimitExceeded, "too-many-referrers"):
            carrier.to_layout(tmp_path / "out")
        source = carrier.served()
        listed = source.referrers[carrier.manifest.digest]
        listed[:] = [each for each in listed if each["artifactType"] != NOTE_TYPE]
        listed.append({**listed[0], "digest": Digest.of(b"nothing"), "artifactType": NOTE_TYPE})
        with refused(LimitExceeded, "too-many-referrers"):  # what is left out was asked for as well
            carrier.copy(carrier.from_fake(source), LayoutDestination(tmp_path / "out"))
        several = index_of(carrier, tmp_path / "index")
        monkeypatch.setattr(shipment, "MAX_MEMBERS", 2)
        with refused(LimitExceeded, "too-many-members"):
            several.copy(from_layout(several.layout.path, WANTED), LayoutDestination(tmp_path / "out"))
        assert not (tmp_path / "out").exists()


class TestTheDestination:
    def test_a_registry_that_lists_no_referrers_gets_no_version(self, carrier: Carrier) -> None:
        registry = FakeRegistry()
        with refused(TidegateError, "referrers-unlisted"):
            carrier.to_fake(registry)
        assert VERSION not in registry.manifests

    def test_a_registry_that_does_not_know_referrers_at_all_gets_none_either(self, carrier: Carrier) -> None:
        registry = FakeRegistry()
        registry.before.append(
            lambda request: oci_error(404, "NOT_FOUND", "?") if "/referrers/" in request.url.path else None
        )
        with refused(TidegateError, "referrers-unlisted"):
            carrier.to_fake(registry)
        assert VERSION not in registry.manifests

    def test_another_manifest_under_the_version_ends_the_copy_before_anything_is_sent(
        self, carrier: Carrier, tmp_path: Path
    ) -> None:
        note = carrier.note()
        registry = FakeRegistry()
        registry.manifests[VERSION] = (note.media_type, note.raw)
        with refused(Conflict, "version-taken"):
            carrier.to_fake(registry)
        assert not registry.blobs
        layout = Layout.create(tmp_path / "out")
        layout.add_manifest(note, version=VERSION)
        with refused(Conflict, "version-taken"):
            carrier.to_layout(tmp_path / "out")

    def test_a_break_leaves_no_name_and_what_was_sent_is_not_sent_again(self, carrier: Carrier) -> None:
        registry = FakeRegistry()
        registry.referrers = carrier.served().referrers
        gone: list[bool] = [True]

        def breaks(request: httpx2.Request) -> httpx2.Response | None:
            if gone and request.method == "PUT" and request.url.path.endswith(f"/manifests/{carrier.manifest.digest}"):
                raise httpx2.ConnectError("the line is down")
            return None

        registry.before.append(breaks)
        with refused(Unreachable, "unreachable"):
            carrier.to_fake(registry)
        assert not registry.manifests
        gone.clear()
        blobs = {blob.digest for blob in carrier.manifest.blobs}
        copied = carrier.to_fake(registry)
        assert copied.new
        sent = {request.url.params["digest"] for request in registry.seen("PUT", "/blobs/")}
        assert blobs <= sent
        assert copied.blobs_sent < len(blobs)

    @pytest.mark.parametrize("damage", ["rust", None])
    def test_a_layout_that_lost_content_is_mended(self, carrier: Carrier, tmp_path: Path, damage: str | None) -> None:
        carrier.to_layout(tmp_path / "out")
        out = Layout.open(tmp_path / "out")
        assert carrier.to_layout(out.path).blobs_sent == 0
        lost = out.path / "blobs" / "sha256" / carrier.manifest.layers[0].digest.hex
        lost.unlink() if damage is None else lost.write_text(damage)
        copied = carrier.to_layout(out.path)
        assert (copied.new, copied.blobs_sent) == (False, 1)
        carrier.copy(from_layout(out.path, None), ArchiveDestination(tmp_path / "one.tar"))

    def test_evidence_counts_whatever_algorithm_its_referrer_names_it_by(self, origin: Carrier, tmp_path: Path) -> None:
        shop, layout = origin.shop, copy_of(origin.layout, tmp_path / "origin")
        for referrer in layout.referrers(shop.manifest.digest):
            raw = layout.read_blob(referrer.layers[0].digest, 1 << 20)
            digest = Digest.of(raw, "sha512")
            layout.put_chunks((raw,), digest)
            document = parse_object(referrer.raw, limit=1 << 20, what="a referrer")
            document["layers"] = [{"mediaType": SIGSTORE_BUNDLE, "digest": digest, "size": len(raw)}]
            layout.add_manifest(Manifest.parse(canonical_bytes(document)), version=None)
            layout._write_index(tuple(each for each in layout.entries() if each.digest != referrer.digest))
        copied = Carrier(shop, layout).to_layout(tmp_path / "out")
        assert [each.counted for each in copied.sent] == [True, True]

    def test_a_layout_that_was_damaged_is_mended(self, carrier: Carrier, tmp_path: Path) -> None:
        carrier.to_layout(tmp_path / "out")
        out = Layout.open(tmp_path / "out")
        referrer = carrier.layout.referrers(carrier.manifest.digest)[0]
        (out.path / "blobs" / "sha256" / referrer.layers[0].digest.hex).write_bytes(b"rust")
        copied = carrier.to_layout(tmp_path / "out")
        assert not copied.new
        assert [each.manifest for each in copied.sent] == [referrer]
        assert out.read_blob(referrer.layers[0].digest, 1 << 20)

    @pytest.mark.parametrize("work", ["file", "folder"])
    def test_somebodys_work_is_left_alone(self, carrier: Carrier, tmp_path: Path, work: str) -> None:
        there = tmp_path / "work.tar"
        if work == "file":
            there.write_text("a thesis")
            with refused(Conflict, "destination-exists"):
                carrier.to_archive(there)
            assert there.read_text() == "a thesis"
        else:
            there.mkdir()
            (there / "thesis").write_text("a thesis")
            with refused(Conflict, "layout-not-empty"):
                carrier.to_layout(there)
            assert [each.name for each in there.iterdir()] == ["thesis"]
        assert sorted(each.name for each in tmp_path.iterdir()) == ["origin", "work.tar"]

    def test_an_archive_is_replaced_as_a_whole_or_not_at_all(self, carrier: Carrier, tmp_path: Path) -> None:
        archive = tmp_path / "one.tar"
        carrier.to_archive(archive)
        before = archive.read_bytes()
        note = carrier.note()
        (carrier.layout.path / "blobs" / "sha256" / note.layers[0].digest.hex).unlink()
        with refused(NotFound, "blob-missing"):
            carrier.to_archive(archive)
        assert archive.read_bytes() == before
        assert sorted(each.name for each in tmp_path.iterdir()) == ["one.tar", "origin"]


class TestTheFile:
    def test_a_file_with_several_releases_wants_one_to_be_named(self, carrier: Carrier, tmp_path: Path) -> None:
        other = image_manifest(artifact_type="application/vnd.example", config=EMPTY_DESCRIPTOR, layers=())
        carrier.layout.put(EMPTY_BLOB)
        carrier.layout.add_manifest(other, version="2.0.0")
        files = {
            str(each.relative_to(carrier.layout.path)): each.read_bytes()
            for each in carrier.layout.path.rglob("*")
            if each.is_file()
        }
        several = write_tar(tmp_path / "several.tar", files.items())
        with refused(InvalidInput, "layout-ambiguous"):
            carrier.copy(from_layout(several, None), LayoutDestination(tmp_path / "out"))
        assert carrier.copy(from_layout(several, WANTED), LayoutDestination(tmp_path / "out")).new

    @pytest.mark.parametrize(("cut", "code"), [(600, "archive-truncated"), (-1, "archive-not-tar")])
    def test_a_file_that_was_cut_off_or_compressed_is_no_release(
        self, carrier: Carrier, tmp_path: Path, cut: int, code: str
    ) -> None:
        import gzip

        archive = tmp_path / "one.tar"
        carrier.to_archive(archive)
        raw = archive.read_bytes()
        archive.write_bytes(raw[:cut] if cut > 0 else gzip.compress(raw))
        with refused(InvalidInput, code):
            from_layout(archive, None)

    def test_its_bytes_are_in_the_one_order_there_is(self, carrier: Carrier, tmp_path: Path) -> None:
        carrier.to_archive(tmp_path / "one.tar")
        names = list(members(tmp_path / "one.tar"))
        assert names == sorted(names)
        assert names[-2:] == ["index.json", "oci-layout"]


class TestWhatAPersonWrites:
    @pytest.mark.parametrize("text", ["./out", "../out", "/srv/out", "~/out", "out.tar", "."])
    def test_a_path_is_a_path(self, text: str) -> None:
        assert Place.of_destination(text).path == Path(text).expanduser()
        assert Place.of_destination(text).archive is text.endswith(".tar")

    @pytest.mark.parametrize("text", [AGENT, f"mirror.example/{AGENT}", f"{AGENT}:1.0.0-rc.tar"])
    def test_a_reference_is_a_reference(self, text: str) -> None:
        assert Place.of_destination(text).reference == Reference.parse(text)

    def test_a_bare_word_is_neither_and_the_hint_says_how_to_write_a_path(self) -> None:
        with pytest.raises(ReferenceInvalid) as caught:
            Place.of_destination("out")
        assert caught.value.reasons[0].code == "reference-invalid"
        assert "./out" in str(caught.value.hint)

    def test_a_release_is_not_copied_to_where_it_is(self, carrier: Carrier) -> None:
        for destination in (carrier.layout.path, carrier.layout.path / ".." / "origin"):
            with refused(InvalidInput, "copy-to-itself"):
                copy(
                    Place.of_source(carrier.layout.path),
                    Place.of_destination(str(destination)),
                    trust=carrier.shop.trust,
                )

    def test_each_registry_gets_the_token_that_is_meant_for_it(self) -> None:
        how = Connecting(environ={"TIDEGATE_TOKEN": "one", "TIDEGATE_SOURCE_TOKEN": "two", "HOME": "/nonexistent"})
        tokens = [how.credentials(source=source)._environ["TIDEGATE_TOKEN"] for source in (True, False)]
        assert tokens == ["two", "one"]


def test_what_pull_wrote_can_be_carried_on(carrier: Carrier, tmp_path: Path) -> None:
    shutil.copytree(carrier.layout.path, tmp_path / "pulled" / "layout")
    place = Place.of_source(tmp_path / "pulled")
    assert copy(place, Place(path=tmp_path / "one.tar", archive=True), trust=carrier.shop.trust).new


def test_a_registry_destination_says_where_it_is(carrier: Carrier) -> None:
    registry = FakeRegistry()
    registry.referrers = carrier.served().referrers
    copied = carrier.copy(from_layout(carrier.layout.path, None), RegistryDestination(registry.registry(), AGENT))
    assert str(copied.reference) == f"{registry.host}/{AGENT}:{VERSION}@{carrier.manifest.digest}"
