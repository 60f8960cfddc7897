"""What in a log somebody wants to be told of. Pure: entries and times in, findings out.

Rates are taken by the entries' own times, never by when they were read: a watcher that was away for a day finds the
same as one that was there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from tidegate.auditor.lines import agent_of, concerns, is_like, is_of_type, summary
from tidegate.auditor.parties import Party, parties
from tidegate.formats.entry import Entry, EntryType
from tidegate.formats.jcs import JsonValue

MAX_WINDOW = timedelta(hours=1)  # of a rate; it is remembered by the second, so this bounds the state
MAX_PARTIES = 5  # named in one message

CHANGES_OF_TRUST = (
    "policy.*",
    "trust.*",
    "charter.*",
    "role.*",
    "enrolment.*",
    "record.repaired",
    "log.restored",
    "object.restored",
    "log.object-missing",
)
"""Types of entries that say by which rules, whose word or which records the registry decides from then on."""

CHANGES_OF_AGENT = ("release.admitted", "release.revoked", "channel.*", "break-glass.*")
EMERGENCIES = ("break-glass.*",)


class Rule(StrEnum):
    """What an alert is about."""

    IDENTITY_USED = "identity-used"
    AGENT_CHANGED = "agent-changed"
    POLICY_CHANGED = "policy-changed"
    BREAK_GLASS = "break-glass"
    REFUSALS = "refusals"
    ENTRY_UNREADABLE = "entry-unreadable"
    LOG_QUIET = "log-quiet"
    CHECKPOINT_OLD = "checkpoint-old"
    WITNESSES_MISSING = "witnesses-missing"
    LOG_REFUSED = "log-refused"


@dataclass(frozen=True, slots=True)
class Mine:
    """An identity, or a person by the policy's name, whose use is told; `*` in a name stands for any characters."""

    issuer: str = ""
    identity: str = ""
    person: str = ""

    def matches(self, party: Party) -> bool:
        """Whether `party` is meant. An identity needs its issuer: the same name elsewhere is somebody else."""
        if self.person and party.person == self.person:
            return True
        return bool(self.identity) and party.issuer == self.issuer and is_like(party.name, self.identity)


@dataclass(frozen=True, slots=True)
class WatchRules:
    """What is told. `refusals`: more than so many within `window`. `quiet`: no entry for so long.

    `checkpoint_age`: no witness has signed for so long, which only a log with witnesses can show.
    """

    mine: tuple[Mine, ...] = ()
    agents: tuple[str, ...] = ()
    policy_changes: bool = False
    break_glass: bool = False
    refusals: int | None = None
    window: timedelta = timedelta(minutes=1)
    quiet: timedelta | None = None
    checkpoint_age: timedelta | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is no rule at all."""
        given = (self.mine, self.agents, self.policy_changes, self.break_glass, self.quiet, self.checkpoint_age)
        return not any(given) and self.refusals is None


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule met by an entry, in words. `detail` tells apart what one rule finds in one place."""

    rule: Rule
    message: str
    detail: str = ""


@dataclass(slots=True)
class Refusals:
    """How often callers were told no, by the second: the last ones counted, twice as many as the window has."""

    window: timedelta
    counts: dict[int, int] = field(default_factory=dict)
    told: int | None = None  # the second in which the rate was last told

    def add(self, second: int, count: int) -> int:
        """Count, and give how many are in the window with this second and the latest others that are within one of it.

        A time far from all others, such as of a clock that is wrong, neither hides them nor makes them forgotten.
        """
        span = int(self.window.total_seconds())
        self.counts[second] = self.counts.pop(second, 0) + count
        while len(self.counts) > 2 * span:
            del self.counts[next(iter(self.counts))]  # counted longest ago
        latest = max(each for each in self.counts if each < second + span)
        return sum(found for each, found in self.counts.items() if latest - span < each <= latest)

    def tell(self, second: int) -> bool:
        """Whether a rate that is too high is news: once for each window."""
        if self.told is not None and abs(second - self.told) < self.window.total_seconds():
            return False
        self.told = second
        return True

    def as_json(self) -> dict[str, JsonValue]:
        """Give what a later run goes on from."""
        return {"counts": {str(second): count for second, count in self.counts.items()}, "told": self.told}

    @classmethod
    def of(cls, window: timedelta, value: Mapping[str, JsonValue]) -> Refusals:
        """Read what `as_json` gave. What is no count is left out: it was ours, and a rate heals by itself."""
        counts, told = value.get("counts"), value.get("told")
        known = counts.items() if isinstance(counts, dict) else ()
        read = {int(key): count for key, count in known if key.isdecimal() and isinstance(count, int)}
        return cls(window, read, told if isinstance(told, int) else None)


