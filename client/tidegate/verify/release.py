"""Everything a host checks about a release it fetched: gather the evidence, verify each bundle, decide.

`verify_release` is what `tidegate verify`, `tidegate pull` and the registry's admission have in common. It believes
nothing the source says: blobs are hashed here, referrers are bounded here. Source: docs/spec/verification.md, part V.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, BinaryIO, Protocol

from tidegate.digest import Digest
from tidegate.errors import BundleRefused, EvidenceRefused, NotFound, Reason
from tidegate.formats.bundle import MAX_BUNDLE_BYTES
from tidegate.formats.charter import Charter
from tidegate.formats.identity import ClaimName
from tidegate.formats.jcs import JsonObject
from tidegate.formats.manifest import MAX_REFERRERS, Manifest
from tidegate.formats.mediatypes import AGENT_BUNDLE, SIGSTORE_BUNDLE
from tidegate.policy.evidence import RefusedEvidence, VerifiedAttestation
from tidegate.policy.floor import ReleaseFacts
from tidegate.verify.artifact import RELEASE_STEP_TITLES, Allowed, Refused, decide_release
from tidegate.verify.attestation import STEP_TITLES, verify_attestation
from tidegate.verify.referrer import BundleReferrer
from tidegate.verify.steps import Step, bounded, run_steps
from tidegate.verify.trust import Trust

if TYPE_CHECKING:
    from tidegate.formats.config import AgentConfig

NO_VERSION = "of any version"  # no semantic version, so nothing is ever released under it
MAX_EVIDENCE_BYTES = 256 << 20  # of all its Sigstore bundles together


class EvidenceSource(Protocol):
    """Where manifest, blobs and referrers come from: a layout on disk, or a registry's client. Not trusted."""

    def open_blob(self, digest: Digest, /) -> BinaryIO:
        """Open a blob for reading. Raises NotFound."""
        ...

    def referrers(self, subject: Digest, /) -> Iterable[Manifest]:
        """Give the manifests whose subject is `subject`."""
        ...


