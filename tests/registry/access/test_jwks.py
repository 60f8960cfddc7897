"""Keys of issuers: cached five minutes, refetched with a cooldown, served stale for a bounded time, bounded in all."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from datetime import timedelta

import httpx2
import pytest
from joserfc.util import int_to_base64

from tests.registry.access.issuer import NO_TLS, Clock, FakeIssuer, ec_key, rsa_key, wait_until
from tidegate.errors import Unreachable
from tidegate_registry.access.jwks import MAX_DOCUMENT_BYTES, MAX_STALE, HttpFetch, IssuerKeys
from tidegate_registry.access.jwt import TokenRefused

DISCOVERY = "/.well-known/openid-configuration"


def keys_of(issuer: FakeIssuer, clock: Clock, *algorithms: str) -> IssuerKeys:
    fetch = HttpFetch(httpx2.Client(trust_env=False, verify=NO_TLS))
    return IssuerKeys(issuer.url, algorithms or ("ES256",), fetch, clock)


def failure(keys: IssuerKeys, kid: str = "k1", algorithm: str = "ES256") -> str:
    with pytest.raises((TokenRefused, Unreachable)) as caught:
        keys.key(kid, algorithm)
    return caught.value.reasons[0].code


def test_keys_are_fetched_once_and_again_after_five_minutes(issuer: FakeIssuer, clock: Clock) -> None:
    keys = keys_of(issuer, clock)
    for _ in range(3):
        assert keys.key("k1", "ES256").kid == "k1"
    assert issuer.requests == [DISCOVERY, "/keys"]
    clock.advance(minutes=5)
    keys.key("k1", "ES256")
    assert len(issuer.requests) == 4


def test_a_new_key_is_found_at_once_and_made_up_ids_ask_at_most_every_thirty_seconds(
    issuer: FakeIssuer, clock: Clock
) -> None:
    keys = keys_of(issuer, clock)
    keys.key("k1", "ES256")
    clock.advance(seconds=30)
    issuer.keys.append(ec_key("k2"))
    assert keys.key("k2", "ES256").kid == "k2"
    asked = len(issuer.requests)
    for number in range(5):
        assert failure(keys, f"made-up-{number}") == "token-key"
    assert len(issuer.requests) == asked
    clock.advance(seconds=30)
    assert failure(keys, "made-up") == "token-key"
    assert len(issuer.requests) == asked + 2


def test_stale_keys_serve_while_the_issuer_is_down_but_not_for_ever(issuer: FakeIssuer, clock: Clock) -> None:
    keys = keys_of(issuer, clock)
    keys.key("k1", "ES256")
    issuer.answer = lambda _: (503, {}, b"")
    clock.advance(minutes=6)
    assert keys.key("k1", "ES256").kid == "k1"
    asked = len(issuer.requests)
    assert keys.key("k1", "ES256").kid == "k1"
    assert len(issuer.requests) == asked  # not asked again within the cooldown
    clock.now += MAX_STALE
    assert failure(keys) == "issuer-unreachable"
    issuer.answer = None
    clock.advance(seconds=30)
    assert keys.key("k1", "ES256").kid == "k1"


def test_a_removed_key_stops_counting_at_the_next_fetch(issuer: FakeIssuer, clock: Clock) -> None:
    keys = keys_of(issuer, clock)
    keys.key("k1", "ES256")
    issuer.keys = [ec_key("k2")]
    clock.advance(minutes=5)
    assert failure(keys) == "token-key"


def test_only_one_thread_fetches_and_the_others_use_what_is_there(issuer: FakeIssuer, clock: Clock) -> None:
    keys, release, in_time = keys_of(issuer, clock), threading.Event(), []
    keys.key("k1", "ES256")
    clock.advance(minutes=6)

    def hang(_: str) -> None:
        in_time.append(release.wait(5))

    issuer.answer = hang
    fetching = threading.Thread(target=keys.key, args=("k1", "ES256"))
    fetching.start()
    wait_until(lambda: len(issuer.requests) == 3)
    assert keys.key("k1", "ES256").kid == "k1"  # would hang if it fetched or waited
    release.set()
    fetching.join()
    assert all(in_time)
    assert issuer.requests.count(DISCOVERY) == 2


def test_threads_that_need_the_first_fetch_share_it(issuer: FakeIssuer, clock: Clock) -> None:
    keys = keys_of(issuer, clock)
    threads = [threading.Thread(target=keys.key, args=("k1", "ES256")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert issuer.requests == [DISCOVERY, "/keys"]


def bend(path: str, status: int = 200, body: bytes = b"{}", **headers: str) -> object:
    def answer(asked: str) -> tuple[int, Mapping[str, str], bytes] | None:
        return (status, headers, body) if asked == path else None

    return answer


def test_a_document_that_is_wrong_large_or_a_redirect_is_not_used(issuer: FakeIssuer, clock: Clock) -> None:
    other = issuer.url.replace("127.0.0.1", "localhost")
    cases = [
        bend(DISCOVERY, body=f'{{"issuer": "{other}", "jwks_uri": "{issuer.url}/keys"}}'.encode()),
        bend(DISCOVERY, body=f'{{"issuer": "{issuer.url}/", "jwks_uri": "{issuer.url}/keys"}}'.encode()),
        bend(DISCOVERY, body=f'{{"issuer": "{issuer.url}", "jwks_uri": "http://keys.example/"}}'.encode()),
        bend(DISCOVERY, body=f'{{"issuer": "{issuer.url}", "jwks_uri": "file:///etc/passwd"}}'.encode()),
        bend(DISCOVERY, body=f'{{"issuer": "{issuer.url}"}}'.encode()),
        bend(DISCOVERY, body=b"[]"),
        bend("/keys", body=b'{"keys": [], "keys": []}'),
        bend("/keys", body=b'{"keys": {}}'),
        bend("/keys", body=b" " * (MAX_DOCUMENT_BYTES + 1)),
        bend("/keys", body=b'{"keys": [' + b"{}," * 64 + b"{}]}"),
        bend("/keys", 500),
    ]
    for case in cases:
        issuer.answer = case  # type: ignore[assignment]  # each is such a function
        assert failure(keys_of(issuer, clock)) == "issuer-unreachable"


def test_a_redirect_is_not_followed_even_to_a_sound_document(issuer: FakeIssuer, clock: Clock) -> None:
    def answer(path: str) -> tuple[int, Mapping[str, str], bytes] | None:
        if path == DISCOVERY:
            return 302, {"Location": "/elsewhere"}, b""
        sound = f'{{"issuer": "{issuer.url}", "jwks_uri": "{issuer.url}/keys"}}'.encode()
        return (200, {}, sound) if path == "/elsewhere" else None

    issuer.answer = answer
    fetch = HttpFetch(
        httpx2.Client(trust_env=False, verify=NO_TLS, follow_redirects=True)
    )  # whatever the client was told
    assert failure(IssuerKeys(issuer.url, ("ES256",), fetch, clock)) == "issuer-unreachable"
    assert issuer.requests == [DISCOVERY]


def test_a_document_is_not_read_beyond_its_limit(issuer: FakeIssuer) -> None:
    issuer.answer = lambda _: (200, {}, b" " * (MAX_DOCUMENT_BYTES + 1))
    with pytest.raises(Unreachable, match="cannot be had") as caught:
        HttpFetch(httpx2.Client(trust_env=False, verify=NO_TLS))(issuer.url)
    assert caught.value.reasons[0].code == "issuer-unreachable"
    assert "a longer document" in (caught.value.reasons[0].found or "")


def test_a_document_that_takes_too_long_is_given_up(issuer: FakeIssuer) -> None:
    fetch = HttpFetch(httpx2.Client(trust_env=False, verify=NO_TLS), seconds=0)
    with pytest.raises(Unreachable) as caught:
        fetch(issuer.url + DISCOVERY)
    assert caught.value.reasons[0].code == "issuer-unreachable"
    assert "a slower answer" in (caught.value.reasons[0].found or "")


def test_an_https_issuer_cannot_send_the_registry_to_its_own_loopback(issuer: FakeIssuer, clock: Clock) -> None:
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return f'{{"issuer": "https://issuer.example", "jwks_uri": "{issuer.url}/keys"}}'.encode()

    keys = IssuerKeys("https://issuer.example", ("ES256",), fetch, clock)
    assert failure(keys) == "issuer-unreachable"
    assert asked == ["https://issuer.example/.well-known/openid-configuration"]


@pytest.mark.parametrize(
    "jwks_uri", ["https://[", f"http://{'a' * 64}.localhost/", "http://127.0.0.1:99999/", "http://\x01"]
)
def test_keys_at_a_place_that_is_no_url_are_out_of_reach(issuer: FakeIssuer, clock: Clock, jwks_uri: str) -> None:
    document = json.dumps({"issuer": issuer.url, "jwks_uri": jwks_uri}).encode()
    issuer.answer = lambda _: (200, {}, document)
    assert failure(keys_of(issuer, clock)) == "issuer-unreachable"


def test_a_host_that_no_name_server_could_be_asked_for_is_out_of_reach() -> None:
    with pytest.raises(Unreachable) as caught:
        HttpFetch(httpx2.Client(trust_env=False, verify=NO_TLS))(f"https://{'a' * 64}.example/")
    assert caught.value.reasons[0].code == "issuer-unreachable"


def test_an_issuer_that_nobody_serves_is_unreachable(clock: Clock) -> None:
    fetch = HttpFetch(httpx2.Client(trust_env=False, verify=NO_TLS))
    keys = IssuerKeys("http://127.0.0.1:1", ("ES256",), fetch, clock)
    assert failure(keys) == "issuer-unreachable"


def test_keys_for_other_uses_weak_ambiguous_or_nameless_are_never_used(issuer: FakeIssuer, clock: Clock) -> None:
    good, twin = ec_key("good"), ec_key("twin")
    weak = rsa_key("weak").as_dict(private=False) | {"n": int_to_base64((1 << 1024) - 105)}
    huge = weak | {"kid": "huge", "n": int_to_base64((1 << 16384) + 1)}
    issuer.keys = [good]
    issuer.extra_jwks = [
        {**ec_key("enc").as_dict(private=False), "use": "enc"},
        {**ec_key("other-alg").as_dict(private=False), "alg": "ES384"},
        twin.as_dict(private=False),
        ec_key("twin").as_dict(private=False),
        weak,
        huge,
        {key: value for key, value in ec_key("x").as_dict(private=False).items() if key != "kid"},
        {"kty": "oct", "kid": "shared", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "EC", "crv": "P-256", "kid": "broken", "x": "AA", "y": "AA"},
        {"kty": "ML-DSA", "kid": "later"},
    ]
    keys = keys_of(issuer, clock, "ES256", "RS256")
    assert keys.key("good", "ES256").kid == "good"
    for kid in ("enc", "other-alg", "twin", "weak", "huge", "shared", "broken", "later", "None", ""):
        for algorithm in ("ES256", "RS256"):
            assert failure(keys, kid, algorithm) == "token-key"


def test_a_private_key_that_an_issuer_leaks_is_not_kept(issuer: FakeIssuer, clock: Clock) -> None:
    leaked = ec_key("leaked")
    issuer.keys, issuer.extra_jwks = [], [leaked.as_dict(private=True)]
    assert not keys_of(issuer, clock).key("leaked", "ES256").is_private


def test_an_old_failure_does_not_hide_that_a_key_is_unknown_later(issuer: FakeIssuer, clock: Clock) -> None:
    issuer.answer = lambda _: (503, {}, b"")
    keys = keys_of(issuer, clock)
    assert failure(keys) == "issuer-unreachable"
    issuer.answer = None
    assert failure(keys) == "issuer-unreachable"  # within the cooldown nobody is asked
    clock.now += timedelta(seconds=30)
    assert failure(keys, "other") == "token-key"
