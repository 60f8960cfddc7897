"""Logging in with a browser: authorization code, PKCE, and a redirect to a port of this machine that we listen on.

Sources: RFC 6749 section 4.1, RFC 7636 (S256), RFC 8252 section 7.3, RFC 9207 (`iss`), OpenID Connect Core 1.0.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

from tidegate.credentials.oauth import OAuthRefused, Tokens, check_tokens, request_tokens
from tidegate.credentials.provider import Issuer, LoginOption, Provider
from tidegate.errors import Unauthenticated

HOST = "127.0.0.1"  # RFC 8252 section 8.3: never `localhost`, which may be looked up
CALLBACK = "/callback"
WAIT_SECONDS = 300.0  # a person finds their password and second factor
SECRET_BYTES = 32  # 256 bits for state, nonce and verifier each; RFC 7636 section 7.1 asks as much
MAX_TARGET = 16 << 10
IDLE_SECONDS = 10.0  # browsers open connections before they have anything to say
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Tidegate</title>
<style>body{{font:16px/1.5 system-ui;margin:4em auto;max-width:34em;padding:0 1em}}</style><p>{text}</p></html>"""


def log_in_by_browser(
    issuer: Issuer,
    provider: Provider,
    option: LoginOption,
    *,
    show: Callable[[str], None],
    entropy: Callable[[int], bytes],
    clock: Callable[[], datetime],
    seconds: float = WAIT_SECONDS,
) -> Tokens:
    """Let a person log in with a browser on this machine. `show` is given the URL to open.

    Raises OAuthRefused, Unauthenticated (code `login-timeout` after `seconds`), Unreachable.
    """
    if provider.authorization_endpoint is None:
        raise Unauthenticated(
            f"{provider.issuer} has no login for browsers", code="login-not-offered", hint="try --device"
        )
    state, nonce, verifier = (_secret(entropy) for _ in range(3))
    with _listening() as (port, answers):
        redirect_uri = f"http://{HOST}:{port}{CALLBACK}"
        query = {
            "response_type": "code",
            "client_id": option.client_id,
            "redirect_uri": redirect_uri,
            "scope": provider.scope(option),
            "state": state,
            "nonce": nonce,
            "code_challenge": _base64url(hashlib.sha256(verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        separator = "&" if urlsplit(provider.authorization_endpoint).query else "?"
        answers.expect(state)
        show(f"{provider.authorization_endpoint}{separator}{urlencode(query)}")
        answer = answers.wait(seconds)
    code = _code(answer, provider)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "client_id": option.client_id,
        "code_verifier": verifier,
    }
    return check_tokens(
        request_tokens(issuer, provider, form),
        issuer=provider.issuer,
        client_id=option.client_id,
        now=clock(),
        nonce=nonce,
    )


def _code(answer: Mapping[str, str], provider: Provider) -> str:
    said = answer.get("iss")
    if said != provider.issuer and (said is not None or provider.says_issuer):
        raise Unauthenticated(
            "the answer comes from another issuer than the one that was asked",
            code="login-mixed-up",
            found=(said or "no `iss`")[:300],
            expected=provider.issuer,
        )
    code = answer.get("code")
    if not code:
        raise OAuthRefused(provider.issuer, answer)
    return code


class _Answers:
    """The one redirect that carries our state; everything else that reaches the port is turned away."""

    def __init__(self) -> None:
        self._state: str | None = None
        self._queue: queue.Queue[Mapping[str, str]] = queue.Queue(maxsize=1)

    def expect(self, state: str) -> None:
        self._state = state

    def take(self, target: str) -> bool:
        """Whether this is the redirect; only the first one is."""
        parts = urlsplit(target)
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        fields = dict(pairs)
        if self._state is None or parts.path != CALLBACK or len(fields) != len(pairs) or len(target) > MAX_TARGET:
            return False
        if not hmac.compare_digest(fields.get("state", "").encode(), self._state.encode()):
            return False
        try:
            self._queue.put_nowait(fields)
        except queue.Full:
            return False
        return True

    def wait(self, seconds: float) -> Mapping[str, str]:
        try:
            return self._queue.get(timeout=seconds)
        except queue.Empty:
            raise Unauthenticated(
                f"nobody logged in within {seconds:.0f} s",
                code="login-timeout",
                hint="try again; on a machine without a browser use `tidegate login --device`",
            ) from None


@contextmanager
def _listening() -> Iterator[tuple[int, _Answers]]:
    answers = _Answers()

    class Handler(BaseHTTPRequestHandler):
        timeout = IDLE_SECONDS

        def do_GET(self) -> None:
            ours = self.headers.get("host") == f"{HOST}:{server.server_port}"  # else a name was made to lead here
            taken = ours and answers.take(self.path)
            text = "Go back to the terminal; this page can be closed." if taken else "Nothing was asked for here."
            body = PAGE.format(text=html.escape(text)).encode()
            self.send_response(HTTPStatus.OK if taken else HTTPStatus.BAD_REQUEST)
            for name, value in (
                ("Content-Type", "text/html; charset=utf-8"),
                ("Content-Length", str(len(body))),
                ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
                ("Cache-Control", "no-store"),
                ("Referrer-Policy", "no-referrer"),
                ("Connection", "close"),
            ):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet: the target holds the code."""

    server = ThreadingHTTPServer((HOST, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server.server_port, answers
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _secret(entropy: Callable[[int], bytes]) -> str:
    return _base64url(entropy(SECRET_BYTES))


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
