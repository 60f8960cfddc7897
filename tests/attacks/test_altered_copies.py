"""A release is changed while it is carried: by the registry it comes from, in the file, or by a new name.

Threats (docs/threats.md): a copy is not what was released.
"""

from __future__ import annotations

from pathlib import Path

import httpx2
import pytest

from tests.carrying import NOTE_TYPE, Carrier, copy_of, members, released, write_tar
from tests.client.bundle.agents import FULL_FILES
from tests.client.remote.fake_registry import FakeRegistry
from tests.forge import dump
from tests.workshop import AGENT, VERSION, Workshop
from tidegate.bundle.layout import Layout
from tidegate.digest import Digest
from tidegate.errors import BundleRefused, InvalidInput, NotFound, TidegateError
from tidegate.evidence import Attached, LayoutShelf
from tidegate.formats.manifest import EMPTY_BLOB, evidence_manifest, image_manifest
from tidegate.formats.mediatypes import OCI_INDEX
from tidegate.formats.reference import Reference
from tidegate.releases.copy import copy
from tidegate.releases.destination import ArchiveDestination, LayoutDestination, RegistryDestination
from tidegate.releases.ends import Place
from tidegate.releases.origin import from_layout


@pytest.fixture(scope="module")
def origin(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Carrier:
    return released(workshop, tmp_path_factory.mktemp("origin"))


@pytest.fixture
def carrier(origin: Carrier, tmp_path: Path) -> Carrier:
    """A release in a layout that the test may spoil."""
    return Carrier(origin.shop, copy_of(origin.layout, tmp_path / "origin"))


def codes(error: TidegateError) -> set[str]:
    return {reason.code for reason in error.reasons}


def weights(carrier: Carrier) -> Digest:
    """A blob that is no archive of files: nothing but its digest says what it is."""
    return Digest.of(bytes(FULL_FILES["weights/model.gguf"]))  # type: ignore[arg-type]


class TestWhatTheSourceServes:
    def test_nothing_is_sent_when_the_evidence_was_stripped(self, carrier: Carrier) -> None:
        source, target = carrier.served(), FakeRegistry()
        source.referrers.clear()
        with pytest.raises(BundleRefused) as caught:
            carrier.to_fake(target, carrier.from_fake(source))
        assert "no-signature" in codes(caught.value)
        assert not target.requests

    def test_a_swapped_blob_that_only_its_digest_names_ends_the_copy_before_anything_is_named(
        self, carrier: Carrier, tmp_path: Path
    ) -> None:
        source = carrier.served()
        source.blobs[weights(carrier)] = bytes(len(source.blobs[weights(carrier)]))
        target, archive = FakeRegistry(), tmp_path / "out.tar"
        for destination in (
            RegistryDestination(target.registry(), AGENT),
            LayoutDestination(tmp_path / "out"),
            ArchiveDestination(archive),
        ):
            with pytest.raises(BundleRefused) as caught:
                carrier.copy(carrier.from_fake(source), destination)
            assert codes(caught.value) <= {"blob-altered", "blob-digest"}
        assert not target.manifests
        assert not archive.exists()
        with pytest.raises(NotFound):
            from_layout(tmp_path / "out", None)

    def test_a_swapped_layer_of_files_is_noticed_before_anything_is_sent(self, carrier: Carrier) -> None:
        source, target = carrier.served(), FakeRegistry()
        packed = next(layer.digest for layer in carrier.manifest.layers if b"ustar" in source.blobs[layer.digest])
        source.blobs[packed] = bytes(len(source.blobs[packed]))
        with pytest.raises(BundleRefused):
            carrier.to_fake(target, carrier.from_fake(source))
        assert not target.requests

    def test_another_release_under_the_same_version_is_refused(self, carrier: Carrier) -> None:
        source = carrier.served()
        other = image_manifest(
            artifact_type=carrier.manifest.artifact_type or "",
            config=carrier.manifest.blobs[0],
            layers=carrier.manifest.layers[:-1],
        )
        source.manifests[VERSION] = (other.media_type, other.raw)
        with pytest.raises(BundleRefused):
            carrier.to_fake(FakeRegistry(), carrier.from_fake(source))

    def test_what_is_listed_and_is_about_something_else_is_left_out_and_named(
        self, carrier: Carrier, tmp_path: Path
    ) -> None:
        honest = carrier.note()
        elsewhere = carrier.note(honest)
        source = carrier.served()
        listed = source.referrers[carrier.manifest.digest]
        lie = next(each for each in listed if each["artifactType"] == NOTE_TYPE)
        listed += [lie | {"digest": elsewhere.digest}, lie | {"digest": Digest.of(b"nothing")}]
        del source.referrers[honest.digest]
        copied = carrier.copy(carrier.from_fake(source), LayoutDestination(tmp_path / "out"))
        reasons = {each.digest: reason.code for each in copied.left_out for reason in each.reasons}
        assert reasons == {elsewhere.digest: "referrer-subject", Digest.of(b"nothing"): "not-found"}
        arrived = Layout.open(tmp_path / "out").referrers(carrier.manifest.digest)
        assert honest in arrived
        assert len(arrived) == 3

    def test_evidence_that_is_shown_once_and_then_withheld_ends_the_copy_before_anything_is_sent(
        self, carrier: Carrier, tmp_path: Path
    ) -> None:
        source, target = carrier.served(), FakeRegistry()

        def withholds(request: httpx2.Request) -> httpx2.Response | None:
            if "/referrers/" not in request.url.path or "artifactType" in request.url.params:
                return None
            return httpx2.Response(200, json={"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []})

        source.before.append(withholds)
        for destination in (RegistryDestination(target.registry(), AGENT), LayoutDestination(tmp_path / "out")):
            with pytest.raises(BundleRefused) as caught:
                carrier.copy(carrier.from_fake(source), destination)
            assert codes(caught.value) == {"evidence-withheld"}
        assert not target.requests
        assert not (tmp_path / "out").exists()

    def test_evidence_with_other_bytes_the_second_time_leaves_nothing_named(
        self, carrier: Carrier, tmp_path: Path
    ) -> None:
        source, target, asked = carrier.served(), FakeRegistry(), list[str]()
        target.referrers = source.referrers
        digest = carrier.layout.referrers(carrier.manifest.digest)[0].layers[0].digest

        def swaps(request: httpx2.Request) -> httpx2.Response | None:
            if request.method != "GET" or not request.url.path.endswith(f"/blobs/{digest}"):
                return None
            asked.append(request.url.path)
            raw = source.blobs[digest]
            return httpx2.Response(200, content=raw if len(asked) % 2 else bytes(len(raw)))

        source.before.append(swaps)
        for destination in (RegistryDestination(target.registry(), AGENT), LayoutDestination(tmp_path / "out")):
            with pytest.raises(BundleRefused) as caught:
                carrier.copy(carrier.from_fake(source), destination)
            assert codes(caught.value) <= {"blob-altered", "blob-digest"}
        assert VERSION not in target.manifests
        with pytest.raises(NotFound):
            from_layout(tmp_path / "out", None)

    def test_what_a_stranger_calls_an_attachment_cannot_command_a_terminal(
        self, carrier: Carrier, tmp_path: Path
    ) -> None:
        raw = b"{}"
        carrier.layout.put(raw)
        loud = "\x1b[2J\x1b]0;owned\x07" + "x" * 5000
        carrier.layout.add_manifest(evidence_manifest(raw, carrier.manifest.descriptor, loud), version=None)
        told: list[str] = []
        origin, out = from_layout(carrier.layout.path, None), LayoutDestination(tmp_path / "out")
        copied = carrier.copy(origin, out, lambda verb, what: told.append(f"{verb} {what}"))
        assert len(copied.sent) == 3
        assert all(line.isprintable() and len(line) < 1000 for line in told)


class TestWhatIsInTheFile:
    def rewritten(self, carrier: Carrier, folder: Path, name: str, data: bytes | None) -> Path:
        archive = folder / "honest.tar"
        carrier.to_archive(archive)
        files = members(archive)
        if data is None:
            del files[name]
        else:
            files[name] = data
        return write_tar(folder / "bent.tar", files.items())

    @pytest.mark.parametrize("damage", ["swapped", "gone"])
    def test_no_blob_of_a_release_can_be_changed_or_taken_away(
        self, carrier: Carrier, tmp_path: Path, damage: str
    ) -> None:
        for digest in {carrier.manifest.digest, *(blob.digest for blob in carrier.manifest.blobs)}:
            size = len(carrier.layout.read_blob(digest, 1 << 24))
            data = bytes(size) if damage == "swapped" else None
            bent = self.rewritten(carrier, tmp_path, f"blobs/sha256/{digest.hex}", data)
            with pytest.raises((BundleRefused, NotFound)) as caught:
                carrier.copy(from_layout(bent, None), LayoutDestination(tmp_path / "out"))
            expected = {
                "blob-digest",
                "blob-missing",
                "layer-not-canonical",
                "file-content",
                "layer-not-json",
                "config-digest",
            }
            assert codes(caught.value) & expected, codes(caught.value)
        with pytest.raises(NotFound):
            from_layout(tmp_path / "out", None)

    def test_the_end_of_a_swapped_blob_is_kept_back_from_a_registry(self, carrier: Carrier, tmp_path: Path) -> None:
        size = len(carrier.layout.read_blob(weights(carrier), 1 << 24))
        for data in (bytes(size), bytes(size - 1), bytes(size + 1)):
            bent = self.rewritten(carrier, tmp_path, f"blobs/sha256/{weights(carrier).hex}", data)
            target = FakeRegistry()
            with pytest.raises(BundleRefused) as caught:
                carrier.to_fake(target, from_layout(bent, None))
            assert codes(caught.value) == {"blob-digest"}
            assert not target.manifests

    def test_a_swapped_blob_does_not_get_into_another_file(self, carrier: Carrier, tmp_path: Path) -> None:
        size = len(carrier.layout.read_blob(weights(carrier), 1 << 24))
        bent = self.rewritten(carrier, tmp_path, f"blobs/sha256/{weights(carrier).hex}", bytes(size))
        with pytest.raises(BundleRefused) as caught:
            carrier.copy(from_layout(bent, None), ArchiveDestination(tmp_path / "out.tar"))
        assert codes(caught.value) == {"blob-digest"}
        assert not (tmp_path / "out.tar").exists()

    def test_a_file_without_its_evidence_is_refused(self, carrier: Carrier, tmp_path: Path) -> None:
        bare = copy_of(carrier.layout, tmp_path / "bare")
        bare._write_index(tuple(each for each in bare.entries() if each.digest == carrier.manifest.digest))
        with pytest.raises(BundleRefused) as caught:
            carrier.copy(from_layout(bare.path, None), LayoutDestination(tmp_path / "out"))
        assert "no-signature" in codes(caught.value)
        assert not (tmp_path / "out").exists()


class TestTheNameItGets:
    @pytest.mark.parametrize("asked", ["acme/other-agent", f"{AGENT}:9.9.9"])
    def test_a_release_cannot_become_another_agent_or_version(
        self, carrier: Carrier, tmp_path: Path, asked: str
    ) -> None:
        archive = tmp_path / "one.tar"
        carrier.to_archive(archive)
        with pytest.raises((InvalidInput, BundleRefused)) as caught:
            copy(
                Place.of_source(archive),
                Place(reference=Reference.parse(f"127.0.0.1:9/{asked}")),  # where nobody listens
                trust=carrier.shop.trust,
                now=carrier.shop.now,
            )
        assert codes(caught.value) & {"copy-renames", "version-mismatch"}

    def test_an_opaque_release_cannot_either(self, workshop: Workshop, tmp_path: Path) -> None:
        layout_of_opaque(workshop, tmp_path / "opaque")
        with pytest.raises(BundleRefused) as caught:
            copy(
                Place.of_source(tmp_path / "opaque"),
                Place.of_destination(str(tmp_path / "out")),
                expected=Reference("acme/other-agent", version=VERSION),
                trust=workshop.trusting(
                    workshop.charter, workshop.charter.model_copy(update={"agent": "acme/other-agent"})
                ),
                now=workshop.now,
            )
        assert codes(caught.value) & {"no-release-statement", "no-signature"}
        assert not (tmp_path / "out").exists()


def layout_of_opaque(workshop: Workshop, path: Path) -> None:
    """Release the workshop's opaque bundle in a layout."""
    layout = Layout.create(path)
    layout.put(EMPTY_BLOB)
    layout.add_manifest(workshop.manifest, version=VERSION)
    for payload in (workshop.release_statement(), workshop.provenance_statement()):
        LayoutShelf(layout).attach(Attached.parse(dump(workshop.sign(payload))), workshop.manifest.descriptor)
