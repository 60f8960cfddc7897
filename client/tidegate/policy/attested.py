"""From evidence to what decisions read of it."""

from __future__ import annotations

from tidegate.formats.charter import ApproverRule, Charter, Role
from tidegate.formats.predicates.types import PREDICATE_BREAK_GLASS
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


def approver_rule(charter: Charter, found: VerifiedAttestation, channel: str) -> ApproverRule | None:
    """Give the charter's rule by which a statement's signer counts for a channel: an approver, or who may break glass.

    None for everybody else. One that counts for other channels only is given where there is no better.
    """
    role = Role.BREAK_GLASS if found.predicate_type == PREDICATE_BREAK_GLASS else Role.APPROVER
    rules = [
        rule
        for held, rule in charter.rules_for(found.root, found.identity)
        if held is role and isinstance(rule, ApproverRule)
    ]
    return next((rule for rule in rules if rule.is_for(channel)), rules[0] if rules else None)
