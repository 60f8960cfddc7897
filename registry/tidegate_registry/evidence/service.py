"""Evidence in: a referrer is verified when it is PUT. Evidence out: what counts for a manifest, verified again.

Source: docs/spec/evidence.md. The verifier is the one that hosts use (`tidegate.verify`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlmodel import case, col, select

from tidegate.digest import Digest
from tidegate.errors import EvidenceRefused, Reason, TidegateError, Unreachable
from tidegate.formats.charter import Charter, Role
from tidegate.formats.identity import CertificateIdentity, ClaimName
from tidegate.formats.jcs import canonical_bytes
from tidegate.formats.manifest import Manifest
from tidegate.formats.mediatypes import PREDICATE_COSIGN_SIGN, PREDICATE_RELEASE, PREDICATE_SLSA_PROVENANCE
from tidegate.policy.evidence import RefusedEvidence, VerifiedAttestation
from tidegate.verify.attestation import verify_attestation
from tidegate.verify.steps import Step, run_steps
from tidegate.verify.trust import Trust
from tidegate_registry.access.principal import Principal
from tidegate_registry.access.rights import Permission
from tidegate_registry.artifacts.content import read_blob
from tidegate_registry.audit import service as audit
from tidegate_registry.audit.events import Actor, timestamp
from tidegate_registry.audit.service import LogObject
from tidegate_registry.evidence.beside import blob_objects
from tidegate_registry.evidence.events import EvidenceVerified
from tidegate_registry.evidence.referrer import Referrer, check_annotations, check_referrer
from tidegate_registry.evidence.room import check_room
from tidegate_registry.evidence.tables import EvidenceRow

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

DECIDING_TYPES = (PREDICATE_RELEASE, PREDICATE_COSIGN_SIGN, PREDICATE_SLSA_PROVENANCE)
# what makes two runs of a pipeline the same signer: the certificate's subject is the workflow's, which other
# repositories may share (a reusable workflow), so the source repository must agree as well
_SAME_SIGNER = (ClaimName.SOURCE_REPOSITORY_URI, ClaimName.SOURCE_REPOSITORY_IDENTIFIER)


@dataclass(frozen=True, slots=True)
class PendingEvidence:
    """A verified referrer, not yet written; `record` goes into the transaction that stores the manifest."""

    app: Services
    who: Principal
    repository: str
    manifest: Manifest
    attestation: VerifiedAttestation
    charter: Charter
    root_digest: Digest

    def record(self, tx: Tx, *, now: datetime) -> None:
        """Write row and entry. Steps E9 and E10, under the agent's lock: what is attached decides on them.

        Raises EvidenceRefused (code "evidence-already-attached"), TooManyReferrers, TooMuchEvidence.
        """
        signature, found = signature_of(self.attestation), self.attestation
        subject = found.statement.subject.digest
        known = tx.get(EvidenceRow, (self.repository, subject, signature))
        if known is not None:
            raise _already_attached(known)
        size, most = self.manifest.layers[0].size, self.app.settings.limits.referrers_per_subject
        check_room(tx, self.repository, subject, role=found.role, size=size, most=most)
        event = EvidenceVerified(
            at=now,
            actor=Actor.of(self.who),
            repository=self.repository,
            subject=subject,
            manifest=self.manifest.digest,
            bundle=found.bundle_digest,
            payload=found.payload_digest,
            predicate_type=found.predicate_type,
            role=str(found.role),
            signers=found.signers,
            root=found.root,
            root_digest=self.root_digest,
            issuer=found.identity.issuer,
            identity=found.identity.san,
            signed_at=timestamp(found.signed_at),
            charter=self.charter.digest,
            charter_version=self.charter.version,
        )
        event_id = audit.append(tx, event, objects=self._objects(), entropy=self.app.entropy)
        write_evidence(tx, self.repository, self.manifest, found, event_id)

    def _objects(self) -> list[LogObject]:
        """What the entry names: the bundle, which auditors verify again, and the manifest that attaches it."""
        beside = blob_objects(self.repository, [self.attestation.bundle_digest])
        if self.manifest.digest.algorithm == "sha256":  # files beside the log have no other names
            beside.append(LogObject(self.manifest.digest, body=self.manifest.raw))
        return beside


def write_evidence(tx: Tx, repository: str, manifest: Manifest, found: VerifiedAttestation, event_id: str) -> None:
    """Write the row of a verified attestation that `manifest` attaches."""
    tx.add(
        EvidenceRow(
            repository=repository,
            subject=found.statement.subject.digest,
            signature=signature_of(found),
            manifest=manifest.digest,
            bundle=manifest.layers[0].digest,
            payload=found.payload_digest,
            predicate_type=found.predicate_type,
            role=str(found.role),
            root=found.root,
            issuer=found.identity.issuer,
            identity=found.identity.san,
            signed_at=found.signed_at,
            attestation=canonical_bytes(found.as_json()),
            event_id=event_id,
        )
    )
    tx.flush()


def _already_attached(known: EvidenceRow) -> EvidenceRefused:
    """E9: wrapped differently as often as one likes, one signature would fill the list that every host reads."""
    return EvidenceRefused(
        "that signature is attached already",
        code="evidence-already-attached",
        found=known.manifest,
        expected="one referrer for each signature",
        hint=f"use the referrer that there is: {known.manifest}",
        step="E9",
    )


def verify_referrer(
    app: Services, trust: Trust, who: Principal, *, repository: str, manifest: Manifest, now: datetime
) -> PendingEvidence:
    """Verify the bundle that `manifest` attaches. Reads the store and verifies signatures: never in a transaction.

    Raises EvidenceRefused with the step (E1…E8, A1…A19), BlobUnknown when the bundle is not there yet.
    """
    limit = app.settings.limits.evidence_bytes
    referrer = check_referrer(manifest, limit=limit)
    charter = trust.charters.for_agent(repository)
    if charter is None:
        raise EvidenceRefused(
            f"there is no charter for {repository}, so nobody's evidence counts there",
            code="no-charter",
            expected=f"a charter for {repository} or {repository.partition('/')[0]}/*",
            hint="have the registry's operator add a charter",
        )
    attestation = verify_kept(
        app,
        trust,
        charter,
        repository=repository,
        subject=referrer.subject.digest,
        bundle=referrer.bundle.digest,
        now=now,
    )
    is_publisher = app.access.may(who, Permission.ARTIFACT_PUSH, repository)
    run_steps(ATTACHMENT_STEPS, Attachment(referrer, attestation, who, is_publisher=is_publisher))
    root_digest = trust.root(attestation.root).digest
    return PendingEvidence(app, who, repository, manifest, attestation, charter, root_digest)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A verified attestation, the referrer that brings it, and who attaches it."""

    referrer: Referrer
    attestation: VerifiedAttestation
    who: Principal
    is_publisher: bool


