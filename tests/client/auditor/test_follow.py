"""A log that grows, read on: each entry once, each proven, and never on from what is not the same log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.client.auditor.made import RELEASE, life_of_a_release, raw_entry
from tests.client.auditor.made_log import MadeLog
from tidegate.auditor.follow import MAX_MISSING, Follower, Proven, last_entries, position_at, rounds
from tidegate.auditor.position import load_position, save_position
from tidegate.errors import EntryInvalid, LogRefused, NoteInvalid, TileInvalid, Unreachable
from tidegate.tlog.note import Ed25519Signer
from tidegate.tlog.proof import verify_proof


@pytest.fixture
def log(tmp_path: Path) -> MadeLog:
    made = MadeLog.at(tmp_path)
    made.append(life_of_a_release())
    return made


def many(count: int, first: int = 0) -> list[bytes]:
    return [raw_entry("release.admitted", RELEASE, number=number) for number in range(first, first + count)]


def read(follower: Follower) -> list[Proven]:
    return [proven for part in follower.unread(follower.poll()) for proven in part]


def test_a_growing_log_is_read_once_from_end_to_end(log: MadeLog) -> None:
    follower, seen = log.follower(), list[int]()
    for count in (0, 1, 300, 2, 0, 700):
        log.append(many(count, len(log.entries)))
        seen += [proven.index for proven in read(follower)]
    assert seen == list(range(len(log.entries)))


def test_what_is_read_carries_a_proof_that_verifies_offline(log: MadeLog) -> None:
    log.append(many(500))
    follower = log.follower()
    audited = follower.poll()
    reader = audited.reader()
    for proven in (proven for part in follower.unread(audited, reader) for proven in part[-1:]):
        found = verify_proof(proven.proof(reader), log.entries[proven.index], log.trust.policy)
        assert found.index == proven.index


def test_a_part_that_was_not_handled_to_its_end_comes_again(log: MadeLog) -> None:
    log.append(many(600))
    follower = log.follower()
    parts = follower.unread(follower.poll())
    next(parts)
    handled = next(parts)[0].index
    parts.close()  # type: ignore[attr-defined]  # as an error in whoever reads does
    assert read(follower)[0].index == handled


def test_a_reader_goes_on_where_its_position_says(log: MadeLog, tmp_path: Path) -> None:
    audited = log.follower().poll()
    path = tmp_path / "position.json"
    assert load_position(path) is None
    save_position(path, position_at(audited, audited.reader(), 5))
    log.append(many(300))
    assert read(log.follower(load_position(path)))[0].index == 5


@pytest.mark.parametrize("kept", [5, 13])
def test_a_position_in_another_history_is_a_fork_even_for_a_machine_that_never_saw_it(
    log: MadeLog, tmp_path: Path, kept: int
) -> None:
    audited = log.follower().poll()
    position = position_at(audited, audited.reader(), kept)
    (tmp_path / "other").mkdir()
    forged = MadeLog.at(tmp_path / "other")
    forged.signer = log.signer  # the log's own key signs both
    forged.append([*many(1), *life_of_a_release(), *many(20)])
    with pytest.raises(LogRefused) as refused:
        read(forged.follower(position))
    assert refused.value.reasons[0].code == "log-fork"


def test_a_position_beyond_the_log_is_a_truncated_log(log: MadeLog, tmp_path: Path) -> None:
    audited = log.follower().poll()
    position = position_at(audited, audited.reader(), 13)
    (tmp_path / "other").mkdir()
    shorter = MadeLog.at(tmp_path / "other")
    shorter.signer = log.signer
    shorter.append(life_of_a_release()[:7])
    with pytest.raises(LogRefused) as refused:
        read(shorter.follower(position))
    assert refused.value.reasons[0].code == "log-truncated"


def test_a_position_of_another_log_is_no_place_in_this_one(log: MadeLog) -> None:
    audited = log.follower().poll()
    position = replace(position_at(audited, audited.reader(), 5), origin="other.example/log")
    with pytest.raises(LogRefused) as refused:
        read(log.follower(position))
    assert refused.value.reasons[0].code == "log-other"


def test_an_entry_that_is_not_what_the_checkpoint_says_never_comes_out(log: MadeLog) -> None:
    bundle = next((log.folder / "tile/entries").rglob("*/13"))
    bundle.write_bytes(bundle.read_bytes().replace(b"leaks", b"looks"))
    with pytest.raises(TileInvalid) as refused:
        read(log.follower())
    assert refused.value.reasons[0].code == "entry-foreign"


def test_bytes_that_are_no_entry_are_given_as_such(log: MadeLog) -> None:
    log.append([b"not json"])
    proven = read(log.follower())[-1]
    assert proven.entry is None
    assert isinstance(proven.problem, EntryInvalid)
    assert proven.raw == b"not json"


@pytest.mark.parametrize("text", ["", "{}", '{"format": "tidegate/log-position/v1"}', "[1]"])
def test_a_damaged_position_is_no_first_use(tmp_path: Path, text: str) -> None:
    (tmp_path / "position.json").write_text(text)
    with pytest.raises(LogRefused) as refused:
        load_position(tmp_path / "position.json")
    assert refused.value.reasons[0].code == "log-position-damaged"


def test_the_last_entries_that_are_wanted_are_found_from_the_end_within_a_bound(log: MadeLog) -> None:
    log.append(many(600))
    audited = log.open()
    revoked = last_entries(
        audited, 1, lambda each: each.entry is not None and each.entry.type == "release.revoked", most=10_000
    )
    assert [each.index for each in revoked] == [12]
    assert last_entries(audited, 3, lambda each: each.index < 12, most=500) == []
    assert [each.index for each in last_entries(audited, 2, lambda _: True, most=10_000)] == [611, 612]
    assert last_entries(audited, 0, lambda _: True, most=10_000) == []


def test_while_the_network_is_away_the_waits_double_up_to_a_minute_and_start_over_when_it_is_back() -> None:
    answers: Iterator[bool] = iter([True, *[False] * 8, True, False, True])
    waited, told = list[float](), list[str]()

    def once() -> int:
        if not next(answers):
            raise Unreachable("the registry does not answer")
        return 1

    running = rounds(once, sleep=waited.append, tell=lambda what, _: told.append(what), pause=2.0)
    for _ in range(3):
        next(running)
    assert waited == [2, 1, 2, 4, 8, 16, 32, 60, 60, 2, 1]
    assert told == ["the registry does not answer"] * 9


def test_tiles_that_stay_missing_are_told_in_the_end_and_foreign_ones_at_once() -> None:
    def failing(code: str) -> int:
        waited = list[float]()

        def once() -> None:
            raise TileInvalid("a file of the log is missing", code=code)

        with pytest.raises(TileInvalid):
            next(rounds(once, sleep=waited.append, tell=lambda *_: None))
        return len(waited)

    assert failing("tile-missing") == MAX_MISSING
    assert failing("tile-foreign") == 0


def test_a_checkpoint_that_another_key_signed_gives_nothing(log: MadeLog) -> None:
    trusted, log.signer = log.signer, Ed25519Signer(log.signer.name, Ed25519PrivateKey.generate())
    log.append(many(1))
    log.signer = trusted
    with pytest.raises(NoteInvalid):
        read(log.follower())
