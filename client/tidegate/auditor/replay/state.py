"""What the log alone says was so when a decision was made: policies in force, trust, evidence, what channels served.

Pure: entries in, in the order of the log. A decision is then compared with that, not with what its own record claims.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from tidegate.auditor.replay.history import FOLLOWED, Admitted, History, Standing, digest_of, text
from tidegate.digest import Digest
from tidegate.errors import Reason
from tidegate.formats.entry import Entry

ADMISSION, PROMOTION = "admission.decided", "promotion.decided"
DECISIONS: Final = frozenset({ADMISSION, PROMOTION})
FOLLOWS: Final = frozenset({"release.admitted", "channel.moved"})
POLICIES: Final = frozenset({"policy.applied", "policy.reverted"})
EVIDENCE, TRUST, REVOKED = "evidence.verified", "trust.changed", "release.revoked"
SUMMARY: Final = "vsa.attached"
READ: Final = frozenset({EVIDENCE, TRUST, REVOKED, SUMMARY}) | DECISIONS | FOLLOWS | FOLLOWED | POLICIES
COMPANY: Final = "_company"  # the name of the policy that every overlay adds to

SLACK: Final = timedelta(seconds=60)
"""How late the log may tell of trust, or of a no, after a change: a replica looks every second, and clocks differ."""

_END = re.compile(rb'"type":"([a-z0-9.-]+)","version":[0-9]+\}$')
_LONGEST_END = 128  # bytes: the longest name of a type, and a version


@dataclass(frozen=True, slots=True)
class Attached:
    """A bundle that the log says was verified, and when."""

    bundle: Digest
    predicate_type: str
    at: datetime


PolicyTexts = tuple[Digest, Digest | None]
"""The company-wide text and the namespace's, by digest."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the log says about one decision, up to it.

    `policies`: what may have been in force, by texts: one, but for decisions that hold no lock shortly after a change;
    none where no policy was. `trusts`: the same of descriptions of trust, which are told a moment late. `serving`: what
    the decision's channel served. `attached`, `baseline`: the evidence about the decided manifest and about what the
    channel served. `previous`: what may have been the agent's last release. `standing`: None of an admission.
    """

    policies: tuple[PolicyTexts, ...]
    trusts: tuple[Digest, ...]
    serving: Digest | None
    revoked: bool
    attached: tuple[Attached, ...]
    baseline: tuple[Attached, ...]
    previous: tuple[Admitted | None, ...] = ()
    standing: Standing | None = None


Change = tuple[str, ...]
"""What changes: of an agent a version and its manifest; or a channel, the version and manifest that it then serves, for
the request of which number, and what it served before."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A yes that nothing followed from yet. `decision`: its name in what follows. `record`: of it."""

    decision: str
    change: Change
    record: Digest


