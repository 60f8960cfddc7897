"""How requests, requirements and channels are shown to a person: signs and words say everything, colour only helps."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tidegate.formats.predicates.approval import Action
from tidegate.policy.judge.matter import RULE
from tidegate.policy.verdict import Finding, State
from tidegate.remote.answers import clean_text
from tidegate.remote.promotion_values import RequestState

if TYPE_CHECKING:
    from tidegate.remote.promotion_values import ChannelState, Debt, Promotion

Paint = Callable[..., str]

SIGNS: dict[State, tuple[str, tuple[int, ...]]] = {
    State.MET: ("✓", (32,)),
    State.UNMET: ("✗", (1, 31)),
    State.INCONCLUSIVE: ("?", (1, 33)),
    State.WARNED: ("!", (33,)),
    State.EXCEPTED: ("~", (33,)),
    State.NOT_APPLICABLE: ("·", (2,)),
}
_QUIET = frozenset({State.MET, State.NOT_APPLICABLE})
_RULE = "the rule"
_FACTS = 6  # columns before `found` and the like
_LABEL = 10  # columns of `expected`, `who can` and the like, with the space after them
_MOST, _LEAST = 110, 50  # columns of a line: more is hard to read, and less is no terminal
_SHOWN_ID = 20  # columns of a requirement's id before the text moves to a line of its own


def width() -> int:
    """Give the columns to write in."""
    return max(_LEAST, min(shutil.get_terminal_size().columns, _MOST))


def checklist(findings: Iterable[Finding], paint: Paint) -> list[str]:
    """List findings in their order: one line for what passes, and all that is known of what does not.

    What the policy demands of every promotion and is met goes into one line, as it would hide the rest.
    """
    listed = list(findings)
    plain = [each for each in listed if each.kind == RULE and each.state in _QUIET]
    shown = [each for each in listed if each not in plain]
    met = ", ".join(each.id for each in plain if each.state is State.MET)
    names = [_RULE if met else "", *(each.id for each in shown)]
    longest = min(max(map(len, names)), _SHOWN_ID)
    lines = [line for finding in shown for line in _entry(finding, longest, paint)]
    return [*_signed(State.MET, _RULE, longest, met, paint), *lines] if met else lines


def _entry(finding: Finding, longest: int, paint: Paint) -> list[str]:
    lines = _signed(finding.state, finding.id, longest, f"{_said(finding.state)}{finding.message}", paint)
    if finding.state in _QUIET:
        return lines
    for label, text in _facts(finding):
        head, *rest = _wrapped(text, _FACTS + _LABEL)
        lines.append(f"{'':<{_FACTS}}{paint(f'{label:<{_LABEL}}', 2)}{head}")
        lines += [f"{'':<{_FACTS + _LABEL}}{line}" for line in rest]
    return lines


def _signed(state: State, name: str, longest: int, text: str, paint: Paint) -> list[str]:
    sign, codes = SIGNS[state]
    indent = longest + 6
    first, *more = _wrapped(text, indent)
    lines = [f"  {paint(sign, *codes)} {name:<{longest}}  {first}"]
    if len(name) > longest:
        lines = [f"  {paint(sign, *codes)} {name}", f"{'':<{indent}}{first}"]
    return [*lines, *(f"{'':<{indent}}{line}" for line in more)]


def _said(state: State) -> str:
    """Say a state that its sign alone might not tell."""
    return {State.INCONCLUSIVE: "not known: ", State.WARNED: "a warning for now: "}.get(state, "")


def _facts(finding: Finding) -> Iterable[tuple[str, str]]:
    pairs = (("found", finding.found), ("expected", finding.expected), ("who can", ", ".join(finding.who_can)))
    yield from ((label, text) for label, text in pairs if text)
    if finding.hint:
        yield "hint", finding.hint


def tally(findings: Sequence[Finding]) -> str:
    """Say in a few words how many requirements are still missing."""
    missing = sum(1 for finding in findings if not finding.state.passes)
    if not findings:
        return "not decided yet"
    return f"{missing} of {len(findings)} missing" if missing else "nothing missing"


def move(request: Promotion) -> str:
    """Say what a request wants."""
    if request.action is Action.ROLLBACK:
        return f"{request.channel} of {request.agent} back to {request.version}"
    return f"{request.agent} {request.version} → {request.channel}"


def heading(request: Promotion, paint: Paint, now: datetime) -> list[str]:
    """Say which request this is, and how far it is."""
    is_open = request.state is RequestState.OPEN
    said = f"open, {tally(request.findings)}" if is_open else request.state.value
    asked = f"asked by {request.requester}, {ago(now - request.opened_at)} ago"
    lines = [
        paint(move(request), 1),
        f"  request   {request.id}  ({said})",
        f"  sequence  {request.sequence}, {asked}",
    ]
    if request.reason:
        lines += _hanging("  reason    ", request.reason)
    if request.outcome:
        lines += _hanging("  outcome   ", request.outcome)
    return lines


def board(channels: Sequence[ChannelState], requests: Sequence[Promotion], paint: Paint, now: datetime) -> list[str]:
    """Show agents against channels, left to right, then each open request with what it lacks and who can supply it."""
    lines = _table(channels, requests, paint, now)
    for request in requests:
        lines += ["", *heading(request, paint, now), *checklist(request.missing, paint)]
    debts = {debt.id: debt for channel in channels for debt in channel.debts}
    if debts:
        lines += ["", paint("break-glass, to be reviewed by somebody else", 1, 33)]
        lines += [line for debt in debts.values() for line in debt_lines(debt, now)]
    return lines


def channel_lines(channel: ChannelState, paint: Paint, now: datetime) -> list[str]:
    """Tell all of one channel."""
    serving = channel.serving
    if serving is None:
        lines = [f"{paint(channel.name, 1)}  serves nothing yet"]
    else:
        since = f"since {when(serving.since, now)}, by promotion {serving.sequence}"
        lines = [f"{paint(channel.name, 1)}  {serving.version}", f"  digest  {serving.digest}", f"  {since}"]
        if serving.revoked:
            lines += _hanging(f"  {paint('revoked', 1, 31)} ", serving.revoked)
    if channel.sequence and (serving is None or channel.sequence != serving.sequence):
        lines.append(f"  last asked for: promotion {channel.sequence}")
    for hold in channel.holds:
        lines += _hanging(
            f"  {paint('hold', 1, 33)}    ", f"{hold.version}, by {hold.by}: {hold.reason or 'no reason'}"
        )
    debts = [debt for debt in channel.debts if debt.channel == channel.name]  # each channel lists those of the agent
    if debts:
        lines.append(paint("  break-glass, to be reviewed by somebody else:", 1, 33))
    lines += [line for debt in debts for line in debt_lines(debt, now)]
    return lines


def debt_lines(debt: Debt, now: datetime) -> list[str]:
    """Tell of a use of break-glass."""
    due = "" if debt.due is None else f", due {when(debt.due, now)}"
    head = f"  {debt.id}  {debt.agent} {debt.channel} by {debt.by}{due}"
    return [head, *(_hanging("    ", debt.reason) if debt.reason else [])]


def _table(channels: Sequence[ChannelState], requests: Sequence[Promotion], paint: Paint, now: datetime) -> list[str]:
    if not channels:
        return ["no agent has a channel yet"]
    agents = list(dict.fromkeys(each.agent for each in channels))
    names = list(dict.fromkeys(each.name for each in channels))
    known = {(each.agent, each.name): each for each in channels}
    asked = {(each.agent, each.channel): each for each in requests}
    rows: list[list[str]] = [["AGENT", *(name.upper() for name in names)]]
    for agent in agents:
        cells = [_cell(known.get((agent, name)), asked.get((agent, name)), now) for name in names]
        height = max(map(len, cells))
        rows += [
            [agent if line == 0 else "", *(cell[line] if line < len(cell) else "" for cell in cells)]
            for line in range(height)
        ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(size) for cell, size in zip(row, widths, strict=True)).rstrip() for row in rows]
    return [paint(lines[0], 1), *lines[1:]]


def _cell(channel: ChannelState | None, request: Promotion | None, now: datetime) -> list[str]:
    """Give the lines of one cell: the release, since when, what holds it, what is asked for."""
    if channel is None or channel.serving is None:
        lines = ["-"]
    else:
        revoked = ["revoked"] if channel.serving.revoked else []
        lines = [channel.serving.version, *revoked, ago(now - channel.serving.since)]
        lines += [f"hold {hold.version}" for hold in channel.holds]
    if request is not None:
        lines.append(f"← {request.version}?")
    return lines


def ago(span: timedelta) -> str:
    """Write a span as people say it: its greatest unit."""
    seconds = int(span.total_seconds())
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{max(seconds, 0)} s"


def when(moment: datetime, now: datetime) -> str:
    """Write a time with how far it is away."""
    away = f"in {ago(moment - now)}" if moment >= now else f"{ago(now - moment)} ago"
    return f"{moment:%Y-%m-%d %H:%M} UTC ({away})"


def _wrapped(text: str, indent: int) -> list[str]:
    """Break `text` to fit behind `indent` columns; a word that is too long, such as a digest, is not broken.

    What could steer the terminal is taken out: texts of policies, evidence and registries come from strangers.
    """
    room = max(width() - indent, _LEAST // 2)
    return [
        line
        for part in clean_text(text).splitlines() or [""]
        for line in textwrap.wrap(part, room, break_long_words=False, break_on_hyphens=False) or [""]
    ]


def _hanging(label: str, text: str) -> list[str]:
    first, *more = _wrapped(text, len(label))
    return [f"{label}{first}", *(f"{'':<{len(label)}}{line}" for line in more)]
