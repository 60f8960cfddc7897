"""How people get tokens: the authorization code flow with PKCE for browsers, and a login without any for the CLI.

There are no passwords: whoever reaches the loopback address may be any of the four demo users.
Sources: RFC 6749 sections 4.1 and 5.2, RFC 7636, RFC 8252 section 7.3 (loopback redirects).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import html
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tidegate.errors import InvalidInput, LimitExceeded
from tidegate_registry.sandbox.http import LOOPBACK_NAMES, json_endpoint, read_body
from tidegate_registry.sandbox.issuer import MAX_AUDIENCE_CHARACTERS, TOKEN_LIFETIME, Issuer
from tidegate_registry.sandbox.users import USERS, DemoUser, demo_user

CODE_LIFETIME = timedelta(minutes=1)  # RFC 6749 section 4.1.2 allows ten
CODE_BYTES = 32
MAX_PENDING_CODES = 1000
MAX_PARAMETER_CHARACTERS = 2048
MAX_FORM_FIELDS = 20
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"  # the sigstore CLI on a machine without a browser: the code is shown
CHALLENGE_CHARACTERS = 43  # RFC 7636 section 4.2: base64url(SHA-256)

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Tidegate sandbox</title>
<style>body{{font:16px/1.5 system-ui;margin:4em auto;max-width:34em;padding:0 1em}}li{{margin:.5em 0}}</style>
<h1>Tidegate sandbox</h1>{body}</html>"""
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


class LoginRequest(BaseModel, extra="forbid"):
    """Who to be, and for whom the token is."""

    user: str = Field(max_length=40)
    audience: str = Field(min_length=1, max_length=MAX_AUDIENCE_CHARACTERS)


