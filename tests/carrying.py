"""A release with all its evidence, in a layout and in a registry that does as a test likes; and ways to copy it."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tests.client.bundle.agents import FULL_FILES, build_agent
from tests.client.remote.fake_registry import FakeRegistry
from tests.forge import dump
from tests.workshop import AGENT, VERSION, Workshop
from tidegate.bundle.layout import Layout
from tidegate.evidence import Attached, LayoutShelf
from tidegate.formats.manifest import (
    EMPTY_BLOB,
    EMPTY_DESCRIPTOR,
    Descriptor,
    Manifest,
    evidence_manifest,
    image_manifest,
)
from tidegate.formats.reference import Reference
from tidegate.releases.copy import Copied, Tell, copy_release
from tidegate.releases.destination import ArchiveDestination, Destination, LayoutDestination, RegistryDestination
from tidegate.releases.origin import Origin, from_layout, from_registry

WANTED = Reference(AGENT, version=VERSION)
NOTE_TYPE = "application/vnd.example.note"


@dataclass
class Carrier:
    """A released bundle in `layout`: release statement, provenance, and what tests attach to it."""

    shop: Workshop
    layout: Layout

    @property
    def manifest(self) -> Manifest:
        return self.shop.manifest

    def copy(self, origin: Origin, destination: Destination, tell: Tell = lambda _verb, _what: None) -> Copied:
        return copy_release(origin, destination, trust=self.shop.trust, now=self.shop.now, tell=tell)

    def to_layout(self, path: Path) -> Copied:
        return self.copy(from_layout(self.layout.path, None), LayoutDestination(path))

    def to_archive(self, path: Path) -> Copied:
        return self.copy(from_layout(self.layout.path, None), ArchiveDestination(path))

    def to_fake(self, registry: FakeRegistry, origin: Origin | None = None) -> Copied:
        found = origin or from_layout(self.layout.path, None)
        return self.copy(found, RegistryDestination(registry.registry(), AGENT))

    def served(self) -> FakeRegistry:
        """A registry that has what the layout has."""
        registry = FakeRegistry(host="127.0.0.1:5001")
        for manifest in self.layout.manifests():
            registry.manifests[manifest.digest] = (manifest.media_type, manifest.raw)
            for blob in manifest.blobs:
                registry.blobs[blob.digest] = self.layout.read_blob(blob.digest, 1 << 24)
            if manifest.subject is not None:
                entry = replace(manifest.descriptor, artifact_type=manifest.effective_artifact_type).as_json()
                registry.referrers.setdefault(manifest.subject.digest, []).append(dict(entry))
        registry.manifests[VERSION] = (self.manifest.media_type, self.manifest.raw)
        return registry

    def from_fake(self, registry: FakeRegistry, wanted: Reference = WANTED) -> Origin:
        return from_registry(registry.registry(), wanted)

    def note(self, subject: Manifest | None = None, text: bytes = b"hello") -> Manifest:
        """Attach something that is no evidence."""
        about = (subject or self.manifest).descriptor
        content = Descriptor("text/plain", self.layout.put(text), len(text))
        self.layout.put(EMPTY_BLOB)
        manifest = image_manifest(artifact_type=NOTE_TYPE, config=EMPTY_DESCRIPTOR, layers=(content,), subject=about)
        self.layout.add_manifest(manifest, version=None)
        return manifest

    def noise(self) -> Manifest:
        """Attach a bundle that proves nothing."""
        raw = b'{"mediaType":"nothing"}'
        self.layout.put(raw)
        self.layout.put(EMPTY_BLOB)
        manifest = evidence_manifest(raw, self.manifest.descriptor, "https://example.org/noise")
        self.layout.add_manifest(manifest, version=None)
        return manifest


def released(workshop: Workshop, folder: Path) -> Carrier:
    """Build, sign and prove an agent with weights in a layout of its own."""
    built = build_agent(folder, FULL_FILES)
    shop = replace(workshop, manifest=built.manifest)
    shelf = LayoutShelf(built.layout)
    for payload in (shop.release_statement(), shop.provenance_statement()):
        shelf.attach(Attached.parse(dump(shop.sign(payload))), built.manifest.descriptor)
    return Carrier(shop, built.layout)


def members(archive: Path) -> dict[str, bytes]:
    """Read a tar."""
    with tarfile.open(archive) as tar:
        return {each.name: file.read() for each in tar.getmembers() if (file := tar.extractfile(each)) is not None}


def write_tar(path: Path, files: Iterable[tuple[str, bytes]]) -> Path:
    """Write a tar."""
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files:
            header = tarfile.TarInfo(name)
            header.size = len(data)
            tar.addfile(header, io.BytesIO(data))
    return path


def copy_of(layout: Layout, folder: Path) -> Layout:
    """Copy a layout, to spoil it."""
    return Layout.open(Path(shutil.copytree(layout.path, folder)))
