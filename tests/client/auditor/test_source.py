"""A log is read from a folder or over HTTP alike: bounded, unpacked within bounds, partial tiles from full ones."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.client.auditor.static_server import serving
from tidegate.auditor.source import (
    LogSource,
    folder_source,
    object_path,
    open_log,
)
from tidegate.digest import Digest
from tidegate.errors import InvalidInput, LimitExceeded, LogRefused, NotFound, Unauthenticated, Unreachable
from tidegate.remote.packing import unpacked
from tidegate.tlog.note import MAX_NOTE_BYTES
from tidegate.tlog.tiles import TILE_BYTES

BUNDLE = b"".join(len(entry).to_bytes(2) + entry for entry in (b"first", b"", b"third entry"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tile" / "0").mkdir(parents=True)
    (tmp_path / "tile" / "entries").mkdir()
    (tmp_path / "checkpoint").write_bytes(b"a checkpoint")
    (tmp_path / "tile" / "0" / "000").write_bytes(bytes(range(256)) * 32)
    (tmp_path / "tile" / "entries" / "000").write_bytes(BUNDLE)
    return tmp_path


@pytest.fixture(params=["folder", "http", "gzip"])
def read(request: pytest.FixtureRequest, folder: Path) -> Callable[[Callable[[LogSource], object]], object]:
    """Ask something of the log in `folder`, by each way there is."""

    def ask(question: Callable[[LogSource], object]) -> object:
        if request.param == "folder":
            return question(folder_source(folder))
        with (
            serving(folder, packed=request.param == "gzip") as server,
            open_log(server.url, registry=None, identity=None) as source,
        ):
            return question(source)

    return ask


Read = Callable[[Callable[[LogSource], object]], object]


def test_checkpoint_and_tiles_are_given_as_they_are(read: Read) -> None:
    assert read(lambda log: log.checkpoint()) == b"a checkpoint"
    assert read(lambda log: log.fetch("tile/0/000")) == bytes(range(256)) * 32
    assert read(lambda log: log.fetch("tile/0/001")) is None


def test_what_is_larger_than_it_may_be_is_not_read(read: Read, folder: Path) -> None:
    (folder / "checkpoint").write_bytes(b"x" * (MAX_NOTE_BYTES + 1))
    (folder / "tile" / "0" / "001").write_bytes(bytes(TILE_BYTES + 1))
    for path in ("checkpoint", "tile/0/001"):
        with pytest.raises(LimitExceeded) as refused:
            read(lambda log, path=path: log.checkpoint() if path == "checkpoint" else log.fetch(path))  # type: ignore[misc]
        assert refused.value.reasons[0].code == "limit-exceeded"


def test_an_object_is_what_its_digest_says_or_nothing(read: Read, folder: Path) -> None:
    there, changed, missing = (Digest.of(text) for text in (b"there", b"changed", b"missing"))
    longer = Digest.of(b"there", "sha512")
    for digest, content in ((there, b"there"), (changed, b"other"), (longer, b"there")):
        place = folder / object_path(digest)
        place.parent.mkdir(parents=True)
        place.write_bytes(content)
    assert read(lambda log: log.object(there)) == read(lambda log: log.object(longer)) == b"there"
    assert object_path(longer) == f"objects/sha512/{longer.hex[:2]}/{longer.hex}"
    with pytest.raises(LogRefused) as refused:
        read(lambda log: log.object(changed))
    assert refused.value.reasons[0].code == "log-object-changed"
    with pytest.raises(NotFound) as unknown:
        read(lambda log: log.object(missing))
    assert unknown.value.reasons[0].code == "log-object-missing"


def test_no_checkpoint_is_no_log(read: Read, folder: Path) -> None:
    (folder / "checkpoint").unlink()
    with pytest.raises(NotFound) as refused:
        read(lambda log: log.checkpoint())
    assert refused.value.reasons[0].code == "log-missing"


def test_the_folder_above_and_the_address_of_a_registry_do_as_well(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "log").symlink_to(folder)
    assert folder_source(tmp_path / "copy").checkpoint() == b"a checkpoint"
    with serving(folder) as server:
        for where, registry in ((None, server.host), (f"http://{server.host}", None), (f"http://{server.host}/", None)):
            with open_log(where, registry=registry, identity=None) as source:
                assert source.checkpoint() == b"a checkpoint"


def test_entries_are_asked_for_with_a_token_and_hashes_without(folder: Path) -> None:
    audiences: list[str] = []

    def identity(audience: str) -> str:
        audiences.append(audience)
        return "me"

    with serving(folder, guarded=True) as server, open_log(server.url, registry=None, identity=identity) as source:
        assert source.fetch("tile/0/000") is not None
        assert audiences == []
        assert source.fetch("tile/entries/000") == BUNDLE
        assert audiences == [f"http://{server.host}"]


def test_a_log_that_wants_to_know_who_asks_is_no_empty_log(folder: Path) -> None:
    with (
        serving(folder, guarded=True) as server,
        open_log(server.url, registry=None, identity=None) as source,
        pytest.raises(Unauthenticated) as refused,
    ):
        source.fetch("tile/entries/000")
    assert refused.value.hint is not None


@pytest.mark.parametrize("where", ["https://[::1/log", "https://user@host.example/log", "https://host.example/log?x"])
def test_what_is_no_url_is_refused(where: str) -> None:
    with pytest.raises(InvalidInput), open_log(where, registry=None, identity=None):
        pass


def test_where_the_log_is_must_be_said() -> None:
    for where in (None, "/does/not/exist", "https://host/log?x=1", "https://me@host/log"):
        with pytest.raises(InvalidInput), open_log(where, registry=None, identity=None):
            pass


def test_nobody_listening_is_unreachable(folder: Path) -> None:
    with serving(folder) as server:
        host = server.host
    with open_log(None, registry=host, identity=None) as source, pytest.raises(Unreachable):
        source.checkpoint()


def packed(content: bytes) -> bytes:
    machine = zlib.compressobj(wbits=31)
    return machine.compress(content) + machine.flush()


def test_unpacking_makes_no_more_than_the_limit() -> None:
    bomb = packed(bytes(50_000_000))
    with pytest.raises(LimitExceeded) as refused:
        unpacked(bomb, "gzip", limit=1000, what="give it")
    assert refused.value.reasons[0].code == "limit-exceeded"
    assert unpacked(packed(bytes(1000)), "gzip", limit=1000, what="give it") == bytes(1000)


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [(packed(b"x" * 100)[:-3], "gzip"), (packed(b"x") + b"y", "gzip"), (b"plain", "gzip"), (b"x", "br")],
    ids=["cut", "more", "none", "other"],
)
def test_what_is_not_one_whole_gzip_member_is_not_content(raw: bytes, encoding: str) -> None:
    with pytest.raises(Unreachable) as refused:
        unpacked(raw, encoding, limit=1000, what="give it")
    assert refused.value.reasons[0].code == "content-encoding"
