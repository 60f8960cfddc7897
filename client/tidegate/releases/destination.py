"""Where a release is copied to: a repository of a registry, a layout, a new archive. Each takes the same steps.

Content, then referrers, then the name: whoever stops in between leaves nothing that passes for a release, and what is
there is not sent again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from tidegate.bundle.checked import open_checked
from tidegate.bundle.export import Exported, check_archivable, check_replaceable, write_archive, writing_archive
from tidegate.bundle.layout import Layout
from tidegate.digest import Digest, Hasher, chunks_of
from tidegate.errors import Conflict, NotFound, Refusal
from tidegate.formats.manifest import Descriptor, Manifest
from tidegate.formats.mediatypes import ANNOTATION_REF_NAME
from tidegate.releases.fetch import fetch_blobs
from tidegate.releases.pull import ShowProgress
from tidegate.releases.space import check_space, explaining

if TYPE_CHECKING:
    from tidegate.bundle.source import BundleSource
    from tidegate.remote.registry import Registry
    from tidegate.remote.uploads import Missing, Progress


class ReferrersUnlisted(Refusal):
    """A registry took evidence and does not list it."""

    code = "referrers-unlisted"


class Destination(Protocol):
    """One place that takes one release."""

    @property
    def where(self) -> str:
        """The registry's `host[:port]`, or the path."""
        ...

    @property
    def registry(self) -> str | None:
        """The registry's `host[:port]`, None when it is none."""
        ...

    @property
    def writes_at_once(self) -> bool:
        """Whether nothing is written before `name`."""
        ...

    def check(self) -> None:
        """Refuse a place that cannot be written to before a long way is gone. Raises Conflict, InvalidInput."""
        ...

    def is_named(self, version: str, digest: Digest) -> bool:
        """Whether the version is that manifest already. Raises Conflict (code "version-taken") when it is another."""
        ...

    def has(self, manifest: Manifest) -> bool:
        """Whether the manifest is there, with all it names."""
        ...

    def put_blobs(self, source: BundleSource, blobs: Sequence[Descriptor], progress: ShowProgress | None) -> int:
        """Bring the blobs that are missing, each hashed on its way, and give their number."""
        ...

    def put_content(self, manifest: Manifest) -> None:
        """Take a manifest of the release, without a name. What it names must be there."""
        ...

    def put_referrer(self, manifest: Manifest) -> None:
        """Take a manifest about another one. What it names must be there."""
        ...

    def check_listed(self, subject: Digest, referrers: Collection[Digest]) -> None:
        """Check that whoever asks for the referrers of `subject` is told of these. Raises ReferrersUnlisted."""
        ...

    def name(self, manifest: Manifest, version: str, source: BundleSource, progress: ShowProgress | None) -> str | None:
        """Give the version to the manifest: the last step, which decides. Gives the id of the audit log's entry."""
        ...


class RegistryDestination:
    """A repository of a registry. A Tidegate registry admits under its own charter."""

    writes_at_once = False

    def __init__(self, registry: Registry, name: str) -> None:
        self._registry, self._name = registry, name
        self.where = self.registry = registry.address.host

    def check(self) -> None:
        """See `Destination`: a registry says what it takes when it is asked to take it."""

    def is_named(self, version: str, digest: Digest) -> bool:
        """See `Destination`."""
        named = self._registry.resolve(self._name, version)
        if named is not None and named != digest:
            raise _taken(f"{self.where}/{self._name}:{version}", digest, named)
        return named is not None

    def has(self, manifest: Manifest) -> bool:
        """See `Destination`."""
        return self._registry.has_manifest(self._name, manifest.digest)

    def put_blobs(self, source: BundleSource, blobs: Sequence[Descriptor], progress: ShowProgress | None) -> int:
        """See `Destination`."""
        known = {blob.digest: blob for blob in blobs}

        def open_blob(digest: Digest) -> BinaryIO:
            stream = source.open_blob(digest)
            return open_checked(stream, known[digest]) if isinstance(source, Layout) else stream

        def begin(missing: Missing) -> AbstractContextManager[Progress]:
            return progress(missing.size) if progress else nullcontext(_Uncounted())

        return self._registry.push_blobs(self._name, blobs, open_blob, begin)

    def put_content(self, manifest: Manifest) -> None:
        """See `Destination`."""
        self._registry.push_manifest(self._name, manifest)

    put_referrer = put_content

    def check_listed(self, subject: Digest, referrers: Collection[Digest]) -> None:
        """See `Destination`."""
        try:
            listed = {item.digest for item in self._registry.referrers(self._name, subject)}
        except NotFound:  # it has no such list at all
            listed = set()
        if missing := sorted(set(referrers) - listed):
            raise ReferrersUnlisted(
                "the registry took the evidence and does not list it, so nobody could verify the release there",
                found=f"{len(missing)} of {len(referrers)} referrers are not listed",
                expected="a registry with the referrers API of the OCI Distribution Spec 1.1",
                hint="the release was not named; copy it to such a registry, to a layout, or to an archive",
            )

    def name(
        self,
        manifest: Manifest,
        version: str,
        source: BundleSource,  # noqa: ARG002 - only an archive still needs it
        progress: ShowProgress | None,  # noqa: ARG002
    ) -> str | None:
        """See `Destination`. Raises AdmissionRefused with every unmet requirement."""
        return self._registry.push_manifest(self._name, manifest, version=version).event


