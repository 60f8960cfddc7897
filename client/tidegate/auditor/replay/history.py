"""What the log says of releases, requests and channels: what was admitted, asked for, served, left, held and owed.

Pure: entries in, in the order of the log. What a decision says it rests on is compared with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from tidegate.digest import Digest
from tidegate.errors import DigestInvalid, Reason
from tidegate.formats.charter import MAX_WINDOW
from tidegate.formats.entry import Entry, EntryType
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.formats.moment import any_moment
from tidegate.formats.predicates.approval import Action
from tidegate.policy.inputs import Tenure

MAX_TENURES: Final = 1000  # of one channel, and of one release, that a registry looks at
FOLLOWED: Final = frozenset(
    {
        EntryType.PROMOTION_OPENED,
        EntryType.HOLD_LIFTED,
        EntryType.GLASS_BROKEN,
        EntryType.GLASS_REVIEWED,
    }
)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A release. `record`: of the admission that it follows from. `at`: when it was admitted."""

    version: str
    digest: Digest
    record: Digest
    at: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """A request, as it was opened."""

    id: str
    agent: str
    channel: str
    source: str | None
    version: str
    digest: str
    sequence: int
    action: str
    reason: str | None
    at: datetime


@dataclass(slots=True)
class Served:
    """A time in which a channel served something. `rolled_back`: it ended by a rollback."""

    version: str
    digest: Digest
    since: datetime
    promoted: bool
    until: datetime | None = None
    rolled_back: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What the log says of what a promotion is about, just before it was decided.

    `sequence`: of the last request for the channel. `release`, `serving`: what is decided about, and what the channel
    serves. `tenures`: of the release, sorted. `window`: what was promoted before what the channel serves, the last
    first. `overdue`: how many reviews of broken glass are.
    """

    request: Opened | None
    sequence: int
    release: Admitted | None
    serving: Admitted | None
    serving_revoked: bool
    tenures: tuple[Tenure, ...]
    window: tuple[Digest, ...]
    left: frozenset[Digest]
    held: bool
    overdue: int


@dataclass(slots=True)
class History:
    """Follows a log. Memory: some 500 bytes for each release, request and move."""

    _releases: dict[str, dict[str, Admitted]] = field(default_factory=dict)
    _opened: dict[str, Opened] = field(default_factory=dict)
    _newest: dict[tuple[str, str], int] = field(default_factory=dict)
    _served: dict[str, dict[str, list[Served]]] = field(default_factory=dict)
    _held: dict[tuple[str, str], set[Digest]] = field(default_factory=dict)
    _owed: dict[str, dict[str, datetime]] = field(default_factory=dict)
    _revoked: set[tuple[str, Digest]] = field(default_factory=set)

    def serving(self, agent: str, channel: str) -> Digest | None:
        """Give what a channel serves."""
        served = self._served.get(agent, {}).get(channel)
        return served[-1].digest if served else None

    def is_revoked(self, agent: str, digest: Digest) -> bool:
        """Whether a release was withdrawn."""
        return (agent, digest) in self._revoked

    def previous(self, agent: str, since: datetime) -> tuple[Admitted | None, ...]:
        """Give what may have been the agent's last release at some time from `since` on, the last first."""
        found: list[Admitted | None] = []
        for each in reversed(self._releases.get(agent, {}).values()):
            found.append(each)
            if each.at < since:
                return tuple(found)
        return (*found, None)

    def opened(self, promotion: str) -> Opened | None:
        """Give a request."""
        return self._opened.get(promotion)

    def standing(self, entry: Entry) -> Standing:
        """Give what was so when the promotion `entry` was decided."""
        agent, channel = text(entry.data, "repository"), text(entry.data, "channel")
        releases, channels = self._releases.get(agent, {}), self._served.get(agent, {})
        history = channels.get(channel, [])[-MAX_TENURES:]
        now, digest = history[-1] if history else None, digest_of(entry.data.get("digest"))
        ended = {each.digest: each.rolled_back for each in history}  # the last of each counts
        promoted = dict.fromkeys(
            each.digest for each in reversed(history) if each.promoted and now is not None and each.digest != now.digest
        )
        tenures = (
            Tenure(name, each.since, each.until)
            for name, served in sorted(channels.items())
            for each in served
            if each.digest == digest
        )
        return Standing(
            request=self._opened.get(text(entry.data, "promotion")),
            sequence=self._newest.get((agent, channel), 0),
            release=releases.get(text(entry.data, "version")),
            serving=None if now is None else releases.get(now.version),
            serving_revoked=now is not None and (agent, now.digest) in self._revoked,
            tenures=tuple(tenures)[:MAX_TENURES],
            window=tuple(promoted)[:MAX_WINDOW],
            left=frozenset(digest for digest, rolled_back in ended.items() if rolled_back),
            held=digest in self._held.get((agent, channel), ()),
            overdue=sum(by <= entry.at for by in self._owed.get(agent, {}).values()),
        )

    def admit(self, agent: str, admitted: Admitted) -> None:
        """Take a release that was admitted."""
        self._releases.setdefault(agent, {})[admitted.version] = admitted

    def move(self, entry: Entry) -> None:
        """Take a channel that was moved."""
        agent, channel = text(entry.data, "repository"), text(entry.data, "channel")
        served = self._served.setdefault(agent, {}).setdefault(channel, [])
        opened = self._opened.get(text(entry.data, "promotion"))
        back = opened is not None and opened.action == Action.ROLLBACK
        if served:
            served[-1].until, served[-1].rolled_back = entry.at, back
            if back:
                self._held.setdefault((agent, channel), set()).add(served[-1].digest)
        promoted = entry.data.get("how") != Action.ROLLBACK
        served.append(Served(text(entry.data, "version"), digest_of(entry.data.get("digest")), entry.at, promoted))

    def revoke(self, entry: Entry) -> None:
        """Take a release that was withdrawn."""
        self._revoked.add((text(entry.data, "repository"), digest_of(entry.data.get("digest"))))

    def take(self, entry: Entry) -> tuple[Reason, ...]:
        """Take an entry of FOLLOWED, and say what is wrong with it after all that came before."""
        agent, channel = text(entry.data, "repository"), text(entry.data, "channel")
        if entry.type == EntryType.PROMOTION_OPENED:
            return self._open(entry, agent, channel)
        if entry.type == EntryType.HOLD_LIFTED:
            self._held.pop((agent, channel), None)
        elif entry.type == EntryType.GLASS_BROKEN:
            by = any_moment(text(entry.data, "review_by")) or entry.at  # no time: it is owed at once
            self._owed.setdefault(agent, {})[text(entry.data, "promotion")] = by
        else:
            self._owed.get(agent, {}).pop(text(entry.data, "promotion"), None)
        return ()

    def _open(self, entry: Entry, agent: str, channel: str) -> tuple[Reason, ...]:
        number = entry.data.get("sequence")
        sequence = number if isinstance(number, int) else 0
        newest = self._newest.get((agent, channel), 0)
        self._newest[agent, channel] = max(newest, sequence)
        source, reason = entry.data.get("source"), entry.data.get("reason")
        opened = Opened(
            id=text(entry.data, "promotion"),
            agent=agent,
            channel=channel,
            source=source if isinstance(source, str) else None,
            version=text(entry.data, "version"),
            digest=text(entry.data, "digest"),
            sequence=sequence,
            action=text(entry.data, "action"),
            reason=reason if isinstance(reason, str) else None,
            at=entry.at,
        )
        self._opened[opened.id] = opened
        if sequence > newest:
            return ()
        return (
            Reason(
                "sequence-repeated",
                f"a request for {channel} of {agent} has a number that an earlier one had",
                found=str(sequence),
                expected=f"more than {newest}: approvals are for one number",
                step="Y11",
            ),
        )


def text(data: JsonObject, name: str) -> str:
    """Give a member that is text; empty where it is not."""
    value = data.get(name)
    return value if isinstance(value, str) else ""


def digest_of(value: JsonValue) -> Digest:
    """Read a digest; one that is none becomes the digest of nothing, which no record names."""
    try:
        return Digest.parse(value if isinstance(value, str) else "")
    except DigestInvalid:
        return Digest.of(b"")
