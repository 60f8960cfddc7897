"""The record of one decision: everything it rests on, what was found and what was said, so that anybody can decide it
again from the record alone. Spec page: docs/spec/decision.md, "The record".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tidegate.digest import Digest
from tidegate.errors import LimitExceeded, StatementInvalid
from tidegate.formats.jcs import JsonObject, canonical_bytes, parse_object
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.members import Members
from tidegate.policy.decide import ENGINE, decide, rule_for
from tidegate.policy.inputs import Inputs
from tidegate.policy.inputs_json import (
    CODE,
    MAX_CLAIM_CHARACTERS,
    MAX_EVIDENCE,
    MESSAGE,
    inputs_json,
    parse_inputs,
    strings,
)
from tidegate.policy.load import LoadedPolicy, load_policy
from tidegate.policy.verdict import Allowed, Finding, Refused, State, verdict

FORMAT: Final = "tidegate/decision/v1"
MAX_RECORD_BYTES: Final = 32 << 20  # a policy of the largest size and some evaluations of 10,000 cases each
MAX_FINDINGS: Final = 2_000
MAX_FOUND_CHARACTERS: Final = 1 << 20  # sentences about as many statements as there may be


@dataclass(frozen=True, slots=True)
class RecordedPolicy:
    """A policy as a record holds it: `document` and `overlay` as JSON, and the digest that both together must have."""

    digest: Digest
    document: JsonObject
    overlay: JsonObject | None

    def load(self) -> LoadedPolicy:
        """Load it.

        Raises StatementInvalid, code "decision-mismatch", when it is not the one whose digest the record names, and
        PolicyInvalid when this version cannot load it.
        """
        overlay = None if self.overlay is None else canonical_bytes(self.overlay)
        policy = load_policy(canonical_bytes(self.document), overlay, name="policy", overlay_name="overlay")
        if policy.digest != self.digest:
            raise mismatch("its policy is another one", policy.digest, self.digest)
        return policy


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """One decision. `actor`: who made the registry decide. `engine`: which meaning of policies it was judged with."""

    engine: str
    decided_at: datetime
    actor: Mapping[str, str]
    policy: RecordedPolicy
    inputs: Inputs
    verdict: Allowed | Refused


def make_record(
    policy: LoadedPolicy, inputs: Inputs, said: Allowed | Refused, *, now: datetime, actor: Mapping[str, str]
) -> bytes:
    """Write a decision as canonical JSON; its sha256 is the record's digest. Raises LimitExceeded."""
    request = inputs.request
    rule = rule_for(policy, request.action, request.agent, request.source, request.channel)
    raw = canonical_bytes(
        {
            "format": FORMAT,
            "engine": ENGINE,
            "decidedAt": moment_text(now),
            "actor": dict(actor),
            "policy": policy_json(policy),
            "digests": {
                "charter": None if inputs.charter is None else str(inputs.charter.digest),
                "rule": None if rule is None else str(rule.digest),
                "evidence": sorted(evidence_of(inputs)),
            },
            "inputs": inputs_json(inputs),
            "findings": [finding.as_json() for finding in said.findings],
            "verdict": "allowed" if isinstance(said, Allowed) else "refused",
        }
    )
    if len(raw) > MAX_RECORD_BYTES:
        raise LimitExceeded(
            "the record of the decision is too large",
            code="decision-too-large",
            found=f"{len(raw)} bytes",
            expected=f"at most {MAX_RECORD_BYTES} bytes",
            hint="attach evaluations with fewer cases, or with the digest of their outcomes",
        )
    return raw


