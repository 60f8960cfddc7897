"""A large blob comes in parts from several requests: one of them lies about its bytes, its place or its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import repeat
from pathlib import Path

import httpx2
import pytest

from tests.client.releases.parts import DATA, PART, Parts, parts_of
from tidegate.errors import BundleRefused

ASKED = "bytes=300-399"
TRUE_RANGE = f"bytes 300-399/{len(DATA)}"


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Parts:
    return parts_of(tmp_path, monkeypatch)


def endless() -> Iterator[bytes]:
    yield from repeat(b"x" * 10)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (lambda: (206, TRUE_RANGE, DATA[300:399] + b"!"), "blob-digest"),
        (lambda: (206, TRUE_RANGE, DATA[400:500]), "blob-digest"),
        (lambda: (206, f"bytes 400-499/{len(DATA)}", DATA[400:500]), "blob-altered"),
        (lambda: (206, f"bytes 300-399/{len(DATA) + 1}", DATA[300:400]), "blob-altered"),
        (lambda: (206, "", DATA[300:400]), "blob-altered"),
        (lambda: (206, TRUE_RANGE, DATA[300:390]), "blob-altered"),
        (lambda: (206, TRUE_RANGE, b""), "blob-altered"),
        (lambda: (206, TRUE_RANGE, DATA[300:] + DATA), "blob-altered"),
        (lambda: (206, TRUE_RANGE, endless()), "blob-altered"),
        (lambda: (200, "", DATA[:350]), "blob-altered"),
        (lambda: (200, "", endless()), "blob-digest"),
    ],
    ids=range(11),
)
def test_one_lying_part_spoils_the_blob_and_nothing_is_kept(
    parts: Parts, answer: Callable[[], tuple[int, str, bytes | Iterator[bytes]]], code: str
) -> None:
    def lie(request: httpx2.Request) -> httpx2.Response | None:
        if request.headers.get("range") != ASKED:
            return None
        status, content_range, body = answer()
        headers = {"Content-Range": content_range} if content_range else {}
        return httpx2.Response(status, headers=headers, content=body)

    parts.fake.before.append(lie)
    with pytest.raises(BundleRefused) as caught:
        parts.fetch()
    assert caught.value.reasons[0].code == code
    assert parts.stored() == set()


def test_a_server_without_ranges_cannot_send_more_than_the_blob(parts: Parts) -> None:
    sent: list[int] = []

    def counted() -> Iterator[bytes]:
        for chunk in endless():
            sent.append(len(chunk))
            yield chunk

    parts.fake.before.append(lambda r: httpx2.Response(200, content=counted()) if r.headers.get("range") else None)
    with pytest.raises(BundleRefused) as caught:
        parts.fetch()
    assert caught.value.reasons[0].code == "blob-altered"
    assert sum(sent) <= len(DATA) + PART
    assert parts.stored() == set()
