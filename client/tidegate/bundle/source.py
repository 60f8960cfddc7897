"""Where a bundle comes from: a layout folder, an archive of one, a registry. Whoever reads bundles takes this."""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO, Protocol

from tidegate.digest import Digest
from tidegate.formats.manifest import Manifest


class BundleSource(Protocol):
    """Manifests and blobs by digest. Nothing is believed: readers check digests themselves."""

    def root(self, version: str | None = None) -> Manifest:
        """Give the bundle's manifest; `version` chooses among several. Raises NotFound, InvalidInput."""
        ...

    def manifest(self, digest: Digest) -> Manifest:
        """Give the manifest with that digest. Raises NotFound."""
        ...

    def open_blob(self, digest: Digest) -> BinaryIO:
        """Open a blob for reading from its start to its end; it may not be seekable. Raises NotFound."""
        ...

    def referrers(self, subject: Digest) -> Iterable[Manifest]:
        """Give the manifests whose subject is `subject`, in a stable order, perhaps only as they are asked for."""
        ...
