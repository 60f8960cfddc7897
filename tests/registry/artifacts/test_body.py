"""Bodies: what Content-Length announces is believed only where it is a number."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from tidegate_registry.artifacts.errors import ManifestTooLarge
from tidegate_registry.artifacts.http.body import read_body
from tidegate_registry.settings import Limits


def read(announced: bytes, body: bytes = b"abc") -> bytes:
    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    request = Request({"type": "http", "headers": [(b"content-length", announced)]}, receive)
    return asyncio.run(read_body(request, most=3, limits=Limits()))


@pytest.mark.parametrize("announced", [b"4", b"9" * 5000])
def test_what_announces_too_much_is_refused_before_it_is_read(announced: bytes) -> None:
    with pytest.raises(ManifestTooLarge) as caught:
        read(announced, b"")
    assert caught.value.reasons[0].code == "manifest-too-large"


@pytest.mark.parametrize("announced", [b"", b"\xb2", b"-1", b"x"])
def test_what_announces_nonsense_is_counted(announced: bytes) -> None:
    assert read(announced) == b"abc"
    with pytest.raises(ManifestTooLarge) as caught:
        read(announced, b"abcd")
    assert caught.value.reasons[0].code == "manifest-too-large"
