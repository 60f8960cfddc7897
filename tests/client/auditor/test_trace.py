"""Everything a log says of one release, in order, as text and as pictures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.auditor.made import DIGEST, OTHER, RELEASE, life_of_a_release, make_entry
from tidegate.auditor.source import folder_source, object_path
from tidegate.auditor.trace import MAX_ENTRIES, Built, Known, Related, Trace, make_trace
from tidegate.auditor.trace_find import builds
from tidegate.auditor.trace_svg import svg
from tidegate.auditor.trace_text import mermaid, trace_lines
from tidegate.digest import Digest
from tidegate.evidence import Attached
from tidegate.formats.entry import parse_entry
from tidegate.formats.jcs import JsonObject
from tidegate.formats.mediatypes import PREDICATE_SLSA_PROVENANCE

BUILT = Built(
    "https://github.com/acme/support", "3c5f9a1b2c3d", "refs/tags/v1.3.0", "https://ci.example/builder", 2, proven=True
)


def traced(*, proven: bool = True) -> Trace:
    related = Related(Digest(DIGEST))
    for index, raw in enumerate(life_of_a_release()):
        related.take(Known(parse_entry(raw, index=index), proven=proven))
    return make_trace(Digest(DIGEST), related.known, (BUILT,), origin="registry.acme.example/log", size=13)


def test_a_trace_has_what_is_about_the_release_the_requests_for_it_and_the_policy_that_decided() -> None:
    trace = traced()
    assert [fact.index for fact in trace.facts] == [0, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12]  # not of others: 1, 4
    assert trace.agents == ("acme/support",)
    assert trace.versions == ("1.3.0",)
    assert [fact.index for fact in trace.of_kind("policy")] == [0]
    assert trace.revoked is not None
    assert trace.revoked.index == 12


def test_a_trace_knows_from_when_to_when_each_channel_served_the_release() -> None:
    assert [(stay.channel, stay.index, stay.until_index) for stay in traced().stays] == [
        ("stable", 9, 10),
        ("canary", 5, None),
    ]


def test_a_release_that_a_channel_goes_back_to_has_a_second_stay() -> None:
    moves = [
        Known(make_entry("channel.moved", {**RELEASE, "digest": digest, "channel": "stable"}, index=index), proven=True)
        for index, digest in enumerate((DIGEST, OTHER, DIGEST))
    ]
    assert [(stay.index, stay.until_index) for stay in make_trace(Digest(DIGEST), moves).stays] == [(0, 1), (2, None)]


def test_a_heap_of_evidence_hides_no_revocation() -> None:
    related = Related(Digest(DIGEST))
    for index in range(MAX_ENTRIES + 2):
        related.take(Known(make_entry("manifest.stored", {"subject": DIGEST}, index=index), proven=True))
    related.take(Known(make_entry("release.revoked", RELEASE, index=MAX_ENTRIES + 2), proven=True))
    trace = make_trace(Digest(DIGEST), related.known, origin="log", size=9_999, cut=related.is_cut)
    assert trace.revoked is not None
    assert len(trace.facts) == MAX_ENTRIES + 1
    assert "there are more than 5000" in list(trace_lines(trace))[-1]


def test_the_text_says_what_is_proven_and_what_is_only_told() -> None:
    proven, told = "\n".join(trace_lines(traced())), "\n".join(trace_lines(traced(proven=False)))
    assert "11 of 11 entries proven" in proven
    assert " ? " not in proven
    assert "0 of 11 entries proven" in told
    assert sum(" ? 2026-" in line for line in told.splitlines()) == 11
    head = told.split("\n\n")[0].splitlines()
    assert [line.endswith("  ?") for line in head if "  state  " in line or " to " in line] == [True] * 3
    for line in proven.splitlines():
        assert not line.endswith("?")
    nothing = make_trace(Digest(DIGEST), [Known(make_entry("release.admitted", RELEASE, index=None), proven=False)])
    assert "nothing here is proven" in "\n".join(trace_lines(nothing))


def test_the_same_trace_is_the_same_picture_and_both_pictures_name_every_stay() -> None:
    picture = svg(traced())
    assert picture == svg(traced())
    assert picture.count('rx="7"') == 2  # the bars
    assert mermaid(traced()).count("release --> stay") == 2


@pytest.mark.parametrize("count", [0, 1, 200])
def test_a_trace_of_any_length_can_be_drawn(count: int) -> None:
    known = [Known(make_entry("release.admitted", RELEASE, index=index), proven=True) for index in range(count)]
    trace = make_trace(Digest(DIGEST), known)
    assert svg(trace).endswith("</svg>")
    assert len(list(trace_lines(trace))) < 60


@pytest.mark.parametrize(("about", "proven"), [(True, True), (True, False), (False, True)])
def test_the_build_is_read_from_provenance_of_the_release_itself_and_marked_where_only_told(
    tmp_path: Path, *, about: bool, proven: bool
) -> None:
    bundle = (Path(__file__).parents[2] / "vectors" / "provenance" / "bundle.json").read_bytes()
    named = Digest.of(bundle)
    place = tmp_path / object_path(named)
    place.parent.mkdir(parents=True)
    place.write_bytes(bundle)
    release = str(Attached.parse(bundle).statement.subject.digest) if about else DIGEST
    data: JsonObject = {"subject": release, "predicate_type": PREDICATE_SLSA_PROVENANCE, "bundle": str(named)}
    known = Known(make_entry("evidence.verified", data, index=4), proven=proven)
    built = tuple(builds([known], folder_source(tmp_path), Digest(release)))
    assert [(each.index, each.proven) for each in built] == ([(4, proven)] if about else [])
