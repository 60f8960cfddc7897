"""Everything that a log says of one release, put in order. Pure: entries in, a picture of them out.

What is known by proof and what only by a server's word stay apart in every line: see `Known`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tidegate.auditor.lines import agent_of, short, summary
from tidegate.digest import Digest
from tidegate.formats.entry import Entry, EntryType
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.provenance import Provenance
from tidegate.policy.model import COMPANY

MAX_ENTRIES = 5_000  # about one release: its evidence, decisions and moves; more is no release but an attack

PUT_IN_FORCE = (EntryType.POLICY_APPLIED, EntryType.POLICY_REVERTED)
_DECIDED = (EntryType.ADMISSION_DECIDED, EntryType.PROMOTION_DECIDED)
_STATES = (EntryType.RELEASE_ADMITTED, EntryType.CHANNEL_MOVED, EntryType.GLASS_BROKEN, EntryType.RELEASE_REVOKED)
_LINKS = ("promotion",)  # members by which an entry without the digest belongs to one that has it


@dataclass(frozen=True, slots=True)
class Known:
    """An entry, and whether it was proven to be in the log under its key; else it is a server's word."""

    entry: Entry
    proven: bool


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a trace. `kind`: the heading it stands below."""

    kind: str
    text: str
    at: datetime
    who: str
    index: int | None
    proven: bool
    type: str
    id: str

    def as_json(self) -> JsonObject:
        """Give what `--json` writes."""
        return {
            "kind": self.kind,
            "type": self.type,
            "text": self.text,
            "at": moment_text(self.at),
            "who": self.who,
            "index": self.index,
            "id": self.id,
            "proven": self.proven,
        }


@dataclass(frozen=True, slots=True)
class Stay:
    """A time during which a channel served the release. `until`: None while it does. Indices: of the two moves."""

    channel: str
    since: datetime
    until: datetime | None
    how: str
    index: int | None
    until_index: int | None
    proven: bool

    def as_json(self) -> JsonObject:
        """Give what `--json` writes."""
        return {
            "channel": self.channel,
            "since": moment_text(self.since),
            "until": None if self.until is None else moment_text(self.until),
            "how": self.how,
            "index": self.index,
            "untilIndex": self.until_index,
            "proven": self.proven,
        }


@dataclass(frozen=True, slots=True)
class Built:
    """What signed provenance says of the build, read from the object that evidence names by its digest.

    `index`, `proven`: of the entry that names it.
    """

    repository: str
    commit: str
    ref: str
    builder: str
    index: int | None
    proven: bool

    @classmethod
    def of(cls, found: Provenance, named: Known) -> Built:
        """Take what is shown out of provenance that the entry `named` names."""
        return cls(found.repository, found.commit, found.ref, found.builder_id, named.entry.index, named.proven)

    def as_json(self) -> JsonObject:
        """Give what `--json` writes."""
        return {
            "repository": self.repository,
            "commit": self.commit,
            "ref": self.ref,
            "builder": self.builder,
            "index": self.index,
            "proven": self.proven,
        }


@dataclass(frozen=True, slots=True)
class Trace:
    """All that is known of `digest`. `size`: of the log that entries were proven in, None: nothing was proven.

    `complete`: the whole log was read, so nothing about the digest can be missing. `cut`: there were more entries than
    MAX_ENTRIES; of those beyond, only what says where the release stands was taken.
    """

    digest: Digest
    agents: tuple[str, ...]
    versions: tuple[str, ...]
    built: tuple[Built, ...]
    stays: tuple[Stay, ...]
    facts: tuple[Fact, ...]
    origin: str | None = None
    size: int | None = None
    complete: bool = False
    cut: bool = False

    @property
    def revoked(self) -> Fact | None:
        """The entry that withdrew the release."""
        return next((fact for fact in self.facts if fact.type == EntryType.RELEASE_REVOKED), None)

    @property
    def serving(self) -> tuple[str, ...]:
        """The channels that serve it."""
        return tuple(sorted({stay.channel for stay in self.stays if stay.until is None}))

    @property
    def is_state_proven(self) -> bool:
        """Whether every entry that says where it stands was proven; that there is no other is for `complete`."""
        return all(stay.proven for stay in self.stays) and (self.revoked is None or self.revoked.proven)

    @property
    def told(self) -> int:
        """How many entries are only a server's word."""
        return sum(not fact.proven for fact in self.facts)

    def of_kind(self, kind: str) -> tuple[Fact, ...]:
        """Give the facts below one heading."""
        return tuple(fact for fact in self.facts if fact.kind == kind)

    def as_json(self) -> JsonObject:
        """Give what `--json` writes. Source: docs/spec/command-line.md."""
        return {
            "digest": str(self.digest),
            "agents": list(self.agents),
            "versions": list(self.versions),
            "built": [each.as_json() for each in self.built],
            "channels": [each.as_json() for each in self.stays],
            "revoked": self.revoked is not None,
            "facts": [each.as_json() for each in self.facts],
            "log": None if self.origin is None else {"origin": self.origin, "size": self.size},
            "complete": self.complete,
            "cut": self.cut,
            "proven": len(self.facts) - self.told,
            "told": self.told,
        }