@dataclass(slots=True)
class LogState:
    """Follows a log. Memory: some 300 bytes for each piece of evidence, and what a History takes."""

    _policies: dict[str, Digest] = field(default_factory=dict)
    _replaced: dict[str, tuple[Digest | None, datetime]] = field(default_factory=dict)
    _trusts: tuple[tuple[Digest, datetime], ...] = ()
    _attached: dict[tuple[str, str], tuple[Attached, ...]] = field(default_factory=dict)
    _history: History = field(default_factory=History)
    _granted: dict[tuple[str, ...], Granted] = field(default_factory=dict)
    _allowed: dict[str, Change] = field(default_factory=dict)

    def context(self, entry: Entry) -> Context:
        """Give what was so when the decision `entry` was made. Call before `take`."""
        repository, digest, history = text(entry.data, "repository"), text(entry.data, "digest"), self._history
        promotion, allowed = entry.type == PROMOTION, entry.data.get("allowed") is True
        serving = history.serving(repository, text(entry.data, "channel")) if promotion else None
        last = () if promotion else history.previous(repository, entry.at - SLACK)
        return Context(
            policies=self._in_force(entry, repository.partition("/")[0]),
            trusts=self._trusted(entry.at),
            serving=serving,
            revoked=history.is_revoked(repository, digest_of(digest)),
            attached=self._attached.get((repository, digest), ()),
            baseline=() if serving is None else self._attached.get((repository, serving), ()),
            previous=last[:1] if allowed else last,  # a no is written without a lock
            standing=history.standing(entry) if promotion else None,
        )

    def take(self, entry: Entry) -> tuple[Reason, ...]:
        """Go past one entry, and say what is wrong with it after all that came before."""
        data = entry.data
        if entry.type == EVIDENCE:
            self._attach(entry)
        elif entry.type in POLICIES:
            name = text(data, "policy")
            self._replaced[name] = (self._policies.get(name), entry.at)
            self._policies[name] = digest_of(data.get("digest"))
        elif entry.type == TRUST:
            self._trusts = (*self._trusts[-1:], (digest_of(data.get("digest")), entry.at))
        elif entry.type == REVOKED:
            self._history.revoke(entry)
        elif entry.type in FOLLOWED:
            return self._history.take(entry)
        elif entry.type == SUMMARY:
            return self._summed_up(entry)
        elif entry.type in DECISIONS:
            self._decided(entry)
        elif entry.type in FOLLOWS:
            return self._followed(entry)
        return ()

    def _in_force(self, entry: Entry, namespace: str) -> tuple[PolicyTexts, ...]:
        now = (self._policies.get(COMPANY), self._policies.get(namespace))
        found = [now]
        if entry.type == ADMISSION and entry.data.get("allowed") is not True:  # a no is written without a lock
            found += [
                (before if name == COMPANY else now[0], before if name == namespace else now[1])
                for name in (COMPANY, namespace)
                for before, at in (self._replaced.get(name, (None, None)),)
                if at is not None and entry.at <= at + SLACK
            ]
        return tuple((company, overlay) for company, overlay in found if company is not None)

    def _trusted(self, at: datetime) -> tuple[Digest, ...]:
        *older, newest = self._trusts or ((None, at),)
        lately = newest[0] is not None and at <= newest[1] + SLACK
        return tuple(digest for digest, _ in (*(older if lately else ()), newest) if digest is not None)

    def _attach(self, entry: Entry) -> None:
        key = (text(entry.data, "repository"), text(entry.data, "subject"))
        found = Attached(digest_of(entry.data.get("bundle")), text(entry.data, "predicate_type"), entry.at)
        self._attached[key] = (*self._attached.get(key, ()), found)

    def _decided(self, entry: Entry) -> None:
        if entry.data.get("allowed") is not True:
            return
        data, record = entry.data, digest_of(entry.data.get("record"))
        repository, version, digest = text(data, "repository"), text(data, "version"), text(data, "digest")
        self._allowed[entry.id] = (repository, version, digest, text(data, "channel") or NOTHING)
        if entry.type == ADMISSION:
            self._granted[repository, "version", version] = Granted(entry.id, (repository, version, digest), record)
            return
        channel, opened = text(data, "channel"), self._history.opened(text(data, "promotion"))
        serves = self._history.serving(repository, channel) or NOTHING
        number = "no request" if opened is None else str(opened.sequence)
        change = (repository, channel, version, digest, number, serves)
        self._granted[repository, "channel", channel] = Granted(text(data, "decision"), change, record)

    def _followed(self, entry: Entry) -> tuple[Reason, ...]:
        """Y11: whatever moves follows the latest yes about the very same, and one yes moves once."""
        data, moved = entry.data, entry.type == "channel.moved"
        repository, version, digest = text(data, "repository"), text(data, "version"), text(data, "digest")
        channel, serves = text(data, "channel"), text(data, "previous") or NOTHING
        key = (repository, "channel", channel) if moved else (repository, "version", version)
        granted = self._granted.get(key)
        if granted is not None and granted.decision == data.get("decision"):
            self._granted.pop(key)
        else:
            granted = None
        if moved:
            self._history.move(entry)
            done: Change = (repository, channel, version, digest, str(data.get("sequence")), serves)
        else:
            done = (repository, version, digest)
            if granted is not None:
                admitted = Admitted(version, digest_of(digest), granted.record, entry.at)
                self._history.admit(repository, admitted)
        change = None if granted is None else granted.change
        return tuple(reason for step in CHANGE_STEPS for reason in step.check(change, done))

    def _summed_up(self, entry: Entry) -> tuple[Reason, ...]:
        """Y12: whatever is summed up for others was a yes about the very same."""
        data = entry.data
        found = (
            text(data, "repository"),
            text(data, "version"),
            text(data, "digest"),
            text(data, "channel") or NOTHING,
        )
        said = self._allowed.get(text(data, "decision"))
        if said == found:
            return ()
        return (
            Reason(
                "summary-without-decision",
                "a summary was signed of what no decision before it allowed",
                found=" ".join(found),
                expected="a yes" if said is None else " ".join(said),
                step="Y12",
            ),
        )


NOTHING: Final = "nothing"  # what a channel serves before its first release


def follows_from(granted: Change | None, done: Change) -> tuple[Reason, ...]:
    """Say what is wrong with a change: no yes before it, or one about something else."""
    if granted is None:
        return (
            Reason(
                "change-without-decision",
                "nothing before it in the log allowed this",
                found=" ".join(done),
                expected="an allowed decision, the latest about it, that was not used before",
                step="Y11",
            ),
        )
    if granted != done:
        return (
            Reason(
                "change-not-as-decided",
                "something else was allowed",
                found=" ".join(done),
                expected=" ".join(granted),
                step="Y11",
            ),
        )
    return ()


@dataclass(frozen=True, slots=True)
class ChangeStep:
    """One numbered check of a change against the decision that it names."""

    number: str
    title: str
    check: Callable[[Change | None, Change], tuple[Reason, ...]]


CHANGE_STEPS: Final = (ChangeStep("Y11", "whatever moves follows a yes about the very same", follows_from),)


def type_of(raw: bytes) -> str:
    """Give the type of an entry without reading it: canonical JSON ends with type and version. Empty if it does not."""
    match = _END.search(raw, max(0, len(raw) - _LONGEST_END))
    return match[1].decode("ascii") if match else ""