class AuthorizeRequest(BaseModel, extra="ignore"):
    """The query of the authorization endpoint; other parameters (scope, nonce-less prompts …) have no effect."""

    response_type: str = Field(max_length=40)
    client_id: str = Field(min_length=1, max_length=MAX_AUDIENCE_CHARACTERS)
    redirect_uri: str = Field(max_length=MAX_PARAMETER_CHARACTERS)
    state: str = Field(default="", max_length=MAX_PARAMETER_CHARACTERS)
    nonce: str | None = Field(default=None, max_length=MAX_PARAMETER_CHARACTERS)
    code_challenge: str = Field(pattern=rf"^[A-Za-z0-9_-]{{{CHALLENGE_CHARACTERS}}}$")
    code_challenge_method: str = Field(pattern=r"^S256$")
    login_hint: str | None = Field(default=None, max_length=320)
    audience: str | None = Field(default=None, min_length=1, max_length=MAX_AUDIENCE_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a code stands for until it is exchanged, once."""

    user: DemoUser
    client_id: str
    audience: str
    redirect_uri: str
    challenge: str
    nonce: str | None
    expires_at: datetime


class InvalidGrant(InvalidInput):
    """The code is unknown, used, too old or not this client's."""

    code = "invalid-grant"


class Codes:
    """Authorization codes that were given out and not yet exchanged. Safe from several threads."""

    def __init__(self, clock: Callable[[], datetime], entropy: Callable[[int], bytes]) -> None:
        self._clock, self._entropy = clock, entropy
        self._pending: dict[str, Grant] = {}
        self._lock = threading.Lock()

    def issue(self, user: DemoUser, request: AuthorizeRequest) -> str:
        """Make a code for `user`. Raises LimitExceeded when too many wait."""
        code, now = self._entropy(CODE_BYTES).hex(), self._clock()
        grant = Grant(
            user=user,
            client_id=request.client_id,
            audience=request.audience or request.client_id,
            redirect_uri=request.redirect_uri,
            challenge=request.code_challenge,
            nonce=request.nonce,
            expires_at=now + CODE_LIFETIME,
        )
        with self._lock:
            self._pending = {key: value for key, value in self._pending.items() if value.expires_at > now}
            if len(self._pending) >= MAX_PENDING_CODES:
                raise LimitExceeded("too many logins are under way", expected=f"at most {MAX_PENDING_CODES}")
            self._pending[code] = grant
        return code

    def redeem(self, code: str, *, client_id: str, redirect_uri: str, verifier: str) -> Grant:
        """Exchange a code; any attempt, also a failed one, uses it up. Raises InvalidGrant."""
        with self._lock:
            grant = self._pending.pop(code, None)
        if grant is None or grant.expires_at <= self._clock():
            raise InvalidGrant("the code is unknown, was used before or has expired")
        if (grant.client_id, grant.redirect_uri) != (client_id, redirect_uri):
            raise InvalidGrant("the code was given to another client or redirect_uri")
        digest = hashlib.sha256(verifier.encode()).digest()
        if not hmac.compare_digest(base64.urlsafe_b64encode(digest).rstrip(b"=").decode(), grant.challenge):
            raise InvalidGrant("the PKCE verifier does not match the challenge")
        return grant


class LoginService:
    """The endpoints that give people tokens."""

    def __init__(self, issuer: Issuer, codes: Codes) -> None:
        self._issuer, self._codes = issuer, codes

    def routes(self) -> list[Route]:
        return [
            Route("/authorize", self._authorize),
            Route("/token", self._token, methods=["POST"]),
            Route("/sandbox/login", json_endpoint(LoginRequest, self._login), methods=["POST"]),
        ]

    def _login(self, _: Request, body: LoginRequest) -> dict[str, object]:
        return {"id_token": self._issuer.mint(demo_user(body.user).claims(), body.audience)}

    def _authorize(self, request: Request) -> Response:
        wanted = parse_authorize_request(list(request.query_params.multi_items()))
        if wanted.login_hint is None:
            return _chooser(list(request.query_params.multi_items()))
        code = self._codes.issue(demo_user(wanted.login_hint.partition("@")[0]), wanted)
        if wanted.redirect_uri == OUT_OF_BAND:
            return _page(f"<p>Enter this code where you came from:</p><p><code>{html.escape(code)}</code></p>")
        answer = urlencode({"code": code} | ({"state": wanted.state} if wanted.state else {}))
        separator = "&" if urlsplit(wanted.redirect_uri).query else "?"
        return RedirectResponse(f"{wanted.redirect_uri}{separator}{answer}", 302, headers={"Cache-Control": "no-store"})

    async def _token(self, request: Request) -> Response:
        """RFC 6749 section 4.1.3; its errors have that document's shape, not ours."""
        try:
            form = _form(await read_body(request))
            if form.get("grant_type") != "authorization_code":
                return _oauth_error("unsupported_grant_type", "only authorization_code")
            grant = self._codes.redeem(
                form.get("code", ""),
                client_id=_client_id(request, form),
                redirect_uri=form.get("redirect_uri", ""),
                verifier=form.get("code_verifier", ""),
            )
        except InvalidGrant as error:
            return _oauth_error("invalid_grant", error.message)
        except (InvalidInput, LimitExceeded) as error:
            return _oauth_error("invalid_request", error.message)
        token = await run_in_threadpool(self._mint, grant)
        answer = {"access_token": token, "id_token": token, "token_type": "Bearer"}
        seconds = int(TOKEN_LIFETIME.total_seconds())
        return JSONResponse(answer | {"expires_in": seconds}, headers={"Cache-Control": "no-store"})

    def _mint(self, grant: Grant) -> str:
        nonce = {} if grant.nonce is None else {"nonce": grant.nonce}
        return self._issuer.mint(grant.user.claims() | nonce, grant.audience)


def parse_authorize_request(query: list[tuple[str, str]]) -> AuthorizeRequest:
    """Check an authorization request. Raises InvalidInput; a bad redirect_uri is never redirected to."""
    parameters = dict(query)
    if len(parameters) != len(query):
        raise InvalidInput("a parameter is repeated")  # RFC 6749 section 3.1
    try:
        wanted = AuthorizeRequest.model_validate(parameters)
    except ValidationError as error:
        fields = sorted({".".join(str(part) for part in problem["loc"]) for problem in error.errors()})
        raise InvalidInput("the authorization request is not valid", found=", ".join(fields)) from None
    if wanted.response_type != "code":
        raise InvalidInput("response_type must be `code`", found=wanted.response_type)
    _check_redirect(wanted.redirect_uri)
    return wanted


def _check_redirect(uri: str) -> None:
    if uri != OUT_OF_BAND and not _is_loopback_redirect(uri):
        raise InvalidInput(
            "redirect_uri is not on this machine",
            code="redirect-refused",
            found=uri[:200],
            expected="http://localhost:PORT/… or http://127.0.0.1:PORT/…",
        )


def _is_loopback_redirect(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
    except ValueError:
        return False
    clean = not parts.fragment and parts.username is None and uri.isprintable() and "\\" not in uri
    return parts.scheme == "http" and parts.hostname in LOOPBACK_NAMES and clean


def _form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FORM_FIELDS)
    except ValueError as error:
        raise InvalidInput("the form is not valid") from error
    if len(dict(pairs)) != len(pairs):
        raise InvalidInput("a parameter is repeated")
    return dict(pairs)


def _client_id(request: Request, form: dict[str, str]) -> str:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", "")
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
    except ValueError as error:
        raise InvalidInput("the client's credentials are not valid") from error


def _oauth_error(code: str, description: str) -> Response:
    return JSONResponse({"error": code, "error_description": description}, 400, headers={"Cache-Control": "no-store"})


def _chooser(query: list[tuple[str, str]]) -> Response:
    items = []
    for user in USERS.values():
        link = html.escape(f"?{urlencode([*query, ('login_hint', user.name)])}", quote=True)
        items.append(f'<li><a href="{link}">{html.escape(user.email)}</a>, {html.escape(user.role)}</li>')
    return _page(f"<p>Who are you today?</p><ul>{''.join(items)}</ul>")


def _page(body: str) -> Response:
    return HTMLResponse(PAGE.format(body=body), headers=PAGE_HEADERS)
