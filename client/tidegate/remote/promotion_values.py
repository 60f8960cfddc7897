"""What a registry says of promotions and channels, read from its answers. Source: openapi.yaml.

All of it is the registry's word. What somebody signs is computed by `tidegate.promotion`, never taken from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from tidegate.digest import Digest
from tidegate.errors import DigestInvalid
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.formats.predicates.approval import Action
from tidegate.policy.verdict import Finding, State
from tidegate.remote.answers import clean_text
from tidegate.remote.api import unintelligible

MAX_ENTRIES = 1000  # of a list inside of an answer
T = TypeVar("T")


class RequestState(StrEnum):
    """How far a request is. Only OPEN ones can still move."""

    OPEN = "open"
    DONE = "done"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    SUPERSEDED = "superseded"


@dataclass(frozen=True, slots=True)
class Promotion:
    """A request, and the last decision on it. `document`: the answer as it came.

    `rule`: what the registry says is the digest of the resolved transition rule; `not_full_before` likewise.
    """

    id: str
    agent: str
    channel: str
    source: str | None
    version: str
    digest: Digest
    sequence: int
    action: Action
    state: RequestState
    rule: Digest | None
    not_full_before: datetime | None
    requester: str
    opened_at: datetime
    reason: str | None
    allowed: bool
    decided_at: datetime | None
    findings: tuple[Finding, ...]
    outcome: str | None = None
    document: JsonObject = field(default_factory=dict, repr=False)

    @property
    def missing(self) -> tuple[Finding, ...]:
        """What holds it up, as the registry says."""
        return tuple(finding for finding in self.findings if not finding.state.passes)

    @classmethod
    def parse(cls, document: JsonObject) -> Promotion:
        """Read an answer. Raises Unreachable (code "answer-malformed")."""
        decision = _object(document.get("decision"))
        return cls(
            id=text(document, "id"),
            agent=text(document, "agent"),
            channel=text(document, "channel"),
            source=text_or_none(document, "source"),
            version=text(document, "version"),
            digest=digest(document, "digest"),
            sequence=number(document, "sequence"),
            action=one_of(Action, text(document, "action")),
            state=one_of(RequestState, text(document, "state")),
            rule=digest(document, "ruleDigest") if document.get("ruleDigest") is not None else None,
            not_full_before=moment_or_none(document, "notFullBefore"),
            requester=who(document.get("requester")),
            opened_at=moment(document, "openedAt"),
            reason=text_or_none(document, "reason"),
            allowed=decision.get("allowed") is True,
            decided_at=moment_or_none(decision, "decidedAt"),
            findings=tuple(findings(decision.get("findings"))),
            outcome=text_or_none(document, "outcome"),
            document=document,
        )


@dataclass(frozen=True, slots=True)
class Served:
    """What a channel serves. `revoked`: why the release was withdrawn, if it was."""

    version: str
    digest: Digest
    since: datetime
    sequence: int
    revoked: str | None = None

    @classmethod
    def parse(cls, document: JsonObject) -> Served:
        """Read a member of an answer. Raises Unreachable."""
        return cls(
            text(document, "version"),
            digest(document, "digest"),
            moment(document, "since"),
            number(document, "sequence"),
            text_or_none(document, "revoked"),
        )


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing moves to the version that a rollback left, until somebody lifts this."""

    version: str
    reason: str | None
    since: datetime | None
    by: str

    @classmethod
    def parse(cls, document: JsonObject) -> Hold:
        """Read a member of an answer. Raises Unreachable."""
        return cls(
            text(document, "version"),
            text_or_none(document, "reason"),
            moment_or_none(document, "since"),
            who(document.get("actor")),
        )


