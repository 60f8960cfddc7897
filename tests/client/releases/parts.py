"""One large blob that is fetched in parts of a hundred bytes from a registry in memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from tests.client.remote.fake_registry import NAME, FakeRegistry, blob
from tidegate.bundle.layout import Layout
from tidegate.digest import Digest
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, image_manifest
from tidegate.formats.mediatypes import OCI_MANIFEST
from tidegate.releases import fetch
from tidegate.releases.fetch import fetch_blobs
from tidegate.remote.source import RegistrySource

DATA = bytes(range(250)) * 4  # ten parts, each unlike the next
PART = 100


class Parts:
    """The registry, the layout that is filled, and how many bytes were told as done."""

    def __init__(self, folder: Path) -> None:
        self.fake = FakeRegistry(needs_token=True)
        self.digest = self.fake.put_blob(DATA)
        self.layout = Layout.create(folder / "layout")
        self.done = 0

    def fetch(
        self,
        *more: bytes,
        earlier: Layout | None = None,
        advance: Callable[[int], None] = lambda _: None,
        stop: Event | None = None,
    ) -> None:
        for data in more:
            self.fake.put_blob(data)
        blobs = [blob(data) for data in (*more, DATA)]
        manifest = image_manifest(artifact_type="application/x", config=EMPTY_DESCRIPTOR, layers=tuple(blobs))
        self.fake.manifests[manifest.digest] = (OCI_MANIFEST, manifest.raw)
        source = RegistrySource(self.fake.registry(lambda _: "ID"), NAME)
        source.manifest(manifest.digest)

        def tell(count: int) -> None:
            self.done += count
            advance(count)

        fetch_blobs(source, blobs, self.layout, earlier, tell, stop=stop)

    def stored(self) -> set[Digest]:
        """Every file there is among the blobs: unfinished ones too."""
        return {Digest(f"sha256:{path.name}") for path in (self.layout.path / "blobs" / "sha256").iterdir()}

    def ranges(self) -> list[str]:
        """What was asked for of the large blob."""
        asked = self.fake.seen("GET", f"/blobs/{self.digest}")
        return [request.headers.get("range", "") for request in asked if request.headers.get("authorization")]


def parts_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    monkeypatch.setattr(fetch, "PART_BYTES", PART)
    return Parts(folder)
