"""How people get tokens: the authorization code flow with PKCE for browsers, the device flow, and a login without any.

There are no passwords: whoever reaches the loopback address may be any of the four demo users.
Sources: RFC 6749 sections 4.1 and 5.2, RFC 7636, RFC 8252 section 7.3 (loopback redirects), RFC 9207 (`iss`).
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
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tidegate.errors import InvalidInput, LimitExceeded
from tidegate_registry.sandbox.device import DEVICE_GRANT, OFFLINE, Devices, DeviceService, Refreshes
from tidegate_registry.sandbox.http import LOOPBACK_NAMES, json_endpoint
from tidegate_registry.sandbox.issuer import MAX_AUDIENCE_CHARACTERS, TOKEN_LIFETIME, Issuer
from tidegate_registry.sandbox.oauth import NO_STORE, InvalidGrant, oauth_error, read_form, user_page
from tidegate_registry.sandbox.users import DemoUser, demo_user

CODE_LIFETIME = timedelta(minutes=1)  # RFC 6749 section 4.1.2 allows ten
CODE_BYTES = 32
MAX_PENDING_CODES = 1000
MAX_PARAMETER_CHARACTERS = 2048
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"  # the sigstore CLI on a machine without a browser: the code is shown
CHALLENGE_CHARACTERS = 43  # RFC 7636 section 4.2: base64url(SHA-256)


class LoginRequest(BaseModel, extra="forbid"):
    """Who to be, and for whom the token is."""

    user: str = Field(max_length=40)
    audience: str = Field(min_length=1, max_length=MAX_AUDIENCE_CHARACTERS)


class AuthorizeRequest(BaseModel, extra="ignore"):
    """The query of the authorization endpoint; other parameters (prompt …) have no effect."""

    response_type: str = Field(max_length=40)
    client_id: str = Field(min_length=1, max_length=MAX_AUDIENCE_CHARACTERS)
    redirect_uri: str = Field(max_length=MAX_PARAMETER_CHARACTERS)
    state: str = Field(default="", max_length=MAX_PARAMETER_CHARACTERS)
    nonce: str | None = Field(default=None, max_length=MAX_PARAMETER_CHARACTERS)
    code_challenge: str = Field(pattern=rf"^[A-Za-z0-9_-]{{{CHALLENGE_CHARACTERS}}}$")
    code_challenge_method: str = Field(pattern=r"^S256$")
    login_hint: str | None = Field(default=None, max_length=320)
    audience: str | None = Field(default=None, min_length=1, max_length=MAX_AUDIENCE_CHARACTERS)
    scope: str = Field(default="", max_length=MAX_PARAMETER_CHARACTERS)


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
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Granted:
    """What a token is made of, however it was granted."""

    user: DemoUser
    client_id: str
    audience: str
    scope: str
    nonce: str | None = None


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
            scope=request.scope,
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

    def __init__(self, issuer: Issuer, codes: Codes, devices: Devices, refreshes: Refreshes) -> None:
        self._issuer, self._codes, self._devices, self._refreshes = issuer, codes, devices, refreshes
        self._pages = DeviceService(issuer.url, devices)

    def routes(self) -> list[Route]:
        return [
            Route("/authorize", self._authorize),
            Route("/token", self._token, methods=["POST"]),
            Route("/sandbox/login", json_endpoint(LoginRequest, self._login), methods=["POST"]),
            *self._pages.routes(),
        ]

    def _login(self, _: Request, body: LoginRequest) -> dict[str, object]:
        return {"id_token": self._issuer.mint(demo_user(body.user).claims(), body.audience)}

    def _authorize(self, request: Request) -> Response:
        query = list(request.query_params.multi_items())
        wanted = parse_authorize_request(query)
        if wanted.login_hint is None:
            return user_page("<p>Who are you today?</p>", choose_from=query)
        code = self._codes.issue(demo_user(wanted.login_hint.partition("@")[0]), wanted)
        if wanted.redirect_uri == OUT_OF_BAND:
            return user_page(f"<p>Enter this code where you came from:</p><p><code>{html.escape(code)}</code></p>")
        answer = urlencode({"code": code, "iss": self._issuer.url} | ({"state": wanted.state} if wanted.state else {}))
        separator = "&" if urlsplit(wanted.redirect_uri).query else "?"
        return RedirectResponse(f"{wanted.redirect_uri}{separator}{answer}", 302, headers=NO_STORE)

    async def _token(self, request: Request) -> Response:
        """RFC 6749 section 4.1.3; its errors have that document's shape, not ours."""
        try:
            form = await read_form(request)
            granted = self._granted(form, _client_id(request, form))
        except InvalidGrant as error:
            return oauth_error(error.error, error.message)
        except (InvalidInput, LimitExceeded) as error:
            return oauth_error("invalid_request", error.message)
        if granted is None:
            return oauth_error("unsupported_grant_type", "authorization_code, refresh_token or the device code's")
        token = await run_in_threadpool(self._mint, granted)
        answer = {"access_token": token, "id_token": token, "token_type": "Bearer"}
        if OFFLINE in granted.scope.split(" "):
            answer["refresh_token"] = self._refreshes.issue(granted.user, granted.client_id, granted.audience)
        seconds = int(TOKEN_LIFETIME.total_seconds())
        return JSONResponse(answer | {"expires_in": seconds}, headers=NO_STORE)

    def _granted(self, form: dict[str, str], client_id: str) -> Granted | None:
        grant_type = form.get("grant_type")
        if grant_type == "authorization_code":
            uri, verifier = form.get("redirect_uri", ""), form.get("code_verifier", "")
            grant = self._codes.redeem(form.get("code", ""), client_id=client_id, redirect_uri=uri, verifier=verifier)
            return Granted(grant.user, grant.client_id, grant.audience, grant.scope, grant.nonce)
        if grant_type == DEVICE_GRANT:
            user, scope = self._devices.redeem(form.get("device_code", ""), client_id)
            return Granted(user, client_id, client_id, scope)
        if grant_type == "refresh_token":
            known = self._refreshes.redeem(form.get("refresh_token", ""), client_id)
            return Granted(known.user, known.client_id, known.audience, OFFLINE)
        return None

    def _mint(self, granted: Granted) -> str:
        nonce = {} if granted.nonce is None else {"nonce": granted.nonce}
        return self._issuer.mint(granted.user.claims() | nonce, granted.audience)


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


def _client_id(request: Request, form: dict[str, str]) -> str:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return form.get("client_id", "")
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
    except ValueError as error:
        raise InvalidInput("the client's credentials are not valid") from error
