"""`tidegate publish`: blobs, then evidence, then the version. Only the last request decides. Docs: publish-from-ci.md.

Every step can be repeated: what is there is not sent again, what was signed is not signed again, and the same version
for the same digest is the same release.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.bundle.structure import check_structure
from tidegate.digest import Digest
from tidegate.errors import Conflict, InvalidInput, NotFound, SigningRefused, TidegateError
from tidegate.evidence import Attached, LayoutShelf, RegistryShelf, attached_to, release_statement
from tidegate.formats.identity import CertificateIdentity
from tidegate.formats.jcs import JsonObject
from tidegate.formats.manifest import Manifest
from tidegate.formats.mediatypes import AGENT_BUNDLE, PREDICATE_SLSA_PROVENANCE
from tidegate.formats.predicates.types import PREDICATE_CYCLONEDX, short_name
from tidegate.formats.reference import Reference
from tidegate.formats.statement import make_statement
from tidegate.provenance import has_provenance, provenance_of
from tidegate.remote.crew import beside
from tidegate.remote.source import RegistrySource

if TYPE_CHECKING:
    from tidegate.bundle.layout import Layout
    from tidegate.formats.config import AgentConfig
    from tidegate.remote.registry import Registry
    from tidegate.remote.uploads import Missing, Progress
    from tidegate.signing.signer import Signer

ShowProgress = Callable[[int], "AbstractContextManager[Progress]"]  # given the total, in bytes
Tell = Callable[[str, str], None]
"""Told of each finished step: a verb, and what it was done to."""


@dataclass(frozen=True, slots=True)
class Published:
    """A release that the registry has named. `event`: id of the entry in the audit log that records it.

    `new` is False when the version named this digest before. `evidence`: short name of the predicate type and digest
    of the referrer, for what this run attached.
    """

    reference: Reference
    new: bool
    event: str | None
    blobs_sent: int
    evidence: tuple[tuple[str, Digest], ...]

    def as_json(self) -> JsonObject:
        """Give what `--json` writes. Source: docs/spec/command-line.md."""
        return {
            "reference": str(self.reference),
            "registry": self.reference.registry,
            "agent": self.reference.name,
            "version": self.reference.version,
            "digest": self.reference.digest,
            "new": self.new,
            "event": self.event,
            "blobsSent": self.blobs_sent,
            "evidence": [{"type": kind, "digest": str(digest)} for kind, digest in self.evidence],
        }


@dataclass(frozen=True, slots=True)
class Release:
    """What is to be published: a bundle in a layout, and what it shall be called. `config`: None for an opaque one."""

    layout: Layout
    manifest: Manifest
    name: str
    version: str
    config: AgentConfig | None

    @classmethod
    def of(cls, layout: Layout, manifest: Manifest, called: Reference | None = None) -> Release:
        """Take names from the bundle, or from `called` for an artifact that has none.

        Raises InvalidInput when nothing names it or the two differ, BundleRefused when the bundle is not consistent.
        """
        if manifest.effective_artifact_type != AGENT_BUNDLE:
            if called is None or called.version is None:
                raise InvalidInput(
                    "that artifact does not say which agent and version it is",
                    code="agent-unknown",
                    found=manifest.effective_artifact_type,
                    hint="say it with --as NAMESPACE/AGENT:VERSION",
                )
            return cls(layout, manifest, called.name, called.version, None)
        config = check_structure(manifest, layout.open_blob)
        if called is not None and (called.name, called.version or config.version) != (config.name, config.version):
            raise InvalidInput(
                "the bundle has another name or version", found=f"{config.name}:{config.version}", expected=called
            )
        return cls(layout, manifest, config.name, config.version, config)


def publish(
    release: Release,
    registry: Registry,
    signer: Signer | None,
    *,
    channels: tuple[str, ...] = (),
    provenance: bytes | None = None,
    sbom: JsonObject | None = None,
    keep: bool = False,
    progress: ShowProgress | None = None,
    tell: Tell = lambda _verb, _what: None,
) -> Published:
    """Publish `release`: push, sign, attest, name.

    `signer`: None attaches only what is attached to the layout already. `provenance`: a Sigstore bundle with SLSA
    provenance for this very digest, made elsewhere. `sbom`: a CycloneDX document to attest. `keep`: also attach new
    evidence in the layout.
    Raises AdmissionRefused with every unmet requirement; SigningRefused (code "provenance-missing" before anything is
    sent, when nobody here can say where the bundle was built); Conflict; Unauthenticated; AccessDenied; Unreachable.
    """
    run = _Run(release, registry, signer, keep=keep, tell=tell)
    statement = release_statement(release.name, release.version, release.manifest.digest, release.config, channels)
    already = run.find_release()
    if (
        already and not channels and sbom is None
    ):  # asked for all the same: whether the caller may publish is not ours to say
        return run.published(new=False, event=run.name(), blobs_sent=0)
    identity = signer.expected_identity() if signer else None
    given = _given_provenance(provenance, release.manifest.digest) if provenance is not None else None
    run.demand_provenance(identity, given)
    # only the preparation is done meanwhile: an entry in a public log about bytes that may never arrive stays for ever,
    # a retry would sign again what nobody could find, and a certificate might not outlive a long upload
    with beside(signer.sigstore.load, "sign") if signer else nullcontext():
        sent = run.push(progress)
    run.attach_existing(given)
    identity = run.sign(statement, identity) or identity
    if signer is not None and given is None and has_provenance(identity):
        run.sign(run.provenance_statement(identity), identity)
    if sbom is not None:
        run.sign(make_statement(release.name, release.manifest.digest, PREDICATE_CYCLONEDX, sbom), identity)
    event = run.name()
    if not already:
        tell("Named", f"{release.name}:{release.version}")
    return run.published(new=not already, event=event, blobs_sent=sent)


class _Run:
    """One run of `publish`, step by step."""

    def __init__(self, release: Release, registry: Registry, signer: Signer | None, *, keep: bool, tell: Tell) -> None:
        self._release, self._registry, self._signer, self._tell = release, registry, signer, tell
        self._subject = release.manifest.descriptor
        self._remote = RegistrySource(registry, release.name)
        self._shelf = RegistryShelf(registry, release.name)
        self._keep = LayoutShelf(release.layout) if keep else None
        self._local = attached_to(release.layout, release.manifest.digest)
        self._known: tuple[Attached, ...] | None = None
        self._attached: list[tuple[str, Digest]] = []

    def find_release(self) -> bool:
        """Whether the version is this digest already. Raises Conflict when it is another, before anything is sent."""
        named = self._registry.resolve(self._release.name, self._release.version)
        if named is not None and named != self._release.manifest.digest:
            raise Conflict(
                f"{self._release.name}:{self._release.version} names another manifest, for ever",
                code="version-taken",
                found=self._release.manifest.digest,
                expected=named,
                hint="publish the change under a new version",
            )
        return named is not None

    def demand_provenance(self, identity: CertificateIdentity | None, given: Attached | None) -> None:
        """Raise SigningRefused when no provenance can come of this run and there is none yet."""
        kind_known = self._signer is None or identity is not None  # else only the certificate will tell
        if given is not None or has_provenance(identity) or not kind_known:
            return
        if any(each.statement.predicate_type == PREDICATE_SLSA_PROVENANCE for each in self._existing()):
            return
        if identity is None:
            raise SigningRefused(
                "nothing says where this bundle was built, and with --no-sign nobody signs here",
                code="provenance-missing",
                hint="pass --provenance FILE with a Sigstore bundle that CI made for this digest",
            )
        provenance_of(identity, self._release.manifest, self._release.config)

    def push(self, progress: ShowProgress | None) -> int:
        """Send the blobs that are missing, then the manifest by its digest: it is in quarantine."""
        manifest, layout = self._release.manifest, self._release.layout

        def begin(missing: Missing) -> AbstractContextManager[Progress]:
            shared = f"{missing.of_blobs - missing.blobs} of {missing.of_blobs} blobs shared"
            self._tell("Shared", f"{shared}, {_mib(missing.size)} of {_mib(missing.of_size)} to send")
            return progress(missing.size) if progress else nullcontext(_Unseen())

        sent = self._registry.push_blobs(self._release.name, manifest.blobs, layout.open_blob, begin)
        self._registry.push_manifest(self._release.name, manifest)
        self._tell("Pushed", str(manifest.digest))
        return sent

    def attach_existing(self, given: Attached | None) -> None:
        """Attach what was signed elsewhere. What the layout has and the registry refuses does not stop the rest."""
        if given is not None:
            self._attach(given, "Attached")
        for evidence in self._local:
            try:
                self._attach(evidence, "Attached")
            except TidegateError as error:
                reason = error.reasons[0]
                kind = short_name(evidence.statement.predicate_type)
                self._tell("Passed over", f"{kind} of {evidence.identity.san}: {reason.message} ({reason.code})")

    def sign(self, payload: bytes, identity: CertificateIdentity | None) -> CertificateIdentity | None:
        """Sign a statement, unless it is there, signed by us, and attach it. Gives whom the certificate names."""
        if self._signer is None:
            return None
        for evidence in self._existing():
            if evidence.statement.raw == payload and identity is not None and evidence.identity == identity:
                self._tell("Found", f"{short_name(evidence.statement.predicate_type)} by {identity.san}")
                return identity
        signed = self._signer.sign_statement(payload)
        evidence = Attached.parse(signed.bundle)
        self._attach(evidence, "Signed")
        if self._keep is not None:
            self._keep.attach(evidence, self._subject)
        return signed.attestation.identity

    def provenance_statement(self, identity: CertificateIdentity | None) -> bytes:
        """Write the provenance for the certificate that signs it."""
        if identity is None:
            raise SigningRefused("the signer is not known", code="provenance-missing")
        predicate = provenance_of(identity, self._release.manifest, self._release.config)
        digest = self._release.manifest.digest
        return make_statement(self._release.name, digest, PREDICATE_SLSA_PROVENANCE, predicate)

    def name(self) -> str | None:
        """Ask that the version name the bundle, again if it does so already. Gives the id of the audit log's entry."""
        release = self._release
        return self._registry.push_manifest(release.name, release.manifest, version=release.version).event

    def published(self, *, new: bool, event: str | None, blobs_sent: int) -> Published:
        """Say what came of it."""
        release = self._release
        reference = Reference(release.name, self._registry.address.host, release.version, release.manifest.digest)
        return Published(reference, new, event, blobs_sent, tuple(self._attached))

    def _attach(self, evidence: Attached, verb: str) -> None:
        kind = short_name(evidence.statement.predicate_type)
        self._attached.append((kind, self._shelf.attach(evidence, self._subject)))
        self._tell(verb, f"{kind} by {evidence.identity.san}")

    def _existing(self) -> tuple[Attached, ...]:
        if self._known is None:
            try:
                remote = attached_to(self._remote, self._release.manifest.digest)
            except NotFound:
                remote = ()
            self._known = (*self._local, *remote)
        return self._known


class _Unseen:
    def advance(self, count: int) -> None:
        """Tell nobody."""


def _mib(size: int) -> str:
    """Write bytes for people."""
    mebi = size / (1 << 20)
    return f"{size >> 10} KiB" if mebi < 1 else f"{mebi:.1f} MiB" if mebi < 10 else f"{mebi:.0f} MiB"  # noqa: PLR2004


def _given_provenance(raw: bytes, digest: Digest) -> Attached:
    """Read the bundle of `--provenance`. Raises InvalidInput when it is not provenance about `digest`."""
    given = Attached.parse(raw)
    if given.statement.predicate_type != PREDICATE_SLSA_PROVENANCE or given.statement.subject.digest != digest:
        raise InvalidInput(
            "that is not the provenance of this bundle",
            code="provenance-other",
            found=f"{short_name(given.statement.predicate_type)} of {given.statement.subject.digest}",
            expected=f"provenance of {digest}",
            hint="builds are reproducible: build the same folder and version that CI has built",
        )
    return given
