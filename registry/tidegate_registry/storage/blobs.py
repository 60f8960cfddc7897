"""The one interface to the object store, and the names of what is in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol, Self

from tidegate.digest import Digest
from tidegate.errors import TidegateError, TileInvalid, Unreachable
from tidegate.formats.reference import is_oci_name
from tidegate.tlog.tiles import CHECKPOINT_PATH, parse_tile_path


class StoreUnavailable(Unreachable):
    """The object store did not answer, or answered that it cannot."""

    code = "store-unavailable"


class StoreFull(StoreUnavailable):
    """The object store has no room left."""

    code = "store-full"


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


_SESSION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LOG_OBJECT = re.compile(
    r"objects/sha256/(?P<shard>[0-9a-f]{2})/(?P=shard)[0-9a-f]{62}"
    r"|objects/sha512/(?P<wide>[0-9a-f]{2})/(?P=wide)[0-9a-f]{126}"
)
STAGING, STATE, LOG = "staging/", "state/", "log/"
OCTETS, TEXT, JSON = "application/octet-stream", "text/plain; charset=utf-8", "application/json"
FOR_EVER = "max-age=31536000, immutable"  # RFC 8246; a year is as long as caches keep anything


@dataclass(frozen=True, slots=True)
class StagingKey:
    """Where an unfinished upload keeps bytes: `body` once they are whole, `tail-<size>` what is no full part yet."""

    session: str
    name: str = "body"

    def __post_init__(self) -> None:
        if not _SESSION.fullmatch(self.session) or "/" in self.name:  # a session came in a URL
            raise ValueError("not a session id")

    @property
    def path(self) -> str:
        """`staging/<session>/<name>`."""
        return f"{STAGING}{self.session}/{self.name}"


@dataclass(frozen=True, slots=True)
class StateKey:
    """Where the registry keeps what it replaces, such as how far it came."""

    name: str

    @property
    def path(self) -> str:
        """`state/<name>`."""
        return f"{STATE}{self.name}"


@dataclass(frozen=True, slots=True)
class LogKey:
    """A file of the audit log: `checkpoint`, which is replaced, and `tile/…` and `objects/…`, which are not.

    The path in the bucket is the path in URLs, so that the bucket itself or a cache before it can serve these files,
    with the headers that they are stored with. Source: C2SP tlog-tiles, "Parameters".
    """

    name: str

    def __post_init__(self) -> None:
        if self.name == CHECKPOINT_PATH or _LOG_OBJECT.fullmatch(self.name):  # a name came in a URL
            return
        try:
            parse_tile_path(self.name)
        except TileInvalid as error:
            raise ValueError(f"not a file of the log: {self.name[:200]!r}") from error

    @property
    def path(self) -> str:
        """`log/<name>`."""
        return f"{LOG}{self.name}"

    @classmethod
    def of_object(cls, digest: Digest) -> Self:
        """Name what an entry names by its digest: `objects/<algorithm>/<first two>/<hex>`."""
        return cls(f"objects/{digest.algorithm}/{digest.hex[:2]}/{digest.hex}")

    @property
    def is_public(self) -> bool:
        """Whether anybody may have it: the checkpoint and hashes tell of no entry. Entries and objects need a token."""
        return not self.name.startswith(("tile/entries/", "objects/"))

    @property
    def content_type(self) -> str:
        """What the file is."""
        return TEXT if self.name == CHECKPOINT_PATH else OCTETS

    @property
    def cache_control(self) -> str:
        """How long it may be kept, and by whom; the checkpoint for as long as the next one takes at least."""
        if self.name == CHECKPOINT_PATH:
            return "public, max-age=1"
        return f"{'public' if self.is_public else 'private'}, {FOR_EVER}"


ReplacedKey = StateKey | LogKey
ObjectKey = BlobKey | StagingKey | StateKey | LogKey


def session_of(path: str) -> str | None:
    """Give the session in the path of a staging object; None for a path of another form."""
    session = path.removeprefix(STAGING).partition("/")[0]
    return session if path.startswith(STAGING) and _SESSION.fullmatch(session) else None


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """What the store says of an object.

    `sha256` is None for one that was written without a checksum, or in parts. `mark`: what `presign_put` was given.
    """

    size: int
    sha256: Digest | None
    etag: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in a listing. `path`: below the prefix of the settings."""

    path: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class PresignedPut:
    """A link under which exactly the announced bytes can be PUT, once, until `expires_at`.

    Whoever sends must send `headers`, as they are signed: without them the store answers 403.
    """

    url: str
    headers: Mapping[str, str]
    expires_at: datetime


