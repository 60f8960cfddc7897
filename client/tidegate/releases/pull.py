"""`tidegate pull` and `tidegate.pull`: fetch a release, verify it here, and only then give it its place on disk."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, BinaryIO

from tidegate.bundle.layout import Layout
from tidegate.bundle.structure import check_structure
from tidegate.bundle.unpack import unpack
from tidegate.credentials.connect import address_for, open_registry
from tidegate.credentials.sources import Credentials
from tidegate.digest import Digest
from tidegate.errors import BundleRefused
from tidegate.formats.bundle import MAX_BUNDLE_BYTES
from tidegate.formats.manifest import EMPTY_BLOB, EMPTY_DESCRIPTOR, Manifest
from tidegate.formats.mediatypes import AGENT_BUNDLE
from tidegate.formats.reference import Reference
from tidegate.releases.ahead import Advance, ahead_of
from tidegate.releases.fetch import fetch_blobs
from tidegate.releases.locate import demand_version_or_digest, parse_release
from tidegate.releases.place import BUNDLE, LAYOUT, is_pulled, replacing
from tidegate.releases.space import check_space, explaining, has_space
from tidegate.releases.verify import Verified, check_files, utc_now
from tidegate.remote.source import RegistrySource
from tidegate.remote.uploads import Progress
from tidegate.verify.artifact import Refused, decide_release
from tidegate.verify.release import (
    MANIFEST_STEPS,
    AskedFor,
    Evidence,
    VerifiedRelease,
    gather_evidence,
    verify_release,
)
from tidegate.verify.steps import run_steps
from tidegate.verify.trust import Trust, load_trust

if TYPE_CHECKING:
    from tidegate.bundle.source import BundleSource
    from tidegate.formats.config import AgentConfig

MAX_REMEMBERED_BYTES = 32 << 20  # of evidence, held in memory: that of a usual release has far less than 1 MiB

ShowProgress = Callable[[int], AbstractContextManager[Progress]]  # given the total, in bytes


def pull(
    what: str,
    to: Path | str,
    *,
    trust: Trust | Path | str,
    registry: str | None = None,
    allow_sandbox: bool = False,
    plain_http: bool = False,
    opaque: bool = False,
    credentials: Credentials | None = None,
    progress: ShowProgress | None = None,
    now: datetime | None = None,
) -> Verified:
    """Fetch the release that the reference `what` names by version or digest, verify it, and put it into folder `to`.

    Afterwards `to/layout` is an OCI image layout with the release and the evidence that counted, and `to/bundle` the
    author's tree. `to` may be absent, empty, or what an earlier pull wrote: that stays as it is until the new one is
    complete and verified. `opaque`: also take an artifact whose content Tidegate cannot check; it is not unpacked.
    Raises BundleRefused with every reason; Conflict (code "destination-exists"); LimitExceeded (code "disk-full");
    InvalidInput; NotFound; Unreachable. After a failure nothing is left.
    """
    believed = trust if isinstance(trust, Trust) else load_trust(Path(trust), allow_sandbox=allow_sandbox)
    reference = demand_version_or_digest(parse_release(what))
    address = address_for(reference, registry, plain_http=plain_http)
    with open_registry(address, credentials or Credentials(os.environ, clock=utc_now)) as opened:
        source = RegistrySource(opened, reference.name, reference.digest)
        release = fetch_release(
            source,
            reference,
            Path(to),
            trust=believed,
            now=now or utc_now(),
            opaque=opaque,
            progress=progress,
        )
    return Verified(release, address.host, files=len(release.config.files) if release.config else None)


def fetch_release(
    source: BundleSource,
    wanted: Reference,
    dest: Path,
    *,
    trust: Trust,
    now: datetime,
    opaque: bool = False,
    progress: ShowProgress | None = None,
) -> VerifiedRelease:
    """Fetch the release `wanted` from any source, verify it, and put it in the place of `dest`. See `pull`."""
    manifest = source.root(wanted.version)
    with explaining(dest), replacing(dest) as staging:
        return _Fetching(source, manifest, wanted, trust, now).into(staging, dest, progress, opaque=opaque)


class _Fetching:
    """One release on its way from a source into a staging folder."""

    def __init__(
        self, source: BundleSource, manifest: Manifest, wanted: Reference, trust: Trust, now: datetime
    ) -> None:
        self._source, self._manifest, self._wanted, self._trust, self._now = source, manifest, wanted, trust, now
        self._opaque = manifest.effective_artifact_type != AGENT_BUNDLE

    def into(self, staging: Path, dest: Path, progress: ShowProgress | None, *, opaque: bool) -> VerifiedRelease:
        if self._opaque and (self._manifest.is_index or not opaque):
            raise BundleRefused(
                "Tidegate cannot check what is in that artifact",
                code="opaque-bundle",
                found=self._manifest.effective_artifact_type or self._manifest.media_type,
                expected=AGENT_BUNDLE,
                hint="take an image manifest as it is, signed but unchecked, with --opaque",
            )
        layout = Layout.create(staging / LAYOUT)
        run_steps(MANIFEST_STEPS, AskedFor(self._manifest, self._wanted.digest))
        config = None if self._opaque else check_structure(self._manifest, self._source.open_blob)
        self._fetch(layout, dest, config, progress)
        layout.add_manifest(self._manifest, version=None)
        release = verify_release(
            layout,
            self._manifest,
            agent=self._wanted.name,
            version=self._wanted.version,
            digest=self._wanted.digest,
            trust=self._trust,
            now=self._now,
        )
        layout.add_manifest(self._manifest, version=release.version)
        if release.config is not None:
            tree = staging / BUNDLE
            unpack(self._manifest, layout.open_blob, tree, place=layout.unpack_blob)
            check_files(release.config, tree)
        return release

    def _fetch(self, layout: Layout, dest: Path, config: AgentConfig | None, progress: ShowProgress | None) -> None:
        """Fetch the blobs once evidence allows it; the first few come while that is verified, if there is any."""
        blobs = list({blob.digest: blob for blob in self._manifest.blobs}.values())
        total = sum(blob.size for blob in blobs)
        components = config.components if config else ()
        needed = total + sum(each.size for each in components if each.kind.packing != "raw")
        earlier = Layout.open(dest / LAYOUT) if is_pulled(dest) else None

        def fetch(advance: Advance, stop: Event) -> None:
            with progress(total) if progress else nullcontext() as bar:

                def tell(count: int) -> None:
                    if bar is not None:
                        bar.advance(count)
                    advance(count)

                fetch_blobs(self._source, blobs, layout, earlier, tell, stop=stop)

        with ahead_of(fetch) as ahead:
            # what an earlier pull has is not waited for, and to hash it cannot be stopped
            may_begin = earlier is None and has_space(layout.path, needed)
            evidence = _Remembering(self._source, ahead.begin if may_begin else None)
            self._refuse_early(layout, config, evidence)
            if not ahead.begun:
                check_space(layout.path, needed)
            ahead.finish()

    def _refuse_early(self, layout: Layout, config: AgentConfig | None, kept: _Remembering) -> None:
        """Decide from config and evidence alone, before gigabytes are fetched, and keep the evidence that counted."""
        charter = self._trust.charters.for_agent(self._wanted.name)
        evidence = Evidence()
        if charter is not None:
            evidence = gather_evidence(
                kept, self._manifest.digest, agent=self._wanted.name, charter=charter, trust=self._trust, now=self._now
            )
        version = self._wanted.version or (config.version if config else None)
        if version is not None:  # else only a release statement says it, and `verify_release` reads that
            decision = decide_release(
                agent=self._wanted.name,
                version=version,
                digest=self._manifest.digest,
                config=config,
                attestations=evidence.attestations,
                refusals=evidence.refused,
                charter=charter,
                previous=None,
            )
            if isinstance(decision, Refused):
                raise BundleRefused.because(f"{self._wanted} is refused", decision.reasons)
        for referrer in kept.listed:
            if referrer.digest in evidence.counted:
                self._keep(layout, referrer, kept)

    def _keep(self, layout: Layout, referrer: Manifest, kept: _Remembering) -> None:
        for blob in referrer.blobs:
            layout.put(EMPTY_BLOB if blob.digest == EMPTY_DESCRIPTOR.digest else kept.read(blob.digest))
        layout.add_manifest(referrer, version=None)


class _Remembering:
    """An evidence source that keeps what was read through it, so that what counts is fetched once.

    Beyond MAX_REMEMBERED_BYTES it keeps nothing more, and what counts is fetched again. `on_evidence` is called when
    there is evidence to read; it must not raise.
    """

    def __init__(self, source: BundleSource, on_evidence: Callable[[], None] | None = None) -> None:
        self._source, self._on_evidence = source, on_evidence or (lambda: None)
        self._read: dict[Digest, bytes] = {}
        self._size = 0
        self.listed: list[Manifest] = []

    def open_blob(self, digest: Digest, /) -> BinaryIO:
        return io.BytesIO(self.read(digest))

    def referrers(self, subject: Digest, /) -> Iterator[Manifest]:
        for manifest in self._source.referrers(subject):
            self.listed.append(manifest)
            yield manifest

    def read(self, digest: Digest) -> bytes:
        if digest in self._read:
            return self._read[digest]
        with self._source.open_blob(digest) as stream:
            raw = stream.read(MAX_BUNDLE_BYTES + 1)
        self._on_evidence()
        if self._size + len(raw) <= MAX_REMEMBERED_BYTES:
            self._read[digest] = raw
            self._size += len(raw)
        return raw
