"""Watching a log: round after round, what is to be told is delivered, and only then noted as told.

The log itself is the queue. While a receiver is down nothing is noted, so the same entries are read again; an alert
keeps its id, so that a receiver can tell that it has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from tidegate.auditor.alerts import Alert, alert_of_entry, alert_of_log
from tidegate.auditor.audited import AuditedLog
from tidegate.auditor.follow import FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS, Follower, Proven, position_at
from tidegate.auditor.position import Position, save_position
from tidegate.auditor.rules import Finding, Refusals, Rule, WatchRules, judge_age, judge_entry, judge_quiet
from tidegate.errors import (
    AccessDenied,
    InvalidInput,
    LimitExceeded,
    LogRefused,
    NotFound,
    TidegateError,
    Unauthenticated,
    Unreachable,
)
from tidegate.formats.jcs import JsonObject
from tidegate.formats.moment import any_moment, moment_text

MISSING_WITNESSES, MISSING_TILE = "witnesses-missing", "tile-missing"
ONCE_ATTEMPTS = 5
ENDS_IT = (LogRefused, NotFound, Unauthenticated, AccessDenied, LimitExceeded)  # what a log may do to who watches it

Deliver = Callable[[Alert], None]
"""Hands an alert over, or raises Unreachable."""


@dataclass(slots=True)
class Told:
    """What a watcher remembers besides its place, and what is being the matter.

    `newest`: the time of the newest entry, `cosigned`: of the latest cosignature; neither is ever ahead of our clock.
    """

    refusals: Refusals
    newest: datetime | None = None
    cosigned: datetime | None = None
    standing: dict[str, str] = field(default_factory=dict)  # rule -> since when

    def as_json(self) -> JsonObject:
        """Give what a later run goes on from."""
        return {
            "refusals": self.refusals.as_json(),
            "newest": None if self.newest is None else moment_text(self.newest),
            "cosigned": None if self.cosigned is None else moment_text(self.cosigned),
            "standing": dict(self.standing),
        }

    @classmethod
    def of(cls, rules: WatchRules, kept: JsonObject) -> Told:
        """Read what `as_json` gave."""
        refusals, standing = kept.get("refusals"), kept.get("standing")
        newest, cosigned = (
            any_moment(text) if isinstance(text := kept.get(name), str) else None for name in ("newest", "cosigned")
        )
        return cls(
            Refusals.of(rules.window, refusals if isinstance(refusals, dict) else {}),
            newest,
            cosigned,
            {rule: since for rule, since in standing.items() if isinstance(since, str)}
            if isinstance(standing, dict)
            else {},
        )


class Watcher:
    """Watches one log by `rules`, on from `place`. `resume`: the file that says how far; None remembers nothing."""

    def __init__(
        self,
        rules: WatchRules,
        follower: Follower,
        deliver: Deliver,
        *,
        place: Position,
        told: Told,
        resume: Path | None,
        clock: Callable[[], datetime],
    ) -> None:
        self._rules, self._follower, self._deliver, self._place = rules, follower, deliver, place
        self._told, self._resume, self._clock = told, resume, clock
        self.count = 0
        self._delivering = False  # still True where a delivery failed

    def round(self) -> bool:
        """Look once. What ends the watch is told before: the log is not what it must be, is gone, or is closed to us.

        Gives whether it could look: not while the log lacks its witnesses, which is told when it begins.
        Raises LogRefused, NotFound, Unauthenticated, AccessDenied, LimitExceeded; Unreachable, and what `deliver`
        raises; InvalidInput (code "log-bound") when the log ends before the entry to begin with.
        """
        return self._guarded(self._look)

    def begin_at_end(self) -> bool:
        """Take the log as it is now for known: only what comes later is told. Gives and raises what `round` does."""
        return self._guarded(self._skip)

    def _guarded(self, look: Callable[[], None]) -> bool:
        self._delivering = False
        try:
            look()
        except ENDS_IT as error:
            code = error.reasons[0].code
            if code == MISSING_WITNESSES:
                self._stand(Rule.WITNESSES_MISSING, Finding(Rule.WITNESSES_MISSING, _said(error)), None)
                return False
            if code == MISSING_TILE:  # a mirror's trouble: whoever runs the rounds bears with it for a while
                self._judge_silence()
            else:
                finding = Finding(Rule.LOG_REFUSED, _said(error))
                self._hand_over(alert_of_log(finding, self._place.origin, None, since=self._clock()))
            raise
        except Unreachable:
            if not self._delivering:
                self._judge_silence()
            raise
        return True

    def _look(self) -> None:
        audited = self._poll()
        if self._follower.next > audited.head.checkpoint.size:
            raise InvalidInput(
                "the log ends before that entry",
                code="log-bound",
                found=f"entry {self._follower.next}",
                expected=f"at most {audited.head.checkpoint.size}, the next one that the log will have",
            )
        self._tell_entries(audited)
        now = self._clock()
        self._stand(Rule.LOG_QUIET, judge_quiet(self._rules, self._told.newest, now), audited)
        self._stand(Rule.CHECKPOINT_OLD, judge_age(self._rules, self._told.cosigned, now), audited)

    def _poll(self) -> AuditedLog:
        audited = self._follower.poll()
        cosigned = max(audited.head.cosigned.values(), default=None)
        self._told.cosigned = None if cosigned is None else min(cosigned, self._clock())
        self._stand(Rule.WITNESSES_MISSING, None, audited)
        return audited

    def _skip(self) -> None:
        audited = self._poll()
        reader = audited.reader()
        self._follower.next = reader.size
        if reader.size:
            newest = Proven.read(reader.size - 1, reader.entry(reader.size - 1), audited).entry
            self._told.newest = min(newest.at, self._clock()) if newest else None
        self._save(position_at(audited, reader, reader.size))

    def _judge_silence(self) -> None:
        """Judge by what was seen last: a log that answers nobody has no new entry and no new cosignature to show."""
        now, told = self._clock(), self._told
        for rule, since, judge in (
            (Rule.LOG_QUIET, told.newest, judge_quiet),
            (Rule.CHECKPOINT_OLD, told.cosigned, judge_age),
        ):
            finding = None if since is None else judge(self._rules, since, now)
            if finding is not None:
                self._stand(rule, replace(finding, message=f"{finding.message}; it cannot be read now"), None)

    def _tell_entries(self, audited: AuditedLog) -> None:
        reader = audited.reader()
        for part in self._follower.unread(audited, reader):
            before = self._told.refusals.as_json()
            try:
                for proven in part:
                    for finding in self._findings(proven):
                        self._hand_over(alert_of_entry(finding, proven, proven.proof(reader), now=self._clock()))
            except BaseException:  # this part comes again: what it counted must not count twice
                self._told.refusals = Refusals.of(self._rules.window, before)
                raise
            self._save(position_at(audited, reader, part[-1].index + 1))

    def _findings(self, proven: Proven) -> Iterator[Finding]:
        if proven.entry is None:
            yield Finding(Rule.ENTRY_UNREADABLE, f"entry {proven.index}: {proven.problem}")
            return
        at = min(proven.entry.at, self._clock())  # an entry of the future must not make a log look busy until then
        self._told.newest = max(self._told.newest or at, at)
        yield from judge_entry(self._rules, self._told.refusals, proven.entry)

    def _stand(self, rule: Rule, finding: Finding | None, audited: AuditedLog | None) -> None:
        """Tell of a state of the log when it begins; forget it when it is over."""
        if (finding is None) == (rule not in self._told.standing):
            return
        if finding is None:
            del self._told.standing[rule]
        else:
            now = self._clock()
            self._hand_over(alert_of_log(finding, self._place.origin, audited.head.raw if audited else None, since=now))
            self._told.standing[rule] = moment_text(now)
        self._save(self._place)

    def _hand_over(self, alert: Alert) -> None:
        self._delivering = True
        self._deliver(alert)
        self._delivering = False
        self.count += 1

    def _save(self, position: Position) -> None:
        self._place = position
        if self._resume is not None:
            save_position(self._resume, replace(position, kept=self._told.as_json()))


def persistently(
    deliver: Deliver,
    *,
    sleep: Callable[[float], None],
    tell: Callable[[str, float], None],
    attempts: int | None = None,
) -> Deliver:
    """Make a delivery that tries again, after 1 s and then twice as long each time; for ever without `attempts`."""

    def again(alert: Alert) -> None:
        wait, made = FIRST_WAIT_SECONDS, 0
        while True:
            try:
                deliver(alert)
            except Unreachable as error:
                made += 1
                if made == attempts:
                    raise
                tell(f"{error.message}: {error.reasons[0].found}", wait)
                sleep(wait)
                wait = min(wait * 2, MAX_WAIT_SECONDS)
            else:
                return

    return again


def _said(error: TidegateError) -> str:
    reason = error.reasons[0]
    facts = (("found", reason.found), ("expected", reason.expected))
    return ", ".join((error.message, *(f"{name} {value}" for name, value in facts if value)))
