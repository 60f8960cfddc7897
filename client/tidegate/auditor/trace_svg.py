"""A trace as a picture: what happened from top to bottom, beside it what each channel served. Plain SVG 1.1.

The picture may be opened in a browser, and its texts come from strangers: there is no script, no link, no style sheet
and no reference to anything outside, and every text is escaped.
"""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from tidegate.auditor.trace import Fact, Stay, Trace
from tidegate.auditor.trace_text import doubt, standing
from tidegate.formats.paths import printable

WIDTH = 1040
MAX_ROWS = 80
MAX_LANES = 6
_ROW, _LANE, _MARGIN = 44, 76, 28
_FONT = "system-ui, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif"
_MONO = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
_INK, _FAINT, _RULE, _PAPER = "#1c2430", "#5b6676", "#dfe4ea", "#ffffff"
_GREEN, _RED, _GREY = "#1a7f4b", "#b3261e", "#5b6676"
_LANES = ("#2b6cb0", "#2f855a", "#b7791f", "#6b46c1", "#c05621", "#0e7490")
_DOTS = {
    "release": "#1c2430",
    "evidence": "#2f855a",
    "approval": "#6b46c1",
    "decision": "#2b6cb0",
    "channel": "#0e7490",
    "emergency": "#c2410c",
    "revocation": _RED,
    "policy": "#b7791f",
    "summary": "#5b6676",
}
_WORDS = {"emergency": "break-glass"}
_PER_CHARACTER = {12: 6.9, 13: 7.5, 26: 17.0}  # pixels, in the widest of the fonts above


def svg(trace: Trace) -> str:
    """Draw `trace`. The same trace gives the same bytes."""
    drawn = [fact for fact in trace.facts if fact.kind != "other"]  # bytes that were pushed, and what nobody knows
    rows = drawn[:MAX_ROWS]
    lanes = tuple(dict.fromkeys(stay.channel for stay in trace.stays))[:MAX_LANES]
    head = 118 + 20 * len(trace.built[:3])
    top = head + (46 if lanes else 30)
    bottom = top + _ROW * len(rows)
    cut = len(trace.facts) - len(rows)
    foot = textwrap.wrap(printable(standing(trace)), int((WIDTH - 2 * _MARGIN) / _PER_CHARACTER[12]))
    height = bottom + (26 if cut else 0) + 40 + 18 * len(foot)
    body = [
        f'<rect width="{WIDTH}" height="{height}" fill="{_PAPER}"/>',
        *_head(trace),
        _rule(head),
        *_lanes(trace, rows, lanes, head, top),
        *_rows(rows, _MARGIN + _LANE * len(lanes), top),
    ]
    if cut:
        body.append(
            _text(_MARGIN, bottom + 18, f"… and {cut} more entries, in the text and the JSON", size=12, fill=_FAINT)
        )
    end = height - 18 * len(foot) - 26
    body.append(_rule(end))
    body += [_text(_MARGIN, end + 24 + 18 * row, line, size=12, fill=_FAINT) for row, line in enumerate(foot)]
    title = html.escape(printable(f"{_name(trace)} {trace.digest}"))
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"',
            f'role="img" font-family="{_FONT}">',
            f"<title>{title}</title>",
            *body,
            "</svg>",
        )
    )


