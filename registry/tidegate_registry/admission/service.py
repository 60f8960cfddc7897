"""Naming is admitting: read what is attached, verify it again, decide, and write all of it in one transaction.

Slow work (the store, signatures) comes first and outside. What was read is what was judged: the transaction looks once
more, under the agent's lock, whether the previous release, the evidence, the charter and the roots are still those that
were judged, and begins again where they are not. Source: docs/concepts/how-a-release-gets-in.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.bundle.diff.step import VersionStep
from tidegate.digest import Digest
from tidegate.errors import BundleRefused, Conflict, Reason
from tidegate.formats.charter import Charter
from tidegate.formats.config import AgentConfig
from tidegate.formats.manifest import Manifest
from tidegate.policy.evidence import RefusedEvidence, VerifiedAttestation
from tidegate.policy.load import LoadedPolicy
from tidegate.verify.admission import AdmissionInputs
from tidegate.verify.artifact import Allowed, Refused
from tidegate.verify.trust import Trust
from tidegate_registry.access.principal import Principal
from tidegate_registry.access.rights import Permission
from tidegate_registry.admission.decide import Admission, admission_of, awaits_evidence, previous_facts
from tidegate_registry.admission.diffs import Newcomer, step_from
from tidegate_registry.admission.record import Judged, RefusedOnRecord, entry_of
from tidegate_registry.artifacts import naming, pending
from tidegate_registry.artifacts.errors import PendingTagGone
from tidegate_registry.artifacts.naming import Completion, Named, Release
from tidegate_registry.artifacts.pending import PendingTag
from tidegate_registry.audit import service as audit
from tidegate_registry.evidence.service import (
    EvidenceSet,
    read_deciding,
    read_evidence,
    root_digests,
    truncated_reason,
    verify_again,
)

if TYPE_CHECKING:
    from tidegate_registry.db import Tx
    from tidegate_registry.services import Services

MAX_ATTEMPTS = 40  # each lost one is a decision that another replica has made meanwhile; half are won, or a third
PATIENCE_SECONDS = 20.0  # no attempt begins later; balancers give an answer up after 30 and more
LONGEST_PAUSE_SECONDS = 0.02  # as long as a decision: enough for two replicas to fall out of step


class DecisionOvertaken(Conflict):
    """While it was decided, what the decision rests on changed, again and again."""

    code = "decision-overtaken"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: shall this manifest be that version. `bundle` is None for an opaque one.

    `strict`: refuse rather than let the tag wait. `completes`: the tag did wait, `who` is its publisher.
    """

    who: Principal
    repository: str
    version: str
    manifest: Manifest
    bundle: AgentConfig | BundleRefused | None
    strict: bool = False
    completes: Completion | None = None


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a decision rests on, as it was read."""

    previous: Release | None
    below: Release | None
    evidence: EvidenceSet
    charter: Charter | None
    roots: tuple[tuple[str, Digest], ...]
    policy: LoadedPolicy | None = None

    @property
    def number(self) -> int:
        """How many releases the agent had."""
        return self.previous.number if self.previous else 0


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a decision that was overtaken is made again, and how long it waits before it is. Seconds."""

    attempts: int = MAX_ATTEMPTS
    seconds: float = PATIENCE_SECONDS
    longest_pause: float = LONGEST_PAUSE_SECONDS
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic


def admit(
    app: Services, trust: Callable[[], Trust], request: Request, patience: Patience = Patience()
) -> Named | PendingTag:
    """Decide and record. The same digest under the same version again gives the release that there is.

    Where the charter says `admission: deferred` and nothing but evidence is missing, the tag waits for it instead.
    Blocks while others name versions of the same agent, see `Turns` and `Patience`.
    Raises LoginNeeded, AccessDenied, AdmissionRefused with every unmet requirement, VersionTaken, DecisionOvertaken,
    TooManyPending, PendingTagGone.
    """
    with app.turns.of(request.repository):
        return _admit(app, trust, request, patience)


def _admit(app: Services, trust: Callable[[], Trust], request: Request, patience: Patience) -> Named | PendingTag:
    repository, began = request.repository, patience.monotonic()
    for attempt in range(patience.attempts):
        if attempt:
            if patience.monotonic() - began > patience.seconds:
                break
            patience.sleep(patience.longest_pause * app.entropy(1)[0] / 255)
        judged_under = trust()
        app.access.demand(request.who, Permission.RELEASE_PUBLISH, repository)  # under these charters or later ones
        with app.db.read() as tx:
            existing = naming.find_release(tx, repository, request.version)
            grounds = read_grounds(app, tx, judged_under, request)
        if existing is not None:
            naming.check_same_digest(existing, request.manifest.digest)
            return Named(existing, created=False)
        judged = judge(app, judged_under, request, grounds)
        try:
            if isinstance(judged.verdict, Allowed):
                granted = admission_of(judged.inputs, judged.verdict)
                return _record(app, trust, request, grounds, judged=judged, granted=granted)
            if _may_wait(request, grounds, judged.verdict):
                return _defer(app, trust, request, grounds)
        except _OvertakenError:
            continue
        raise RefusedOnRecord(judged, judged.verdict, request.who, request.manifest)
    raise DecisionOvertaken(
        f"{repository} changed while {request.version} was decided",
        found="every attempt was overtaken",
        expected="evidence, charter and previous release that stay as they are for a moment",
        hint="publish again",
    )