@dataclass(frozen=True, slots=True)
class Debt:
    """A use of break-glass that nobody has reviewed yet."""

    id: str
    agent: str
    channel: str
    by: str
    reason: str | None
    due: datetime | None
    document: JsonObject = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, document: JsonObject) -> Debt:
        """Read an answer, or a member of one. Raises Unreachable."""
        return cls(
            text(document, "id"),
            text(document, "agent"),
            text(document, "channel"),
            who(document.get("person")),
            text_or_none(document, "reason"),
            moment_or_none(document, "reviewBy"),
            document,
        )


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A channel of an agent. `serving`: None while it serves nothing. `sequence`: of the last request."""

    agent: str
    name: str
    serving: Served | None
    sequence: int
    holds: tuple[Hold, ...]
    debts: tuple[Debt, ...]
    document: JsonObject = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, document: JsonObject) -> ChannelState:
        """Read an answer, or an entry of a list of them. Raises Unreachable."""
        serving = document.get("serving")
        return cls(
            text(document, "agent"),
            text(document, "name"),
            Served.parse(serving) if isinstance(serving, dict) else None,
            number(document, "sequence"),
            tuple(Hold.parse(each) for each in objects(document.get("holds"))),
            tuple(Debt.parse(each) for each in objects(document.get("debts"))),
            document,
        )


@dataclass(frozen=True, slots=True)
class Affected:
    """A channel that served a release when that was revoked. `moved_to`: what it serves now, None if it stayed.

    `why`: in short; `reasons`: each of those for which a rollback was refused.
    """

    name: str
    moved_to: str | None
    why: str | None
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Revocation:
    """A release that was withdrawn."""

    agent: str
    version: str
    digest: Digest
    channels: tuple[Affected, ...]
    document: JsonObject = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, document: JsonObject) -> Revocation:
        """Read an answer. Raises Unreachable."""
        return cls(
            text(document, "agent"),
            text(document, "version"),
            digest(document, "digest"),
            tuple(
                Affected(
                    text(each, "channel"),
                    text_or_none(each, "movedTo"),
                    text_or_none(each, "why"),
                    tuple(text(reason, "message") for reason in objects(each.get("reasons"))),
                )
                for each in objects(document.get("channels"))
            ),
            document,
        )


def findings(value: JsonValue) -> Iterator[Finding]:
    """Read the findings of a decision, with their texts cleaned. Raises Unreachable."""
    for item in objects(value):
        yield Finding(
            id=text(item, "id"),
            kind=text(item, "kind"),
            state=one_of(State, text(item, "state")),
            message=text(item, "message"),
            found=text_or_none(item, "found"),
            expected=text_or_none(item, "expected"),
            hint=text_or_none(item, "hint"),
            who_can=tuple(clean_text(each) for each in _list(item.get("whoCan")) if isinstance(each, str)),
            measured=_object(item.get("measured")),
        )


def who(value: JsonValue) -> str:
    """Name somebody, from an object with an identity or from a text."""
    if isinstance(value, dict):
        value = value.get("name") or value.get("identity")
    return clean_text(value) if isinstance(value, str) and value.strip() else "somebody"


def text(document: JsonObject, key: str) -> str:
    """Give a text that must be there. Raises Unreachable."""
    value = document.get(key)
    if not isinstance(value, str) or not value.strip():
        raise unintelligible(f"`{key}` is missing or no text", value)
    return clean_text(value)


def text_or_none(document: JsonObject, key: str) -> str | None:
    """Give a text, or None where there is none."""
    value = document.get(key)
    return clean_text(value) if isinstance(value, str) and value.strip() else None


def digest(document: JsonObject, key: str) -> Digest:
    """Give a digest that must be there. Raises Unreachable."""
    try:
        return Digest.parse(text(document, key))
    except DigestInvalid as error:
        raise unintelligible(f"`{key}` is no digest", document.get(key)) from error


def number(document: JsonObject, key: str) -> int:
    """Give a count that must be there. Raises Unreachable."""
    value = document.get(key)
    if type(value) is not int or value < 0:
        raise unintelligible(f"`{key}` is no count", value)
    return value


def moment(document: JsonObject, key: str) -> datetime:
    """Give a time that must be there. Raises Unreachable."""
    found = moment_or_none(document, key)
    if found is None:
        raise unintelligible(f"`{key}` is missing")
    return found


def moment_or_none(document: JsonObject, key: str) -> datetime | None:
    """Give a time with its offset, None where there is none. Raises Unreachable."""
    value = document.get(key)
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise unintelligible(f"`{key}` is no time", value) from error
    if found.tzinfo is None:
        raise unintelligible(f"`{key}` has no offset from UTC", value)
    return found


def one_of(kind: Callable[[str], T], value: str) -> T:
    """Give the member of an enumeration. Raises Unreachable."""
    try:
        return kind(value)
    except ValueError as error:
        raise unintelligible("a word of it means nothing to us", value) from error


def objects(value: JsonValue) -> Iterator[JsonObject]:
    """Give the objects of a list, as many as are looked at."""
    return (item for item in _list(value) if isinstance(item, dict))


def _list(value: JsonValue) -> list[JsonValue]:
    return value[:MAX_ENTRIES] if isinstance(value, list) else []


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}
