"""Someone asks for files of the log under names that mean something else: another object, or entries unasked."""

from __future__ import annotations

import pytest

from tests.registry.world import World
from tidegate.digest import Digest
from tidegate_registry.storage.blobs import LogKey

SECRET = b'{"what":"only auditors may read"}'

PATHS = [
    "/log/../v2/",
    "/log/tile/../checkpoint",
    "/log/tile/..%2Fcheckpoint",
    "/log/tile/0/%2e%2e/entries/000",
    "/log/tile/./entries/000",
    "/log/tile//entries/000",
    "/log/tile/%2Fentries/000",
    "/log/tile/Entries/000",
    "/log/tile/entries%00/000",
    "/log/tile/0/000%0A",
    "/log/tile/0/000?x=../../blobs",
    "/log/tile/0/x000",
    "/log/tile/0/999/",
    "/log/tile/0/\N{FULLWIDTH DIGIT ZERO}00",
    "/log/tile/99/000",
    "/log/tile/-1/000",
    "/log/tile/0/" + "x000/" * 500 + "000",
    "/log/tile/0/000.p/0",
    "/log/tile/0/000.p/256/..",
    "/log/tile/blobs/acme/sha256/ab/abc",
    "/log/entries/../../blobs/acme",
    "/log/entries//evil.example/000",
    "/log/entries/%5C%5Cevil.example",
    "/log/entries/000%0d%0aSet-Cookie:%20a=b",
    "/log/objects/sha256/../../state/high-water.json",
    "/log/objects/sha256/ab/" + "c" * 64,
    "/log/state/high-water.json",
    "/log/",
    "/log",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_other_name_leads_to_entries_or_out_of_the_log(world: World, path: str) -> None:
    """Neither bytes nor a redirect to elsewhere nor a fault: there is no such file, or it needs a token."""
    bundle = LogKey("tile/entries/000")
    world.services.blobs.put(bundle, SECRET, size=len(SECRET), sha256=Digest.of(SECRET))
    answer = world.client(None).get(path, follow_redirects=False)
    assert answer.status_code in (401, 404), (answer.status_code, answer.text[:200])
    assert b"auditors" not in answer.content
    assert "location" not in answer.headers


def test_whether_an_entry_or_object_exists_is_told_to_nobody_without_the_right(world: World) -> None:
    key = LogKey.of_object(Digest.of(SECRET))
    world.services.blobs.put(key, SECRET, size=len(SECRET), sha256=Digest.of(SECRET))
    absent = LogKey.of_object(Digest.of(b"nobody wrote this"))
    for client in (world.client(None), world.client()):
        found = [client.get(f"/{each.path}") for each in (key, absent)]
        assert {answer.status_code for answer in found} in ({401}, {403})
        assert len({answer.json()["detail"] for answer in found}) == 1, "the same words for both"
