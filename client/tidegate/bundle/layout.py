"""OCI image layouts: a folder that is written atomically, or a tar archive of one that is only read.

Source: OCI image-spec 1.1, image-layout. A manifest is hashed when it is first read, and what was hashed is what is
given again; of other blobs `open_blob` gives the bytes as they are, for a reader that hashes while it reads.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Self

from tidegate.bundle.archive import ArchiveFiles
from tidegate.bundle.files import FileIdentity, clone, open_regular, place_file
from tidegate.digest import Digest, Hasher, chunks_of
from tidegate.errors import BundleRefused, Conflict, InvalidInput, NotFound
from tidegate.formats.jcs import canonical_bytes, parse_object
from tidegate.formats.manifest import MAX_MANIFEST_BYTES, Descriptor, Manifest
from tidegate.formats.mediatypes import ANNOTATION_REF_NAME, ANNOTATION_VERSION, OCI_INDEX

INDEX, MARKER = "index.json", "oci-layout"
MARKER_BYTES = canonical_bytes({"imageLayoutVersion": "1.0.0"})
_MAX_MARKER_BYTES = 1 << 10
_LINKED_MODE = 0o444


class BlobWriter:
    """A blob on its way into a layout: `write` chunks, then `commit`."""

    def __init__(self, file: BinaryIO, commit: Callable[[Digest], None]) -> None:
        self._file, self._commit = file, commit
        self._hasher = Hasher()

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Take the next bytes."""
        self._hasher.update(chunk)
        self._file.write(chunk)

    @property
    def size(self) -> int:
        """Bytes so far."""
        return self._hasher.size

    def commit(self) -> Digest:
        """Give the blob its name. Returns its digest."""
        self._file.flush()
        self._commit(self._hasher.digest)
        return self._hasher.digest