@dataclass(slots=True)
class Related:
    """Chooses, entry after entry in the order of the log, those that are about a digest.

    An entry is, if the digest stands anywhere in it, or if it names a request that another one of them is about. So are
    the policies, company-wide and of the agent's namespace, that were in force when it was decided about.
    """

    digest: Digest
    _links: set[str] = field(default_factory=set)
    _in_force: dict[str, Known] = field(default_factory=dict)  # by the policy's name
    _decided_by: dict[str, Known] = field(default_factory=dict)  # by the entry's id
    found: list[Known] = field(default_factory=list)
    is_cut: bool = False  # there are more than were taken

    def take(self, known: Known) -> None:
        """Look at the next entry, and keep it if it belongs. The log's order matters: requests are opened first."""
        entry = known.entry
        if entry.type in PUT_IN_FORCE:
            self._in_force[str(entry.data.get("policy"))] = known
        links = {value for key in _LINKS if isinstance(value := entry.data.get(key), str)}
        if not (mentions(entry.data, self.digest) or links & self._links):
            return
        if len(self.found) >= MAX_ENTRIES and entry.type not in _STATES:  # evidence in heaps must not hide a revocation
            self.is_cut = True
            return
        self._links |= links
        self.found.append(known)
        if entry.type in _DECIDED:
            for name in (COMPANY, (agent_of(entry) or "").partition("/")[0]):
                if name in self._in_force:
                    policy = self._in_force[name]
                    self._decided_by[policy.entry.id] = policy

    @property
    def needles(self) -> tuple[bytes, ...]:
        """Texts of which one stands in every entry that `take` may want."""
        return (self.digest.encode(), b'"policy.', *(link.encode() for link in self._links))

    @property
    def links(self) -> frozenset[str]:
        """The requests that were found to be about the digest."""
        return frozenset(self._links)

    @property
    def known(self) -> tuple[Known, ...]:
        """Everything that belongs, and the policies that were in force when it was decided about the digest."""
        return (*self.found, *self._decided_by.values())


def mentions(value: JsonValue, digest: str) -> bool:
    """Whether `digest` stands anywhere in `value`."""
    if isinstance(value, dict):
        return any(mentions(item, digest) for item in value.values())
    if isinstance(value, list):
        return any(mentions(item, digest) for item in value)
    return value == digest


def make_trace(
    digest: Digest,
    known: Sequence[Known],
    built: Sequence[Built] = (),
    *,
    origin: str | None = None,
    size: int | None = None,
    complete: bool = False,
    cut: bool = False,
) -> Trace:
    """Put what is known of `digest` in order: by index, and what has none yet by its time, last."""
    ordered = sorted({each.entry.id: each for each in known}.values(), key=order_of)
    about = [each for each in ordered if mentions(each.entry.data, digest)]
    return Trace(
        digest,
        agents=_texts(about, ("repository", "agent"), digest),
        versions=_texts(about, ("version",), digest),
        built=tuple(built),
        stays=tuple(_stays(ordered, digest)),
        facts=tuple(_fact(each, digest) for each in ordered),
        origin=origin,
        size=size,
        complete=complete,
        cut=cut,
    )


