"""Whoever answers for an OIDC issuer sends a small answer that would become a very large one."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator

import httpx2
import pytest

from tests.registry.access.issuer import NO_TLS, FakeIssuer, ec_key, running_issuer
from tidegate.errors import Unreachable
from tidegate_registry.access.jwks import MAX_DOCUMENT_BYTES, HttpFetch

SMALL = b'{"keys": []}'
BOMB = SMALL + b" " * (8 << 20)


@pytest.fixture
def issuer() -> Iterator[FakeIssuer]:
    with running_issuer(ec_key("k1")) as running:
        yield running


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(BOMB, mtime=0)),
        ("deflate", zlib.compress(BOMB)),
        ("GZip", gzip.compress(SMALL, mtime=0)),
        ("gzip, gzip", gzip.compress(gzip.compress(BOMB, mtime=0), mtime=0)),
        ("unheard-of", SMALL),
    ],
)
def test_a_compressed_answer_is_refused_unread_though_nobody_asked_for_one(
    issuer: FakeIssuer, encoding: str, body: bytes
) -> None:
    assert len(body) < MAX_DOCUMENT_BYTES
    issuer.answer = lambda _: (200, {"Content-Encoding": encoding}, body)
    with httpx2.Client(trust_env=False, verify=NO_TLS) as client, pytest.raises(Unreachable) as caught:
        HttpFetch(client)(f"{issuer.url}/keys")
    assert caught.value.reasons[0].code == "issuer-unreachable"
    assert "content-encoding" in (caught.value.reasons[0].found or "")


def test_the_registry_asks_for_an_answer_as_it_is(issuer: FakeIssuer) -> None:
    asked: list[str] = []

    def keep(request: httpx2.Request) -> None:
        asked.append(request.headers["accept-encoding"])

    issuer.answer = lambda _: (200, {"Content-Encoding": "identity"}, SMALL)
    with httpx2.Client(trust_env=False, verify=NO_TLS, event_hooks={"request": [keep]}) as client:
        assert HttpFetch(client)(f"{issuer.url}/keys") == SMALL
    assert asked == ["identity"]
