"""The one interface to the object store, and the names of what is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Protocol

from tidegate.digest import Digest
from tidegate.errors import TidegateError, Unreachable
from tidegate.formats.reference import is_oci_name


class StoreUnavailable(Unreachable):
    """The object store did not answer, or answered that it cannot."""

    code = "store-unavailable"


class StoredBytesDiffer(TidegateError):
    """The object under a digest's key is not what the digest says. Somebody wrote to the bucket behind our back."""

    code = "stored-bytes-differ"


@dataclass(frozen=True, slots=True)
class BlobKey:
    """Where a blob is kept: content-addressed within one namespace, so that digests tell nothing of another's."""

    namespace: str
    digest: Digest

    def __post_init__(self) -> None:
        if "/" in self.namespace or not is_oci_name(self.namespace):
            raise ValueError(f"not a namespace: {self.namespace!r}")

    @property
    def path(self) -> str:
        """`blobs/<namespace>/<algorithm>/<first two>/<hex>`."""
        return f"blobs/{self.namespace}/{self.digest.algorithm}/{self.digest.hex[:2]}/{self.digest.hex}"


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """What the store says of an object. `sha256` is None for one that was written without a checksum."""

    size: int
    sha256: Digest | None


class BlobStore(Protocol):
    """Write-once objects. Every method may raise StoreUnavailable; all block, so call them off the event loop."""

    def put(self, key: BlobKey, body: BinaryIO, *, size: int, sha256: Digest) -> bool:
        """Store `body` unless the key is there: True if stored now, False if the same bytes were there before.

        The store itself checks `size` and `sha256` of what it received. Raises StoredBytesDiffer where the key holds
        something else.
        """

    def copy(self, source: BlobKey, target: BlobKey) -> None:
        """Make `target` hold what `source` holds, unless it is there. Raises BlobMissing, StoredBytesDiffer."""

    def stat(self, key: BlobKey) -> StoredBlob | None:
        """Say what is stored under `key`; None if nothing is."""

    def open(self, key: BlobKey) -> BinaryIO:
        """Open the object for reading, unverified: whoever reads hashes. Raises BlobMissing."""

    def presign_get(self, key: BlobKey) -> str:
        """Make a link under which a client can GET (not HEAD) the object for a while."""

    def ping(self) -> None:
        """Raise StoreUnavailable unless the bucket answers."""

    def probe(self) -> None:
        """Try on the real bucket what we rely on. Raises StoreUnfit with the property that is missing."""


class BlobMissing(TidegateError):
    """A row says that a blob is stored, and the store does not have it."""

    code = "blob-missing"


class StoreUnfit(TidegateError):
    """The object store does not do what write-once content addressing needs."""

    code = "store-unfit"
