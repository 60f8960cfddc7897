"""The log's static files over HTTP: what caches need, who may read what, and that nothing but them is served."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import pytest

from tests.registry.promotion.world import POLICY, Promotions
from tests.registry.world import World
from tidegate.digest import Digest
from tidegate.tlog.tiles import CHECKPOINT_PATH
from tidegate_registry.access.gatekeeper import Gatekeeper
from tidegate_registry.access.rights import AccessRules
from tidegate_registry.audit.routes import accepts_gzip
from tidegate_registry.audit.static import LARGE_READS, LogBusy, LogFile, LogFileCache, read_log_file
from tidegate_registry.problems import rendered
from tidegate_registry.storage.blobs import LogKey, StoreUnavailable
from tidegate_registry.storage.s3 import S3BlobStore

NOTE = b"registry.example/log\n1\nx\n\n\xe2\x80\x94 registry.example/log x\n"
BUNDLE = b"".join(len(each).to_bytes(2) + each for each in [b'{"type":"release.admitted"}'] * 100)
RECORD = b'{"verdict":"allowed"}'
OF_THE_RECORD = LogKey.of_object(Digest.of(RECORD))


@pytest.fixture
def log(world: World) -> World:
    """A registry whose bucket holds a checkpoint, a tile, a bundle and an object."""
    store = world.services.blobs
    store.write(LogKey(CHECKPOINT_PATH), NOTE, replaces=None)
    for name, raw in (
        ("tile/0/000.p/100", b"h" * 3200),
        ("tile/entries/000.p/100", BUNDLE),
        (OF_THE_RECORD.name, RECORD),
    ):
        store.put(LogKey(name), raw, size=len(raw), sha256=Digest.of(raw))
    return world


@pytest.fixture
def public(log: World) -> Iterator[World]:
    access = log.services.access
    assert isinstance(access, Gatekeeper)
    before, access.rules = access.rules, AccessRules(public_log=True)
    yield log
    access.rules = before


def test_checkpoint_and_hashes_are_anybodys_with_headers_for_caches(log: World) -> None:
    anybody = log.client(None)
    note = anybody.get("/log/checkpoint")
    assert (note.status_code, note.content) == (200, NOTE)
    assert note.headers["content-type"] == "text/plain; charset=utf-8"
    assert note.headers["cache-control"] == "public, max-age=1"
    tile = anybody.get("/log/tile/0/000.p/100", headers={"Accept-Encoding": "gzip"})
    assert (tile.status_code, len(tile.content)) == (200, 3200)
    assert "content-encoding" not in tile.headers, "hashes do not compress"
    assert tile.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert tile.headers["x-content-type-options"] == note.headers["x-content-type-options"] == "nosniff"
    again = anybody.get("/log/tile/0/000.p/100", headers={"If-None-Match": tile.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = anybody.head("/log/tile/0/000.p/100")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "3200", b"")


def test_the_checkpoint_is_never_an_old_one(log: World) -> None:
    anybody = log.client(None)
    first = anybody.get("/log/checkpoint")
    found = log.services.blobs.read(LogKey(CHECKPOINT_PATH), limit=1000)
    assert found is not None
    log.services.blobs.write(LogKey(CHECKPOINT_PATH), NOTE.replace(b"\n1\n", b"\n2\n"), replaces=found[1])
    second = anybody.get("/log/checkpoint", headers={"If-None-Match": first.headers["etag"]})
    assert (second.status_code, second.content.splitlines()[1]) == (200, b"2")


@pytest.mark.parametrize("path", ["/log/tile/entries/000.p/100", f"/log/{OF_THE_RECORD.name}"])
def test_entries_and_objects_need_a_token_of_somebody_who_may_read_the_log(log: World, path: str) -> None:
    anonymous = log.client(None).get(path)
    assert anonymous.status_code == 401
    assert 'scope="registry:api:*"' in anonymous.headers["www-authenticate"]
    refused = log.client().get(path)
    assert (refused.status_code, refused.json()["code"]) == (403, "role-missing")


def test_who_may_read_the_log_is_named_by_the_policy(promotions: Promotions) -> None:
    raw = b'{"a":1}'
    key = LogKey.of_object(Digest.of(raw))
    promotions.gate.services.blobs.put(key, raw, size=len(raw), sha256=Digest.of(raw))
    email = "ann@sandbox.example"
    auditor: Any = {"sub": "ann", "email": email, "email_verified": True, "groups": ["auditors"]}
    client = promotions.gate.client(auditor, "registry:api:*")
    promotions.install(POLICY)
    assert client.get(f"/log/{key.name}").status_code == 403
    binding = "  auditor: [{issuer: ISSUER, claims: {groups: auditors}}]\n"
    promotions.install(POLICY.replace("roles:\n", f"roles:\n{binding}", 1) + "auditors: [auditor]\n")
    found = client.get(f"/log/{key.name}")
    assert (found.status_code, found.content) == (200, raw)


def test_entries_are_compressed_for_who_takes_it_and_never_kept_by_shared_caches(public: World) -> None:
    path = "/log/tile/entries/000.p/100"
    client = public.client(None)
    with client.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as sent:
        raw = b"".join(sent.iter_raw())
        assert sent.headers["content-encoding"] == "gzip"
        assert sent.headers["vary"] == "Accept-Encoding, Authorization"
        assert sent.headers["cache-control"] == "private, max-age=31536000, immutable"
        assert int(sent.headers["content-length"]) == len(raw) < len(BUNDLE) / 5
    assert gzip.decompress(raw) == BUNDLE
    plain = client.get(path, headers={"Accept-Encoding": "identity"})
    assert (plain.content, "content-encoding" in plain.headers) == (BUNDLE, False)
    assert plain.headers["etag"] != sent.headers["etag"], "other bytes, another strong tag"
    known = client.get(path, headers={"Accept-Encoding": "gzip", "If-None-Match": sent.headers["etag"]})
    assert known.status_code == 304


def test_what_is_not_there_yet_is_there_when_it_comes(public: World) -> None:
    client, key = public.client(None), LogKey("tile/0/000.p/101")
    missing = client.get(f"/{key.path}")
    assert (missing.status_code, missing.json()["code"]) == (404, "log-file-unknown")
    public.services.blobs.put(key, b"h" * 3232, size=3232, sha256=Digest.of(b"h" * 3232))
    assert client.get(f"/{key.path}").status_code == 200


def test_the_older_path_of_bundles_says_where_they_are(log: World) -> None:
    answer = log.client(None).get("/log/entries/x001/234.p/17", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (308, "/log/tile/entries/x001/234.p/17")


def test_a_store_that_does_not_answer_is_told_as_such(log: World) -> None:
    app = log.services
    nobody = app.settings.s3.model_copy(update={"endpoint": "http://127.0.0.1:1", "timeout_seconds": 1})
    away = replace(app, blobs=S3BlobStore(nobody))
    with pytest.raises(StoreUnavailable) as caught:
        read_log_file(away, LogKey("tile/0/000.p/99"))
    assert caught.value.reasons[0].code == "store-unavailable"
    assert rendered(caught.value).status == 503


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        ("gzip", True),
        ("br, gzip;q=0.5", True),
        ("*", True),
        ("GZIP; q=1", True),
        ("", False),
        ("identity", False),
        ("gzip;q=0", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("gzip;q=high", False),
    ],
)
def test_compressing_is_asked_for_by_the_caller(header: str, *, taken: bool) -> None:
    assert accepts_gzip(header) is taken


def test_who_reads_when_too_many_do_is_asked_to_come_back() -> None:
    cache = LogFileCache()
    with ExitStack() as readers:
        for _ in range(LARGE_READS):
            readers.enter_context(cache.turn())
        with pytest.raises(LogBusy) as busy, cache.turn(seconds=0):
            pass
    assert (busy.value.reasons[0].code, rendered(busy.value).status) == ("log-busy", 429)
    with cache.turn(seconds=0):
        pass


def test_what_is_kept_is_bounded_and_what_is_asked_for_stays() -> None:
    cache = LogFileCache(most_bytes=25)
    keys = [LogKey(f"tile/0/00{number}") for number in range(3)]
    for key in keys[:2]:
        cache.keep(key, LogFile(b"h" * 10, '"x"'))
    assert cache.find(keys[0]) is not None
    cache.keep(keys[2], LogFile(b"h" * 5, '"x"', b"z" * 5))
    assert [cache.find(key) is not None for key in keys] == [True, False, True]
    cache.keep(keys[1], LogFile(b"h" * 26, '"x"'))
    cache.keep(LogKey(CHECKPOINT_PATH), LogFile(b"h", '"x"'))
    assert (cache.size, cache.find(keys[1]), cache.find(LogKey(CHECKPOINT_PATH))) == (20, None, None)
