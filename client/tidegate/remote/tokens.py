"""The OCI token dance: a 401 says where to get a registry token, an OIDC token for this registry's audience buys it.

Sources: Distribution Spec 1.1 "Authentication"; the Docker token authentication specification; RFC 9110 section 11.6.1.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from urllib.parse import urlencode, urljoin, urlsplit

from tidegate.errors import Unauthenticated
from tidegate.formats.jcs import parse_object

MAX_TOKEN_ANSWER_BYTES = 256 << 10  # a registry token is a few KiB
MAX_CHALLENGE = 4096
DEFAULT_LIFETIME_SECONDS = 60.0  # Docker token spec: what to assume when `expires_in` is missing
EARLY_SECONDS = 10.0  # a token about to expire is not started with
MAX_LIFETIME_SECONDS = 3600.0  # believe nobody longer
USERNAME = "oidc"  # what the registry takes with an OIDC token as password, as `docker login -u oidc` does

LOGIN_HINT = (
    "say who you are: run `tidegate login`, or `tidegate login --as NAME` with a sandbox; in CI give the job an "
    "id-token permission; or set TIDEGATE_TOKEN to an OIDC token whose audience is the registry's URL"
)

_PARAMETER = re.compile(r'([a-zA-Z_]+)="((?:[^"\\]|\\.)*)"')

Identity = Callable[[str], "str | None"]
"""Gives an OIDC token whose audience is the argument (a registry's URL), or None when nobody is logged in."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a `WWW-Authenticate: Bearer` header said: where tokens are to be had, and for which service."""

    realm: str
    service: str | None = None
    scope: str | None = None

    @classmethod
    def parse(cls, header: str | None, *, registry_url: str) -> Challenge:
        """Parse the header of an answer from `registry_url`. Raises Unauthenticated.

        The realm must be of the registry's own origin: whoever answers there is shown an identity token.
        """
        if not header or len(header) > MAX_CHALLENGE or not header.lower().startswith("bearer "):
            raise Unauthenticated(
                "the registry asks for a login that is not understood",
                code="challenge-unknown",
                found=(header or "no WWW-Authenticate header")[:200],
                expected='Bearer realm="…",service="…"',
            )
        parameters = {name.lower(): value for name, value in _PARAMETER.findall(header)}
        realm = urljoin(f"{registry_url}/", parameters.get("realm", ""))
        if origin_of(realm) != origin_of(registry_url):
            raise Unauthenticated(
                "the registry wants our token sent to another server; it is not",
                code="challenge-elsewhere",
                found=realm[:300],
                expected=f"a realm at {registry_url}",
            )
        return cls(realm, parameters.get("service"), parameters.get("scope"))


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    expires_at: float


class RegistryTokens:
    """Registry tokens by scope, bought when needed. Safe from several threads.

    `fetch` sends the one GET (URL and headers in, body out; raises TidegateError); `monotonic` is in seconds.
    """

    def __init__(
        self,
        registry_url: str,
        identity: Identity | None,
        fetch: Callable[[str, dict[str, str]], bytes],
        monotonic: Callable[[], float],
    ) -> None:
        self._registry_url, self._identity, self._fetch, self._monotonic = registry_url, identity, fetch, monotonic
        self._challenge: Challenge | None = None
        self._tokens: dict[frozenset[str], _Token] = {}
        self._lock = threading.Lock()

    def header(self, scopes: Iterable[str]) -> dict[str, str]:
        """Give the Authorization header for `scopes`; none as long as the registry never asked for one."""
        if self._challenge is None:
            return {}
        return {"Authorization": f"Bearer {self._token(frozenset(scopes), self._challenge)}"}

    def challenged(self, header: str | None, scopes: Iterable[str], sent: str | None) -> None:
        """Take note of a 401 to the Authorization header `sent`, which is no longer good. Raises Unauthenticated."""
        challenge, wanted = Challenge.parse(header, registry_url=self._registry_url), frozenset(scopes)
        with self._lock:
            self._challenge = challenge
            held = self._tokens.get(wanted)
            if held is not None and sent == f"Bearer {held.value}":  # else another thread has bought a new one
                del self._tokens[wanted]

    def _token(self, scopes: frozenset[str], challenge: Challenge) -> str:
        with self._lock:  # held while fetching: eight uploads that start together need one token, not eight
            token = self._tokens.get(scopes)
            if token is None or token.expires_at <= self._monotonic():
                token = self._tokens[scopes] = self._exchange(scopes, challenge)
            return token.value

    def _exchange(self, scopes: frozenset[str], challenge: Challenge) -> _Token:
        query = [("service", challenge.service)] if challenge.service else []
        query += [("scope", scope) for scope in sorted(scopes)]
        identity = self._identity(self._registry_url) if self._identity else None
        headers = {"Authorization": _basic(USERNAME, identity)} if identity else {}
        separator = "&" if urlsplit(challenge.realm).query else "?"
        started = self._monotonic()
        try:
            body = self._fetch(f"{challenge.realm}{separator}{urlencode(query)}", headers)
        except Unauthenticated as error:
            if identity is None:  # the registry cannot know how its callers log in
                error.reasons = (replace(error.reasons[0], hint=LOGIN_HINT), *error.reasons[1:])
            raise
        answer = parse_object(body, limit=MAX_TOKEN_ANSWER_BYTES, what="the registry's token answer")
        value = answer.get("token") or answer.get("access_token")
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise Unauthenticated("the registry answered without a token", code="token-missing")
        lifetime = answer.get("expires_in")
        seconds = float(lifetime) if isinstance(lifetime, int | float) and lifetime > 0 else DEFAULT_LIFETIME_SECONDS
        return _Token(value, started + max(min(seconds, MAX_LIFETIME_SECONDS) - EARLY_SECONDS, 1.0))


def origin_of(url: str) -> tuple[str, str, int]:
    """Give scheme, host and port. Source: RFC 6454 section 4. A URL without them gives empty ones."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    return parts.scheme, (parts.hostname or "").lower(), port or {"https": 443, "http": 80}.get(parts.scheme, 0)


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