def order_of(known: Known) -> tuple[bool, int, datetime]:
    """Give a key that sorts by index, and what has none yet behind all others by its time."""
    return (known.entry.index is None, known.entry.index or 0, known.entry.at)


HEADINGS = {
    "release": "Release",
    "evidence": "Evidence",
    "approval": "Approvals",
    "decision": "Decisions",
    "channel": "Channels",
    "emergency": "Break-glass",
    "revocation": "Revocation",
    "policy": "Policies",
    "summary": "Verification summaries",
    "other": "Other",
}
_KINDS: Mapping[str, str] = {
    EntryType.ADMISSION_DECIDED: "release",
    EntryType.RELEASE_ADMITTED: "release",
    EntryType.RELEASE_PENDING: "release",
    EntryType.RELEASE_PENDING_ENDED: "release",
    EntryType.EVIDENCE_VERIFIED: "evidence",
    EntryType.STATEMENT_FILED: "approval",
    EntryType.PROMOTION_OPENED: "decision",
    EntryType.PROMOTION_DECIDED: "decision",
    EntryType.PROMOTION_CLOSED: "decision",
    EntryType.CHANNEL_MOVED: "channel",
    EntryType.HOLD_LIFTED: "channel",
    EntryType.GLASS_BROKEN: "emergency",
    EntryType.GLASS_REVIEWED: "emergency",
    EntryType.RELEASE_REVOKED: "revocation",
    EntryType.POLICY_APPLIED: "policy",
    EntryType.POLICY_REVERTED: "policy",
    EntryType.SUMMARY_ATTACHED: "summary",
}


_VERBS: Mapping[str, str] = {
    EntryType.RELEASE_ADMITTED: "admitted",
    EntryType.RELEASE_PENDING: "waiting for its signature:",
    EntryType.RELEASE_REVOKED: "withdrew",
    EntryType.PROMOTION_OPENED: "asked for",
    EntryType.PROMOTION_CLOSED: "closed",
}


def _fact(known: Known, digest: str) -> Fact:
    entry = known.entry
    kind = next((found for type_, found in _KINDS.items() if type_ == entry.type), "other")
    agent, version = (short(entry.data.get(key)) for key in ("repository", "version"))
    text = summary(entry)
    for own in (f"{agent}:{version} {short(digest)}", f"{agent} {short(digest)}"):  # said once, above all of them
        text = text.replace(own, "this release")
    text = f"{_VERBS[entry.type]} {text}" if entry.type in _VERBS else text
    return Fact(kind, text, entry.at, str(entry.actor), entry.index, known.proven, entry.type, entry.id)


def _texts(known: Iterable[Known], keys: Sequence[str], digest: str) -> tuple[str, ...]:
    """Give what the entries whose own subject the digest is say under `keys`, each once."""
    found = [
        value
        for each in known
        if digest in (each.entry.data.get("digest"), each.entry.data.get("subject"))
        for key in keys
        if isinstance(value := each.entry.data.get(key), str)
    ]
    return tuple(dict.fromkeys(found))


def _stays(known: Sequence[Known], digest: str) -> Iterator[Stay]:
    """Read off the moves of channels when each began and ceased to serve the digest."""
    serving: dict[tuple[str, str], Known] = {}
    for each in known:
        data = each.entry.data
        if each.entry.type != EntryType.CHANNEL_MOVED:
            continue
        place = (str(data.get("repository")), str(data.get("channel")))
        begun = serving.get(place)
        if data.get("digest") == digest and begun is None:
            serving[place] = each
        elif data.get("digest") != digest and begun is not None:
            del serving[place]
            yield _stay(begun, each)
    for begun in serving.values():
        yield _stay(begun, None)


def _stay(begun: Known, ended: Known | None) -> Stay:
    data = begun.entry.data
    return Stay(
        channel=short(data.get("channel")),
        since=begun.entry.at,
        until=None if ended is None else ended.entry.at,
        how=short(data.get("how")),
        index=begun.entry.index,
        until_index=None if ended is None else ended.entry.index,
        proven=begun.proven and (ended is None or ended.proven),
    )
