"""The decision, pure: values in, what is to be recorded out, or a refusal that lists every unmet requirement.

The judging is `tidegate.verify.artifact.decide_release`, the function that a host decides with; here is only what a
registry adds to it. Source: docs/spec/verification.md, part R.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.bundle.diff.step import VersionStep
from tidegate.digest import Digest
from tidegate.errors import AdmissionRefused, BundleRefused, Reason
from tidegate.formats.charter import Charter
from tidegate.formats.config import AgentConfig
from tidegate.formats.jcs import JsonObject
from tidegate.policy.evidence import RefusedEvidence, VerifiedAttestation
from tidegate.policy.floor import ReleaseFacts
from tidegate.verify.artifact import Refused, decide_release

FLOOR, WARNINGS, MAX_LISTED = "floor", "warnings", 32
# requirements on the manifest itself, and what a statement about it said wrongly: no later evidence mends them
FIXED_STEPS = frozenset({"R1", "R2", "R3", "R5", "R12", "R13"})


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that an admission rests on.

    `bundle`: the checked config, or why the content was refused; None for an opaque bundle. `previous`: what was
    remembered of the agent's last release. `step`: the version step from the greatest release below, or why it cannot
    be judged. `further_reasons` are told only with a refusal.
    `policy`: digest of the one that narrowed the publishers.
    """

    repository: str
    version: str
    digest: Digest
    bundle: AgentConfig | BundleRefused | None
    charter: Charter | None
    attestations: Sequence[VerifiedAttestation]
    refusals: Sequence[RefusedEvidence]
    previous: JsonObject | None
    further_reasons: Sequence[Reason] = ()
    step: VersionStep | Reason | None = None
    policy: Digest | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """Yes. `facts`: what the release row remembers. `evidence`: payload digests of the statements that allowed it."""

    facts: JsonObject
    evidence: tuple[Digest, ...]


def decide(case: Case) -> Admission:
    """Decide whether the manifest becomes that version. Raises AdmissionRefused with every unmet requirement."""
    config = None if isinstance(case.bundle, BundleRefused) else case.bundle
    verdict = decide_release(
        agent=case.repository,
        version=case.version,
        digest=case.digest,
        config=config,
        attestations=case.attestations,
        refusals=case.refusals,
        charter=case.charter,
        previous=previous_facts(case.previous),
        bundle_reasons=case.bundle.reasons if isinstance(case.bundle, BundleRefused) else (),
        version_step=case.step,
    )
    if isinstance(verdict, Refused):
        raise refusal(case, (*verdict.reasons, *case.further_reasons))
    counted = (*verdict.signatures, verdict.provenance)
    facts: JsonObject = {
        FLOOR: verdict.facts.as_json(),
        "behaviour": None if config is None else str(config.behaviour),
        "opaque": config is None,
        "charter": None
        if case.charter is None
        else {"digest": str(case.charter.digest), "version": case.charter.version},
        "policy": None if case.policy is None else str(case.policy),
        "channels": list(verdict.channels),
        "step": case.step.as_json() if isinstance(case.step, VersionStep) else None,
        WARNINGS: [dict(reason.as_json()) for reason in verdict.warnings],
        "checked": list(verdict.checked),
        "evidence": [_counted(each) for each in counted[:MAX_LISTED]],
    }
    return Admission(facts, tuple(dict.fromkeys(each.payload_digest for each in counted)))


def awaits_evidence(refused: AdmissionRefused) -> bool:
    """Whether further evidence about the same manifest could meet every requirement that is not met."""
    return not any((reason.step or "").startswith("B") or reason.step in FIXED_STEPS for reason in refused.reasons)


def previous_facts(remembered: JsonObject | None) -> ReleaseFacts | None:
    """Read the trust floor out of what a release row remembers. Raises StatementInvalid (code "facts-malformed")."""
    if remembered is None:
        return None
    floor = remembered.get(FLOOR)
    return ReleaseFacts.parse(floor if isinstance(floor, dict) else {})


def refusal(case: Case, reasons: Sequence[Reason]) -> AdmissionRefused:
    """Make the refusal; its text is the same through every client."""
    count = "one requirement is" if len(reasons) == 1 else f"{len(reasons)} requirements are"
    message = f"{case.repository}:{case.version} is not admitted: {count} not met"
    refused = AdmissionRefused(message)
    refused.reasons = tuple(reasons)
    return refused


def _counted(attestation: VerifiedAttestation) -> JsonObject:
    return {
        "predicateType": attestation.predicate_type,
        "payload": str(attestation.payload_digest),
        "bundle": str(attestation.bundle_digest),
        "root": attestation.root,
        "issuer": attestation.identity.issuer,
        "identity": attestation.identity.san,
    }
