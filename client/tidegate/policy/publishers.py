"""Which of the charter's publishers a policy lets publish an agent. It only narrows the charter: step R14.

Pure. Source: docs/spec/policy.md, `publishers`.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.errors import Reason
from tidegate.policy.evidence import RefusedEvidence, VerifiedAttestation
from tidegate.policy.load import LoadedPolicy


def narrow_publishers(
    policy: LoadedPolicy, agent: str, attestations: Sequence[VerifiedAttestation]
) -> tuple[list[VerifiedAttestation], list[RefusedEvidence]]:
    """Sort out what publishers of the charter say whom the policy does not let publish `agent`: it does not count.

    A signer is who their rule says under the root that it names, as in the charter: the same identity under another
    root is somebody else. What attesters say is no publisher's affair and passes.
    """
    kept: list[VerifiedAttestation] = []
    refused: list[RefusedEvidence] = []
    wanted = policy.publishers(agent)
    for each in attestations:
        lacking = next((names for names in wanted if not _is_one_of(policy, names, each)), None)
        if lacking is None or not each.is_publisher:
            kept.append(each)
            continue
        reason = Reason(
            code="publisher-not-in-policy",
            message=f"the policy does not let this signer publish {agent}",
            found=f"{each.identity} under root {each.root}",
            expected=f"the policy's signer {' or '.join(sorted(lacking))}",
            hint="publish with one of these, or have the policy's editors add this one under `publishers`",
            step="R14",
        )
        refused.append(RefusedEvidence(each.bundle_digest, (reason,), each.predicate_type))
    return kept, refused


def _is_one_of(policy: LoadedPolicy, names: frozenset[str], attestation: VerifiedAttestation) -> bool:
    rules = [policy.signers[name] for name in names]
    return any(rule.root == attestation.root and rule.matches(attestation.identity) for rule in rules)
