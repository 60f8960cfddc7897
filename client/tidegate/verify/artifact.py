"""Part R of docs/spec/verification.md: is this manifest a release of that agent in that version?

Pure: the registry decides admission with it and a host decides what it loads, from the same values. Every requirement
is looked at and reported; none stops the others. How steps are listed: `tidegate.verify.steps`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol

from tidegate.bundle.diff.step import VersionStep
from tidegate.digest import Digest
from tidegate.errors import Reason
from tidegate.formats.charter import Charter
from tidegate.formats.mediatypes import PREDICATE_COSIGN_SIGN, PREDICATE_SLSA_PROVENANCE
from tidegate.policy.evidence import RefusedEvidence, VerifiedAttestation
from tidegate.policy.floor import (
    ReleaseFacts,
    facts_of,
    judge_builder,
    judge_ref,
    judge_runner,
    judge_signer,
)
from tidegate.verify.steps import bounded

MAX_SHOWN = 10  # of the evidence there was instead: enough to see the mistake, not a page


class PinnedModel(Protocol):
    """What is asked of a model pin."""

    @property
    def id(self) -> str: ...
    @property
    def floats(self) -> bool: ...


class ReleaseConfig(Protocol):
    """What is asked of a bundle's config; `tidegate.formats.config.AgentConfig` has it."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def behaviour(self) -> Digest: ...
    @property
    def models(self) -> Sequence[PinnedModel]: ...


@dataclass(frozen=True, slots=True)
class Allowed:
    """The manifest is that release. `checked`: numbers of the steps that passed, those of its evidence included.

    `signatures` and `provenance` are the attestations that made it so; `channels` what publishers' release statements
    let it enter without further approval. `warnings`: what the charter asks to be warned of.
    """

    facts: ReleaseFacts
    signatures: tuple[VerifiedAttestation, ...]
    provenance: VerifiedAttestation
    channels: tuple[str, ...]
    checked: tuple[str, ...]
    warnings: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The manifest is not. `reasons`: every unmet requirement in the order of the steps, then refused evidence."""

    reasons: tuple[Reason, ...]

    def __bool__(self) -> Literal[False]:
        """Refusal is falsy, so that `if decide_release(…)` reads as it should."""
        return False


def decide_release(
    *,
    agent: str,
    version: str,
    digest: Digest,
    config: ReleaseConfig | None,
    attestations: Sequence[VerifiedAttestation],
    refusals: Sequence[RefusedEvidence],
    charter: Charter | None,
    previous: ReleaseFacts | None,
    bundle_reasons: Sequence[Reason] = (),
    version_step: VersionStep | Reason | None = None,
) -> Allowed | Refused:
    """Decide whether the manifest `digest` is `version` of `agent`.

    `config`: the checked config, or None for an opaque bundle. `attestations`: those verified for this digest and
    agent under this charter. `refusals`: evidence that is attached and did not verify; it never counts, but the answer
    tells of it when something is missing. `previous`: facts of the agent's previous release, or None for the first.
    `bundle_reasons`: why the bundle itself is refused; then `config` is None without the bundle being opaque.
    `version_step`: the one from the greatest release below, why it could not be judged, or None without one.
    """
    case = ReleaseCase(
        agent,
        version,
        digest,
        config,
        tuple(attestations),
        tuple(refusals),
        charter,
        previous,
        tuple(bundle_reasons),
        version_step,
    )
    reasons = list(case.bundle_reasons)
    passed = []
    for step in RELEASE_STEPS:
        found = _look(step, case)
        reasons += found
        if not found:
            passed.append(step.number)
    if reasons or case.provenance is None or case.facts is None:
        return Refused((*reasons, *_instead(case, reasons)) or (_internal("R1", "no provenance"),))
    counted = (*case.signatures, case.provenance)
    evidence_steps = dict.fromkeys(number for attestation in counted for number in attestation.steps)
    channels = {channel for each in case.signatures if each.release for channel in each.release.channels}
    warnings = judge_step(version_step) if charter is not None and charter.small_step == "warn" else ()
    checked = (*evidence_steps, *passed)
    return Allowed(case.facts, case.signatures, case.provenance, tuple(sorted(channels)), checked, warnings)


def judge_step(step: VersionStep | Reason | None) -> tuple[Reason, ...]:
    """R13: the version step is at least what the change demands; one reason for each line that demands more."""
    if isinstance(step, Reason):
        return (replace(step, step="R13"),)
    if step is None or step.enough:
        return ()
    found = f"{step.base} to {step.version}, a {step.taken} step"
    expected = f"{step.proposed} or greater, a {step.needed} step"
    hint = f"release it as {step.proposed}; `tidegate diff` shows what changed"
    more = (f"{step.omitted} more changes",) if step.omitted else ()
    return tuple(
        Reason("step-too-small", f"the version step is too small: {bounded(line)}", found, expected, hint, "R13")
        for line in (*step.lines, *more)
    )


@dataclass
class ReleaseCase:
    """Everything a step may look at."""

    agent: str
    version: str
    digest: Digest
    config: ReleaseConfig | None
    attestations: tuple[VerifiedAttestation, ...]
    refusals: tuple[RefusedEvidence, ...]
    charter: Charter | None
    previous: ReleaseFacts | None
    bundle_reasons: tuple[Reason, ...] = field(default=())
    version_step: VersionStep | Reason | None = None

    @property
    def opaque(self) -> bool:
        return self.config is None and not self.bundle_reasons

    @cached_property
    def by_publishers(self) -> tuple[VerifiedAttestation, ...]:
        """What publishers attested about this very digest, latest first."""
        mine = [
            each for each in self.attestations if each.is_publisher and each.statement.subject.digest == self.digest
        ]
        return tuple(sorted(mine, key=lambda each: each.order, reverse=True))

    @cached_property
    def release_statements(self) -> tuple[VerifiedAttestation, ...]:
        """Publishers' release statements for this agent, version and digest."""
        wanted = (self.agent, self.version, self.digest)
        return tuple(
            each
            for each in self.by_publishers
            if each.release and (each.release.agent, each.release.version, each.release.digest) == wanted
        )

    @cached_property
    def signatures(self) -> tuple[VerifiedAttestation, ...]:
        cosign = tuple(each for each in self.by_publishers if each.predicate_type == PREDICATE_COSIGN_SIGN)
        return (*self.release_statements, *cosign)

    @cached_property
    def provenance(self) -> VerifiedAttestation | None:
        """The provenance that counts: of several, the latest that comes nearest to the floor."""
        found = [each for each in self.by_publishers if each.predicate_type == PREDICATE_SLSA_PROVENANCE]
        return min(found, key=lambda each: len(self._floor_reasons(each)), default=None)

    @cached_property
    def facts(self) -> ReleaseFacts | None:
        if self.provenance is None or self.charter is None:
            return None
        return facts_of(self.provenance.root, self.provenance.identity, self.charter)

    def _floor_reasons(self, provenance: VerifiedAttestation) -> tuple[Reason, ...]:
        if self.charter is None:
            return ()
        facts = facts_of(provenance.root, provenance.identity, self.charter)
        judges = (judge_ref, judge_runner, judge_builder, judge_signer)
        return tuple(reason for judge in judges for reason in judge(facts, self.charter, self.previous))


