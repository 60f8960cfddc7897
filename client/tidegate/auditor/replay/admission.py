"""An admission, looked at again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Final

from tidegate.auditor.replay.case import DECIDING, LEAST_CONSIDERED, Case, Facts, Named, differs, made
from tidegate.auditor.replay.evidence import Bench, Verification
from tidegate.auditor.replay.state import SLACK, Attached
from tidegate.auditor.replay.task import Task
from tidegate.errors import Reason
from tidegate.formats.charter import Charter
from tidegate.formats.config import AgentConfig
from tidegate.formats.jcs import JsonObject
from tidegate.formats.manifest import Manifest
from tidegate.formats.mediatypes import AGENT_BUNDLE
from tidegate.policy.evidence import RefusedEvidence, VerifiedAttestation
from tidegate.verify.admission import ADMISSION_ENGINE, AdmissionInputs, decide_admission
from tidegate.verify.admission_record import AdmissionRecord, Seen, outcome_json, parse_admission_record, seen_verified
from tidegate.verify.artifact import Allowed, Refused
from tidegate.verify.trust import Trust

LONGEST: Final = timedelta(minutes=15)  # from verifying the first bundle to the entry: minutes, with a slow store
LEFT_OUT = "evidence-left-out"  # what a registry says beside a refusal when it did not look at all there was


class AdmissionCase(Case):
    """An admission whose record is read."""

    def __init__(self, task: Task, bench: Bench, raw: bytes) -> None:
        """Read the record. Raises StatementInvalid, JsonInvalid."""
        super().__init__(task, bench)
        self.record: AdmissionRecord = parse_admission_record(raw)
        record = self.record
        self.facts = Facts(
            agent=record.agent,
            digest=record.manifest,
            engine=record.engine,
            actor=record.actor,
            decided_at=record.decided_at,
            longest=LONGEST,
            charter=record.charter,
            roots=record.roots,
            policy=record.policy,
            named=tuple(Named(each.bundle, record.manifest) for each in record.evidence),
            allowed=record.allowed,
            words=f"{record.agent}:{record.version}",
        )

    @property
    def engine_is_todays(self) -> bool:
        return self.record.engine == ADMISSION_ENGINE

    def entry_says(self) -> JsonObject:
        record = self.record
        return {
            "repository": record.agent,
            "version": record.version,
            "digest": str(record.manifest),
            "allowed": record.allowed,
            "policy": None if record.policy is None else str(record.policy.digest),
            "charter": None if record.charter is None else str(record.charter.digest),
            "missing": list(dict.fromkeys(each.code for each in record.reasons)),
        }

    def evidence_differs(self) -> Iterable[Reason]:
        for seen in self.record.evidence:
            found = self._verify(seen)
            now = seen_verified(found)["verified"] if isinstance(found, VerifiedAttestation) else None
            codes = () if isinstance(found, VerifiedAttestation) else tuple(each.code for each in found)
            if (now, codes) != (seen.verified, tuple(each.code for each in seen.refused)):
                yield differs(
                    "evidence-differs",
                    f"the bundle {seen.bundle} proves something else than was recorded",
                    step="Y6",
                    found=now or ", ".join(codes),
                    expected=seen.verified or ", ".join(each.code for each in seen.refused),
                )

    def left_out(self) -> Iterable[Attached]:
        record = self.record
        many = len(self.task.context.attached) > LEAST_CONSIDERED  # of fewer, a registry leaves out none
        if record.charter is None or (many and any(each.code == LEFT_OUT for each in record.further)):
            return ()
        # a yes was written under the agent's lock, but for evidence that decides nothing; a no under none
        late = record.decided_at if record.allowed else record.decided_at - SLACK
        attached = [
            each
            for each in self.task.context.attached
            if each.predicate_type in DECIDING and (record.allowed or each.at < late)
        ]
        return self.overlooked(attached, self.facts.named, record.manifest)

    def state_differs(self) -> Iterable[Reason]:
        said = self.record.previous
        known = [None if each is None else self.release(each).facts for each in self.task.context.previous]
        if said not in known:
            yield differs(
                "previous-differs",
                "the agent's last release was built otherwise than the trust floor was measured by",
                step="Y8",
                found=said,
                expected=" or ".join("no release" if each is None else str(each) for each in known),
            )

    def parts_differ(self) -> Iterable[Reason]:
        record = self.record
        manifest = made(lambda: Manifest.parse(self.object(record.manifest), algorithm=record.manifest.algorithm))
        opaque = manifest.effective_artifact_type != AGENT_BUNDLE
        config = None if opaque or record.bundle_reasons else manifest.blobs[0].digest
        if (opaque, config) != (record.opaque, record.config):
            yield differs(
                "config-differs",
                "the manifest has another config than was recorded",
                step="Y9",
                found=config,
                expected=record.config,
            )

    def verdict_differs(self) -> Iterable[Reason]:
        record = self.record
        said = decide_admission(self._inputs(record.charter, self._verify))
        if isinstance(said, Allowed) != record.allowed:
            found = "allowed" if isinstance(said, Allowed) else ", ".join(each.code for each in said.reasons)
            yield differs(
                "verdict-differs",
                "decided again, the verdict is another",
                step="Y10",
                found=found,
                expected="allowed" if record.allowed else ", ".join(each.code for each in record.reasons),
            )
        elif isinstance(said, Allowed) and outcome_json(said) != record.outcome:
            yield differs(
                "verdict-differs",
                "decided again, the release rests on something else",
                step="Y10",
                found=outcome_json(said),
                expected=record.outcome,
            )
        elif isinstance(said, Refused) and said.reasons != record.reasons:
            yield differs(
                "verdict-differs",
                "decided again, the reasons are others",
                step="Y10",
                found="; ".join(map(str, said.reasons)),
                expected="; ".join(map(str, record.reasons)),
            )

    def allowed_today(self, trust: Trust) -> bool:
        charter = trust.charters.for_agent(self.record.agent)

        def verify(seen: Seen) -> Verification:
            named = Named(seen.bundle, self.record.manifest)
            return () if charter is None else self.verify_under(named, charter, trust)

        return isinstance(decide_admission(self._inputs(charter, verify)), Allowed)

    def _verify(self, seen: Seen) -> Verification:
        return self.verify(Named(seen.bundle, self.record.manifest))

    def _inputs(self, charter: Charter | None, verify: Callable[[Seen], Verification]) -> AdmissionInputs:
        record = self.record
        found: Sequence[tuple[Seen, Verification]] = [(seen, verify(seen)) for seen in record.evidence]
        digest = record.config
        return AdmissionInputs(
            agent=record.agent,
            version=record.version,
            digest=record.manifest,
            config=None if digest is None else made(lambda: AgentConfig.parse(self.object(digest))),
            config_digest=digest,
            charter=charter,
            attestations=[each for _, each in found if isinstance(each, VerifiedAttestation)],
            refusals=[
                RefusedEvidence(seen.bundle, each, seen.claimed_type)
                for seen, each in found
                if not isinstance(each, VerifiedAttestation) and each
            ],
            previous=record.previous,
            bundle_reasons=record.bundle_reasons,
            step=record.step,
            policy=self.policy,
            further=record.further,
            roots=record.roots,
        )
