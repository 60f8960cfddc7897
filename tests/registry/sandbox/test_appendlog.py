"""Records are durable and whole: a torn tail is dropped, damage is not hidden, a failed write leaves no trace."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import pytest

from tidegate.errors import Conflict, LimitExceeded
from tidegate_registry.sandbox.appendlog import MAX_RECORD_BYTES, AppendLog

BODIES = [b"first", b"", b"third \n with a line break", bytes(range(256))]


def written(path: Path) -> bytes:
    log = AppendLog(path)
    for body in BODIES:
        log.append(body)
    log.close()
    return path.read_bytes()


def reloaded(path: Path) -> list[bytes]:
    log = AppendLog(path)
    try:
        return list(log.records)
    finally:
        log.close()


def test_what_was_appended_is_there_after_a_restart(tmp_path: Path) -> None:
    written(tmp_path / "log")
    assert reloaded(tmp_path / "log") == BODIES
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("lost", [1, 2, 10, 300])
def test_a_torn_last_record_is_dropped_and_said(tmp_path: Path, lost: int, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "log"
    raw = written(path)
    path.write_bytes(raw[:-lost])
    with caplog.at_level(logging.WARNING):
        assert reloaded(path) == BODIES[:-1]
    assert "dropped a torn last record" in caplog.text
    log = AppendLog(path)
    assert log.append(b"next") == len(BODIES) - 1
    log.close()
    assert reloaded(path) == [*BODIES[:-1], b"next"]


@pytest.mark.parametrize("tail", [b"\0" * 500, b"\0" * 40 + b"\n", b"0123456789abcdef !!!!\n"])
def test_garbage_where_a_record_began_is_dropped(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(written(path) + tail)
    assert reloaded(path) == BODIES


@pytest.mark.parametrize("position", [0, 20])
def test_damage_before_other_records_is_refused_and_nothing_is_cut(tmp_path: Path, position: int) -> None:
    path = tmp_path / "log"
    raw = bytearray(written(path))
    raw[position] ^= 1
    path.write_bytes(raw)
    with pytest.raises(Conflict) as refused:
        AppendLog(path)
    assert refused.value.reasons[0].code == "sandbox-log-damaged"
    assert path.read_bytes() == raw


def test_a_record_too_large_for_a_tile_is_refused(tmp_path: Path) -> None:
    log = AppendLog(tmp_path / "log")
    with pytest.raises(LimitExceeded) as refused:
        log.append(bytes(MAX_RECORD_BYTES + 1))
    assert refused.value.reasons[0].code == "limit-exceeded"
    assert log.append(bytes(MAX_RECORD_BYTES)) == 0
    log.close()


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    raw = written(path)
    log = AppendLog(path)

    def half_written(descriptor: int, content: bytes) -> int:
        if len(content) > 8:
            return real_write(descriptor, content[:8])
        raise OSError(errno.ENOSPC, "no space left")

    real_write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", half_written)
        with pytest.raises(OSError, match="no space left"):
            log.append(b"x" * 4)
    assert path.read_bytes() == raw
    assert log.append(b"afterwards") == len(BODIES)
    log.close()
    assert reloaded(path) == [*BODIES, b"afterwards"]


def test_a_record_is_on_the_disk_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AppendLog(tmp_path / "log")
    seen: list[tuple[int, int]] = []
    real_sync = os.fsync

    def watched(descriptor: int) -> None:
        real_sync(descriptor)
        seen.append((len(log.records), (tmp_path / "log").stat().st_size))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", watched)
        log.append(b"body")
    assert [count for count, _ in seen] == [0]
    assert seen[0][1] > 0
    log.close()
