"""A repository of a registry as a source of bundles: what `inspect`, `verify` and `pull` read from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from tidegate.digest import Digest
from tidegate.errors import InvalidInput, LimitExceeded, NotFound
from tidegate.formats.manifest import MAX_LISTED_BYTES, Descriptor, Manifest
from tidegate.formats.mediatypes import SIGSTORE_BUNDLE
from tidegate.remote.registry import Registry


class RegistrySource:
    """A `BundleSource` over one repository. Blobs can be opened once a manifest that names them was read.

    `digest`: the manifest that `root` gives, when a reference names one.
    """

    def __init__(self, registry: Registry, name: str, digest: Digest | None = None) -> None:
        self._registry, self._name, self._digest = registry, name, digest
        self._blobs: dict[Digest, Descriptor] = {}

    def root(self, version: str | None = None) -> Manifest:
        """Fetch the manifest of the digest this was made for, else of `version`. Raises NotFound, InvalidInput."""
        if self._digest is not None:
            return self.manifest(self._digest)
        if version is None:
            raise InvalidInput(
                f"which release of {self._name}?",
                code="reference-incomplete",
                expected=f"{self._name}:VERSION or {self._name}@sha256:…",
            )
        return self._noted(self._registry.manifest(self._name, version))

    def manifest(self, digest: Digest) -> Manifest:
        """Fetch a manifest by digest. Raises NotFound, BundleRefused."""
        return self._noted(self._registry.manifest(self._name, digest))

    def open_blob(self, digest: Digest) -> BinaryIO:
        """Open a blob that a manifest read before names; its end is only reached when size and digest are right."""
        return self._registry.open_blob(self._name, self._known(digest))

    def blob_chunks(
        self, digest: Digest, start: int, stop: int, on_partial: Callable[[], None] | None = None
    ) -> Iterator[bytes]:
        """Give a part of a blob, unhashed; the rest as `Registry.blob_chunks`."""
        return self._registry.blob_chunks(self._name, self._known(digest), start, stop, on_partial)

    def referrers(self, subject: Digest) -> Iterator[Manifest]:
        """Fetch, one by one, the manifests that the registry lists as Sigstore bundles about `subject`, by digest.

        Whether they are is for the verifier to see (docs/spec/verification.md, steps V2 to V5). Raises LimitExceeded
        (code "referrer-too-large") before any is fetched.
        """
        listed = {item.digest: item for item in self.listed(subject, SIGSTORE_BUNDLE)}
        for item in listed.values():
            _check_listed(item)
        for digest in sorted(listed):
            yield self.referrer(listed[digest])

    def listed(self, subject: Digest, artifact_type: str | None = None) -> tuple[Descriptor, ...]:
        """List what the registry says refers to `subject`. Raises LimitExceeded, NotFound."""
        return self._registry.referrers(self._name, subject, artifact_type)

    def referrer(self, listed: Descriptor) -> Manifest:
        """Fetch a referrer. Raises LimitExceeded (code "referrer-too-large"), NotFound, BundleRefused."""
        _check_listed(listed)
        return self._noted(self._registry.manifest(self._name, listed.digest, limit=MAX_LISTED_BYTES))

    def _known(self, digest: Digest) -> Descriptor:
        if digest not in self._blobs:
            raise NotFound("no manifest names that blob", code="blob-missing", found=digest)
        return self._blobs[digest]

    def _noted(self, manifest: Manifest) -> Manifest:
        self._blobs |= {blob.digest: blob for blob in manifest.blobs}
        return manifest


def _check_listed(listed: Descriptor) -> None:
    if listed.size > MAX_LISTED_BYTES:
        raise LimitExceeded(
            "a referrer's manifest is too large",
            code="referrer-too-large",
            found=f"{listed.size} bytes for {listed.digest}",
            expected=f"at most {MAX_LISTED_BYTES} bytes",
        )