@dataclass(frozen=True, slots=True)
class VerifiedRelease:
    """A manifest that is `version` of `agent`, and everything that was found out on the way.

    `config` is None for an opaque bundle. `refused` lists evidence that is attached and does not count; `counted` are
    the referrers that brought `attestations`.
    """

    agent: str
    version: str
    manifest: Manifest
    config: AgentConfig | None
    allowed: Allowed
    attestations: tuple[VerifiedAttestation, ...]
    refused: tuple[RefusedEvidence, ...]
    counted: frozenset[Digest]

    @property
    def digest(self) -> Digest:
        """The manifest's digest."""
        return self.manifest.digest

    @property
    def facts(self) -> ReleaseFacts:
        """What the next release's trust floor is measured against."""
        return self.allowed.facts

    def as_json(self) -> JsonObject:
        """Give who built what from which commit, when, by which workflow, and what was checked."""
        provenance = self.allowed.provenance
        claim = provenance.identity.claim
        return {
            "agent": self.agent,
            "version": self.version,
            "digest": str(self.digest),
            "behaviour": str(self.config.behaviour) if self.config else None,
            "source": {
                "repository": claim(ClaimName.SOURCE_REPOSITORY_URI),
                "ref": claim(ClaimName.SOURCE_REPOSITORY_REF),
                "commit": claim(ClaimName.SOURCE_REPOSITORY_DIGEST),
            },
            "build": {
                "workflow": claim(ClaimName.BUILD_SIGNER_URI),
                "run": claim(ClaimName.RUN_INVOCATION_URI),
                "trigger": claim(ClaimName.BUILD_TRIGGER),
                "runner": claim(ClaimName.RUNNER_ENVIRONMENT),
                "builtAt": provenance.signed_at.isoformat(),
            },
            "facts": self.facts.as_json(),
            "channels": list(self.allowed.channels),
            "evidence": [each.as_json() for each in self.attestations],
            "refusedEvidence": [each.as_json() for each in self.refused],
            "checked": [{"step": step, "title": title_of(step)} for step in self.allowed.checked],
        }


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was attached to a manifest, verified and refused. `counted`: the referrers that brought `attestations`."""

    attestations: tuple[VerifiedAttestation, ...] = ()
    refused: tuple[RefusedEvidence, ...] = ()
    counted: frozenset[Digest] = frozenset()


def verify_release(
    source: EvidenceSource,
    manifest: Manifest,
    *,
    agent: str,
    version: str | None,
    digest: Digest | None,
    trust: Trust,
    now: datetime,
    previous: ReleaseFacts | None = None,
    max_age: timedelta | None = None,
) -> VerifiedRelease:
    """Verify that `manifest` is a release of `agent`.

    `version`, `digest`: what was asked for; with no version the one that bundle or release statement names is taken.
    `source`: where the manifest's blobs and referrers are. `previous`: facts of the release it is to follow, if any.
    Raises BundleRefused with every unmet requirement, and NotFound or Unreachable from the source.
    """
    run_steps(MANIFEST_STEPS, AskedFor(manifest, digest))
    config, bundle_reasons = _check_content(source, manifest)
    charter = trust.charters.for_agent(agent)
    evidence = Evidence()
    if charter is not None:
        evidence = gather_evidence(
            source, manifest.digest, agent=agent, charter=charter, trust=trust, now=now, max_age=max_age
        )
    wanted = version or (config.version if config else _version_by_statement(evidence.attestations)) or NO_VERSION
    decision = decide_release(
        agent=agent,
        version=wanted,
        digest=manifest.digest,
        config=config,
        attestations=evidence.attestations,
        refusals=evidence.refused,
        charter=charter,
        previous=previous,
        bundle_reasons=bundle_reasons,
    )
    if isinstance(decision, Refused):
        shown = f"{agent}@{manifest.digest}" if wanted == NO_VERSION else f"{agent}:{wanted}"
        raise BundleRefused.because(f"{shown} is refused", decision.reasons)
    return VerifiedRelease(
        agent, wanted, manifest, config, decision, evidence.attestations, evidence.refused, evidence.counted
    )


def gather_evidence(
    source: EvidenceSource,
    subject: Digest,
    *,
    agent: str,
    charter: Charter,
    trust: Trust,
    now: datetime,
    max_age: timedelta | None = None,
) -> Evidence:
    """Read and verify every Sigstore bundle attached to `subject`. Other referrers are passed over, and so are those
    that say they sum up a registry's decision: a host believes no such word.

    Raises BundleRefused (code "too-many-referrers" or "too-much-evidence") and what the source raises.
    """
    referrers = tuple(islice(source.referrers(subject), MAX_REFERRERS + 1))
    attached = tuple(each for each in map(BundleReferrer, referrers) if each.is_bundle and not each.is_summary)
    run_steps(LIST_STEPS, Attached(referrers, sum(layer.size for each in attached for layer in each.manifest.layers)))
    attestations: list[VerifiedAttestation] = []
    refused: list[RefusedEvidence] = []
    counted: set[Digest] = set()
    for referrer in attached:
        try:
            attestations.append(
                verify_attestation(
                    read_bundle(source, referrer, subject),
                    subject=subject,
                    agent=agent,
                    charter=charter,
                    trust=trust,
                    now=now,
                    max_age=max_age,
                )
            )
            counted.add(referrer.manifest.digest)
        except (EvidenceRefused, NotFound) as error:  # a blob that is not there is evidence that does not count
            name = referrer.manifest.layers[0].digest if referrer.manifest.layers else referrer.manifest.digest
            refused.append(RefusedEvidence(name, error.reasons, bounded(referrer.claimed_type)))
    return Evidence(tuple(attestations), tuple(refused), frozenset(counted))


def read_bundle(source: EvidenceSource, referrer: BundleReferrer, subject: Digest) -> bytes:
    """Read the Sigstore bundle that `referrer` attaches to `subject`: steps V3 to V5.

    Raises EvidenceRefused, and what the source raises.
    """
    bundle = AttachedBundle(referrer, subject, source)
    run_steps(REFERRER_STEPS, bundle)
    return bundle.raw


@dataclass(frozen=True, slots=True)
class AskedFor:
    """A manifest, and the digest that was asked for, if one was."""

    manifest: Manifest
    digest: Digest | None


@dataclass(frozen=True, slots=True)
class Attached:
    """All referrers of a manifest, and how many bytes those that are Sigstore bundles say they have."""

    referrers: tuple[Manifest, ...]
    evidence_bytes: int


@dataclass
class AttachedBundle:
    """One referrer on its way to the bytes of its Sigstore bundle."""

    referrer: BundleReferrer
    subject: Digest
    source: EvidenceSource

    @cached_property
    def raw(self) -> bytes:
        with self.source.open_blob(self.referrer.bundle.digest) as blob:
            return blob.read(MAX_BUNDLE_BYTES + 1)


def _step_v1_digest_asked_for(asked: AskedFor) -> None:
    if asked.digest is not None and asked.manifest.digest != asked.digest:
        raise BundleRefused(
            "that is another manifest than the one asked for",
            code="digest-mismatch",
            found=asked.manifest.digest,
            expected=asked.digest,
            step="V1",
        )


def _step_v2_bounded_evidence(attached: Attached) -> None:
    if len(attached.referrers) > MAX_REFERRERS:
        raise BundleRefused(
            "too much is attached to the manifest",
            code="too-many-referrers",
            found=f"{len(attached.referrers)} or more",
            expected=f"at most {MAX_REFERRERS}",
            step="V2",
        )
    if attached.evidence_bytes > MAX_EVIDENCE_BYTES:
        raise BundleRefused(
            "the evidence is too large",
            code="too-much-evidence",
            found=f"{attached.evidence_bytes} bytes",
            expected=f"at most {MAX_EVIDENCE_BYTES} bytes",
            step="V2",
        )


def _step_v3_referrer_shape(bundle: AttachedBundle) -> None:
    referrer = bundle.referrer
    if not referrer.has_one_bundle:
        raise EvidenceRefused(
            "a referrer of this type has one layer, the Sigstore bundle",
            code="referrer-shape",
            found=referrer.shown_layers,
            expected=SIGSTORE_BUNDLE,
            step="V3",
        )
    if not referrer.is_about(bundle.subject):
        raise EvidenceRefused(
            "the referrer is attached to another manifest",
            code="referrer-subject",
            found=referrer.manifest.subject.digest if referrer.manifest.subject else "no subject",
            expected=bundle.subject,
            step="V3",
        )


def _step_v4_blob_size(bundle: AttachedBundle) -> None:
    size = bundle.referrer.bundle.size
    if size > MAX_BUNDLE_BYTES or len(bundle.raw) != size:
        raise EvidenceRefused(
            "the bundle is not of the size its referrer gives",
            code="evidence-size",
            found=f"{size} bytes given",
            expected=f"the size of the blob, at most {MAX_BUNDLE_BYTES} bytes",
            step="V4",
        )


def _step_v5_blob_digest(bundle: AttachedBundle) -> None:
    expected = bundle.referrer.bundle.digest
    if not expected.matches(bundle.raw):
        raise EvidenceRefused(
            "the bundle's bytes are not those its referrer names",
            code="evidence-digest",
            found=Digest.of(bundle.raw, expected.algorithm),
            expected=expected,
            step="V5",
        )


MANIFEST_STEPS = (Step("V1", "the manifest is the one asked for", _step_v1_digest_asked_for),)
LIST_STEPS = (Step("V2", "evidence is bounded in number and size", _step_v2_bounded_evidence),)
REFERRER_STEPS = (
    Step("V3", "each referrer holds one bundle and is about this manifest", _step_v3_referrer_shape),
    Step("V4", "each bundle is of the size given", _step_v4_blob_size),
    Step("V5", "each bundle is of the digest given", _step_v5_blob_digest),
)


def title_of(step: str) -> str:
    """Give the title of a numbered step, or the number itself."""
    fetching = {each.number: each.title for each in REFERRER_STEPS}
    fetching |= {each.number: each.title for each in LIST_STEPS} | {each.number: each.title for each in MANIFEST_STEPS}
    return (fetching | STEP_TITLES | RELEASE_STEP_TITLES).get(step, step)


def _check_content(source: EvidenceSource, manifest: Manifest) -> tuple[AgentConfig | None, Sequence[Reason]]:
    """Check an agent bundle and give its config; an opaque one has none. What is wrong is told with the rest."""
    from tidegate.bundle.content import check_bundle

    if manifest.effective_artifact_type != AGENT_BUNDLE:
        return None, ()
    try:
        return check_bundle(manifest, source.open_blob), ()
    except BundleRefused as error:
        return None, error.reasons


def _version_by_statement(attestations: Iterable[VerifiedAttestation]) -> str | None:
    """Give the one version that publishers' release statements name, or None."""
    named = {each.release.version for each in attestations if each.is_publisher and each.release}
    return named.pop() if len(named) == 1 else None
