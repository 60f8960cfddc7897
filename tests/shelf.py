"""A registry that does as the attacker likes: manifest, blobs and referrers of one release, any of them replaced."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import BinaryIO

import pytest

from tests.forge import dump
from tests.workshop import AGENT, RELEASE_JOB, VERSION, Workshop
from tidegate.digest import Digest
from tidegate.errors import BundleRefused, NotFound, Reason
from tidegate.formats.charter import Charter
from tidegate.formats.manifest import Manifest, evidence_manifest
from tidegate.formats.mediatypes import PREDICATE_RELEASE, PREDICATE_SLSA_PROVENANCE
from tidegate.policy.floor import ReleaseFacts
from tidegate.verify.release import VerifiedRelease, verify_release
from tidegate_registry.sandbox.jobs import JobRequest

OpenBlob = Callable[[Digest], BinaryIO]


class Shelf:
    """What a host would fetch for the workshop's manifest; `beneath` opens the blobs of its bundle, if it has any."""

    def __init__(self, workshop: Workshop, beneath: OpenBlob | None = None) -> None:
        self.workshop, self._beneath = workshop, beneath
        self.blobs: dict[Digest, bytes] = {}
        self.attached: list[Manifest] = []

    def open_blob(self, digest: Digest, /) -> BinaryIO:
        if digest in self.blobs:
            return io.BytesIO(self.blobs[digest])
        if self._beneath is None:
            raise NotFound("no such blob", code="blob-missing", found=digest)
        return self._beneath(digest)

    def referrers(self, _: Digest, /) -> list[Manifest]:
        return self.attached

    def attach(self, bundle: Mapping[str, object] | bytes, predicate_type: str = PREDICATE_RELEASE) -> Manifest:
        raw = bundle if isinstance(bundle, bytes) else dump(bundle)
        manifest = evidence_manifest(raw, self.workshop.manifest.descriptor, predicate_type)
        self.blobs[Digest.of(raw)] = raw
        self.attached.append(manifest)
        return manifest

    def sign_honestly(self, job: JobRequest = RELEASE_JOB, *, version: str = VERSION) -> Shelf:
        """Attach a release statement and provenance by `job`."""
        self.attach(self.workshop.sign(self.workshop.release_statement(version=version), job))
        self.prove_honestly(job)
        return self

    def prove_honestly(self, job: JobRequest = RELEASE_JOB) -> Shelf:
        """Attach provenance by `job`."""
        payload = self.workshop.provenance_statement(job)
        self.attach(self.workshop.sign(payload, job), PREDICATE_SLSA_PROVENANCE)
        return self

    def verify(
        self,
        *,
        charter: Charter | None = None,
        agent: str = AGENT,
        version: str | None = VERSION,
        digest: Digest | None = None,
        previous: ReleaseFacts | None = None,
        max_age: timedelta | None = None,
    ) -> VerifiedRelease:
        workshop = self.workshop
        return verify_release(
            self,
            workshop.manifest,
            agent=agent,
            version=version,
            digest=digest,
            trust=workshop.trusting(charter) if charter else workshop.trust,
            now=workshop.now,
            previous=previous,
            max_age=max_age,
        )

    def refusal(self, **asked: object) -> dict[str, Reason]:
        """Verify, expect a refusal, and give its reasons by step and code: `A13 identity-not-in-charter`."""
        with pytest.raises(BundleRefused) as refused:
            self.verify(**asked)  # type: ignore[arg-type]
        return {f"{reason.step} {reason.code}": reason for reason in refused.value.reasons}