def parse_record(raw: bytes) -> DecisionRecord:
    """Read what `make_record` wrote.

    Raises JsonInvalid, or StatementInvalid: code "decision-malformed", or "decision-mismatch" when a part is not what
    its digest says, or the verdict does not follow from the findings.
    """
    document = parse_object(raw, limit=MAX_RECORD_BYTES, what="a decision record")
    members = Members(document, CODE, MESSAGE).closed(
        "format", "engine", "decidedAt", "actor", "policy", "digests", "inputs", "findings", "verdict"
    )
    members.choice("format", (FORMAT,))
    actor = members.object("actor")
    record = DecisionRecord(
        engine=members.text("engine"),
        decided_at=members.moment("decidedAt"),
        actor={name: actor.text(name, MAX_CLAIM_CHARACTERS) for name in actor.values},
        policy=parse_policy(members.object("policy")),
        inputs=parse_inputs(members.object("inputs").values),
        verdict=verdict(_finding(each) for each in members.objects("findings", MAX_FINDINGS)),
    )
    _check_digests(members, record)
    return record


def policy_json(policy: LoadedPolicy) -> JsonObject:
    """Write a policy for a record; `parse_policy` reads it back."""
    return {
        "digest": str(policy.digest),
        "document": policy.document.model_dump(mode="json", by_alias=True),
        "overlay": None if policy.overlay is None else policy.overlay.model_dump(mode="json", by_alias=True),
    }


def parse_policy(members: Members) -> RecordedPolicy:
    """Read what `policy_json` wrote; whether it is what its digest says is seen when it is loaded."""
    members.closed("digest", "document", "overlay")
    return RecordedPolicy(
        members.digest("digest"),
        members.object("document").values,
        members.object("overlay").values if members.has("overlay") else None,
    )


def redecide(record: DecisionRecord, policy: LoadedPolicy | None = None) -> Allowed | Refused:
    """Decide it again, at the time of the record: by the record's own policy, or by another to see what would flip."""
    return decide(record.policy.load() if policy is None else policy, record.inputs, record.decided_at)


def evidence_of(inputs: Inputs) -> set[str]:
    """Give the digests of all bundles that the decision rests on."""
    glass = (inputs.request.glass,) if inputs.request.glass is not None else ()
    filed = (each.attested for each in (*inputs.approvals, *glass))
    return {str(each.bundle_digest) for each in (*inputs.attestations, *inputs.channel.serving_evidence, *filed)}


def _check_digests(members: Members, record: DecisionRecord) -> None:
    digests = members.object("digests").closed("charter", "rule", "evidence")
    charter = record.inputs.charter
    if digests.digest_or_none("charter") != (None if charter is None else charter.digest):
        raise mismatch("its charter is another one", charter and charter.digest, digests.values.get("charter"))
    if set(digests.texts("evidence", MAX_EVIDENCE * 3)) != evidence_of(record.inputs):
        raise mismatch("its evidence is other evidence", None, None)
    digests.digest_or_none("rule")  # of the policy, which has a digest of its own
    said = members.choice("verdict", ("allowed", "refused"))
    if (said == "allowed") != isinstance(record.verdict, Allowed):
        raise mismatch("its verdict does not follow from its findings", said, None)


def _finding(members: Members) -> Finding:
    members.closed("id", "kind", "state", "message", "found", "expected", "hint", "whoCan", "measured")

    def text(name: str) -> str | None:
        return members.text(name, MAX_FOUND_CHARACTERS) if members.has(name) else None

    return Finding(
        id=members.text("id"),
        kind=members.text("kind"),
        state=State(members.choice("state", tuple(State))),
        message=members.text("message", MAX_FOUND_CHARACTERS),
        found=text("found"),
        expected=text("expected"),
        hint=text("hint"),
        who_can=strings(members, "whoCan", MAX_EVIDENCE, MAX_CLAIM_CHARACTERS),
        measured=members.object("measured").values,
    )


def mismatch(problem: str, found: object, expected: object) -> StatementInvalid:
    """Make the error of a record whose parts do not fit each other."""
    return StatementInvalid(
        f"the decision record contradicts itself: {problem}", code="decision-mismatch", found=found, expected=expected
    )
