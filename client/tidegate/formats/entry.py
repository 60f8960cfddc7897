"""An entry of the audit log: the envelope around what happened. Spec page: docs/spec/log-entries.md.

The envelope is closed and has one form, so that whoever reads an entry reads what was hashed. What stands in `data` is
the matter of the entry's type; a reader who does not know a type, or a later version of one, still reads who and when.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tidegate.errors import EntryInvalid, JsonInvalid
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes, parse_object
from tidegate.formats.moment import parse_moment

MAX_ENTRY_BYTES = 65_535  # C2SP tlog-tiles: the length of an entry in an entry bundle is 16 bits
MAX_TYPE = 64  # characters
MAX_VERSION = 1_000
MAX_ISSUER, MAX_NAME, MAX_PERSON = 2_048, 2_048, 64  # characters; as long as a certificate's may be, a policy's may be

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TYPE = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*(?:\.[a-z][a-z0-9]*(?:-[a-z0-9]+)*)+")
_AT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")  # sorts as text
_MEMBERS = frozenset({"id", "version", "type", "at", "actor", "data"})


class ActorKind(StrEnum):
    """What stands behind an entry."""

    HUMAN = "human"
    CI = "ci"
    ANONYMOUS = "anonymous"
    SYSTEM = "system"
    OPERATOR = "operator"
    ENROLMENT = "enrolment"


class EntryType(StrEnum):
    """What an entry can be about. A reader meets further ones, of a later registry."""

    ADMISSION_DECIDED = "admission.decided"
    RELEASE_ADMITTED = "release.admitted"
    RELEASE_PENDING = "release.pending"
    RELEASE_PENDING_ENDED = "release.pending-ended"
    RELEASE_REVOKED = "release.revoked"
    EVIDENCE_VERIFIED = "evidence.verified"
    PROMOTION_OPENED = "promotion.opened"
    PROMOTION_DECIDED = "promotion.decided"
    PROMOTION_CLOSED = "promotion.closed"
    STATEMENT_FILED = "promotion.statement-filed"
    CHANNEL_MOVED = "channel.moved"
    HOLD_LIFTED = "channel.hold-lifted"
    GLASS_BROKEN = "break-glass.used"
    GLASS_REVIEWED = "break-glass.reviewed"
    POLICY_PROPOSED = "policy.proposed"
    POLICY_APPROVED = "policy.approved"
    POLICY_APPLIED = "policy.applied"
    POLICY_REVERTED = "policy.reverted"
    SUMMARY_ATTACHED = "vsa.attached"
    SUMMARY_NOT_MADE = "vsa.not-made"
    TRUST_CHANGED = "trust.changed"
    ENROLMENT_MADE = "enrolment.made"
    ENROLMENT_REDEEMED = "enrolment.redeemed"
    REQUEST_REFUSED = "request.refused"
    REFUSALS_SUPPRESSED = "request.refusals-suppressed"
    BLOB_STORED = "blob.stored"
    BLOB_REMOVED = "blob.removed"
    MANIFEST_STORED = "manifest.stored"
    MANIFEST_REMOVED = "manifest.removed"
    WORKING_TAG_MOVED = "working-tag.moved"
    RECORD_REPAIRED = "record.repaired"
    OBJECT_RESTORED = "object.restored"
    LOG_RESTORED = "log.restored"
    OBJECT_MISSING = "log.object-missing"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it. `name`: the issuer's `sub` of a human, else as in a certificate. `person`: as the policy calls them.

    `issuer` is empty for who needs none: the registry itself, its operator, somebody without a credential.
    """

    kind: str
    issuer: str
    name: str
    person: str | None = None

    def __str__(self) -> str:
        return self.person or self.name


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `version`: of its type. `at`: when it happened, UTC. `raw`: the bytes that the log hashes.

    `index`: its place in the log, from 0; None where only the entry is at hand.
    """

    id: str
    version: int
    type: str
    at: datetime
    actor: Actor
    data: JsonObject
    raw: bytes
    index: int | None = None


def parse_entry(raw: bytes, *, index: int | None = None) -> Entry:
    """Read the exact bytes of an entry. Raises EntryInvalid unless they are canonical JSON of the closed envelope."""
    if len(raw) > MAX_ENTRY_BYTES:
        raise EntryInvalid(
            "the entry is larger than a log can hold",
            code="entry-too-large",
            found=f"{len(raw)} bytes",
            expected=f"at most {MAX_ENTRY_BYTES} bytes",
        )
    try:
        document = parse_object(raw, limit=MAX_ENTRY_BYTES, what="the entry")
        canonical = canonical_bytes(document)
    except JsonInvalid as error:
        raise EntryInvalid(error.message, found=error.reasons[0].found) from error
    if canonical != raw:
        raise EntryInvalid("the entry is not canonical JSON", code="entry-not-canonical", expected="RFC 8785")
    if document.keys() != _MEMBERS:
        unlike = ", ".join(sorted(document.keys() ^ _MEMBERS))[:160]
        raise _unfit("its members", unlike, ", ".join(sorted(_MEMBERS)))
    return Entry(
        id=_matching(document["id"], _ID, "its id", "a UUID of version 7, in lower case"),
        version=_version(document["version"]),
        type=_type(document["type"]),
        at=_moment(document["at"]),
        actor=_actor(document["actor"]),
        data=_object(document["data"], "its data"),
        raw=raw,
        index=index,
    )


def is_entry_type(text: str) -> bool:
    """Whether `text` could be the name of a type."""
    return len(text) <= MAX_TYPE and _TYPE.fullmatch(text) is not None


def _actor(value: JsonValue) -> Actor:
    members = _object(value, "its actor")
    if not {"kind", "issuer", "name"} <= members.keys() <= {"kind", "issuer", "name", "person"}:
        raise _unfit(
            "the members of its actor", ", ".join(sorted(members))[:160], "kind, issuer, name and maybe person"
        )
    return Actor(
        kind=_text(members["kind"], MAX_TYPE, "the actor's kind"),
        issuer=_text(members["issuer"], MAX_ISSUER, "the actor's issuer", empty=True),
        name=_text(members["name"], MAX_NAME, "the actor's name"),
        person=_text(members["person"], MAX_PERSON, "the actor's person") if "person" in members else None,
    )


def _version(value: JsonValue) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_VERSION:
        raise _unfit("its version", value, f"a number from 1 to {MAX_VERSION}")
    return value


def _type(value: JsonValue) -> str:
    if not isinstance(value, str) or not is_entry_type(value):
        raise _unfit("its type", value, "words joined by dots, such as release.admitted")
    return value


def _moment(value: JsonValue) -> datetime:
    expected = "a time in UTC with microseconds, such as 2026-03-01T09:30:00.000000Z"
    text = _matching(value, _AT, "its time", expected)
    try:
        return parse_moment(text)
    except ValueError as error:
        raise _unfit("its time", text, expected) from error


def _matching(value: JsonValue, pattern: re.Pattern[str], what: str, expected: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise _unfit(what, value, expected)
    return value


def _text(value: JsonValue, most: int, what: str, *, empty: bool = False) -> str:
    if not isinstance(value, str) or len(value) > most or not (value or empty):
        raise _unfit(what, value, f"text of at most {most} characters")
    return value


def _object(value: JsonValue, what: str) -> JsonObject:
    if not isinstance(value, dict):
        raise _unfit(what, value, "an object")
    return value


def _unfit(what: str, found: object, expected: str) -> EntryInvalid:
    return EntryInvalid(
        f"an entry's envelope is not as it must be: {what}",
        code="entry-envelope",
        found=str(found)[:160],
        expected=expected,
    )
