"""What publishers say of a bundle: the statements, and where signed ones are attached (a layout, a registry)."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tidegate.digest import Digest
from tidegate.errors import EvidenceRefused, IdentityInvalid, NotFound, SigstoreBundleInvalid, StatementInvalid
from tidegate.formats.bundle import MAX_BUNDLE_BYTES, SigstoreBundle
from tidegate.formats.identity import CertificateIdentity, parse_certificate
from tidegate.formats.manifest import EMPTY_BLOB, EMPTY_DESCRIPTOR, Descriptor, Manifest, evidence_manifest
from tidegate.formats.mediatypes import PREDICATE_RELEASE
from tidegate.formats.predicates.release import ReleasePredicate
from tidegate.formats.statement import Statement, make_statement
from tidegate.verify.referrer import BundleReferrer

if TYPE_CHECKING:
    from tidegate.bundle.layout import Layout
    from tidegate.bundle.source import BundleSource
    from tidegate.formats.config import AgentConfig
    from tidegate.remote.registry import Registry


@dataclass(frozen=True, slots=True)
class Attached:
    """A Sigstore bundle about a manifest, read but not verified: enough to see whether it need be made again."""

    bundle: bytes
    statement: Statement
    identity: CertificateIdentity

    @classmethod
    def parse(cls, raw: bytes) -> Attached:
        """Read a Sigstore bundle around an in-toto statement. Raises SigstoreBundleInvalid, StatementInvalid."""
        bundle = SigstoreBundle.parse(raw)
        if not bundle.is_attestation:
            raise SigstoreBundleInvalid("that bundle is not an attestation", expected="a DSSE envelope")
        bundle.check_shape()
        bundle.check_base64()
        payload = base64.b64decode(str(bundle.envelope["payload"]))
        return cls(raw, Statement.parse(payload), parse_certificate(bundle.certificate))

    def referrer(self, subject: Descriptor) -> Manifest:
        """Give the manifest that attaches it to `subject`."""
        return evidence_manifest(self.bundle, subject, self.statement.predicate_type)


class Shelf(Protocol):
    """Where evidence about manifests is kept."""

    def attach(self, evidence: Attached, subject: Descriptor) -> Digest:
        """Attach evidence and give the digest of the referrer. The same again changes nothing."""
        ...


class LayoutShelf:
    """Evidence in a layout on disk."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def attach(self, evidence: Attached, subject: Descriptor) -> Digest:
        """See `Shelf`."""
        referrer = evidence.referrer(subject)
        self._layout.put(EMPTY_BLOB)
        self._layout.put(evidence.bundle)
        self._layout.add_manifest(referrer, version=None)
        return referrer.digest


class RegistryShelf:
    """Evidence in a repository of a registry, which verifies it when it is put. Raises EvidenceRefused."""

    def __init__(self, registry: Registry, name: str) -> None:
        self._registry, self._name = registry, name

    def attach(self, evidence: Attached, subject: Descriptor) -> Digest:
        """See `Shelf`."""
        import io

        referrer = evidence.referrer(subject)
        contents = {EMPTY_DESCRIPTOR.digest: EMPTY_BLOB, referrer.layers[0].digest: evidence.bundle}
        self._registry.push_blobs(self._name, referrer.blobs, lambda digest: io.BytesIO(contents[digest]))
        return self._registry.push_manifest(self._name, referrer).digest


def attached_to(source: BundleSource, subject: Digest) -> tuple[Attached, ...]:
    """Read the evidence about `subject` that `source` has; what cannot be read does not count."""
    return tuple(_readable(source, source.referrers(subject)))


def release_statement(
    name: str, version: str, digest: Digest, config: AgentConfig | None, channels: Iterable[str] = ()
) -> bytes:
    """Write the statement that `digest` is `version` of the agent `name`. Spec page: docs/spec/release.md.

    `channels`: those it may enter without further approval. Raises StatementInvalid.
    """
    named = tuple(dict.fromkeys(channels))
    predicate = ReleasePredicate(name, version, digest, config.behaviour if config else None, named).as_json()
    ReleasePredicate.parse(predicate)  # a channel that is no tag is noticed here, not by every reader
    return make_statement(name, digest, PREDICATE_RELEASE, predicate)


def _readable(source: BundleSource, referrers: Iterable[Manifest]) -> Iterable[Attached]:
    for referrer in map(BundleReferrer, referrers):
        if not referrer.is_bundle or not referrer.has_one_bundle:
            continue
        try:
            with source.open_blob(referrer.bundle.digest) as stream:
                yield Attached.parse(stream.read(MAX_BUNDLE_BYTES + 1))
        except (SigstoreBundleInvalid, StatementInvalid, IdentityInvalid, EvidenceRefused, NotFound):
            continue
