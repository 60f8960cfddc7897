"""The log for other systems: every entry once, also after crashes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.client.auditor.made import RELEASE, life_of_a_release, raw_entry
from tests.client.auditor.made_log import MadeLog
from tidegate.auditor.export import Bound, Exporter, Window, ocsf_writer, text_line, to_jsonl
from tidegate.auditor.linefile import LineFile
from tidegate.auditor.position import Position
from tidegate.errors import InvalidInput
from tidegate.formats.jcs import canonical_bytes
from tidegate.tlog.merkle import leaf_hash
from tidegate.tlog.text import format_base64


@pytest.fixture
def log(tmp_path: Path) -> MadeLog:
    made = MadeLog.at(tmp_path)
    made.append(life_of_a_release())
    made.append([raw_entry("release.admitted", RELEASE, number=number) for number in range(20, 320)])
    return made


def exported(log: MadeLog, window: Window | None = None, *, form: str = "jsonl") -> list[dict[str, object]]:
    lines = list[bytes]()
    write = to_jsonl if form == "jsonl" else ocsf_writer("1.0.0")
    Exporter(log.follower(), write, lines.append, window=window or Window()).round()
    return [json.loads(line) for line in b"".join(lines).splitlines()]  # noqa: TID251 - our own lines


def test_every_entry_is_there_once_with_its_index_and_the_hash_that_the_log_has(log: MadeLog) -> None:
    lines = exported(log)
    assert [line["index"] for line in lines] == list(range(313))
    for line, raw in zip(lines, log.entries, strict=True):
        assert canonical_bytes(line["entry"]) == raw
        assert line["leaf"] == format_base64(leaf_hash(raw))


def test_bytes_that_are_no_entry_are_exported_as_they_are_in_either_form(log: MadeLog) -> None:
    log.append([b"not json"])
    assert exported(log)[-1] == {
        "index": 313,
        "leaf": format_base64(leaf_hash(b"not json")),
        "entry": None,
        "raw": "bm90IGpzb24=",
    }
    event = exported(log, form="ocsf")[-1]
    assert (event["class_uid"], event["raw_data"]) == (0, "bm90IGpzb24=")


@pytest.mark.parametrize(
    ("since", "until", "indices"),
    [
        ("310", None, [310, 311, 312]),
        (None, "2", [0, 1]),
        ("300", "302", [300, 301]),
        ("2026-11-03T09:10:00Z", None, [10, 11, 12]),
        ("2026-11-03T10:10:00+01:00", "2026-11-03T09:11:00Z", [10]),
        ("9999", None, []),
    ],
)
def test_since_and_until_are_an_index_or_a_time_of_entries(
    log: MadeLog, since: str | None, until: str | None, indices: list[int]
) -> None:
    window = Window(Bound.parse(since, "--since") if since else None, Bound.parse(until, "--until") if until else None)
    assert [line["index"] for line in exported(log, window)] == indices


@pytest.mark.parametrize("text", ["yesterday", "-1", "1e3", "2026-11-03", "2026-11-03T09:10:00"])
def test_a_bound_that_names_neither_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Bound.parse(text, "--since")
    assert refused.value.reasons[0].code == "log-bound"


class Crash(Exception):
    """The machine stopped."""


@pytest.mark.parametrize("survives", [0, 1, 777, 60_000])
def test_after_a_crash_in_the_middle_of_a_line_no_line_is_missing_and_none_is_there_twice(
    log: MadeLog, tmp_path: Path, survives: int
) -> None:
    path, saved = tmp_path / "export.jsonl", list[Position]()

    def crash(lines: bytes) -> None:
        with path.open("ab") as file:
            file.write(lines[:survives])
        raise Crash

    with pytest.raises(Crash):
        Exporter(log.follower(), to_jsonl, crash, window=Window(), save=saved.append).round()
    assert saved == []  # nothing is noted before it is written
    for _ in range(2):  # the second run has nothing left to do
        file = LineFile.open(path, again=True)
        follower = log.follower()
        follower.next = 0 if file.last is None else file.last + 1
        Exporter(follower, to_jsonl, file.add, window=Window(), save=saved.append).round()
        file.close()
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]  # noqa: TID251 - our own lines
    assert [line["index"] for line in lines] == list(range(313))
    assert saved[-1].size == 313


def test_a_position_follows_each_line_where_a_line_cannot_be_taken_back(log: MadeLog) -> None:
    lines, saved = list[bytes](), list[Position]()
    Exporter(log.follower(), to_jsonl, lines.append, window=Window(), save=saved.append, by_line=True).round()
    assert [position.size for position in saved] == list(range(1, 314))


def test_an_export_that_ends_at_an_index_is_gone_on_with_behind_it(log: MadeLog) -> None:
    lines, saved = list[bytes](), list[Position]()
    window = Window(until=Bound(index=300))
    exporter = Exporter(log.follower(), to_jsonl, lines.append, window=window, save=saved.append)
    exporter.round()
    assert exporter.is_over
    assert saved[-1].size == 300
    Exporter(log.follower(saved[-1]), to_jsonl, lines.append, window=Window(), save=saved.append).round()
    indices = [json.loads(line)["index"] for line in b"".join(lines).splitlines()]  # noqa: TID251 - our own lines
    assert indices == list(range(313))


@pytest.mark.parametrize("text", ["dear diary\nno end", "no end", "{}"])
def test_a_file_that_is_no_export_is_left_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(text)
    for again, code in ((False, "export-file-exists"), (True, "export-file-foreign")):
        with pytest.raises(InvalidInput) as refused:
            LineFile.open(path, again=again)
        assert refused.value.reasons[0].code == code
    assert path.read_text() == text


def test_a_line_is_ascii_without_anything_a_terminal_obeys() -> None:
    line = text_line({"reason": "\x1b[2J\x9b\u202e\u200b\r\nforged é"})
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert not set(range(0x20)) & set(line[:-1])
