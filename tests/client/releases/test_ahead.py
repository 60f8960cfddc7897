"""What comes before the verdict is bounded; after a refusal nothing more comes and nothing is written."""

from __future__ import annotations

from pathlib import Path
from threading import Event
from threading import enumerate as enumerate_threads

import httpx2
import pytest

from tests.client.releases.parts import DATA, PART, Parts, parts_of
from tests.client.remote.fake_registry import oci_error
from tidegate.errors import NotFound
from tidegate.releases import ahead
from tidegate.releases.ahead import Advance, ahead_of
from tidegate.releases.fetch import PARALLEL_DOWNLOADS

WAIT_SECONDS = 10  # until a test fails that would otherwise hang


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    monkeypatch.setattr(ahead, "AHEAD_BYTES", PART)
    return parts_of(tmp_path, monkeypatch)


def test_so_much_comes_before_the_verdict_and_nothing_is_left_after_a_refusal(parts: Parts) -> None:
    come = Event()

    def fetch(advance: Advance, stop: Event) -> None:
        def tell(count: int) -> None:
            come.set()
            advance(count)

        parts.fetch(advance=tell, stop=stop)

    with ahead_of(fetch) as begun:
        begun.begin()
        assert come.wait(WAIT_SECONDS)
    assert PART <= parts.done <= PARALLEL_DOWNLOADS * PART
    assert not parts.stored()
    assert not [thread.name for thread in enumerate_threads() if thread.name.startswith(("ahead", "pull"))]


def test_after_the_verdict_everything_comes(parts: Parts) -> None:
    with ahead_of(lambda advance, stop: parts.fetch(advance=advance, stop=stop)) as begun:
        begun.begin()
        begun.finish()
    assert parts.layout.read_blob(parts.digest, len(DATA)) == DATA


def test_what_did_not_begin_comes_after_the_verdict(parts: Parts) -> None:
    with ahead_of(lambda advance, stop: parts.fetch(advance=advance, stop=stop)) as waiting:
        assert not waiting.begun
        assert not parts.fake.requests
        waiting.finish()
    assert parts.stored() == {parts.digest}


def test_what_fails_before_the_verdict_is_told_after_it(parts: Parts) -> None:
    def gone(request: httpx2.Request) -> httpx2.Response | None:
        return oci_error(404, "BLOB_UNKNOWN", "no such blob") if "/blobs/" in request.url.path else None

    parts.fake.before.append(gone)
    with ahead_of(lambda advance, stop: parts.fetch(advance=advance, stop=stop)) as begun:
        begun.begin()
        with pytest.raises(NotFound) as caught:
            begun.finish()
    assert caught.value.code == "not-found"


def test_whoever_has_fetched_enough_waits_for_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "AHEAD_BYTES", 2)
    enough, come = Event(), list[int]()

    def fetch(advance: Advance, stop: Event) -> None:
        while not stop.is_set() and len(come) < 1000:
            come.append(1)
            if len(come) == 2:
                enough.set()
            advance(1)

    with ahead_of(fetch) as begun:
        begun.begin()
        assert enough.wait(WAIT_SECONDS)
    assert len(come) == 2
