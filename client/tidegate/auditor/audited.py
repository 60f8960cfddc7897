"""A log as an auditor holds it: its latest checkpoint, verified, and known to grow out of what was seen before.

What does not grow out of it is a fork or a truncated log. Then both checkpoints, with the proof that failed, are kept
as evidence: they are signed, so whoever signed both cannot deny it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tidegate.auditor.heads import Forked, described, judge_heads, judge_times
from tidegate.auditor.source import LogSource
from tidegate.auditor.state import LogState, LogStates, Seen, Verified, damaged
from tidegate.errors import LogRefused, NoteInvalid, TileInvalid
from tidegate.formats.jcs import JsonValue
from tidegate.formats.moment import moment_text
from tidegate.tlog.opened import OpenedCheckpoint, open_checkpoint
from tidegate.tlog.reader import TileReader
from tidegate.tlog.text import format_base64
from tidegate.verify.trust import LogTrust

CLOCK_SLACK = timedelta(minutes=5)  # a clock that is set by the network is right within seconds


@dataclass(frozen=True, slots=True)
class AuditedLog:
    """A log whose `head` is verified. `before`: what this auditor saw of it last, opened as `seen`; None at first."""

    source: LogSource
    trust: LogTrust
    head: OpenedCheckpoint
    before: Seen | None = None
    seen: OpenedCheckpoint | None = None

    def reader(self) -> TileReader:
        """Give a reader of proofs and entries that is authenticated by the head."""
        return TileReader(self.source.fetch, self.head.checkpoint)


def open_audited(source: LogSource, trust: LogTrust, states: LogStates, *, now: datetime) -> AuditedLog:
    """Fetch the latest checkpoint, verify it, hold it against the last one seen, and remember it.

    Raises what `open_checkpoint` and the source raise, and LogRefused: "log-fork", "log-truncated",
    "witness-clock-back" (each with evidence kept), "log-state-damaged", "log-state-foreign", "clock-set-back".
    """
    head = open_checkpoint(source.checkpoint(), trust.policy, now=now)
    with states.hold(trust.origin) as state:
        before = state.seen
        if before is None:
            audited = AuditedLog(source, trust, head)
        else:
            seen = _opened_before(state, before, trust)
            audited = AuditedLog(source, trust, head, before, seen)
            _check_clock(before, now)
            try:
                _check_growth(before, seen, audited, states, now)
            except TileInvalid:  # a lagging mirror, or a fork that hides what would prove it
                state.keep(replace(before, unproven=before.unproven or Seen(head.raw, now, source.name)))
                raise
        unproven = _still_unproven(state, audited, states, now)
        state.keep(Seen(head.raw, now, source.name, before.verified if before else None, unproven))
    return audited


def record_verified(audited: AuditedLog, states: LogStates) -> None:
    """Remember that every file of the log up to the audited head was verified."""
    checkpoint = audited.head.checkpoint
    with states.hold(checkpoint.origin) as state:
        if state.seen is not None and (state.seen.verified is None or state.seen.verified.size <= checkpoint.size):
            state.keep(replace(state.seen, verified=Verified(checkpoint.size, checkpoint.root)))


def _opened_before(state: LogState, before: Seen, trust: LogTrust) -> OpenedCheckpoint:
    """Verify the kept checkpoint by the log's key: which witnesses were needed then is not known."""
    try:
        return open_checkpoint(before.note, LogTrust(trust.key, trust.witnesses).policy)
    except NoteInvalid as error:
        raise LogRefused(
            f"the checkpoint seen last is not signed by the log's key: {state.path}",
            code="log-state-foreign",
            found=error.reasons[0].found,
            expected=trust.key,
            hint="if the log has a new key, ask its operator how the new log continues the old one, and only then "
            f"remove {state.path}",
        ) from error
    except LogRefused as error:
        raise damaged(state.path, error.message) from error


def _still_unproven(state: LogState, audited: AuditedLog, states: LogStates, now: datetime) -> Seen | None:
    """Hold the head against the checkpoint that could not be proven; give it while it is about a larger tree.

    Raises LogRefused (code "log-fork", with evidence kept), TileInvalid.
    """
    unproven = state.seen.unproven if state.seen else None
    if unproven is None:
        return None
    opened = _opened_before(state, unproven, audited.trust)
    if opened.checkpoint.size > audited.head.checkpoint.size:
        return unproven
    verdict = judge_heads(opened.checkpoint, audited.head.checkpoint, audited.source.fetch)
    if isinstance(verdict, Forked):
        keep = _Keeping(unproven, opened, audited, states, now)
        message = (
            f"{audited.source.name} does not continue a checkpoint that the log signed, and whose proof it withheld"
        )
        refused = keep.refused(message, verdict.proof, code="log-fork")
        state.keep(replace(audited.before or unproven, unproven=None))  # told once, as the log that was seen goes on
        raise refused
    return None


def _check_clock(before: Seen, now: datetime) -> None:
    if now < before.at - CLOCK_SLACK:
        raise LogRefused(
            "this machine's clock is before the time of the last audit",
            code="clock-set-back",
            found=moment_text(now),
            expected=f"{moment_text(before.at)} or later",
            hint="set the clock right, then look again",
        )


def _check_growth(before: Seen, seen: OpenedCheckpoint, audited: AuditedLog, states: LogStates, now: datetime) -> None:
    """Raise LogRefused, with evidence kept, unless the log only grew since `before`."""
    shown, name = audited.head, audited.source.name
    keep = _Keeping(before, seen, audited, states, now)
    try:
        verdict = judge_heads(seen.checkpoint, shown.checkpoint, audited.source.fetch)
    except TileInvalid:
        if shown.checkpoint.size >= seen.checkpoint.size:
            raise
        # the tiles of what was seen are gone, too
        raise keep.refused(f"{name} shows fewer entries than were seen before", code="log-truncated") from None
    if isinstance(verdict, Forked):
        raise keep.refused(f"{name} shows another log than the one seen before", verdict.proof, code="log-fork")
    if shown.checkpoint.size < seen.checkpoint.size:
        raise keep.refused(f"{name} shows fewer entries than were seen before", code="log-truncated")
    if late := judge_times(seen, shown):
        raise keep.refused(f"the clock of a witness went back: {late}", code="witness-clock-back")


@dataclass(frozen=True, slots=True)
class _Keeping:
    before: Seen
    seen: OpenedCheckpoint
    audited: AuditedLog
    states: LogStates
    now: datetime

    def refused(self, message: str, proof: Sequence[bytes] = (), *, code: str) -> LogRefused:
        """Keep both checkpoints as evidence, and make the error that says where."""
        shown, seen = self.audited.head, self.seen.checkpoint
        report: dict[str, JsonValue] = {
            "what": message,
            "code": code,
            "origin": shown.checkpoint.origin,
            "foundAt": moment_text(self.now),
            "seen": {"size": seen.size, "at": moment_text(self.before.at), "source": self.before.source},
            "shown": {"size": shown.checkpoint.size, "at": moment_text(self.now), "source": self.audited.source.name},
            "consistencyProofThatFailed": [format_base64(each) for each in proof],
        }
        hint = self.states.keep_evidence(
            shown.checkpoint.origin,
            code,
            {
                "seen.checkpoint": self.seen.raw,
                "shown.checkpoint": shown.raw,
                "report.json": f"{json.dumps(report, indent=2)}\n".encode(),
            },
            now=self.now,
        )
        return LogRefused(
            message,
            code=code,
            found=described(shown.checkpoint),
            expected=f"a log that begins with {described(seen)}",
            hint=hint,
        )