def _head(trace: Trace) -> Iterator[str]:
    yield _text(_MARGIN, 48, _fit(_name(trace), 26, WIDTH - 360), size=26, weight=700)
    words, fill = _state(trace)
    width = 26 + 8 * len(words)
    left = WIDTH - _MARGIN - width
    yield f'<rect x="{left}" y="26" width="{width}" height="28" rx="14" fill="{fill}"/>'
    yield _text(left + width // 2, 45, words, size=13, weight=600, fill=_PAPER, anchor="middle")
    yield _text(_MARGIN, 78, str(trace.digest), size=13, family=_MONO, fill=_FAINT)
    for number, built in enumerate(trace.built[:3]):
        place = "" if built.index is None else f"  #{built.index}"
        said = f"built from {built.repository} at {built.commit[:12]} ({built.ref}) by {built.builder}{place}"
        shown = f"{_fit(said, 13, WIDTH - 3 * _MARGIN)}{doubt(built.proven)}"  # the mark is never cut off
        yield _text(_MARGIN, 106 + 20 * number, shown, size=13)


def _state(trace: Trace) -> tuple[str, str]:
    if trace.revoked is not None:
        return f"revoked {trace.revoked.at:%Y-%m-%d}{doubt(trace.is_state_proven)}", _RED
    words, fill = (
        (f"served by {', '.join(trace.serving)}", _GREEN) if trace.serving else ("served by no channel", _GREY)
    )
    return f"{_fit(words, 13, 320)}{doubt(trace.is_state_proven)}", fill


def _lanes(trace: Trace, rows: Sequence[Fact], lanes: Sequence[str], head: int, top: int) -> Iterator[str]:
    """Draw each channel as a lane, and in it a bar for each stay, from the row of one move to that of the next."""
    for number, channel in enumerate(lanes):
        x, colour = _MARGIN + _LANE * number + 12, _LANES[number]
        yield _text(x, head + 26, _fit(channel, 12, _LANE - 8), size=12, weight=600, fill=colour)
        yield (
            f'<line x1="{x + 7}" y1="{top}" x2="{x + 7}" y2="{top + _ROW * len(rows)}" stroke="{_RULE}" '
            'stroke-width="2"/>'
        )
        for stay in trace.stays:
            if stay.channel == channel:
                yield _bar(stay, rows, x, top, colour)


def _bar(stay: Stay, rows: Sequence[Fact], x: int, top: int, colour: str) -> str:
    begins = _row_of(rows, stay.index, stay.since)
    ends = len(rows) if stay.until is None else _row_of(rows, stay.until_index, stay.until)
    y = top + _ROW * begins + 10
    length = max(top + _ROW * ends + (0 if stay.until is None else 10) - y, 12)
    outline = "" if stay.proven else f' fill-opacity="0.25" stroke="{colour}" stroke-dasharray="3 3"'
    return f'<rect x="{x}" y="{y}" width="14" height="{length}" rx="7" fill="{colour}"{outline}/>'


def _row_of(rows: Sequence[Fact], index: int | None, at: datetime) -> int:
    """Find the row of a move: by its index, or by its time where it has none."""
    by_index = next((place for place, fact in enumerate(rows) if index is not None and fact.index == index), None)
    if by_index is not None:
        return by_index
    return next((place for place, fact in enumerate(rows) if fact.at >= at), len(rows))


def _rows(rows: Sequence[Fact], left: int, top: int) -> Iterator[str]:
    line = left + 20
    if len(rows) > 1:
        last = top + _ROW * (len(rows) - 1) + 16
        yield f'<line x1="{line}" y1="{top + 16}" x2="{line}" y2="{last}" stroke="{_RULE}" stroke-width="2"/>'
    room = WIDTH - _MARGIN - (line + 22)
    for number, fact in enumerate(rows):
        y, colour = top + _ROW * number + 16, _DOTS[fact.kind]
        fill = colour if fact.proven else _PAPER
        yield f'<circle cx="{line}" cy="{y}" r="6" fill="{fill}" stroke="{colour}" stroke-width="2"/>'
        kind = _WORDS.get(fact.kind, fact.kind)
        yield _text(line + 22, y + 4, kind, size=12, weight=600, fill=colour)
        yield _text(line + 122, y + 4, _fit(fact.text, 13, room - 100), size=13)
        place = "not in the log yet" if fact.index is None else f"#{fact.index}"
        proof = "" if fact.proven else "  ·  not proven"
        under = f"{place}{proof}  ·  {fact.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC  ·  {fact.who}"
        yield _text(line + 122, y + 21, _fit(under, 12, room - 100), size=12, fill=_FAINT)


def _name(trace: Trace) -> str:
    return "  ".join((*trace.agents[:1], *trace.versions[:1])) or "a release"


def _fit(text: str, size: int, room: int = WIDTH - 2 * _MARGIN) -> str:
    shown = printable(text)
    most = int(room / _PER_CHARACTER[size])
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _rule(y: int) -> str:
    return f'<line x1="{_MARGIN}" y1="{y}" x2="{WIDTH - _MARGIN}" y2="{y}" stroke="{_RULE}"/>'


def _text(
    x: int,
    y: int,
    text: str,
    *,
    size: int,
    weight: int = 400,
    fill: str = _INK,
    anchor: str = "start",
    family: str | None = None,
) -> str:
    font = f' font-family="{family}"' if family else ""
    shown = html.escape(printable(text))
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" font-weight="{weight}" fill="{fill}" text-anchor="{anchor}"{font}>'
        f"{shown}</text>"
    )