@dataclass(frozen=True, slots=True)
class ReleaseStep:
    """One numbered requirement. `check` gives the reasons why it is not met; none means it is."""

    number: str
    title: str
    check: Callable[[ReleaseCase], tuple[Reason, ...]]


def _step_r1_charter(case: ReleaseCase) -> tuple[Reason, ...]:
    if case.charter is not None and case.charter.covers(case.agent):
        return ()
    return (
        Reason(
            "no-charter",
            "no charter says whose signatures count for this agent",
            None if case.charter is None else f"a charter for {case.charter.agent}",
            f"a charter for {case.agent} or {case.agent.partition('/')[0]}/*",
            "add one to trust.yaml: docs/spec/charter.md",
            "R1",
        ),
    )


def _step_r2_agent(case: ReleaseCase) -> tuple[Reason, ...]:
    if case.config is None or case.config.name == case.agent:
        return ()
    message = "the bundle says it is another agent"
    return (Reason("agent-mismatch", message, case.config.name, case.agent, step="R2"),)


def _step_r3_version(case: ReleaseCase) -> tuple[Reason, ...]:
    if case.config is None or case.config.version == case.version:
        return ()
    message = "the bundle says it is another version"
    hint = f"ask for {case.config.version}, or build with version: {case.version}"
    return (Reason("version-mismatch", message, case.config.version, case.version, hint, "R3"),)


def _step_r4_opaque_is_named(case: ReleaseCase) -> tuple[Reason, ...]:
    if not case.opaque or case.release_statements or case.charter is None:
        return ()
    return (
        Reason(
            "no-release-statement",
            "the bundle itself names no agent and version, so a release statement must",
            _what_there_is(case),
            f"a release statement for {case.agent} {case.version} by {_publishers(case)}",
            "sign it with `tidegate sign`",
            "R4",
        ),
    )


def _step_r5_pinned_models(case: ReleaseCase) -> tuple[Reason, ...]:
    if case.config is None or case.charter is None or case.charter.unpinned == "allow":
        return ()
    floating = [model.id for model in case.config.models if model.floats]
    if not floating:
        return ()
    message = "the charter refuses models that can change under a release"
    hint = "pin each model by date, revision or digest"
    return (Reason("unpinned-model", message, ", ".join(floating[:MAX_SHOWN]), "pinned models", hint, "R5"),)


