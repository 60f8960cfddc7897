"""What a summary says, from the decision's entry and record alone: the same decision, the same bytes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tidegate.digest import Digest
from tidegate.errors import StatementInvalid
from tidegate.formats.entry import Entry, EntryType
from tidegate.formats.jcs import JsonObject, parse_object
from tidegate.formats.mediatypes import PREDICATE_VSA
from tidegate.formats.predicates.members import Members
from tidegate.formats.predicates.vsa import (
    ADMITTED,
    BROKE_GLASS,
    MAX_INPUTS,
    PASSED,
    Decision,
    VsaPredicate,
    build_level,
    promoted_level,
    resource_uri,
)
from tidegate.formats.statement import make_statement
from tidegate.policy.floor import ReleaseFacts
from tidegate.policy.record import MAX_RECORD_BYTES, parse_record
from tidegate.verify.admission_record import parse_admission_record

if TYPE_CHECKING:
    from collections.abc import Iterable

SUMMED_UP: Final = (EntryType.ADMISSION_DECIDED, EntryType.PROMOTION_DECIDED)
UNEVALUATED: Final = "SLSA_BUILD_LEVEL_UNEVALUATED"
ADMIT: Final = "admit"


@dataclass(frozen=True, slots=True)
class Allowed:
    """A decision that allowed something, as its entry tells. `channel`: None of an admission."""

    entry: Entry
    repository: str
    digest: Digest
    version: str
    record: Digest
    policy: Digest | None
    charter: Digest | None
    action: str
    channel: str | None


def read_allowed(entry: Entry) -> Allowed | None:
    """Read the entry of a decision; None for a refusal. Raises StatementInvalid (code "decision-malformed")."""
    members = Members(entry.data, "decision-malformed", "the entry of a decision cannot be read")
    if not members.truth("allowed"):
        return None
    promoted = entry.type == EntryType.PROMOTION_DECIDED
    return Allowed(
        entry,
        members.agent("repository"),
        members.digest("digest"),
        members.version("version"),
        members.digest("record"),
        members.digest_or_none("policy"),
        members.digest_or_none("charter"),
        members.text("action") if promoted else ADMIT,
        members.channel("channel") if promoted else None,
    )


def make_summary(allowed: Allowed, record: bytes, *, registry: str, version: str) -> tuple[VsaPredicate, bytes]:
    """Give the predicate and the statement. `record`: the decision's. `registry`: its URL; `version`: of its software.

    Raises StatementInvalid, JsonInvalid for a record that cannot be read.
    """
    facts, inputs, broke_glass = _of_admission(record) if allowed.channel is None else _of_promotion(record)
    levels = [UNEVALUATED if facts is None else build_level(facts.builder_level), ADMITTED]
    if allowed.channel is not None:
        levels.append(promoted_level(allowed.channel))
    if broke_glass:
        levels.append(BROKE_GLASS)
    where = "policies" if allowed.policy is not None else f"agents/{allowed.repository}"
    predicate = VsaPredicate(
        verifier=registry,
        version=version,
        verified_at=allowed.entry.at,
        resource_uri=resource_uri(registry, allowed.repository, allowed.digest),
        policy_uri=f"{registry}/api/v1/{where}",
        policy=allowed.policy or allowed.charter,
        result=PASSED,
        levels=tuple(levels),
        inputs=tuple(dict.fromkeys(inputs))[:MAX_INPUTS],
        decision=Decision(allowed.entry.id, allowed.record, allowed.version, allowed.action, allowed.channel),
    )
    return predicate, make_statement(allowed.repository, allowed.digest, PREDICATE_VSA, predicate.as_json())


def _of_admission(raw: bytes) -> tuple[ReleaseFacts | None, Iterable[Digest], bool]:
    record = parse_admission_record(raw)
    floor = (record.outcome or {}).get("facts")
    facts = ReleaseFacts.parse(floor) if isinstance(floor, dict) else None
    return facts, [each.bundle for each in record.evidence if each.verified is not None], False


def _of_promotion(raw: bytes) -> tuple[ReleaseFacts | None, Iterable[Digest], bool]:
    record = parse_record(raw)
    document: JsonObject = parse_object(raw, limit=MAX_RECORD_BYTES, what="a decision record")
    named = Members(document, "decision-malformed", "the record of a decision cannot be read").object("digests")
    evidence = [Digest.parse(text) for text in named.texts("evidence", MAX_RECORD_BYTES)]
    glass = record.inputs.request.glass is not None
    return record.inputs.release.facts, evidence, glass


def check_record(allowed: Allowed, record: bytes) -> None:
    """Raise StatementInvalid (code "decision-mismatch") unless `record` is the one that the entry names."""
    if not allowed.record.matches(record):
        raise StatementInvalid(
            "the record of a decision is another one",
            code="decision-mismatch",
            found=Digest.of(record),
            expected=allowed.record,
        )
