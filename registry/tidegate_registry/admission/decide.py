"""What follows from an admission's verdict, pure: what a release remembers, and whether a no may be waited out.

The judging is `tidegate.verify.admission.decide_admission`, around the function that a host decides with. Source:
docs/spec/verification.md, part R.
"""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.bundle.diff.step import VersionStep
from tidegate.digest import Digest
from tidegate.formats.jcs import JsonObject
from tidegate.policy.evidence import VerifiedAttestation
from tidegate.policy.floor import ReleaseFacts
from tidegate.verify.admission import AdmissionInputs
from tidegate.verify.artifact import Allowed, Refused

FLOOR, WARNINGS, MAX_LISTED = "floor", "warnings", 32
# requirements on the manifest itself, and what a statement about it said wrongly: no later evidence mends them
FIXED_STEPS = frozenset({"R1", "R2", "R3", "R5", "R12", "R13"})


@dataclass(frozen=True, slots=True)
class Admission:
    """Yes. `facts`: what the release row remembers. `evidence`: payload digests of the statements that allowed it."""

    facts: JsonObject
    evidence: tuple[Digest, ...]


def admission_of(inputs: AdmissionInputs, allowed: Allowed) -> Admission:
    """Say what a release remembers of the decision that made it."""
    counted = (*allowed.signatures, allowed.provenance)
    facts: JsonObject = {
        FLOOR: allowed.facts.as_json(),
        "behaviour": None if inputs.config is None else str(inputs.config.behaviour),
        "opaque": inputs.config is None,
        "charter": None
        if inputs.charter is None
        else {"digest": str(inputs.charter.digest), "version": inputs.charter.version},
        "policy": None if inputs.policy is None else str(inputs.policy.digest),
        "channels": list(allowed.channels),
        "step": inputs.step.as_json() if isinstance(inputs.step, VersionStep) else None,
        WARNINGS: [dict(reason.as_json()) for reason in allowed.warnings],
        "checked": list(allowed.checked),
        "evidence": [_counted(each) for each in counted[:MAX_LISTED]],
    }
    return Admission(facts, tuple(dict.fromkeys(each.payload_digest for each in counted)))


def awaits_evidence(refused: Refused) -> bool:
    """Whether further evidence about the same manifest could meet every requirement that is not met."""
    return not any((reason.step or "").startswith("B") or reason.step in FIXED_STEPS for reason in refused.reasons)


def previous_facts(remembered: JsonObject | None) -> ReleaseFacts | None:
    """Read the trust floor out of what a release row remembers. Raises StatementInvalid (code "facts-malformed")."""
    if remembered is None:
        return None
    floor = remembered.get(FLOOR)
    return ReleaseFacts.parse(floor if isinstance(floor, dict) else {})


def _counted(attestation: VerifiedAttestation) -> JsonObject:
    return {
        "predicateType": attestation.predicate_type,
        "payload": str(attestation.payload_digest),
        "bundle": str(attestation.bundle_digest),
        "root": attestation.root,
        "issuer": attestation.identity.issuer,
        "identity": attestation.identity.san,
    }