class Layout:
    """An OCI image layout. It is a `BundleSource`. `create` and `open` make one."""

    def __init__(self, path: Path, archive: ArchiveFiles | None = None) -> None:
        self.path = path
        self._archive = archive
        self._index: tuple[bytes, tuple[Descriptor, ...]] = (b"", ())
        self._manifests: dict[Digest, Manifest] = {}  # emptied when the layout is written to

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a layout in the empty or absent folder `path`, or open the layout that is there. Raises Conflict."""
        if (path / MARKER).is_file():
            return cls.open(path)
        cls.check_creatable(path)
        (path / "blobs" / "sha256").mkdir(parents=True, exist_ok=True)
        layout = cls(path)
        layout._write_index(())
        _write_atomically(path / MARKER, MARKER_BYTES)
        return layout

    @staticmethod
    def check_creatable(path: Path) -> None:
        """Raise Conflict (code "layout-not-empty") unless `path` is an empty or absent folder, or a layout."""
        if (path / MARKER).is_file():
            return
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise Conflict(
                "a layout would be mixed with other files",
                code="layout-not-empty",
                found=path,
                expected="an empty folder, an absent one, or an OCI image layout",
            )

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the layout folder or archive at `path`. Raises NotFound, InvalidInput."""
        if not path.exists():
            raise NotFound("there is no layout", found=path, hint="run tidegate build")
        archive = None if path.is_dir() else ArchiveFiles.open(path)
        layout = cls(path, archive)
        marker = parse_object(layout._read(MARKER, _MAX_MARKER_BYTES), limit=_MAX_MARKER_BYTES, what=MARKER)
        if marker.get("imageLayoutVersion") != "1.0.0":
            raise InvalidInput("that layout has another version", found=marker, expected="imageLayoutVersion 1.0.0")
        return layout

    # reading

    def open_blob(self, digest: Digest) -> BinaryIO:
        """Open a blob, unchecked. Raises NotFound."""
        try:
            return self._open(blob_name(digest))
        except FileNotFoundError as error:
            raise NotFound(
                "the layout does not hold that blob", code="blob-missing", found=digest, hint="fetch or build it again"
            ) from error
        except OSError as error:  # a link, a folder, a pipe
            raise BundleRefused("a blob is not a readable file", code="blob-unreadable", found=error) from error

    def read_blob(self, digest: Digest, limit: int) -> bytes:
        """Read a blob of at most `limit` bytes and check its digest. Raises NotFound, BundleRefused."""
        with self.open_blob(digest) as file:
            raw = file.read(limit + 1)
        if len(raw) > limit:
            raise BundleRefused("a blob is too large", code="blob-too-large", expected=f"at most {limit} bytes")
        if not digest.matches(raw):
            raise BundleRefused(
                "a blob in the layout is not what its name says",
                code="blob-digest",
                found=Digest.of(raw, digest.algorithm),
                expected=digest,
                hint="build or fetch it again",
            )
        return raw

    def has(self, digest: Digest) -> bool:
        """Whether the layout holds that blob."""
        if self._archive is not None:
            return blob_name(digest) in self._archive
        return (self.path / blob_name(digest)).is_file()

    def manifest(self, digest: Digest) -> Manifest:
        """Read a manifest. Raises NotFound, ManifestInvalid, BundleRefused."""
        if digest not in self._manifests:
            raw = self.read_blob(digest, MAX_MANIFEST_BYTES)
            self._manifests[digest] = Manifest.parse(raw, algorithm=digest.algorithm)
        return self._manifests[digest]

    def entries(self) -> tuple[Descriptor, ...]:
        """Give the descriptors in `index.json`. Raises ManifestInvalid."""
        raw = self._read(INDEX, MAX_MANIFEST_BYTES)
        known, entries = self._index
        if raw != known:
            entries = Manifest.parse(raw, content_type=OCI_INDEX).manifests
            self._index = (raw, entries)
        return entries

    def manifests(self) -> tuple[Manifest, ...]:
        """Read every manifest that the index names, in its order."""
        return tuple(self.manifest(digest) for digest in dict.fromkeys(entry.digest for entry in self.entries()))

    def by_version(self) -> dict[str, Manifest]:
        """Give the bundles by the version that the index gives them, else by the one they give themselves.

        Of several under one version the last; `root` refuses to choose among them.
        """
        return dict(self._roots())

    def root(self, version: str | None = None) -> Manifest:
        """Give the one bundle in the layout, or the one of that version. Raises NotFound, InvalidInput."""
        roots = self._roots()
        chosen = [manifest for found, manifest in roots if version is None or found == version]
        if not roots:
            raise NotFound("the layout holds no bundle", found=self.path, hint="run tidegate build")
        if not chosen:
            expected = ", ".join(sorted(found for found, _ in roots))
            raise NotFound("the layout holds no such version", found=version, expected=expected)
        if len(chosen) > 1:
            raise InvalidInput(
                "the layout holds several bundles",
                code="layout-ambiguous",
                found=", ".join(sorted(found for found, _ in roots)),
                expected="one version to be named" if version is None else "one bundle of that version",
                hint="name it with --as NAMESPACE/AGENT:VERSION, or for `tidegate diff` as LAYOUT:VERSION",
            )
        return chosen[0]

    def _roots(self) -> list[tuple[str, Manifest]]:
        named = {entry.digest: entry.annotations.get(ANNOTATION_REF_NAME) for entry in self.entries()}
        return [
            (named[found.digest] or found.annotations.get(ANNOTATION_VERSION) or str(found.digest), found)
            for found in self.manifests()
            if found.subject is None
        ]

    def referrers(self, subject: Digest) -> tuple[Manifest, ...]:
        """Give the manifests about `subject`, in the order of the index."""
        return tuple(found for found in self.manifests() if found.subject and found.subject.digest == subject)

    # writing: each step is a temporary file and a rename

    def put(self, data: bytes) -> Digest:
        """Store `data` and give its digest."""
        with self.write_blob() as writer:
            writer.write(data)
            return writer.commit()

    def put_stream(self, stream: BinaryIO, digest: Digest) -> None:
        """Store what `stream` gives, if it has `digest`. Raises BundleRefused."""
        self.put_chunks(chunks_of(stream), digest)

    def put_chunks(self, chunks: Iterable[bytes], digest: Digest) -> None:
        """Store the bytes in `chunks`, if they have `digest`. Raises BundleRefused."""
        hasher = Hasher(digest.algorithm)
        with self.incoming(digest.algorithm) as (file, commit):
            for chunk in chunks:
                hasher.update(chunk)
                file.write(chunk)
            _demand(hasher.digest, digest)
            file.flush()
            commit(digest)

    def put_clone(self, file: BinaryIO, digest: Digest) -> None:
        """Store the bytes of a file on disk, if they have `digest`: as a clone where the file system shares blocks.

        The clone is what is hashed, so nothing that happens to `file` later matters. Raises BundleRefused.
        """
        with self.incoming(digest.algorithm) as (copy, commit):
            if clone(file, copy):
                _demand(Hasher.of(chunks_of(copy), digest.algorithm).digest, digest)
                commit(digest)
                return
        self.put_stream(file, digest)

    def put_file(self, path: Path, digest: Digest) -> None:
        """Store a copy of the file at `path`, which must have `digest`. Raises BundleRefused."""
        with path.open("rb") as file:
            self.put_stream(file, digest)

    def place_file(self, path: Path, digest: Digest, identity: FileIdentity, *, link: bool) -> bool:
        """Store a file whose digest was computed while it had `identity`, without reading it again where possible.

        Clones it on file systems that share blocks, else hard-links it if `link`. Returns False when neither worked.
        """
        target = self._writable() / blob_name(digest)
        if target.is_file() and target.stat().st_size == identity.size:
            return True
        target.parent.mkdir(parents=True, exist_ok=True)
        return place_file(path, target, identity, link=link)

    def unpack_blob(self, digest: Digest, target: Path, mode: int) -> bool:
        """Make `target` (absent) a file with the bytes of a blob, without copying them; False when that cannot be done.

        A clone has a life of its own and gets `mode`. A hard link is the blob itself: it is only made for a file that
        nobody executes, and nobody may write to it any more (mode 0444).
        """
        blob = self._writable() / blob_name(digest)
        linked = mode & stat.S_IXUSR == 0
        if not place_file(blob, target, FileIdentity.of(blob.stat()), link=linked):
            return False
        target.chmod(_LINKED_MODE if target.samefile(blob) else mode)
        return True

    @contextmanager
    def write_blob(self) -> Iterator[BlobWriter]:
        """Open a new blob; nothing is left of it unless it is committed."""
        with self.incoming("sha256") as (file, commit):
            yield BlobWriter(file, commit)

    def add_manifest(self, manifest: Manifest, *, version: str | None) -> None:
        """Store a manifest and list it in the index; `version` names it, and unnames what had that name."""
        self.put_chunks((manifest.raw,), manifest.digest)
        kept = [entry for entry in self.entries() if entry.digest != manifest.digest]
        if version is not None:
            kept = [entry for entry in kept if entry.annotations.get(ANNOTATION_REF_NAME) != version]
        self._write_index((*kept, index_entry(manifest, version)))

    def keep_only(self, digest: Digest) -> None:
        """List no manifest but `digest` and those about it, and drop the blobs that nothing names any more."""
        kept = {digest, *(found.digest for found in self.referrers(digest))}
        self._write_index(tuple(entry for entry in self.entries() if entry.digest in kept))
        self.sweep()

    def sweep(self) -> None:
        """Delete the blobs, and what unfinished writes have left, that nothing reaches from `index.json`.

        Raises ManifestInvalid, BundleRefused.
        """
        named: set[Digest] = set()
        waiting = [entry.digest for entry in self.entries()]
        while waiting:  # an index names manifests, which name blobs
            digest = waiting.pop()
            if digest not in named:
                found = self.manifest(digest)
                named |= {digest, *(blob.digest for blob in found.blobs)}
                waiting += [entry.digest for entry in found.manifests if self.has(entry.digest)]
        self._manifests.clear()
        for file in (self._writable() / "blobs").glob("*/*"):
            if f"{file.parent.name}:{file.name}" not in named:
                file.unlink()

    def _write_index(self, entries: tuple[Descriptor, ...]) -> None:
        _write_atomically(self._writable() / INDEX, index_bytes(entries))
        self._manifests.clear()

    @contextmanager
    def incoming(self, algorithm: str) -> Iterator[tuple[BinaryIO, Callable[[Digest], None]]]:
        """Open a new file for a blob, and give the way to name it once it was hashed; without a name it goes again."""
        folder = self._writable() / "blobs" / algorithm
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{secrets.token_hex(8)}"

        def commit(final: Digest) -> None:
            temporary.replace(self.path / blob_name(final))

        try:
            with temporary.open("x+b") as file:
                yield file, commit
        finally:
            temporary.unlink(missing_ok=True)

    def _writable(self) -> Path:
        if self._archive is not None:
            raise InvalidInput("an archive of a layout is only read", found=self.path, hint="unpack it first")
        return self.path

    def _open(self, name: str) -> BinaryIO:
        if self._archive is not None:
            return self._archive.open_file(name)
        return os.fdopen(open_regular(self.path / name), "rb")

    def _read(self, name: str, limit: int) -> bytes:
        try:
            with self._open(name) as file:
                raw = file.read(limit + 1)
        except FileNotFoundError as error:
            raise InvalidInput("that is no OCI image layout", found=self.path, expected=f"a file {name}") from error
        except OSError as error:
            raise InvalidInput(f"{name} cannot be read", found=error) from error
        if len(raw) > limit:
            raise InvalidInput(f"{name} is too large", expected=f"at most {limit} bytes")
        return raw


def index_entry(manifest: Manifest, version: str | None) -> Descriptor:
    """Give the entry of `index.json` for a manifest; `version` names it."""
    names = {ANNOTATION_REF_NAME: version} if version is not None else {}
    size = len(manifest.raw)
    return Descriptor(manifest.media_type, manifest.digest, size, manifest.effective_artifact_type, names)


def index_bytes(entries: Iterable[Descriptor]) -> bytes:
    """Write `index.json`: what is named first, then by digest, so that equal content has equal bytes."""
    ordered = sorted(entries, key=lambda entry: (ANNOTATION_REF_NAME not in entry.annotations, entry.digest))
    return canonical_bytes(
        {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry.as_json() for entry in ordered]}
    )


def blob_name(digest: Digest) -> str:
    """Give the path of a blob inside a layout."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def _demand(found: Digest, expected: Digest) -> None:
    if found != expected:
        raise BundleRefused("a blob is not what was asked for", code="blob-digest", found=found, expected=expected)


def _write_atomically(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