def _step_e6_annotations(attachment: Attachment) -> None:
    # referrers lists repeat the annotations: a wrong one would let a list show an evaluation as a provenance
    check_annotations(attachment.referrer, attachment.attestation.predicate_type)


def _step_e7_own_signature(attachment: Attachment) -> None:
    caller, signer = attachment.who.identity, attachment.attestation.identity
    if attachment.is_publisher or (caller is not None and same_signer(caller, signer)):
        return
    raise EvidenceRefused(
        "an attester may attach only what they signed themselves",
        code="not-your-signature",
        found=f"signed by {signer}",
        expected=f"signed by {caller}",
        hint="sign with the identity you are logged in as, or have a publisher attach it",
        step="E7",
    )


ATTACHMENT_STEPS: tuple[Step[Attachment], ...] = (
    Step("E6", "the referrer's annotations are true of its bundle", _step_e6_annotations),
    Step("E7", "an attester attaches what they signed themselves", _step_e7_own_signature),
)


def same_signer(caller: CertificateIdentity, signer: CertificateIdentity) -> bool:
    """Whether a caller's token and a certificate name the same: issuer, subject, and for a pipeline its repository."""
    named = (caller.issuer, caller.san, *(caller.claim(name) for name in _SAME_SIGNER))
    return named == (signer.issuer, signer.san, *(signer.claim(name) for name in _SAME_SIGNER))


def signature_of(attestation: VerifiedAttestation) -> Digest:
    """Give the name of a signature: of what it proves, never of bytes that can be written differently."""
    identity = attestation.identity
    return Digest.of(
        canonical_bytes(
            {
                "payload": str(attestation.payload_digest),
                "root": attestation.root,
                "issuer": identity.issuer,
                "identity": identity.san,
                "signedAt": timestamp(attestation.signed_at),
                "logIndex": attestation.log_index,
            }
        )
    )


@dataclass(frozen=True, slots=True)
class EvidenceSet:
    """What is attached to a manifest, as far as it is considered. `left_out` tells that there is more than that."""

    rows: tuple[EvidenceRow, ...]
    left_out: bool

    @property
    def deciding(self) -> frozenset[str]:
        """Names the signatures that a decision rests on: if these are the same, so is the decision."""
        return frozenset(row.signature for row in self.rows if row.predicate_type in DECIDING_TYPES)


