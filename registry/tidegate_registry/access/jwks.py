"""Signing keys of OIDC issuers: fetched through discovery, cached, bounded in size, time and frequency.

Ages are those of facts measured with real issuers: keys rotate over days, so five minutes of cache costs nothing; an
unknown `kid` asks again, but at most every thirty seconds, so that made-up key ids cannot turn the registry into a
load generator. While an issuer is down its last keys serve on for a bounded time: a stolen and then removed key must
stop working some time. Source: OpenID Connect Discovery 1.0 section 4, RFC 7517.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.util import base64_to_int

from tidegate.errors import JsonInvalid, TidegateError, Unreachable
from tidegate.formats.jcs import JsonObject, JsonValue, parse_object
from tidegate_registry.access.issuers import is_loopback, is_trustworthy_url
from tidegate_registry.access.jwt import KEY_SHAPES, PublicKey, TokenRefused

MAX_AGE = timedelta(minutes=5)
COOLDOWN = timedelta(seconds=30)
MAX_STALE = timedelta(hours=1)  # how long keys outlive an issuer that does not answer
FETCH_SECONDS = 5.0  # for one document, from connecting to its last byte
MAX_DOCUMENT_BYTES = 256 << 10  # the largest real key set seen is under 20 KiB
MAX_KEYS = 64
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 16384  # RFC 7518 section 3.3; OpenSSL verifies with no larger modulus
FETCH_HEADERS = {"accept": "application/json", "accept-encoding": "identity"}
WELL_KNOWN = "/.well-known/openid-configuration"

_KEY_TYPES: dict[str, type[PublicKey]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}


class FetchJson(Protocol):
    """How a JSON document is fetched: the whole network side of this module."""

    def __call__(self, url: str) -> bytes:
        """GET `url`. Raises Unreachable."""


def issuer_client() -> httpx2.Client:
    """Make the client that asks issuers. It keeps no connection: minutes pass between two questions."""
    return httpx2.Client(timeout=FETCH_SECONDS, limits=httpx2.Limits(max_keepalive_connections=0))


class HttpFetch:
    """GET with limits: no redirects, no compression, MAX_DOCUMENT_BYTES, `seconds` from connecting to the last byte.

    A compressed answer is refused before a byte of it is read: one chunk of it could become any amount of memory.
    """

    def __init__(self, client: httpx2.Client, *, seconds: float = FETCH_SECONDS) -> None:
        self._client = client
        self._seconds = seconds

    def __call__(self, url: str) -> bytes:
        """GET `url`. Raises Unreachable."""
        deadline = time.monotonic() + self._seconds
        try:
            with self._client.stream(
                "GET", url, headers=FETCH_HEADERS, follow_redirects=False, timeout=FETCH_SECONDS
            ) as response:
                if response.status_code != httpx2.codes.OK:
                    raise _unreachable(url, f"status {response.status_code}", "200, without a redirect")
                encoding = response.headers.get("content-encoding", "identity")
                if encoding.strip().lower() != "identity":
                    raise _unreachable(url, f"content-encoding {encoding[:80]}", "an answer that is not compressed")
                body = bytearray()
                for chunk in response.iter_raw():
                    body += chunk
                    if len(body) > MAX_DOCUMENT_BYTES:
                        raise _unreachable(url, "a longer document", f"at most {MAX_DOCUMENT_BYTES} bytes")
                    if time.monotonic() > deadline:
                        raise _unreachable(url, "a slower answer", f"at most {self._seconds} s")
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:  # UnicodeError: a host with a long label
            raise _unreachable(url, f"{type(error).__name__}: {error}", "an answer") from error
        return bytes(body)


@dataclass
class _Cached:
    keys: dict[tuple[str, str], PublicKey] = field(default_factory=dict)  # by (kid, algorithm)
    fetched_at: datetime | None = None
    tried_at: datetime | None = None
    failure: TidegateError | None = None


class IssuerKeys:
    """The keys of one issuer. Safe to share between threads; one fetch at a time."""

    def __init__(
        self, issuer: str, algorithms: tuple[str, ...], fetch: FetchJson, clock: Callable[[], datetime]
    ) -> None:
        self.issuer = issuer
        self._algorithms = algorithms
        self._fetch = fetch
        self._clock = clock
        self._fetching = threading.Lock()
        self._cached = _Cached()

    def key(self, kid: str, algorithm: str) -> PublicKey:
        """Give the issuer's key `kid` for `algorithm`.

        Raises TokenRefused (code `token-key`) when the issuer has none such, Unreachable (code `issuer-unreachable`)
        when it cannot be asked and what is cached is too old to trust.
        """
        found = self._usable(self._cached).get((kid, algorithm))
        if found is not None and self._is_fresh(self._cached):
            return found
        if found is not None and not self._fetching.acquire(blocking=False):
            return found  # another thread is refreshing: a key of the last fetch is good enough meanwhile
        if found is None:
            self._fetching.acquire()
        try:
            if self._may_fetch(self._cached, known=found is not None):
                self._refresh()
        finally:
            self._fetching.release()
        return self._answer(kid, algorithm)

    def _answer(self, kid: str, algorithm: str) -> PublicKey:
        cached = self._cached
        found = self._usable(cached).get((kid, algorithm))
        if found is not None:
            return found
        if cached.failure is not None:
            raise cached.failure
        raise TokenRefused(
            "the issuer has no such key",
            code="token-key",
            found=f"kid {kid[:120]!r} for {algorithm}",
            expected=f"a key that {self.issuer} publishes",
            hint="get a new token; if the issuer has just rotated its keys, try again in half a minute",
        )

    def _is_fresh(self, cached: _Cached) -> bool:
        return cached.fetched_at is not None and self._clock() - cached.fetched_at < MAX_AGE

    def _usable(self, cached: _Cached) -> dict[tuple[str, str], PublicKey]:
        if cached.fetched_at is None or self._clock() - cached.fetched_at > MAX_AGE + MAX_STALE:
            return {}
        return cached.keys

    def _may_fetch(self, cached: _Cached, *, known: bool) -> bool:
        if known and self._is_fresh(cached):
            return False
        return cached.tried_at is None or self._clock() - cached.tried_at >= COOLDOWN

    def _refresh(self) -> None:
        now, before = self._clock(), self._cached
        try:
            keys = self._fetch_keys()
        except TidegateError as error:
            self._cached = _Cached(before.keys, before.fetched_at, now, error)
        else:
            self._cached = _Cached(keys, now, now)

    def _fetch_keys(self) -> dict[tuple[str, str], PublicKey]:
        discovery_url = self.issuer.removesuffix("/") + WELL_KNOWN
        document = self._document(discovery_url)
        if document.get("issuer") != self.issuer:
            raise _unreachable(discovery_url, f"issuer {document.get('issuer')!r}"[:200], f"issuer {self.issuer!r}")
        jwks_uri = document.get("jwks_uri")
        if not isinstance(jwks_uri, str) or not self._may_be_asked(jwks_uri):
            raise _unreachable(discovery_url, f"jwks_uri {jwks_uri!r}"[:200], "an https URL")
        keys = self._document(jwks_uri).get("keys")
        if not isinstance(keys, list) or len(keys) > MAX_KEYS:
            raise _unreachable(jwks_uri, "no list of keys, or too long a list", f"at most {MAX_KEYS} keys")
        return _index(keys, self._algorithms)

    def _may_be_asked(self, url: str) -> bool:
        if not url.startswith("https://") and not is_loopback(httpx2.URL(self.issuer).host):
            return False  # only an issuer on this machine may send us to plain http, and then only to this machine
        return is_trustworthy_url(url)

    def _document(self, url: str) -> JsonObject:
        try:
            return parse_object(self._fetch(url), limit=MAX_DOCUMENT_BYTES, what=url)
        except JsonInvalid as error:
            raise _unreachable(url, str(error)[:200], "one JSON object") from error


def _index(keys: list[JsonValue], algorithms: tuple[str, ...]) -> dict[tuple[str, str], PublicKey]:
    """Sort keys by (kid, algorithm). A pair that two different keys claim belongs to neither."""
    result: dict[tuple[str, str], PublicKey] = {}
    doubtful: set[tuple[str, str]] = set()
    for jwk in keys:
        if not isinstance(jwk, dict):
            continue
        for algorithm in algorithms:
            key = _signing_key(jwk, algorithm)
            pair = (str(jwk.get("kid")), algorithm)
            if key is not None and result.setdefault(pair, key) != key:
                doubtful.add(pair)
    return {pair: key for pair, key in result.items() if pair not in doubtful}


def _signing_key(jwk: JsonObject, algorithm: str) -> PublicKey | None:
    """Make a key of `jwk` if it may verify `algorithm`; others are skipped, as RFC 7517 section 5 asks."""
    kid, shape = jwk.get("kid"), KEY_SHAPES[algorithm]
    if not isinstance(kid, str) or not kid or any(jwk.get(member) != value for member, value in shape.items()):
        return None
    if jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
        return None
    members = ("kty", "crv", "x", "y", "n", "e")  # public ones only: nothing private is ever kept
    public = {name: value for name in members if isinstance(value := jwk.get(name), str)}
    try:
        if shape["kty"] == "RSA" and not _is_rsa_size(public.get("n", "")):
            return None
        return _KEY_TYPES[shape["kty"]].import_key({**public, "kid": kid})
    except (JoseError, ValueError, TypeError):
        return None


def _is_rsa_size(modulus: str) -> bool:
    return len(modulus) <= MAX_RSA_BITS // 6 + 1 and MIN_RSA_BITS <= base64_to_int(modulus).bit_length() <= MAX_RSA_BITS


def _unreachable(url: str, found: str, expected: str) -> Unreachable:
    return Unreachable(
        "the OIDC issuer's keys cannot be had",
        code="issuer-unreachable",
        found=f"{found} from {url}",
        expected=expected,
        hint="check that the registry reaches the issuer; nothing is wrong with the token itself",
    )
