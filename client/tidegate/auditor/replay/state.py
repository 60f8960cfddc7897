"""What the log alone says was so when a decision was made: policies in force, trust, evidence, what channels served.

Pure: entries in, in the order of the log. A decision is then compared with that, not with what its own record claims.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from tidegate.digest import Digest
from tidegate.errors import DigestInvalid, Reason
from tidegate.formats.entry import Entry
from tidegate.formats.jcs import JsonObject, JsonValue

ADMISSION, PROMOTION = "admission.decided", "promotion.decided"
DECISIONS: Final = frozenset({ADMISSION, PROMOTION})
FOLLOWS: Final = frozenset({"release.admitted", "channel.moved"})
POLICIES: Final = frozenset({"policy.applied", "policy.reverted"})
EVIDENCE, TRUST, REVOKED = "evidence.verified", "trust.changed", "release.revoked"
READ: Final = frozenset({EVIDENCE, TRUST, REVOKED}) | DECISIONS | FOLLOWS | POLICIES
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
    channel served.
    """

    policies: tuple[PolicyTexts, ...]
    trusts: tuple[Digest, ...]
    serving: Digest | None
    revoked: bool
    attached: tuple[Attached, ...]
    baseline: tuple[Attached, ...]


Change = tuple[str, str, str]
"""An agent, the version or channel of it that changes, and the digest that it then names."""


@dataclass(slots=True)
class LogState:
    """Follows a log. Memory: some 300 bytes for each piece of evidence, and little else."""

    _policies: dict[str, Digest] = field(default_factory=dict)
    _replaced: dict[str, tuple[Digest | None, datetime]] = field(default_factory=dict)
    _trusts: tuple[tuple[Digest, datetime], ...] = ()
    _attached: dict[tuple[str, str], tuple[Attached, ...]] = field(default_factory=dict)
    _serving: dict[tuple[str, str], Digest] = field(default_factory=dict)
    _revoked: set[tuple[str, str]] = field(default_factory=set)
    _granted: dict[str, Change] = field(default_factory=dict)

    def context(self, entry: Entry) -> Context:
        """Give what was so when the decision `entry` was made. Call before `take`."""
        repository, digest = _text(entry.data, "repository"), _text(entry.data, "digest")
        serving = self._serving.get((repository, _text(entry.data, "channel")))
        return Context(
            policies=self._in_force(entry, repository.partition("/")[0]),
            trusts=self._trusted(entry.at),
            serving=serving,
            revoked=(repository, digest) in self._revoked,
            attached=self._attached.get((repository, digest), ()),
            baseline=() if serving is None else self._attached.get((repository, serving), ()),
        )

    def take(self, entry: Entry) -> tuple[Reason, ...]:
        """Go past one entry, and say what is wrong with it after all that came before."""
        data = entry.data
        if entry.type == EVIDENCE:
            self._attach(entry)
        elif entry.type in POLICIES:
            name = _text(data, "policy")
            self._replaced[name] = (self._policies.get(name), entry.at)
            self._policies[name] = _digest(data.get("digest"))
        elif entry.type == TRUST:
            self._trusts = (*self._trusts[-1:], (_digest(data.get("digest")), entry.at))
        elif entry.type == REVOKED:
            self._revoked.add((_text(data, "repository"), _text(data, "digest")))
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
        key = (_text(entry.data, "repository"), _text(entry.data, "subject"))
        found = Attached(_digest(entry.data.get("bundle")), _text(entry.data, "predicate_type"), entry.at)
        self._attached[key] = (*self._attached.get(key, ()), found)

    def _decided(self, entry: Entry) -> None:
        if entry.data.get("allowed") is True:
            name = _text(entry.data, "decision") if entry.type == PROMOTION else entry.id
            what = "channel" if entry.type == PROMOTION else "version"
            self._granted[name] = (
                _text(entry.data, "repository"),
                _text(entry.data, what),
                _text(entry.data, "digest"),
            )

    def _followed(self, entry: Entry) -> tuple[Reason, ...]:
        """Y11: whatever moves follows a yes about the very same, and one yes moves once."""
        moved = entry.type == "channel.moved"
        repository, digest = _text(entry.data, "repository"), _text(entry.data, "digest")
        what = _text(entry.data, "channel" if moved else "version")
        if moved:
            self._serving[repository, what] = _digest(digest)
        decision = entry.data.get("decision")
        granted = self._granted.pop(decision, None) if isinstance(decision, str) else None
        done = (repository, what, digest)
        return tuple(reason for step in CHANGE_STEPS for reason in step.check(granted, done))


def follows_from(granted: Change | None, done: Change) -> tuple[Reason, ...]:
    """Say what is wrong with a change: no yes before it, or one about something else."""
    if granted is None:
        return (
            Reason(
                "change-without-decision",
                "nothing before it in the log allowed this",
                found=" ".join(done),
                expected="an allowed decision that was not used before",
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


def _text(data: JsonObject, name: str) -> str:
    value = data.get(name)
    return value if isinstance(value, str) else ""


def _digest(value: JsonValue) -> Digest:
    """Read a digest; one that is none becomes the digest of nothing, which no record names."""
    try:
        return Digest.parse(value if isinstance(value, str) else "")
    except DigestInvalid:
        return Digest.of(b"")