def read_evidence(tx: Tx, repository: str, subject: Digest, *, limit: int) -> EvidenceSet:
    """Give at most `limit` rows: deciding types by publishers first, then the latest, so that a flood hides nothing."""
    query = select(EvidenceRow).where(EvidenceRow.repository == repository, EvidenceRow.subject == subject)
    rows = tx.exec(query.order_by(*_deciding_first()).limit(limit + 1)).all()
    return EvidenceSet(tuple(rows[:limit]), left_out=len(rows) > limit)


def read_deciding(tx: Tx, repository: str, subject: Digest, *, limit: int) -> frozenset[str]:
    """Give `read_evidence(…).deciding` without the rows."""
    query = select(EvidenceRow.signature, EvidenceRow.predicate_type).where(
        EvidenceRow.repository == repository, EvidenceRow.subject == subject
    )
    found = tx.exec(query.order_by(*_deciding_first()).limit(limit)).all()
    return frozenset(signature for signature, predicate_type in found if predicate_type in DECIDING_TYPES)


def _deciding_first() -> tuple[ColumnElement[int], ColumnElement[int], ColumnElement[datetime], ColumnElement[str]]:
    deciding = case((col(EvidenceRow.predicate_type).in_(DECIDING_TYPES), 0), else_=1)
    publisher = case((col(EvidenceRow.role) == str(Role.PUBLISHER), 0), else_=1)
    return deciding, publisher, col(EvidenceRow.signed_at).desc(), col(EvidenceRow.signature).asc()


def root_digests(trust: Trust) -> tuple[tuple[str, Digest], ...]:
    """Give what a decision rests on of the trusted roots: each by name and digest."""
    return tuple((root.name, root.digest) for root in trust.roots)


def verify_again(
    app: Services,
    trust: Trust,
    charter: Charter,
    *,
    repository: str,
    subject: Digest,
    rows: Sequence[EvidenceRow],
    now: datetime,
) -> tuple[list[VerifiedAttestation], list[RefusedEvidence]]:
    """Read each bundle from the store and verify it under `charter` and `trust`, whatever its row says.

    What was verified a moment ago, under the same charter and the same roots, is not verified once more.

    Raises Unreachable when the store does not answer: then nothing can be decided, which is no refusal.
    """
    good: list[VerifiedAttestation] = []
    bad: list[RefusedEvidence] = []
    for row in rows:
        digest = Digest(row.bundle)
        try:
            good.append(
                verify_kept(app, trust, charter, repository=repository, subject=subject, bundle=digest, now=now)
            )
        except Unreachable:
            raise
        except TidegateError as error:  # a bundle that is gone or changed in the store is as good as none
            bad.append(RefusedEvidence(digest, error.reasons, row.predicate_type))
    return good, bad


def verify_kept(
    app: Services,
    trust: Trust,
    charter: Charter,
    *,
    repository: str,
    subject: Digest,
    bundle: Digest,
    now: datetime,
) -> VerifiedAttestation:
    """Verify the bundle of that digest as of `now`, unless that was done a moment ago. Raises EvidenceRefused."""
    key = (repository, subject, bundle, charter.digest, root_digests(trust))
    found = app.verified_evidence.find(key, now)
    if found is None:
        raw = read_blob(app, repository, bundle, limit=app.settings.limits.evidence_bytes)
        found = verify_attestation(raw, subject=subject, agent=repository, charter=charter, trust=trust, now=now)
        app.verified_evidence.keep(key, found, now, weight=len(raw))
    return found


def evidence_page(
    tx: Tx, repository: str, subject: Digest, *, after: str, size: int
) -> tuple[Sequence[EvidenceRow], str | None]:
    """Give up to `size` rows in the order in which they arrived, after event id `after`, and the next `after`."""
    query = (
        select(EvidenceRow)
        .where(EvidenceRow.repository == repository, EvidenceRow.subject == subject, EvidenceRow.event_id > after)
        .order_by(EvidenceRow.event_id)
    )
    rows = tx.exec(query.limit(size + 1)).all()
    return rows[:size], rows[size - 1].event_id if len(rows) > size else None


def truncated_reason(limit: int) -> Reason:
    """Say that more is attached than is considered."""
    return Reason(
        code="evidence-left-out",
        message="more evidence is attached than one decision considers",
        found=f"more than {limit} verified signatures",
        expected=f"at most {limit}; signatures and provenance by publishers are considered first",
        hint="build the release anew: a new digest starts with no evidence",
    )
