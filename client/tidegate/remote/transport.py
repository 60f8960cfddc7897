"""One request to a registry: who we are, how often to try, how much to read, and what a refusal means.

Every request here is safe to repeat: reads, content-addressed writes, and a version that is given to one digest only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from tidegate.errors import InvalidInput, LimitExceeded, NotFound, TidegateError, Unreachable
from tidegate.remote.address import CONNECT_SECONDS, RegistryAddress
from tidegate.remote.answers import MAX_ERROR_BYTES, clean_text, error_of
from tidegate.remote.packing import PACKING_BYTES, unpacked
from tidegate.remote.tokens import LOGIN_HINT, MAX_TOKEN_ANSWER_BYTES, Identity, RegistryTokens, origin_of

if TYPE_CHECKING:
    import httpx2

    from tidegate.remote.stores import Stores

MAX_ATTEMPTS = 4
FIRST_WAIT_SECONDS = 0.25  # then twice as long each time: the last attempt starts below two seconds after the first
MAX_WAIT_SECONDS = 10.0  # a Retry-After beyond this is told to the user rather than waited for
MAX_ANSWER_SECONDS = 120.0  # for a whole document; a server that drips bytes would otherwise never be late
MAX_REDIRECTS = 3  # registry to store, and the store's own
READ_BYTES = 1 << 20
MAX_SAID = 200  # characters of what a store answers, to be shown

_TRANSIENT = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})

Body = Callable[[], Iterable[bytes]]
"""Makes a request's body anew for each attempt."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that was expected, read to its end. Header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport:
    """Sends requests to one registry. Safe from several threads, as the HTTP client is.

    `stores` decides where a redirect may lead; `sleep` and `monotonic` are in seconds.
    """

    def __init__(
        self,
        address: RegistryAddress,
        client: httpx2.Client,
        identity: Identity | None = None,
        *,
        stores: Stores,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address, self._stores = address, stores
        self._client, self._sleep, self._monotonic = client, sleep, monotonic
        self._has_identity = identity is not None
        self.tokens = RegistryTokens(address.url, identity, self._fetch_token, monotonic)

    def request(
        self,
        method: str,
        target: str,
        *,
        what: str,
        scopes: Collection[str] = (),
        expect: Collection[int] = (HTTPStatus.OK,),
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        limit: int = MAX_ERROR_BYTES,
        silence: float | None = None,
    ) -> Answer:
        """Send one request and read its answer, at most `limit` bytes.

        `target` is a path, or a URL at this registry. `what` completes "asked to …" in errors. `silence`: seconds to
        wait for the next byte, if the registry may need longer than usual. Raises LimitExceeded, Unreachable, or what
        the registry's refusal stands for.
        """
        response = self.open(method, self.url(target), scopes=scopes, headers=headers, body=body, silence=silence)
        try:
            expected = response.status_code in expect
            content = b"" if method == "HEAD" else self._read(response, limit if expected else MAX_ERROR_BYTES, what)
            if not expected:
                raise self._refusal(response, content, what)
            return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, content)
        finally:
            response.close()

    def exists(self, target: str, *, scopes: Collection[str], headers: Mapping[str, str] | None = None) -> bool:
        """Whether a HEAD of `target` finds something; a redirect to where a registry keeps its content counts."""
        answer = self.request(
            "HEAD",
            target,
            what=f"say whether it has {target}",
            scopes=scopes,
            headers=headers,
            expect=(HTTPStatus.OK, HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.NOT_FOUND),
        )
        return answer.status != HTTPStatus.NOT_FOUND

    def put_elsewhere(self, url: str, *, headers: Mapping[str, str], body: Body) -> tuple[int, str]:
        """PUT to a server that owes us nothing, without any credential. Gives the status and the start of the answer.

        A redirect is an answer like any other. Whether the URL is one to send to is for the caller to check.
        """
        response = self.open("PUT", url, headers=headers, body=body, anonymous=True)
        try:
            said = self._read(response, MAX_ERROR_BYTES, "take a blob")
        finally:
            response.close()
        return response.status_code, clean_text(said.decode("utf-8", "replace"))[:MAX_SAID]

    def open(
        self,
        method: str,
        url: str,
        *,
        scopes: Collection[str] = (),
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        silence: float | None = None,
        anonymous: bool = False,
    ) -> httpx2.Response:
        """Send one request, and again while the trouble looks passing; the caller reads and closes the answer.

        The registry's token goes to the registry's own origin only, and not even there if `anonymous`. Raises
        Unreachable, Unauthenticated.
        """
        import httpx2

        wait = FIRST_WAIT_SECONDS
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                if anonymous:
                    response = self._send(method, url, dict(headers or {}), body)
                else:
                    response = self._authorised(method, url, dict(headers or {}), body, scopes=scopes, silence=silence)
            except httpx2.TransportError as error:
                if attempt == MAX_ATTEMPTS:
                    raise self._unreachable(error, url) from error
                pause = wait
            except httpx2.InvalidURL as error:
                raise InvalidInput("that is not a URL", found=url[:300]) from error
            else:
                pause = _retry_after(response, wait)
                if response.status_code not in _TRANSIENT or attempt == MAX_ATTEMPTS or pause > MAX_WAIT_SECONDS:
                    return response
                response.close()
            self._sleep(pause)
            wait *= 2
        raise AssertionError("the last attempt returns or raises")

    def fetch_content(self, target: str, *, what: str, scopes: Collection[str], limit: int) -> bytes:
        """GET content whole as `open_content` does, packed with gzip if the server likes; at most `limit` bytes."""
        response = self.open_content(target, what=what, scopes=scopes, encoding="gzip")
        try:
            raw = self._read(response, limit + PACKING_BYTES, what)
            return unpacked(raw, response.headers.get("content-encoding", ""), limit=limit, what=what)
        finally:
            response.close()

    def open_content(
        self,
        target: str,
        *,
        what: str,
        scopes: Collection[str],
        span: tuple[int, int] | None = None,
        encoding: str | None = None,
    ) -> httpx2.Response:
        """GET content that a registry may keep elsewhere. `span`: only the bytes from the first number to before the
        second; the answer is 206 then, or 200 with all bytes from a server that does not know ranges. Else it is 200.

        Redirects are followed a few times, to https or, for a registry that is itself spoken to over http, to http;
        no header of ours but the range and the `encoding` we take goes along to another origin.
        """
        url = self.url(target)
        headers = {"Range": f"bytes={span[0]}-{span[1] - 1}"} if span else {}
        if encoding is not None:
            headers["Accept-Encoding"] = encoding
        good = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT) if span else (HTTPStatus.OK,)
        for _ in range(MAX_REDIRECTS + 1):
            response = self.open("GET", url, scopes=scopes, headers=headers)
            if response.status_code in good:
                return response
            try:
                if response.status_code not in _REDIRECTS:
                    raise self._refusal(response, self._read(response, MAX_ERROR_BYTES, what), what)
                url = self._redirected(url, response.headers.get("location", ""))
            finally:
                response.close()
        raise Unreachable("the registry redirects without end", found=url[:300], expected=f"at most {MAX_REDIRECTS}")

    def url(self, target: str) -> str:
        """Resolve `target` against the registry. Raises Unreachable when it leads elsewhere."""
        url = urljoin(f"{self.address.url}/", target)
        if origin_of(url) != origin_of(self.address.url):
            raise Unreachable(
                "the registry sends us to another server where it must answer itself",
                code="location-elsewhere",
                found=url[:300],
                expected=self.address.url,
            )
        return url

    def _authorised(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Body | None,
        *,
        scopes: Collection[str],
        silence: float | None,
    ) -> httpx2.Response:
        if origin_of(url) != origin_of(self.address.url):
            return self._send(method, url, headers, body)
        authorization = self.tokens.header(scopes)
        response = self._send(method, url, headers | authorization, body, silence)
        if response.status_code != HTTPStatus.UNAUTHORIZED:
            return response
        response.close()
        self.tokens.challenged(response.headers.get("www-authenticate"), scopes, authorization.get("Authorization"))
        return self._send(method, url, headers | self.tokens.header(scopes), body, silence)

    def _send(
        self, method: str, url: str, headers: dict[str, str], body: Body | None, silence: float | None = None
    ) -> httpx2.Response:
        request = self._client.build_request(
            method, url, headers=headers, content=body() if body else None, timeout=self._patience(silence)
        )
        request.headers.pop("Cookie", None)  # nothing is remembered between requests, least of all for another server
        return self._client.send(request, stream=True, follow_redirects=False)

    def _fetch_token(self, url: str, headers: dict[str, str]) -> bytes:
        what = "give out a token"
        response = self._send("GET", url, headers, None)  # its caller retries
        try:
            if response.status_code != HTTPStatus.OK:
                raise self._refusal(response, self._read(response, MAX_ERROR_BYTES, what), what)
            return self._read(response, MAX_TOKEN_ANSWER_BYTES, what)
        finally:
            response.close()

    def _read(self, response: httpx2.Response, limit: int, what: str) -> bytes:
        import httpx2

        deadline, content = self._monotonic() + MAX_ANSWER_SECONDS, bytearray()
        try:
            for chunk in response.iter_raw(READ_BYTES):
                content += chunk
                if len(content) > limit:
                    raise LimitExceeded(
                        f"the registry's answer is too large when asked to {what}", expected=f"at most {limit} bytes"
                    )
                if self._monotonic() > deadline:
                    raise Unreachable(
                        f"the registry takes too long to {what}", expected=f"at most {MAX_ANSWER_SECONDS:.0f} s"
                    )
        except httpx2.TransportError as error:
            raise self._unreachable(error) from error
        return bytes(content)

    def _redirected(self, url: str, location: str) -> str:
        target = urljoin(url, location)
        parts = urlsplit(target)
        own_network = self.address.scheme == "http" and parts.scheme == "http"
        if not location or not parts.hostname or (parts.scheme != "https" and not own_network):
            raise Unreachable(
                "the registry redirects to where we do not follow",
                code="redirect-refused",
                found=target[:300],
                expected="an https URL",
            )
        self._stores.check_host(parts.hostname, private=True)
        return target

    def _refusal(self, response: httpx2.Response, content: bytes, what: str) -> TidegateError:
        error = error_of(response.status_code, content, what=what)
        if response.status_code == HTTPStatus.UNAUTHORIZED and not self._has_identity and error.hint is None:
            return type(error)(error.message, code=error.reasons[0].code, hint=LOGIN_HINT)
        if response.status_code == HTTPStatus.NOT_FOUND and not self._has_identity and isinstance(error, NotFound):
            return NotFound(error.message, hint=f"it may be hidden from strangers: {LOGIN_HINT}")
        return error

    def _patience(self, silence: float | None) -> httpx2.Timeout:
        import httpx2

        return self._client.timeout if silence is None else httpx2.Timeout(silence, connect=CONNECT_SECONDS)

    def _unreachable(self, error: Exception, url: str | None = None) -> Unreachable:
        if url is not None and origin_of(url) != origin_of(self.address.url):
            where = urlsplit(url)
            return Unreachable(
                f"the registry's store at {where.scheme}://{where.netloc} does not answer",
                found=(str(error) or type(error).__name__)[:200],
                hint="check that this machine may connect there, or ask the registry's operator",
            )
        start = "; `tidegate-registry sandbox` starts one on this machine" if self.address.is_local else ""
        return Unreachable(
            f"the registry at {self.address.url} does not answer",
            found=(str(error) or type(error).__name__)[:200],
            hint=f"check that it runs and that the address is right{start}",
        )


def _retry_after(response: httpx2.Response, otherwise: float) -> float:
    """Give the seconds to wait. Source: RFC 9110 section 10.2.3; a date is as good as silence."""
    text = response.headers.get("retry-after", "")
    return max(float(text), otherwise) if text.isascii() and text.isdigit() and len(text) < 8 else otherwise  # noqa: PLR2004


def pull_scope(name: str) -> tuple[str, ...]:
    """Give the scopes for reading a repository. Source: Docker token specification, "Resource Scope"."""
    return (f"repository:{name}:pull",)


def push_scope(name: str) -> tuple[str, ...]:
    """Give the scopes for writing to a repository."""
    return (f"repository:{name}:pull,push",)


def promote_scope(name: str) -> tuple[str, ...]:
    """Give the scopes for what moves an agent's channels, and for reading what that rests on."""
    return (f"repository:{name}:pull,promote",)


READ_API = ("registry:api:*",)  # everything under /api/v1/ that the caller may see
MANAGE_API = ("registry:api:*,manage",)  # and writing about the registry itself: policies, enrolments
