"""A worker's part: entries get their place in the log, decisions their summaries."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import BinaryIO

import httpx2
from sqlalchemy import text

from tests.registry.admission.world import NO_TLS, GateWorld
from tests.registry.audit.publishing import log_signer, publish_log
from tests.summaries import Signer
from tests.workshop import AGENT
from tidegate.digest import Digest
from tidegate.formats.manifest import Manifest
from tidegate.formats.mediatypes import SIGSTORE_BUNDLE
from tidegate.verify.vsa import VerifiedSummary, Wanted, find_summary
from tidegate.verify.vsakey import VsaKey
from tidegate_registry.audit.keys import Algorithm, SigningKey
from tidegate_registry.audit.leader import Lease, acquire
from tidegate_registry.summaries.service import NAME, Summarizer
from tidegate_registry.worker import Did


@dataclass
class Summaries:
    """The summaries of `gate`'s registry."""

    gate: GateWorld
    signer: Signer = field(default_factory=Signer)

    @property
    def key(self) -> VsaKey:
        return self.signer.key(self.gate.services.settings.public_url)

    def lead(self, name: str) -> Lease:
        with self.gate.services.db.connect() as connection:
            connection.execute(text("UPDATE leadership SET expires_at = 0"))
            connection.commit()
        lease = acquire(self.gate.services.db, name, "test")
        assert lease is not None
        return lease

    def log(self) -> None:
        """Publish what there is."""
        publish_log(self.gate.services)

    def summarizer(self) -> Summarizer:
        public = self.signer.private.public_key()
        key = SigningKey("VSA key", Algorithm.ECDSA_P256, public, self.signer.sign)
        return Summarizer(self.gate.services, key, log_signer(self.gate.services).key)

    def run(self, summarizer: Summarizer | None = None) -> int:
        """Log what there is and sum it up; give how many turns did something."""
        self.log()
        lease, turns = self.lead(NAME), 0
        while (summarizer or self.summarizer()).turn(lease) is not Did.NOTHING:
            turns += 1
        return turns

    def find(self, manifest: Manifest, version: str, *levels: str, channel: str | None = None) -> list[VerifiedSummary]:
        """Verify what the registry serves."""
        wanted = Wanted(AGENT, manifest.digest, version, levels, channel)
        return list(find_summary(Served(self.gate), wanted, keys=[self.key], now=self.gate.services.clock()))


class Served:
    """What a host that may pull sees."""

    def __init__(self, gate: GateWorld) -> None:
        self._client = gate.client("alice", f"repository:{AGENT}:pull")

    def open_blob(self, digest: Digest, /) -> BinaryIO:
        answer = self._client.get(f"/v2/{AGENT}/blobs/{digest}")
        if answer.is_redirect:
            answer = httpx2.get(answer.headers["location"], trust_env=False, verify=NO_TLS)
        assert answer.status_code == 200, answer.text
        return io.BytesIO(answer.content)

    def referrers(self, subject: Digest, /) -> list[Manifest]:
        listed = self._client.get(f"/v2/{AGENT}/referrers/{subject}", params={"artifactType": SIGSTORE_BUNDLE}).json()
        return [self.manifest(each["digest"]) for each in listed["manifests"]]

    def manifest(self, digest: str) -> Manifest:
        return Manifest.parse(self._client.get(f"/v2/{AGENT}/manifests/{digest}").content)
