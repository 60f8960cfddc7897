"""An admission as an entry: its record and, beside the log, all that the record names, so that it can be replayed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from tidegate.errors import AdmissionRefused
from tidegate.verify.admission import AdmissionInputs, decide_admission
from tidegate.verify.admission_record import make_admission_record
from tidegate.verify.artifact import Allowed, Refused
from tidegate_registry.access.callers import caller_of
from tidegate_registry.admission.events import AdmissionDecided
from tidegate_registry.audit.events import Actor
from tidegate_registry.audit.service import LogObject
from tidegate_registry.evidence.beside import blob_objects, root_objects

if TYPE_CHECKING:
    from tidegate.formats.manifest import Manifest
    from tidegate.verify.trust import Trust
    from tidegate_registry.access.principal import Principal

MAX_NAMED: Final = 64  # unmet requirements that an entry names; the record has all


@dataclass(frozen=True, slots=True)
class Judged:
    """An admission, decided. `at`: the time that its evidence was verified for."""

    inputs: AdmissionInputs
    verdict: Allowed | Refused
    at: datetime
    trust: Trust

    @classmethod
    def of(cls, inputs: AdmissionInputs, at: datetime, trust: Trust) -> Judged:
        """Decide."""
        return cls(inputs, decide_admission(inputs), at, trust)


def entry_of(
    judged: Judged, who: Principal, manifest: Manifest, *, now: datetime
) -> tuple[AdmissionDecided, list[LogObject]]:
    """Make the entry of an admission that `who` asked for, and the objects that go beside the log with it."""
    inputs, actor = judged.inputs, Actor.of(who)
    record = LogObject.of(
        make_admission_record(inputs, judged.verdict, now=judged.at, actor=actor.as_texts(), caller=caller_of(who))
    )
    bundles = (*(each.bundle_digest for each in inputs.attestations), *(each.bundle_digest for each in inputs.refusals))
    event = AdmissionDecided(
        at=now,
        actor=actor,
        repository=inputs.agent,
        version=inputs.version,
        digest=inputs.digest,
        allowed=isinstance(judged.verdict, Allowed),
        record=record.digest,
        policy=None if inputs.policy is None else inputs.policy.digest,
        charter=None if inputs.charter is None else inputs.charter.digest,
        missing=tuple(dict.fromkeys(each.code for each in judged.verdict.reasons))[:MAX_NAMED]
        if isinstance(judged.verdict, Refused)
        else (),
    )
    config = () if inputs.config_digest is None else (inputs.config_digest,)
    beside = blob_objects(inputs.agent, (*config, *bundles))
    return event, [record, LogObject(manifest.digest, body=manifest.raw), *beside, *root_objects(judged.trust)]


class RefusedOnRecord(AdmissionRefused):
    """A version was not given, and the log says so with everything that it was decided on."""

    def __init__(self, judged: Judged, refused: Refused, who: Principal, manifest: Manifest) -> None:
        """Make the refusal; its text is the same through every client."""
        reasons = refused.reasons
        count = "one requirement is" if len(reasons) == 1 else f"{len(reasons)} requirements are"
        super().__init__(f"{judged.inputs.agent}:{judged.inputs.version} is not admitted: {count} not met")
        self.reasons = reasons
        self._about = judged, who, manifest

    def entry(self, now: datetime) -> tuple[AdmissionDecided, list[LogObject]]:
        """Give what the log says of it, instead of `request.refused`."""
        return entry_of(*self._about, now=now)
