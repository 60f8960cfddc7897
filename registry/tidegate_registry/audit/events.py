"""What an entry can say. Each class is one type of event; rooms derive their own from `Event`.

An event is a fact in the past tense with the names, digests and identities needed to understand it later; no tokens,
no bodies. Its canonical JSON (RFC 8785) is what later goes into the log, so members are only ever added.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Self

from tidegate.errors import Reason
from tidegate.formats import entry
from tidegate.formats.entry import MAX_ISSUER, MAX_NAME
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate_registry.access.principal import Principal, PrincipalKind
from tidegate_registry.audit.fields import DigestText, Line, Reasons, Repository


class Actor(entry.Actor):
    """The actor of an entry, as the registry knows them."""

    __slots__ = ()

    @classmethod
    def of(cls, principal: Principal) -> Self:
        """Name the caller of a request; a human by the issuer's `sub`, not by their e-mail address.

        Who watches for their own name compares issuer and name. Longer ones are cut: no decision rests on an entry.
        """
        name = principal.subject if principal.kind is PrincipalKind.HUMAN else principal.name
        return cls(str(principal.kind), principal.issuer[:MAX_ISSUER], name[:MAX_NAME], principal.person)

    def as_json(self) -> JsonObject:
        """Give the members that are set."""
        members: JsonObject = {"kind": self.kind, "issuer": self.issuer, "name": self.name}
        return members if self.person is None else members | {"person": self.person}

    def as_texts(self) -> dict[str, str]:
        """Give the members that are not empty, as records of decisions have them: the registry itself has no issuer."""
        named = {"kind": self.kind, "issuer": self.issuer, "name": self.name}
        return {key: value for key, value in named.items() if value}


SYSTEM = Actor(kind="system", issuer="", name="registry")  # what the registry does by itself, such as a timed expiry


@dataclass(frozen=True, kw_only=True)
class Event:
    """The base of all. `at`: when it happened, UTC. `actor`: who made it happen.

    `entry_version`: of the type; docs/spec/log-entries.md says when it grows.
    """

    type: ClassVar[str]
    entry_version: ClassVar[int] = 1

    at: datetime
    actor: Actor

    def as_json(self) -> JsonObject:
        """Give the members besides `at` and `actor`; those that are None are left out."""
        names = [field.name for field in dataclasses.fields(self) if field.name not in ("at", "actor")]
        return {name: _plain(value) for name in names if (value := getattr(self, name)) is not None}


@dataclass(frozen=True, kw_only=True)
class Refused(Event):
    """A caller was told no. `operation`: method and route template."""

    type: ClassVar[str] = "request.refused"

    operation: Line
    repository: Repository | None = None
    reference: Line | None = None
    code: Line
    reasons: Reasons
    reasons_object: DigestText | None = None


@dataclass(frozen=True, kw_only=True)
class RefusalsSuppressed(Event):
    """That many refusals of the actor, of at most a minute, got no entry of their own: there were too many."""

    type: ClassVar[str] = "request.refusals-suppressed"

    count: int
    since: datetime
    until: datetime


def _plain(value: object) -> JsonValue:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, Reason):
        return dict(value.as_json())
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list, frozenset)):
        items = [_plain(item) for item in value]
        return sorted(items, key=str) if isinstance(value, frozenset) else items
    if isinstance(value, Actor):
        return value.as_json()
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    raise TypeError(f"an event cannot hold a {type(value).__name__}")


def timestamp(moment: datetime) -> str:
    """Write a moment as RFC 3339 in UTC with microseconds. Raises ValueError for one without a time zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
