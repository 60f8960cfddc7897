from __future__ import annotations

import pytest

from tests.client.remote.fake_registry import HOST, NAME, FakeRegistry, blob, identity_noting, oci_error
from tidegate.errors import (
    Unauthenticated,
)


def test_an_identity_token_is_exchanged_once_for_all_requests_of_a_scope() -> None:
    fake = FakeRegistry(needs_token=True)
    asked: list[str] = []
    registry = fake.registry(identity_noting(asked))
    digest = fake.put_blob(b"data")
    for _ in range(3):
        assert registry.read_blob(NAME, blob(b"data"), limit=10) == b"data"
    assert asked == [f"http://{HOST}"]  # the registry's own URL is the audience, whatever the challenge says
    assert [r.headers["authorization"] for r in fake.seen("GET", digest)[1:]] == [
        f"Bearer token-for-oidc:ID-repository:{NAME}:pull"
    ] * 3


def test_a_challenge_that_names_another_server_gets_no_token() -> None:
    fake = FakeRegistry()
    fake.before.append(
        lambda _: oci_error(
            401, "UNAUTHORIZED", "no", headers={"WWW-Authenticate": 'Bearer realm="https://evil.example/t"'}
        )
    )
    asked: list[str] = []
    with pytest.raises(Unauthenticated) as caught:
        fake.registry(identity_noting(asked)).ping()
    assert caught.value.reasons[0].code == "challenge-elsewhere"
    assert asked == []
    assert {r.url.host for r in fake.requests} == {"127.0.0.1"}


@pytest.mark.parametrize("header", [None, 'Basic realm="x"', "Bearer " + "x" * 5000])
def test_a_challenge_that_is_not_understood_is_an_error(header: str | None) -> None:
    fake = FakeRegistry()
    headers = {"WWW-Authenticate": header} if header else None
    fake.before.append(lambda _: oci_error(401, "UNAUTHORIZED", "no", headers=headers))
    with pytest.raises(Unauthenticated) as caught:
        fake.registry().ping()
    assert caught.value.reasons[0].code == "challenge-unknown"


def test_a_refused_identity_token_is_told_in_the_registrys_words() -> None:
    fake = FakeRegistry(needs_token=True)
    with pytest.raises(Unauthenticated, match="the identity token has expired"):
        fake.registry(lambda _: "expired").ping()


def test_a_stranger_who_is_turned_away_hears_how_to_log_in() -> None:
    fake = FakeRegistry()
    fake.before.append(
        lambda r: (
            oci_error(
                401,
                "UNAUTHORIZED",
                "who are you?",
                headers={"WWW-Authenticate": f'Bearer realm="http://{HOST}/v2/token"'},
            )
            if r.url.path != "/v2/token"
            else None
        )
    )
    with pytest.raises(Unauthenticated) as caught:
        fake.registry().ping()
    assert "tidegate login" in (caught.value.hint or "")


def test_a_token_that_no_longer_counts_is_replaced() -> None:
    fake = FakeRegistry(needs_token=True)
    registry = fake.registry(lambda _: "ID")
    registry.ping()
    tokens = len(fake.seen("GET", "/v2/token"))
    challenge = f'Bearer realm="http://{HOST}/v2/token"'
    once = [oci_error(401, "UNAUTHORIZED", "expired", headers={"WWW-Authenticate": challenge})]
    fake.before.append(lambda _: once.pop() if once else None)
    registry.ping()
    assert len(fake.seen("GET", "/v2/token")) == tokens + 1


def test_a_challenge_cannot_choose_the_audience() -> None:
    fake = FakeRegistry()
    header = {"WWW-Authenticate": f'Bearer realm="http://{HOST}/v2/token",service="sigstore",scope="sigstore"'}
    once = [oci_error(401, "UNAUTHORIZED", "who are you?", headers=header)]
    fake.before.append(lambda r: once.pop() if once and r.url.path == "/v2/" else None)
    asked: list[str] = []
    fake.registry(identity_noting(asked)).ping()
    assert asked == [f"http://{HOST}"]
