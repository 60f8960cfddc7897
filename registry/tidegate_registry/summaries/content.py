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
from tidegate.policy.verdict import Allowed as Promoted
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


@dataclass(frozen=True, slots=True)
class _Recorded:
    """What a record holds for a summary. `yes`: what it allowed, in the order of `make_summary`; None of a refusal."""

    yes: tuple[str, str, Digest, str, str | None] | None
    facts: ReleaseFacts | None
    inputs: Iterable[Digest]
    broke_glass: bool


def make_summary(allowed: Allowed, record: bytes, *, registry: str, version: str) -> tuple[VsaPredicate, bytes]:
    """Give the predicate and the statement. `record`: the decision's. `registry`: its URL; `version`: of its software.

    Raises StatementInvalid, JsonInvalid for a record that cannot be read, or is not of that very yes.
    """
    found = _of_admission(record) if allowed.channel is None else _of_promotion(record)
    asked = (allowed.repository, allowed.version, allowed.digest, allowed.action, allowed.channel)
    if found.yes != asked:
        raise _mismatch("does not say what its entry says", found.yes or "a refusal", asked)
    facts, inputs, broke_glass = found.facts, found.inputs, found.broke_glass
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


def _of_admission(raw: bytes) -> _Recorded:
    record = parse_admission_record(raw)
    floor = (record.outcome or {}).get("facts")
    return _Recorded(
        (record.agent, record.version, record.manifest, ADMIT, None) if record.allowed else None,
        ReleaseFacts.parse(floor) if isinstance(floor, dict) else None,
        [each.bundle for each in record.evidence if each.verified is not None],
        broke_glass=False,
    )


def _of_promotion(raw: bytes) -> _Recorded:
    record = parse_record(raw)
    document: JsonObject = parse_object(raw, limit=MAX_RECORD_BYTES, what="a decision record")
    named = Members(document, "decision-malformed", "the record of a decision cannot be read").object("digests")
    evidence = [Digest.parse(text) for text in named.texts("evidence", MAX_RECORD_BYTES)]
    request, release = record.inputs.request, record.inputs.release
    asked = (request.agent, release.version, release.digest, request.action.value, request.channel)
    yes = asked if isinstance(record.verdict, Promoted) else None
    return _Recorded(yes, release.facts, evidence, broke_glass=request.glass is not None)


def check_record(allowed: Allowed, record: bytes) -> None:
    """Raise StatementInvalid (code "decision-mismatch") unless `record` is the one that the entry names."""
    if not allowed.record.matches(record):
        raise _mismatch("is another one", Digest.of(record), allowed.record)


def _mismatch(problem: str, found: object, expected: object) -> StatementInvalid:
    return StatementInvalid(
        f"the record of a decision {problem}", code="decision-mismatch", found=str(found), expected=str(expected)
    )
