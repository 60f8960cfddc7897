"""From evidence to what decisions read of it."""

from __future__ import annotations

from tidegate.formats.predicates.views import view_of
from tidegate.policy.evidence import VerifiedAttestation
from tidegate.policy.inputs import Attested


def attested_of(evidence: VerifiedAttestation) -> Attested:
    """Give what a decision reads of verified evidence: who signed, when, and the view of the predicate.

    The verifier has read the predicate before (step A18), so this does not fail for evidence that it made.
    """
    return Attested(
        predicate_type=evidence.predicate_type,
        root=evidence.root,
        issuer=evidence.identity.issuer,
        identity=evidence.identity.san,
        signers=evidence.signers,
        signed_at=evidence.signed_at,
        log_index=evidence.log_index,
        payload_digest=evidence.payload_digest,
        bundle_digest=evidence.bundle_digest,
        view=view_of(evidence.predicate_type, evidence.statement.predicate),
        claims={name.value: value for name, value in evidence.identity.claims.items()},
    )
