"""The record of one admission, allowed or refused: what it rests on and what was said, to be decided again from it.

What is long and has a digest is named by it: the manifest, the config, the bundles of the evidence and the trusted
roots. Spec page: docs/spec/admission-record.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tidegate.bundle.diff.step import Step, VersionStep
from tidegate.digest import Digest
from tidegate.errors import LimitExceeded, Reason
from tidegate.formats.charter import Charter
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes, parse_object
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.members import Members
from tidegate.policy.evidence import RefusedEvidence, VerifiedAttestation
from tidegate.policy.floor import ReleaseFacts
from tidegate.policy.inputs import Caller
from tidegate.policy.inputs_json import (
    CODE,
    MAX_CLAIM_CHARACTERS,
    MAX_ROOTS,
    MESSAGE,
    caller_json,
    charter_in,
    parse_caller,
    strings,
)
from tidegate.policy.record import MAX_RECORD_BYTES, RecordedPolicy, mismatch, parse_policy, policy_json
from tidegate.verify.admission import ADMISSION_ENGINE, AdmissionInputs
from tidegate.verify.artifact import Allowed, Refused

ADMISSION_FORMAT: Final = "tidegate/admission/v1"
MAX_BUNDLES: Final = 2_000  # twice as many referrers as the verifier looks at, docs/spec/verification.md, V2
MAX_REASONS: Final = 10_000
MAX_REASON_CHARACTERS: Final = 1 << 20  # sentences about as many statements as there may be


@dataclass(frozen=True, slots=True)
class Seen:
    """One bundle that was looked at. `verified`: what its signature proved, or None where it was `refused`, and why."""

    bundle: Digest
    verified: JsonObject | None
    claimed_type: str | None
    refused: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class AdmissionRecord:
    """One admission. `config`: of the bundle's config; None where it is `opaque` or refused for `bundle_reasons`.

    `actor`, `caller`: who was to be the release's publisher, in the log's words and with all their claims. `outcome`:
    what a release remembers of a yes; `reasons`: why it is a no, and the warnings are in `outcome`.
    """

    engine: str
    decided_at: datetime
    actor: Mapping[str, str]
    caller: Caller
    agent: str
    version: str
    manifest: Digest
    config: Digest | None
    opaque: bool
    bundle_reasons: tuple[Reason, ...]
    charter: Charter | None
    roots: tuple[tuple[str, Digest], ...]
    policy: RecordedPolicy | None
    evidence: tuple[Seen, ...]
    previous: ReleaseFacts | None
    step: VersionStep | Reason | None
    further: tuple[Reason, ...]
    outcome: JsonObject | None
    reasons: tuple[Reason, ...]

    @property
    def allowed(self) -> bool:
        """Whether the manifest became that version."""
        return self.outcome is not None


def make_admission_record(
    inputs: AdmissionInputs, said: Allowed | Refused, *, now: datetime, actor: Mapping[str, str], caller: Caller
) -> bytes:
    """Write an admission as canonical JSON; its sha256 is the record's digest.

    `now`: the time that the evidence was verified for. Raises LimitExceeded, code "decision-too-large".
    """
    raw = canonical_bytes(
        {
            "format": ADMISSION_FORMAT,
            "engine": ADMISSION_ENGINE,
            "decidedAt": moment_text(now),
            "actor": dict(actor),
            "caller": caller_json(caller),
            "agent": inputs.agent,
            "version": inputs.version,
            "manifest": str(inputs.digest),
            "bundle": {
                "config": None if inputs.config_digest is None else str(inputs.config_digest),
                "opaque": inputs.config is None and not inputs.bundle_reasons,
                "reasons": _reasons_json(inputs.bundle_reasons),
            },
            "charter": None if inputs.charter is None else _charter_json(inputs.charter),
            "roots": [{"name": name, "digest": str(digest)} for name, digest in inputs.roots],
            "policy": None if inputs.policy is None else policy_json(inputs.policy),
            "evidence": [*map(seen_verified, inputs.attestations), *map(seen_refused, inputs.refusals)],
            "previous": None if inputs.previous is None else inputs.previous.as_json(),
            "step": _step_json(inputs.step),
            "further": _reasons_json(inputs.further),
            "verdict": "allowed" if isinstance(said, Allowed) else "refused",
            "outcome": outcome_json(said) if isinstance(said, Allowed) else None,
            "reasons": [] if isinstance(said, Allowed) else _reasons_json(said.reasons),
        }
    )
    if len(raw) > MAX_RECORD_BYTES:
        raise LimitExceeded(
            "the record of the admission is too large",
            code="decision-too-large",
            found=f"{len(raw)} bytes",
            expected=f"at most {MAX_RECORD_BYTES} bytes",
            hint="attach less to the manifest",
        )
    return raw


def parse_admission_record(raw: bytes) -> AdmissionRecord:
    """Read what `make_admission_record` wrote.

    Raises JsonInvalid, or StatementInvalid: code "decision-malformed", "facts-malformed", or "decision-mismatch" when a
    part is not what its digest says, or the verdict does not follow from the reasons.
    """
    members = Members(parse_object(raw, limit=MAX_RECORD_BYTES, what="an admission record"), CODE, MESSAGE).closed(
        *("format", "engine", "decidedAt", "actor", "caller", "agent", "version", "manifest", "bundle", "charter"),
        *("roots", "policy", "evidence", "previous", "step", "further", "verdict", "outcome", "reasons"),
    )
    members.choice("format", (ADMISSION_FORMAT,))
    actor = members.object("actor")
    bundle = members.object("bundle").closed("config", "opaque", "reasons")
    record = AdmissionRecord(
        engine=members.text("engine"),
        decided_at=members.moment("decidedAt"),
        actor={name: actor.text(name, MAX_CLAIM_CHARACTERS) for name in actor.values},
        caller=parse_caller(members.object("caller")),
        agent=members.agent(),
        version=members.version(),
        manifest=members.digest("manifest"),
        config=bundle.digest_or_none("config"),
        opaque=bundle.truth("opaque"),
        bundle_reasons=_reasons(bundle, "reasons"),
        charter=_charter(members.object("charter").closed("digest", "document")) if members.has("charter") else None,
        roots=tuple(
            (each.closed("name", "digest").text("name"), each.digest("digest"))
            for each in members.objects("roots", MAX_ROOTS)
        ),
        policy=parse_policy(members.object("policy")) if members.has("policy") else None,
        evidence=tuple(_seen(each) for each in members.objects("evidence", MAX_BUNDLES)),
        previous=ReleaseFacts.parse(members.object("previous").values) if members.has("previous") else None,
        step=_step(members.object("step")) if members.has("step") else None,
        further=_reasons(members, "further"),
        outcome=members.object("outcome").values if members.has("outcome") else None,
        reasons=_reasons(members, "reasons"),
    )
    said = members.choice("verdict", ("allowed", "refused"))
    if (said == "allowed") != record.allowed or record.allowed == bool(record.reasons):
        raise mismatch("its verdict does not follow from its reasons", said, None)
    return record


def outcome_json(allowed: Allowed) -> JsonObject:
    """Give all that a yes says."""
    counted = (*allowed.signatures, allowed.provenance)
    return {
        "facts": allowed.facts.as_json(),
        "channels": list(allowed.channels),
        "checked": list(allowed.checked),
        "warnings": _reasons_json(allowed.warnings),
        "counted": [str(each.bundle_digest) for each in counted],
    }


def seen_verified(each: VerifiedAttestation) -> JsonObject:
    """Give a bundle that was verified, with what it proved."""
    proved = {name: value for name, value in each.as_json().items() if name not in ("bundleDigest", "steps")}
    return {"bundle": str(each.bundle_digest), "verified": proved, "claimedType": None, "reasons": []}


def seen_refused(each: RefusedEvidence) -> JsonObject:
    """Give a bundle that was refused, with every reason."""
    return {
        "bundle": str(each.bundle_digest),
        "verified": None,
        "claimedType": each.claimed_type,
        "reasons": _reasons_json(each.reasons),
    }


def _reasons_json(reasons: Sequence[Reason]) -> list[JsonValue]:
    return [dict(each.as_json()) for each in reasons]


def _charter_json(charter: Charter) -> JsonObject:
    return {"digest": str(charter.digest), "document": charter.model_dump(mode="json", by_alias=True)}


def _step_json(step: VersionStep | Reason | None) -> JsonObject | None:
    if isinstance(step, Reason):
        return {"reason": dict(step.as_json())}
    return None if step is None else {"judged": step.as_json()}


def _step(members: Members) -> VersionStep | Reason:
    members.closed("reason", "judged")
    if members.has("reason"):
        return _reason(members.object("reason"))
    judged = members.object("judged").closed(
        *("base", "version", "taken", "demanded", "needed", "proposed", "enough", "lines", "omitted")
    )
    steps = tuple(Step)
    found = VersionStep(
        base=judged.version("base"),
        version=judged.version(),
        taken=Step(judged.choice("taken", steps)) if judged.has("taken") else None,
        demanded=Step(judged.choice("demanded", steps)),
        proposed=judged.version("proposed"),
        lines=strings(judged, "lines", MAX_REASONS, MAX_REASON_CHARACTERS),
        omitted=judged.count("omitted"),
    )
    if found.as_json() != judged.values:
        raise mismatch("its version step does not add up", judged.values.get("enough"), found.enough)
    return found


def _seen(members: Members) -> Seen:
    members.closed("bundle", "verified", "claimedType", "reasons")
    seen = Seen(
        bundle=members.digest("bundle"),
        verified=members.object("verified").values if members.has("verified") else None,
        claimed_type=members.text("claimedType", MAX_CLAIM_CHARACTERS) if members.has("claimedType") else None,
        refused=_reasons(members, "reasons"),
    )
    if (seen.verified is None) != bool(seen.refused):
        raise mismatch("a bundle is both verified and refused, or neither", seen.bundle, None)
    return seen


def _charter(members: Members) -> Charter:
    charter = charter_in(members, "document")
    if charter.digest != members.digest("digest"):
        raise mismatch("its charter is another one", charter.digest, members.values.get("digest"))
    return charter


def _reasons(members: Members, name: str) -> tuple[Reason, ...]:
    return tuple(_reason(each) for each in members.objects(name, MAX_REASONS))


def _reason(members: Members) -> Reason:
    members.closed("code", "message", "found", "expected", "hint", "step")

    def text(name: str) -> str | None:
        value = members.values.get(name)
        return value if value == "" else members.text(name, MAX_REASON_CHARACTERS) if members.has(name) else None

    return Reason(
        code=members.text("code"),
        message=members.text("message", MAX_REASON_CHARACTERS),
        found=text("found"),
        expected=text("expected"),
        hint=text("hint"),
        step=text("step"),
    )
