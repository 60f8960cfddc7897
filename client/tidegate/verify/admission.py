"""Whether a version is given to a manifest, from everything that an admission rests on. Pure.

`tidegate.verify.artifact.decide_release` judges as a host does; around it is only what a registry adds to that: the
publishers that a policy leaves, and what it says beside a refusal. The registry decides with it, and `tidegate log
replay` decides with it again. Source: docs/spec/verification.md, part R.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tidegate.bundle.diff.step import VersionStep
from tidegate.digest import Digest
from tidegate.errors import Reason
from tidegate.formats.charter import Charter
from tidegate.policy.evidence import RefusedEvidence, VerifiedAttestation
from tidegate.policy.floor import ReleaseFacts
from tidegate.policy.load import LoadedPolicy
from tidegate.policy.publishers import narrow_publishers
from tidegate.verify.artifact import Allowed, Refused, ReleaseConfig, decide_release

ADMISSION_ENGINE: Final = "tidegate/admit/v1"
"""Goes up whenever the same inputs could be judged otherwise; admission records name it."""


@dataclass(frozen=True, slots=True)
class AdmissionInputs:
    """Everything that an admission rests on besides the clock, which verification used.

    `digest`: the manifest's. `config`: the checked config of an agent bundle and `config_digest` its blob's, both None
    for an opaque bundle; `bundle_reasons`: why the bundle's content is refused, then both are None too.
    `attestations`, `refusals`: what is attached, verified under `charter` and `roots` for that manifest, whatever the
    policy says of it. `previous`: facts of the agent's last release. `step`: the version step from the greatest release
    below, or why it cannot be judged. `further`: told only beside a refusal.
    """

    agent: str
    version: str
    digest: Digest
    config: ReleaseConfig | None
    config_digest: Digest | None
    charter: Charter | None
    attestations: Sequence[VerifiedAttestation]
    refusals: Sequence[RefusedEvidence]
    previous: ReleaseFacts | None
    bundle_reasons: Sequence[Reason] = ()
    step: VersionStep | Reason | None = None
    policy: LoadedPolicy | None = None
    further: Sequence[Reason] = ()
    roots: tuple[tuple[str, Digest], ...] = ()


def decide_admission(inputs: AdmissionInputs) -> Allowed | Refused:
    """Decide whether the manifest becomes that version: every unmet requirement, or what the release rests on."""
    attestations, refusals = list(inputs.attestations), list(inputs.refusals)
    if inputs.policy is not None:
        attestations, not_here = narrow_publishers(inputs.policy, inputs.agent, attestations)
        refusals += not_here
    decision = decide_release(
        agent=inputs.agent,
        version=inputs.version,
        digest=inputs.digest,
        config=inputs.config,
        attestations=attestations,
        refusals=refusals,
        charter=inputs.charter,
        previous=inputs.previous,
        bundle_reasons=inputs.bundle_reasons,
        version_step=inputs.step,
    )
    return Refused((*decision.reasons, *inputs.further)) if isinstance(decision, Refused) else decision
