"""A log is verified whole, whatever its size and however it is read; what is odd about entries is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.auditing import NOW, Auditor
from tests.client.auditor.static_server import serving
from tests.smalllog import START, SmallLog, entry, entry_id
from tidegate.auditor import parts
from tidegate.auditor.audited import open_audited
from tidegate.auditor.find import find_entry
from tidegate.auditor.source import open_log
from tidegate.auditor.verify import verify_log
from tidegate.errors import InvalidInput, LogRefused, NotFound
from tidegate.tlog.merkle import leaf_hash


@pytest.fixture
def log(tmp_path: Path) -> SmallLog:
    return SmallLog(tmp_path / "log")


@pytest.fixture
def auditor(tmp_path: Path, log: SmallLog) -> Auditor:
    return Auditor(tmp_path / "auditor", log)


def test_logs_of_all_sizes_are_whole_however_they_grew(log: SmallLog, auditor: Auditor) -> None:
    for count in (0, 1, 255, 1, 256, 300):
        log.grow(count)
        assert auditor.verify().size == log.head.size
    assert auditor.verify().types == {"release.admitted": 813}


@pytest.mark.slow
def test_a_log_with_tiles_of_three_levels_is_whole(log: SmallLog, auditor: Auditor) -> None:
    log.grow(65537)
    assert auditor.verify().types == {"release.admitted": 65537}


def test_only_what_is_new_is_read_since_the_last_time(log: SmallLog, auditor: Auditor) -> None:
    log.grow(600)
    assert auditor.verify(since_last=True).start == 0  # nothing was verified before
    log.write("tile/entries/000", b"gone bad long ago")
    log.grow(300)
    whole = auditor.verify(since_last=True)
    assert (whole.start, whole.size, whole.types["release.admitted"]) == (512, 900, 388)
    assert auditor.refusal().reasons[0].code == "entries-malformed"


def test_a_state_that_says_that_another_log_was_verified_is_refused(log: SmallLog, auditor: Auditor) -> None:
    log.grow(600)
    auditor.verify()
    root = log.head.root
    log.grow(1)
    auditor.verify()
    text = auditor.state.read_text()
    from tidegate.tlog.text import format_base64

    start = text.index('"verified"')
    auditor.state.write_text(text[:start] + text[start:].replace(format_base64(log.head.root), format_base64(root)))
    assert auditor.refusal(since_last=True).reasons[0].code == "log-fork"


def test_a_log_over_http_is_verified_by_several_threads(log: SmallLog, auditor: Auditor) -> None:
    log.grow(2000)
    with serving(log.folder, packed=True) as server, open_log(server.url, registry=None, identity=None) as source:
        audited = open_audited(source, auditor.trust, auditor.states, now=NOW)
        counts: list[int] = []
        assert verify_log(audited, advance=counts.append).types == {"release.admitted": 2000}
        assert sum(counts) == 2000
        log.write("tile/entries/003", (log.folder / "tile/entries/002").read_bytes())
        with pytest.raises(LogRefused) as refused:
            verify_log(audited)
    assert refused.value.reasons[0].code == "entry-foreign"


def test_a_size_that_is_only_claimed_costs_no_memory(
    log: SmallLog, auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_cores", lambda: 1)
    log.grow(300)
    log.publish(replace(log.head, size=1 << 60))
    assert auditor.refusal().reasons[0].code == "tile-missing"


@pytest.mark.slow
def test_a_large_log_is_verified_by_several_processes(
    log: SmallLog, auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "ENTRIES_FOR_PROCESSES", 1)
    monkeypatch.setattr(parts, "_cores", lambda: 2)
    log.grow(40_000)
    assert auditor.verify().types == {"release.admitted": 40_000}
    log.write("tile/entries/100", (log.folder / "tile/entries/101").read_bytes())
    assert auditor.refusal().reasons[0].code == "entry-foreign"


def test_a_clock_that_was_set_back_is_a_finding_and_no_refusal(log: SmallLog, auditor: Auditor) -> None:
    late = START + timedelta(minutes=30)
    log.append(*(entry(number, at=late + timedelta(seconds=number)) for number in range(300)))
    log.append(entry(300, at=late), entry(301, at=START), entry(302, at=late + timedelta(minutes=10)))
    log.append(*(entry(number, at=late + timedelta(minutes=1)) for number in range(303, 306)))
    found = auditor.verify().findings
    assert found.clock_back.indices == [301, 303, 304, 305]
    assert not found.malformed.count


def test_a_late_entry_is_found_across_the_parts_that_are_read_apart(
    log: SmallLog, auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_BUNDLES", 1)
    monkeypatch.setattr(parts, "PARTS_AT_ONCE", 1)
    log.append(*(entry(number, at=START + timedelta(hours=1)) for number in range(256)))
    log.append(*(entry(number, at=START) for number in range(256, 258)))
    assert auditor.verify().findings.clock_back.indices == [256, 257]


def test_a_clock_that_was_set_back_between_two_audits_is_found_by_the_second(log: SmallLog, auditor: Auditor) -> None:
    log.append(*(entry(number, at=START + timedelta(hours=1)) for number in range(512)))
    auditor.verify()
    log.append(*(entry(number, at=START) for number in range(512, 514)))
    assert auditor.verify(since_last=True).findings.clock_back.indices == [512, 513]


def test_an_id_that_two_entries_have_is_found(log: SmallLog, auditor: Auditor) -> None:
    log.grow(600)
    log.append(entry(600, id=entry_id(17)), entry(601))
    assert auditor.verify().findings.duplicates == [(17, 600)]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"\xff" * 50,
        entry(0)[:-1],
        entry(0) + b" ",
        entry(0).replace(b'"at":"2026', b'"at":"26'),
        entry(0, type="Release Admitted"),
        entry(0, version=0),
        entry(0, extra=1),
        entry(0, actor={"kind": "human", "extra": {"a": "b"}}),
    ],
    ids=range(10),
)
def test_what_is_no_entry_is_a_finding_and_no_refusal(log: SmallLog, auditor: Auditor, raw: bytes) -> None:
    log.append(entry(0), raw, entry(1))
    found = auditor.verify().findings
    assert (found.malformed.indices, found.malformed.count, list(found.duplicates)) == ([1], 1, [])


def test_a_deep_look_also_sees_what_an_envelope_does_not_show(log: SmallLog, auditor: Auditor) -> None:
    log.append(entry(0), entry(1).replace(b'"number":1', b'"number":01'))
    assert not auditor.verify().findings
    assert auditor.verify(deep=True).findings.malformed.indices == [1]


@settings(deadline=None, max_examples=40)
@given(st.text(max_size=40), st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3), st.integers(1, 999))
def test_every_entry_that_parses_has_an_envelope(name: str, data: dict[str, str], version: int) -> None:
    from tidegate.auditor.scan import Scanner
    from tidegate.errors import EntryInvalid
    from tidegate.formats.entry import parse_entry

    raw = entry(7, actor={"issuer": name, "kind": "human", "name": name + '{}\\"'}, data=data, version=version)
    try:
        parse_entry(raw)
    except EntryInvalid:
        return
    scanner = Scanner(0)
    scanner.take([raw])
    assert scanner.result().malformed.count == 0


def test_entries_are_found_by_index_id_and_leaf_and_proved(log: SmallLog, auditor: Auditor) -> None:
    log.grow(900)
    audited = auditor.look()
    for index in (0, 255, 256, 600, 899):
        raw = log.entries[index]
        for what in (str(index), entry_id(index), f"sha256:{leaf_hash(raw).hex()}"):
            found = find_entry(audited, what)
            assert (found.index, found.raw) == (index, raw)


def test_an_entry_far_from_where_its_time_belongs_is_found_too(log: SmallLog, auditor: Auditor) -> None:
    log.grow(700)
    stray = entry(700, at=START - timedelta(days=1))
    log.append(stray)
    assert find_entry(auditor.look(), entry_id(700, at=START - timedelta(days=1))).raw == stray


@pytest.mark.parametrize("what", ["900", "12345678901234567890", entry_id(900), f"sha256:{'0' * 64}", "-1", "x", ""])
def test_what_is_not_in_the_log_is_not_found(log: SmallLog, auditor: Auditor, what: str) -> None:
    log.grow(300)
    with pytest.raises((NotFound, InvalidInput)) as refused:
        find_entry(auditor.look(), what)
    assert refused.value.reasons[0].code in ("log-entry-missing", "invalid-input")


def test_nothing_is_found_in_an_empty_log(auditor: Auditor) -> None:
    for what in ("0", entry_id(0), f"sha256:{'0' * 64}"):
        with pytest.raises(NotFound):
            find_entry(auditor.look(), what)
