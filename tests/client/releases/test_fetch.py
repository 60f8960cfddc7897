from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest

from tests.client.releases.parts import DATA, PART, Parts
from tests.client.remote.fake_registry import blob
from tidegate.bundle.layout import Layout, blob_name
from tidegate.digest import Digest
from tidegate.errors import BundleRefused, NotFound
from tidegate.releases.fetch import fetch_blobs

SPANS = [f"bytes={start}-{start + PART - 1}" for start in range(0, len(DATA), PART)]


def test_a_large_blob_comes_in_parts_and_small_ones_whole(parts: Parts) -> None:
    parts.fetch(b"small", b"")
    assert parts.stored() == {Digest.of(data) for data in (b"small", b"", DATA)}
    assert parts.layout.read_blob(parts.digest, len(DATA)) == DATA
    assert sorted(parts.ranges()) == sorted(SPANS)
    assert parts.done == len(DATA) + len(b"small")


def test_a_server_that_does_not_know_ranges_is_asked_once(parts: Parts) -> None:
    parts.fake.knows_ranges = False
    parts.fetch()
    assert parts.layout.read_blob(parts.digest, len(DATA)) == DATA
    assert parts.ranges() == SPANS[:1]


def test_a_server_that_forgets_ranges_on_the_way_is_only_slower(parts: Parts) -> None:
    parts.fake.before.append(
        lambda r: httpx2.Response(200, content=DATA) if r.headers.get("range") == SPANS[4] else None
    )
    parts.fetch()
    assert parts.layout.read_blob(parts.digest, len(DATA)) == DATA


def test_a_part_that_breaks_off_goes_on_where_it_broke(parts: Parts) -> None:
    def breaking() -> Iterator[bytes]:
        yield DATA[300:330]
        raise httpx2.ReadError("connection reset")

    headers = {"Content-Range": f"bytes 300-399/{len(DATA)}"}
    parts.fake.before.append(
        lambda r: (
            httpx2.Response(206, headers=headers, content=breaking()) if r.headers.get("range") == SPANS[3] else None
        )
    )
    parts.fetch()
    assert parts.layout.read_blob(parts.digest, len(DATA)) == DATA
    assert "bytes=330-399" in parts.ranges()


def test_an_earlier_blob_is_used_again_but_shares_no_file(parts: Parts) -> None:
    parts.fetch()
    later = Parts(parts.layout.path.parent / "later")
    later.fetch(earlier=parts.layout)
    assert later.ranges() == []
    name = f"blobs/sha256/{parts.digest.hex}"
    assert not (later.layout.path / name).samefile(parts.layout.path / name)


def test_an_earlier_blob_that_was_changed_is_fetched(parts: Parts) -> None:
    damaged = Layout.create(parts.layout.path.parent / "damaged")
    (damaged.path / f"blobs/sha256/{parts.digest.hex}").write_bytes(DATA[::-1])
    parts.fetch(earlier=damaged)
    assert parts.layout.read_blob(parts.digest, len(DATA)) == DATA
    assert parts.done == len(DATA)


def test_the_first_error_stops_the_others_and_leaves_nothing_unfinished(parts: Parts) -> None:
    parts.fake.before.append(lambda r: httpx2.Response(404) if r.headers.get("range") == SPANS[5] else None)
    with pytest.raises(NotFound):
        parts.fetch()
    assert parts.stored() == set()


def test_a_layout_whose_blob_is_longer_than_named_is_not_copied_to_its_end(parts: Parts) -> None:
    longer = Layout.create(parts.layout.path.parent / "longer")
    wanted = blob(b"as named")
    (longer.path / blob_name(wanted.digest)).write_bytes(b"as named, and more")
    told: list[int] = []
    with pytest.raises(BundleRefused) as caught:
        fetch_blobs(longer, [wanted], parts.layout, None, told.append)
    assert caught.value.reasons[0].code == "blob-altered"
    assert (told, parts.stored()) == ([], set())