def read_grounds(app: Services, tx: Tx, trust: Trust, request: Request) -> Grounds:
    """Read what the decision rests on."""
    limit = app.settings.limits.evidence_per_decision
    last = naming.releases(tx, request.repository, limit=1)
    return Grounds(
        previous=last[0] if last else None,
        below=naming.release_below(tx, request.repository, request.version),
        evidence=read_evidence(tx, request.repository, request.manifest.digest, limit=limit),
        charter=trust.charters.for_agent(request.repository),
        roots=root_digests(trust),
        policy=app.policies.for_agent(tx, request.repository),
    )


class _OvertakenError(Exception):
    """Rolls the transaction back; never leaves this module."""


def _may_wait(request: Request, grounds: Grounds, refused: Refused) -> bool:
    if request.strict or request.completes is not None or request.manifest.subject is not None:
        return False
    return grounds.charter is not None and grounds.charter.admission == "deferred" and awaits_evidence(refused)


def judge(app: Services, trust: Trust, request: Request, grounds: Grounds) -> Judged:
    """Decide on what was read. Slow: reads the store and verifies signatures, all for one moment."""
    now = app.clock()
    attestations: list[VerifiedAttestation] = []
    refusals: list[RefusedEvidence] = []
    if grounds.charter is not None:
        attestations, refusals = verify_again(
            app,
            trust,
            grounds.charter,
            repository=request.repository,
            subject=request.manifest.digest,
            rows=grounds.evidence.rows,
            now=now,
        )
    config = None if isinstance(request.bundle, BundleRefused) else request.bundle
    inputs = AdmissionInputs(
        agent=request.repository,
        version=request.version,
        digest=request.manifest.digest,
        config=config,
        config_digest=None if config is None else request.manifest.blobs[0].digest,
        charter=grounds.charter,
        attestations=attestations,
        refusals=refusals,
        previous=previous_facts(grounds.previous.facts) if grounds.previous else None,
        bundle_reasons=request.bundle.reasons if isinstance(request.bundle, BundleRefused) else (),
        step=_step(app, request, grounds),
        policy=grounds.policy,
        further=(truncated_reason(app.settings.limits.evidence_per_decision),) if grounds.evidence.left_out else (),
        roots=grounds.roots,
    )
    return Judged.of(inputs, now, trust)


def _step(app: Services, request: Request, grounds: Grounds) -> VersionStep | Reason | None:
    """Judge the version step where the charter wants to know, and there is something to judge it by."""
    charter, below = grounds.charter, grounds.below
    if charter is None or charter.small_step == "allow" or below is None or isinstance(request.bundle, BundleRefused):
        return None
    return step_from(app, below, Newcomer(request.repository, request.version, request.manifest, request.bundle))


def _defer(app: Services, trust: Callable[[], Trust], request: Request, grounds: Grounds) -> PendingTag:
    now = app.clock()
    with app.db.begin() as tx:
        _lock_what_was_judged(app, tx, trust, request, grounds)  # else evidence that came meanwhile would wake nobody
        return pending.record_pending(
            tx,
            app,
            who=request.who,
            repository=request.repository,
            version=request.version,
            manifest=request.manifest,
            now=now,
        )


def _lock_what_was_judged(
    app: Services, tx: Tx, trust: Callable[[], Trust], request: Request, grounds: Grounds
) -> None:
    """Lock the agent, and see that whatever was judged is still so: no release more, and with it none of this version,
    the same deciding evidence, charter, roots and policy.
    """
    repository, limit = request.repository, app.settings.limits.evidence_per_decision
    naming.lock_agent(tx, repository, app.clock())
    deciding = read_deciding(tx, repository, request.manifest.digest, limit=limit)
    if (
        naming.count_releases(tx, repository) != grounds.number
        or deciding != grounds.evidence.deciding
        or not _same_rules(trust(), repository, grounds)
        or not _same_policy(app.policies.for_agent(tx, repository, hold=True), grounds.policy)
    ):
        raise _OvertakenError


def _same_rules(trust: Trust, repository: str, grounds: Grounds) -> bool:
    charter = trust.charters.for_agent(repository)
    known = grounds.charter and grounds.charter.digest
    return (charter and charter.digest) == known and root_digests(trust) == grounds.roots


def _same_policy(now: LoadedPolicy | None, judged: LoadedPolicy | None) -> bool:
    return now is judged or (now is not None and judged is not None and now.digest == judged.digest)


def _record(
    app: Services,
    trust: Callable[[], Trust],
    request: Request,
    grounds: Grounds,
    *,
    judged: Judged,
    granted: Admission,
) -> Named:
    now = app.clock()
    event, objects = entry_of(judged, request.who, request.manifest, now=now)
    with app.db.begin() as tx:
        _lock_what_was_judged(app, tx, trust, request, grounds)
        if request.completes is not None and not pending.still_waits(tx, request.completes.tag, now=now):
            raise PendingTagGone(
                "the version tag does not wait any more", found=f"{request.repository}:{request.version}"
            )
        return naming.record_release(
            tx,
            app,
            who=request.who,
            repository=request.repository,
            version=request.version,
            manifest=request.manifest,
            facts=granted.facts,
            evidence=granted.evidence,
            now=now,
            completes=request.completes,
            decision=audit.append(tx, event, objects=objects, entropy=app.entropy),
        )