class BlobStore(Protocol):
    """Write-once objects. Every method may raise StoreUnavailable or StoreFull; all block: call them in a thread."""

    def put(self, key: BlobKey | LogKey, body: BinaryIO | bytes, *, size: int, sha256: Digest) -> bool:
        """Store `body` unless the key is there: True if stored now, False if the same bytes were there before.

        The store itself checks `size` and `sha256` of what it received. Raises StoredBytesDiffer where the key holds
        something else.
        """

    def replace(self, key: BlobKey, body: BinaryIO | bytes, *, size: int, sha256: Digest) -> None:
        """Store `body` whatever is under the key: only to put back what was lost or altered.

        The store itself checks `size` and `sha256` of what it received.
        """

    def copy(self, source: BlobKey, target: BlobKey | LogKey) -> None:
        """Make `target` hold what `source` holds, unless it is there. Raises BlobMissing, StoredBytesDiffer."""

    def promote(self, source: StagingKey, target: BlobKey, *, staged: StoredBlob, sha256: Digest) -> None:
        """Copy a staged object to where blobs are, unless it is there.

        `staged`: the object that was looked at; another one under that key is not copied. `sha256`: what its bytes
        have been found to hash to, whatever algorithm `target` is named by. Raises BlobMissing, StoredBytesDiffer.
        """

    def demand(self, key: BlobKey | LogKey, *, size: int, sha256: Digest) -> None:
        """Raise StoredBytesDiffer where the key holds something else, StoreUnavailable where it holds nothing."""

    def stat(self, key: ObjectKey) -> StoredBlob | None:
        """Say what is stored under `key`; None if nothing is."""

    def measure(self, key: ObjectKey, algorithm: str = "sha256") -> tuple[StoredBlob, Digest, Digest]:
        """Read the object to its end: what it is, and its sha256 and `algorithm` digests. Raises BlobMissing."""

    def open(self, key: ObjectKey, span: range | None = None) -> BinaryIO:
        """Open the object, or the bytes `span` of it, for reading: unverified, whoever reads hashes.

        Raises BlobMissing.
        """

    def delete(self, key: ObjectKey) -> None:
        """Remove the object, if it is there."""

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """List the objects whose path begins with `prefix`, in the order of their paths."""

    def presign_get(self, key: BlobKey, host: str = "") -> str:
        """Make a link under which a client can GET (not HEAD) the object for a while.

        `host`: the registry's name as the client wrote it; it decides under which name the client reaches the store.
        """

    def presign_put(
        self, key: ObjectKey, *, size: int, sha256: Digest, host: str | None = None, mark: str = ""
    ) -> PresignedPut:
        """Make a link to create the object with these bytes and no others. `host`: None for the registry itself.

        `mark` stays with the object and says later through whose link it came.
        """

    def read(self, key: ReplacedKey, *, limit: int) -> tuple[bytes, str] | None:
        """Read a small object whole, and its ETag; None if it is not there.

        Raises StoredBytesDiffer where it has more than `limit` bytes.
        """

    def write(self, key: ReplacedKey, raw: bytes, *, replaces: str | None) -> bool:
        """Write `key` if its ETag is `replaces`, or, with None, if it is not there; say whether it was."""

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