def _step_r6_signature(case: ReleaseCase) -> tuple[Reason, ...]:
    if case.signatures or case.charter is None:
        return ()
    return (
        Reason(
            "no-signature",
            "no publisher has signed this release",
            _what_there_is(case),
            f"a release statement or a cosign signature by {_publishers(case)}",
            "sign it with `tidegate sign` (or `tidegate publish`) as a publisher of the charter",
            "R6",
        ),
    )


def _step_r7_provenance(case: ReleaseCase) -> tuple[Reason, ...]:
    if case.provenance is not None or case.charter is None:
        return ()
    return (
        Reason(
            "no-provenance",
            "no publisher has attested how this was built",
            _what_there_is(case),
            f"SLSA provenance v1 by {_publishers(case)}",
            "publish from CI with `tidegate publish`, or attach it with `tidegate attest provenance`",
            "R7",
        ),
    )


def _step_r8_ref(case: ReleaseCase) -> tuple[Reason, ...]:
    return judge_ref(case.facts, case.charter, case.previous) if case.facts and case.charter else ()


def _step_r9_runner(case: ReleaseCase) -> tuple[Reason, ...]:
    return judge_runner(case.facts, case.charter, case.previous) if case.facts and case.charter else ()


def _step_r10_builder(case: ReleaseCase) -> tuple[Reason, ...]:
    return judge_builder(case.facts, case.charter, case.previous) if case.facts and case.charter else ()


def _step_r11_signer(case: ReleaseCase) -> tuple[Reason, ...]:
    return judge_signer(case.facts, case.charter, case.previous) if case.facts and case.charter else ()


def _step_r12_behaviour(case: ReleaseCase) -> tuple[Reason, ...]:
    if case.config is None:
        return ()
    said = {each.release.behaviour for each in case.release_statements if each.release} - {None, case.config.behaviour}
    message = "a release statement names another behavioural version"
    return tuple(
        Reason("behaviour-mismatch", message, str(each), str(case.config.behaviour), step="R12")
        for each in sorted(map(str, said))
    )


def _step_r13_version_step(case: ReleaseCase) -> tuple[Reason, ...]:
    return judge_step(case.version_step) if case.charter is not None and case.charter.small_step == "refuse" else ()


RELEASE_STEPS: tuple[ReleaseStep, ...] = (
    ReleaseStep("R1", "a charter covers the agent", _step_r1_charter),
    ReleaseStep("R2", "the bundle names this agent", _step_r2_agent),
    ReleaseStep("R3", "the bundle names this version", _step_r3_version),
    ReleaseStep("R4", "an opaque bundle is named by a release statement", _step_r4_opaque_is_named),
    ReleaseStep("R5", "models are pinned, if the charter asks for it", _step_r5_pinned_models),
    ReleaseStep("R6", "a publisher signed it", _step_r6_signature),
    ReleaseStep("R7", "a publisher attested how it was built", _step_r7_provenance),
    ReleaseStep("R8", "the git ref is protected enough", _step_r8_ref),
    ReleaseStep("R9", "the machine that built it is trusted enough", _step_r9_runner),
    ReleaseStep("R10", "the builder's level is high enough", _step_r10_builder),
    ReleaseStep("R11", "the signer is the previous release's, or known to the charter", _step_r11_signer),
    ReleaseStep("R12", "the release statement names this behaviour", _step_r12_behaviour),
    ReleaseStep("R13", "the version step is as great as the change demands", _step_r13_version_step),
)

RELEASE_STEP_TITLES = {step.number: step.title for step in RELEASE_STEPS}


def _look(step: ReleaseStep, case: ReleaseCase) -> tuple[Reason, ...]:
    try:
        return step.check(case)
    except Exception as error:  # noqa: BLE001 - whatever goes wrong in a check, it has not passed
        return (_internal(step.number, type(error).__name__),)


def _internal(step: str, found: str) -> Reason:
    return Reason("verification-error", "the requirement could not be checked", found, step=step)


def _publishers(case: ReleaseCase) -> str:
    return " or ".join(rule.name for rule in case.charter.publishers[:MAX_SHOWN]) if case.charter else "a publisher"


def _what_there_is(case: ReleaseCase) -> str:
    """Say what evidence there is instead: the question everybody asks next."""
    there = [_described(each) for each in case.attestations] + [str(each) for each in case.refusals]
    more = f"; and {len(there) - MAX_SHOWN} more" if len(there) > MAX_SHOWN else ""
    return "; ".join(there[:MAX_SHOWN]) + more if there else "no evidence at all"


def _described(attestation: VerifiedAttestation) -> str:
    version = f" for version {attestation.release.version}" if attestation.release else ""
    return f"{attestation}{version}"


def _instead(case: ReleaseCase, reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """Give the reasons of evidence that was refused, when evidence is what is missing."""
    missing = {"no-signature", "no-provenance", "no-release-statement"}
    if not any(reason.code in missing for reason in reasons):
        return ()
    return tuple(reason for each in case.refusals[:MAX_SHOWN] for reason in each.reasons)
