"""Whoever may write a reason into the log attacks whoever reads it: terminal escapes, hidden text, markup, scripts."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from tests.client.auditor.made import DIGEST, RELEASE, make_entry
from tidegate.auditor.lines import line
from tidegate.auditor.trace import Built, Known, Trace, make_trace
from tidegate.auditor.trace_svg import svg
from tidegate.auditor.trace_text import mermaid, trace_lines
from tidegate.digest import Digest
from tidegate.formats.entry import EntryType

HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J\x1b[1;1H",
    "\x9b31mred\x9c",
    "first\r\n2026-11-03 09:00:00        0  release.admitted  forged line",
    "safe\u202egnp.exe\u202c",
    "hidden\u200b\U000e0041",
    '"></text><script>alert(1)</script><text x="',
    "<![CDATA[ </svg><script xlink:href='https://evil.example/x.js'/>",
    "&lt;b&gt; &#x41; &amp;",
    '"]; click release "javascript:alert(1)"; x["',
    "`~~~{=html}",
)
UNSEEN = {*map(chr, (*range(0x20), *range(0x7F, 0xA0))), "\u202e", "\u202c", "\u200b", "\U000e0041"}


def hostile_trace(text: str) -> Trace:
    everywhere = {**RELEASE, "version": text, "channel": text, "reason": text, "how": text, "policy": text, text: text}
    known = [
        Known(make_entry(type_, dict(everywhere), index=index, name=text), proven=True)
        for index, type_ in enumerate((*EntryType, "future.type"))
    ]
    return make_trace(Digest(DIGEST), known, (Built(text, text, text, text, 0, proven=True),), origin=text, size=3)


@pytest.mark.parametrize("text", HOSTILE)
def test_no_line_of_a_log_or_a_trace_holds_what_a_terminal_obeys_or_hides(text: str) -> None:
    entries = (make_entry(type_, {**RELEASE, "reason": text, text: text}, name=text) for type_ in EntryType)
    for written in (*map(line, entries), *trace_lines(hostile_trace(text))):
        assert not UNSEEN & set(written)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_picture_is_well_formed_and_holds_nothing_but_shapes_and_text(text: str) -> None:
    picture = svg(hostile_trace(text))
    root = ET.fromstring(picture)  # noqa: S314 - our own picture
    for element in root.iter():
        assert element.tag.rpartition("}")[2] in {"svg", "title", "rect", "line", "circle", "text"}
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            assert "href" not in name
            assert "url(" not in value
    assert not (UNSEEN - {"\n"}) & set(picture)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_diagram_has_one_statement_in_each_line_and_no_text_leaves_its_quotes(text: str) -> None:
    for statement in mermaid(hostile_trace(text)).splitlines()[1:]:
        assert statement.count('"') in (0, 2)
        for markup in ("click", "javascript", "<script", "&lt"):
            assert markup not in statement.partition('"')[0]
            assert markup not in statement.rpartition('"')[2]
        inside = statement.partition('"')[2].rpartition('"')[0].replace("<br/>", "").replace("#35;", "")
        assert not set('<>"`;#{}[]|') & set(inside)
