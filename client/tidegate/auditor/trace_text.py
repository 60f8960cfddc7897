"""A trace as lines for people and as a Mermaid diagram. What could steer a terminal is written as escapes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tidegate.auditor.trace import HEADINGS, MAX_ENTRIES, Fact, Stay, Trace
from tidegate.formats.paths import printable

MAX_SHOWN = 40  # facts below one heading; `--json` has them all
_UNFIT = re.compile(r"[^A-Za-z0-9 .,:/@+=()_-]")  # what Mermaid reads as syntax, or a browser as markup, is left out
MAX_LABEL = 90  # characters of a box in a diagram


def trace_lines(trace: Trace) -> Iterator[str]:
    """Write a trace. Each entry begins with its index in the log; `?` says of a line that it is the registry's word."""
    return map(printable, _lines(trace))


def _lines(trace: Trace) -> Iterator[str]:
    agents, versions = (", ".join(named) for named in (trace.agents, trace.versions))
    yield f"{agents or 'unknown'}  {versions}".rstrip()
    yield f"  digest     {trace.digest}"
    for built in trace.built:
        yield f"  source     {built.repository} {built.ref}{doubt(built.proven)}"
        yield f"  commit     {built.commit}{doubt(built.proven)}"
        yield f"  builder    {built.builder}{doubt(built.proven)}"
    yield f"  state      {_state(trace)}{doubt(trace.is_state_proven)}"
    for stay in trace.stays:
        yield f"  {stay.channel:<9}  {_span(stay)}{doubt(stay.proven)}"
    for kind, heading in HEADINGS.items():
        facts = trace.of_kind(kind)
        if facts:
            yield ""
            yield heading
            yield from (_line(fact) for fact in facts[:MAX_SHOWN])
        if len(facts) > MAX_SHOWN:
            yield f"          … and {len(facts) - MAX_SHOWN} more: --json has them"
    yield ""
    yield standing(trace)


def doubt(proven: bool) -> str:  # noqa: FBT001 - of what stands before it
    """Mark what is the registry's word only."""
    return "" if proven else "  ?"


def standing(trace: Trace) -> str:
    """Say how far all of it is known."""
    proven = len(trace.facts) - trace.told
    if trace.cut:
        return (
            f"{proven} of {len(trace.facts)} entries proven in {trace.origin or 'no log'}; there are more than "
            f"{MAX_ENTRIES} about it: of the rest only admissions, moves, break-glass and revocations are here"
        )
    if trace.size is None:
        return "nothing here is proven: it is the registry's word, as this host's trust file names no key of its log"
    told = f"; {trace.told} marked ? are the registry's word" if trace.told else ""
    whole = (
        "the whole log was read, so nothing is missing"
        if trace.complete
        else "that nothing is missing is the registry's word (--complete reads the whole log)"
    )
    return f"{proven} of {len(trace.facts)} entries proven in {trace.origin} of {trace.size} entries{told}; {whole}"


def mermaid(trace: Trace) -> str:
    """Draw a trace as a Mermaid flowchart, for pages that show such."""
    lines = ["flowchart LR", f'  release["{_label(_name(trace))}<br/>{trace.digest[:19]}"]']
    for number, built in enumerate(trace.built):
        where = f"{built.repository} {built.commit[:12]}"
        lines += [f'  built{number}["source<br/>{_label(where)}{doubt(built.proven)}"]', f"  built{number} --> release"]
    for kind, shape in (("evidence", "([{}])"), ("approval", "([{}])")):
        for number, fact in enumerate(trace.of_kind(kind)[:MAX_SHOWN]):
            text = f'"{kind}{_place(fact)}<br/>{_label(fact.text)}"'
            lines += [f"  {kind}{number}{shape.format(text)}", f"  {kind}{number} --> release"]
    for number, stay in enumerate(trace.stays):
        text = f"{_label(stay.channel)}<br/>{stay.since:%Y-%m-%d %H:%M} to {_until(stay)}"
        place = "" if stay.index is None else f" #35;{stay.index}"
        lines += [f'  stay{number}["{text}{place}{doubt(stay.proven)}"]', f"  release --> stay{number}"]
    if trace.revoked is not None:
        lines += [f'  revoked{{{{"revoked{_place(trace.revoked)}"}}}}', "  release --> revoked"]
    return "\n".join(lines)


def _name(trace: Trace) -> str:
    return " ".join((*trace.agents[:1], *trace.versions[:1])) or "release"


def _label(text: str) -> str:
    cleaned = _UNFIT.sub(" ", text)
    return cleaned if len(cleaned) <= MAX_LABEL else f"{cleaned[:MAX_LABEL]}..."


def _place(fact: Fact) -> str:
    place = "" if fact.index is None else f" #35;{fact.index}"  # a bare # begins an entity in Mermaid
    return f"{place}{doubt(fact.proven)}"


def _line(fact: Fact) -> str:
    place = "-" if fact.index is None else str(fact.index)
    mark = " " if fact.proven else "?"
    return f"{place:>8} {mark} {fact.at:%Y-%m-%d %H:%M:%S}  {fact.text}  ({fact.who})"


def _state(trace: Trace) -> str:
    if trace.revoked is not None:
        return f"revoked {trace.revoked.at:%Y-%m-%d %H:%M} UTC"
    return f"served by {', '.join(trace.serving)}" if trace.serving else "served by no channel"


def _span(stay: Stay) -> str:
    places = "-".join("" if each is None else str(each) for each in (stay.index, stay.until_index))
    return f"{stay.since:%Y-%m-%d %H:%M} to {_until(stay)}, by {stay.how} [{places}]"


def _until(stay: Stay) -> str:
    return "now" if stay.until is None else f"{stay.until:%Y-%m-%d %H:%M}"
