"""Several checkpoints of one log, of several places and times: is there one tree that all of them are beginnings of?

Two auditors who were shown two logs find it out here: they give each other what they saw (tidegate keeps it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tidegate.auditor.heads import Consistent, Forked, described, judge_heads
from tidegate.auditor.source import LogSource
from tidegate.auditor.state import MAX_STATE_BYTES, LogStates, parse_state
from tidegate.errors import InvalidInput, JsonInvalid, LogRefused, TileInvalid
from tidegate.formats.moment import moment_text
from tidegate.tlog.opened import OpenedCheckpoint, open_checkpoint
from tidegate.verify.trust import LogTrust


@dataclass(frozen=True, slots=True)
class Shown:
    """A verified checkpoint and who showed it. `source`: where the log's tiles are; None for a file that was kept."""

    name: str
    head: OpenedCheckpoint
    source: LogSource | None = None


@dataclass(frozen=True, slots=True)
class Compared:
    """Checkpoints by size. `verdicts`: for each, whether the `largest` one begins with it."""

    shown: Sequence[Shown]
    verdicts: Sequence[Consistent | Forked]

    @property
    def largest(self) -> Shown:
        """The one that the others are compared with."""
        return self.shown[-1]

    @property
    def forked(self) -> Sequence[Shown]:
        """Those that the largest one does not begin with."""
        return [each for each, verdict in zip(self.shown, self.verdicts, strict=True) if not verdict]


def load_shown(path: Path, trust: LogTrust) -> Shown:
    """Read a checkpoint that was kept: the note itself, or an auditor's state. Raises InvalidInput, LogRefused.

    Witnesses are not asked for: whoever kept it did so to show what the log signed.
    """
    with path.open("rb") as file:
        raw = file.read(MAX_STATE_BYTES + 1)
    name = str(path)
    if raw.startswith(b"{"):
        try:
            seen = parse_state(raw)
        except (JsonInvalid, ValueError) as error:
            raise InvalidInput(
                f"{path} holds no checkpoint",
                found=str(error)[:200],
                expected="a checkpoint, or a state of `tidegate log`",
            ) from error
        raw, name = seen.note, f"{path}, seen at {seen.source} on {moment_text(seen.at)}"
    return Shown(name, open_checkpoint(raw, LogTrust(trust.key, trust.witnesses).policy))


def fetch_shown(source: LogSource, trust: LogTrust, *, now: datetime) -> Shown:
    """Fetch and verify the checkpoint that a source shows now. Raises NotFound, Unreachable, LogRefused."""
    return Shown(source.name, open_checkpoint(source.checkpoint(), trust.policy, now=now), source)


def compare_shown(shown: Sequence[Shown]) -> Compared:
    """Compare each with the largest one: beginnings of one tree are consistent with one another, too.

    Raises InvalidInput (code "log-tiles-missing") where no source has the tiles that it takes, TileInvalid.
    """
    ordered = sorted(shown, key=lambda each: each.head.checkpoint.size)
    largest = ordered[-1]
    # who shows the largest tree has its tiles; the others may by now
    sources = [each.source for each in (largest, *reversed(ordered)) if each.source is not None]
    return Compared(ordered, [_judged(each, largest, sources) for each in ordered])


def _judged(shown: Shown, largest: Shown, sources: Sequence[LogSource]) -> Consistent | Forked:
    one, other = shown.head.checkpoint, largest.head.checkpoint
    if one.size in (0, other.size):
        return judge_heads(one, other, lambda _: None)
    failed: TileInvalid | None = None
    for source in sources:
        try:
            return judge_heads(one, other, source.fetch)
        except TileInvalid as error:
            failed = failed or error
    if failed is not None:
        raise failed
    raise InvalidInput(
        "checkpoints of several sizes can be compared only with the log's tiles",
        code="log-tiles-missing",
        found=", ".join(f"{each.name}: {each.head.checkpoint.size}" for each in (shown, largest)),
        hint="name a URL or folder of the log as well",
    )


def refuse_split_view(compared: Compared, states: LogStates, *, now: datetime) -> None:
    """Raise LogRefused (code "log-split-view"), with every checkpoint kept as evidence, unless all are of one tree."""
    if not compared.forked:
        return
    files = {f"{number}.checkpoint": each.head.raw for number, each in enumerate(compared.shown, 1)}
    files["sources.txt"] = "".join(
        f"{number}.checkpoint\t{each.name}\t{described(each.head.checkpoint)}\n"
        for number, each in enumerate(compared.shown, 1)
    ).encode()
    hint = states.keep_evidence(compared.largest.head.checkpoint.origin, "log-split-view", files, now=now)
    raise LogRefused(
        "the log showed different histories: a split view",
        code="log-split-view",
        found="; ".join(f"{each.name}: {described(each.head.checkpoint)}" for each in compared.forked),
        expected=f"beginnings of what {compared.largest.name} shows: {described(compared.largest.head.checkpoint)}",
        hint=hint,
    )