def judge_entry(rules: WatchRules, refusals: Refusals, entry: Entry) -> tuple[Finding, ...]:
    """Say what in `entry` is to be told. Counts a refusal in `refusals`."""
    return tuple(_findings(rules, refusals, entry))


def judge_quiet(rules: WatchRules, newest: datetime | None, now: datetime) -> Finding | None:
    """Say whether the log has grown within the limit. `newest`: the time of its newest entry."""
    if rules.quiet is None or (newest is not None and now - newest <= rules.quiet):
        return None
    since = "it has none" if newest is None else f"its newest is of {newest:%Y-%m-%d %H:%M:%S} UTC"
    return Finding(Rule.LOG_QUIET, f"the log has no entry of the last {_span(rules.quiet)}: {since}")


def judge_age(rules: WatchRules, cosigned: datetime | None, now: datetime) -> Finding | None:
    """Say whether a witness has signed within the limit. `cosigned`: when the latest of them did, None: none did."""
    if rules.checkpoint_age is None or (cosigned is not None and now - cosigned <= rules.checkpoint_age):
        return None
    since = "none has" if cosigned is None else f"the last did at {cosigned:%Y-%m-%d %H:%M:%S} UTC"
    span = _span(rules.checkpoint_age)
    return Finding(Rule.CHECKPOINT_OLD, f"no witness has signed a checkpoint in the last {span}: {since}")


def _findings(rules: WatchRules, refusals: Refusals, entry: Entry) -> Iterator[Finding]:
    what = f"{entry.type} {summary(entry)}"
    used = [party for party in parties(entry) if any(mine.matches(party) for mine in rules.mine)]
    if used:
        said = ", ".join(f"{party} as {party.part}" for party in used[:MAX_PARTIES])
        yield Finding(Rule.IDENTITY_USED, f"{said}: {what}")
    if rules.agents and is_of_type(entry, CHANGES_OF_AGENT) and concerns(entry, rules.agents):
        yield Finding(Rule.AGENT_CHANGED, f"{what} (by {entry.actor})", agent_of(entry) or "")
    if rules.policy_changes and is_of_type(entry, CHANGES_OF_TRUST):
        yield Finding(Rule.POLICY_CHANGED, f"{what} (by {entry.actor})")
    if rules.break_glass and is_of_type(entry, EMERGENCIES):
        yield Finding(Rule.BREAK_GLASS, f"{what} (by {entry.actor})")
    if rules.refusals is not None and (count := _refused(entry)):
        second = int(entry.at.timestamp())
        total = refusals.add(second, count)
        if total > rules.refusals and refusals.tell(second):
            moment = datetime.fromtimestamp(second, UTC)
            yield Finding(
                Rule.REFUSALS,
                f"{total} refusals in the {_span(rules.window)} to {moment:%H:%M:%S} UTC, the last of {entry.actor}",
            )


def _refused(entry: Entry) -> int:
    """Count the refusals that an entry stands for: one, or as many as it says got no entry of their own."""
    if entry.type == EntryType.REQUEST_REFUSED:
        return 1
    count = entry.data.get("count") if entry.type == EntryType.REFUSALS_SUPPRESSED else 0
    return count if isinstance(count, int) and count > 0 else 0


def _span(span: timedelta) -> str:
    seconds = int(span.total_seconds())
    return f"{seconds // 60} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds} s"  # noqa: PLR2004