class LayoutDestination:
    """A layout folder, absent at first or with other versions in it."""

    registry = None
    writes_at_once = False

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path

    def check(self) -> None:
        """See `Destination`."""
        Layout.check_creatable(self._path)

    @cached_property
    def _layout(self) -> Layout:
        """The layout; made when it is first needed, which is after the release was verified."""
        with explaining(self._path):
            return Layout.create(self._path)

    def is_named(self, version: str, digest: Digest) -> bool:
        """See `Destination`."""
        named = next(
            (entry for entry in self._layout.entries() if entry.annotations.get(ANNOTATION_REF_NAME) == version), None
        )
        if named is not None and named.digest != digest:
            raise _taken(f"version {version} of the layout {self._path}", digest, named.digest)
        return named is not None

    def has(self, manifest: Manifest) -> bool:
        """See `Destination`. What is about something must be listed; a member of an index is not."""
        listed = manifest.subject is None or any(entry.digest == manifest.digest for entry in self._layout.entries())
        return listed and all(self._is_intact(blob) for blob in (manifest.descriptor, *manifest.blobs))

    def put_blobs(self, source: BundleSource, blobs: Sequence[Descriptor], progress: ShowProgress | None) -> int:
        """See `Destination`."""
        missing = [blob for blob in {blob.digest: blob for blob in blobs}.values() if not self._is_intact(blob)]
        check_space(self._path, _size(missing))
        with explaining(self._path), progress(_size(missing)) if progress else nullcontext() as bar:
            fetch_blobs(source, missing, self._layout, None, bar.advance if bar else lambda _: None)
        return len(missing)

    def put_content(self, manifest: Manifest) -> None:
        """See `Destination`. The index does not list it: what is listed passes for a bundle."""
        with explaining(self._path):
            self._layout.put_chunks((manifest.raw,), manifest.digest)

    def put_referrer(self, manifest: Manifest) -> None:
        """See `Destination`."""
        with explaining(self._path):
            self._layout.add_manifest(manifest, version=None)

    def check_listed(self, subject: Digest, referrers: Collection[Digest]) -> None:
        """See `Destination`: a layout lists what is in it."""

    def name(
        self,
        manifest: Manifest,
        version: str,
        source: BundleSource,  # noqa: ARG002 - only an archive still needs it
        progress: ShowProgress | None,  # noqa: ARG002
    ) -> None:
        """See `Destination`."""
        with explaining(self._path):
            self._layout.add_manifest(manifest, version=version)

    def _is_intact(self, blob: Descriptor) -> bool:
        if not self._layout.has(blob.digest):
            return False
        with self._layout.open_blob(blob.digest) as file:
            return Hasher.of(chunks_of(file), blob.digest.algorithm).digest == blob.digest


class ArchiveDestination:
    """A tar of a layout with this one release, written in one go when it is named: an archive cannot grow."""

    registry = None
    writes_at_once = True

    def __init__(self, path: Path) -> None:
        self.where = str(path)
        self._path = path
        self._content: dict[Digest, Manifest] = {}
        self._referrers: dict[Digest, Manifest] = {}
        self._blobs: dict[Digest, Descriptor] = {}

    def check(self) -> None:
        """See `Destination`."""
        check_replaceable(self._path)

    def is_named(self, version: str, digest: Digest) -> bool:  # noqa: ARG002 - it is written anew
        """See `Destination`."""
        return False

    def has(self, manifest: Manifest) -> bool:  # noqa: ARG002
        """See `Destination`."""
        return False

    def put_blobs(self, source: BundleSource, blobs: Sequence[Descriptor], progress: ShowProgress | None) -> int:  # noqa: ARG002
        """See `Destination`. They are noted, and read when the archive is written."""
        check_archivable(blob.digest for blob in blobs)
        new = {blob.digest: blob for blob in blobs if blob.digest not in self._blobs}
        self._blobs |= new
        return len(new)

    def put_content(self, manifest: Manifest) -> None:
        """See `Destination`."""
        check_archivable((manifest.digest,))
        self._content[manifest.digest] = manifest

    def put_referrer(self, manifest: Manifest) -> None:
        """See `Destination`."""
        check_archivable((manifest.digest,))
        self._referrers[manifest.digest] = manifest

    def check_listed(self, subject: Digest, referrers: Collection[Digest]) -> None:
        """See `Destination`: an archive lists what is in it."""

    def name(self, manifest: Manifest, version: str, source: BundleSource, progress: ShowProgress | None) -> None:
        """See `Destination`. Raises Conflict (code "destination-exists"), BundleRefused when a blob is not what it is
        called, LimitExceeded (code "disk-full").
        """
        listed = ((manifest, version), *((each, None) for each in self._referrers.values()))
        others = tuple(each for digest, each in self._content.items() if digest != manifest.digest)
        exported = Exported(listed, others, tuple(self._blobs.values()))
        with explaining(self._path), writing_archive(self._path) as (_, file):
            check_space(self._path.parent, _size(exported.blobs))
            with progress(_size(exported.blobs)) if progress else nullcontext() as bar:
                write_archive(file, exported, source.open_blob, bar.advance if bar else lambda _: None)


class _Uncounted:
    def advance(self, count: int) -> None:
        """Say nothing: nobody asked."""


def _size(blobs: Collection[Descriptor]) -> int:
    return sum({blob.digest: blob.size for blob in blobs}.values())


def _taken(what: str, digest: Digest, named: Digest) -> Conflict:
    return Conflict(
        f"{what} names another manifest",
        code="version-taken",
        found=digest,
        expected=named,
        hint="a version never moves: find out which of the two is the release",
    )
