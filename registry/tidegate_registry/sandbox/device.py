"""The device flow: a machine without a browser shows a code, and a person says yes to it somewhere else. RFC 8628.

And refresh tokens, which both flows give when asked for `offline_access`. All of it is in memory: who restarts the
sandbox logs in again.
"""

from __future__ import annotations

import html
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate.errors import InvalidInput, LimitExceeded
from tidegate_registry.sandbox.issuer import MAX_AUDIENCE_CHARACTERS
from tidegate_registry.sandbox.oauth import NO_STORE, InvalidGrant, oauth_error, read_form, user_page
from tidegate_registry.sandbox.users import DemoUser, demo_user

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DEVICE_LIFETIME = timedelta(minutes=10)
INTERVAL = timedelta(seconds=1)  # RFC 8628 section 3.2 has 5 s where nothing is said; this machine is not far away
REFRESH_LIFETIME = timedelta(hours=12)
SECRET_BYTES = 32
MAX_PENDING = 1000
USER_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628 section 6.1: no vowels, so that no code is a word
USER_CODE_LENGTH = 8
OFFLINE = "offline_access"  # OpenID Connect Core 1.0 section 11


@dataclass(frozen=True, slots=True)
class Device:
    """A machine that waits. `user`: who said yes."""

    client_id: str
    scope: str
    user_code: str
    expires_at: datetime
    polled_at: datetime | None = None
    user: DemoUser | None = None
    denied: bool = False


@dataclass(frozen=True, slots=True)
class Refresh:
    """What a refresh token stands for, once: each use gives another."""

    user: DemoUser
    client_id: str
    audience: str
    expires_at: datetime


class Devices:
    """Machines that wait for a person. Safe from several threads."""

    def __init__(self, clock: Callable[[], datetime], entropy: Callable[[int], bytes]) -> None:
        self._clock, self._entropy = clock, entropy
        self._waiting: dict[str, Device] = {}
        self._lock = threading.Lock()

    def begin(self, client_id: str, scope: str) -> tuple[str, Device]:
        """Give a device code and what it stands for. Raises InvalidInput, LimitExceeded when too many wait."""
        if not 0 < len(client_id) <= MAX_AUDIENCE_CHARACTERS or not client_id.isprintable():
            raise InvalidInput("client_id is missing or not printable")
        letters = (USER_CODE_LETTERS[byte % len(USER_CODE_LETTERS)] for byte in self._entropy(USER_CODE_LENGTH))
        text, now = "".join(letters), self._clock()
        code = self._entropy(SECRET_BYTES).hex()
        device = Device(client_id, scope, f"{text[:4]}-{text[4:]}", now + DEVICE_LIFETIME)
        with self._lock:
            self._waiting = {key: value for key, value in self._waiting.items() if value.expires_at > now}
            if len(self._waiting) >= MAX_PENDING:
                raise LimitExceeded("too many logins are under way", expected=f"at most {MAX_PENDING}")
            self._waiting[code] = device
        return code, device

    def answer(self, user_code: str, user: DemoUser | None) -> None:
        """Let `user` say yes to the machine that shows `user_code`; None says no. Raises InvalidGrant."""
        with self._lock:
            for code, device in self._waiting.items():
                if device.user_code == user_code.upper() and device.expires_at > self._clock() and not device.user:
                    self._waiting[code] = replace(device, user=user, denied=user is None)
                    return
        raise InvalidGrant("no machine shows that code, or no longer")

    def redeem(self, code: str, client_id: str) -> tuple[DemoUser, str]:
        """Give who has said yes, and the scope that was asked for. Raises InvalidGrant, also for `not yet`."""
        with self._lock:
            device, now = self._waiting.get(code), self._clock()
            if device is None or device.client_id != client_id:
                raise InvalidGrant("the device code is unknown or was used")
            if device.expires_at <= now:
                raise InvalidGrant("the device code has expired", "expired_token")
            if device.denied:
                raise InvalidGrant("somebody said no", "access_denied")
            self._waiting[code] = replace(device, polled_at=now)
            if device.polled_at is not None and now - device.polled_at < INTERVAL:
                raise InvalidGrant("asked again too soon", "slow_down")
            if device.user is None:
                raise InvalidGrant("nobody has said yes yet", "authorization_pending")
            del self._waiting[code]
        return device.user, device.scope


class Refreshes:
    """Refresh tokens. Safe from several threads."""

    def __init__(self, clock: Callable[[], datetime], entropy: Callable[[int], bytes]) -> None:
        self._clock, self._entropy = clock, entropy
        self._known: dict[str, Refresh] = {}
        self._lock = threading.Lock()

    def issue(self, user: DemoUser, client_id: str, audience: str) -> str:
        """Make a refresh token."""
        token, now = self._entropy(SECRET_BYTES).hex(), self._clock()
        with self._lock:
            self._known = {key: value for key, value in self._known.items() if value.expires_at > now}
            if len(self._known) >= MAX_PENDING:
                self._known.pop(next(iter(self._known)))
            self._known[token] = Refresh(user, client_id, audience, now + REFRESH_LIFETIME)
        return token

    def redeem(self, token: str, client_id: str) -> Refresh:
        """Use a refresh token up. Raises InvalidGrant."""
        with self._lock:
            known = self._known.pop(token, None)
        if known is None or known.client_id != client_id or known.expires_at <= self._clock():
            raise InvalidGrant("the refresh token is unknown, was used before or has expired")
        return known


class DeviceService:
    """The endpoint that a machine asks, and the page where a person says yes."""

    def __init__(self, url: str, devices: Devices) -> None:
        self._url, self._devices = url, devices

    def routes(self) -> list[Route]:
        return [
            Route("/device_authorization", self._authorize, methods=["POST"]),
            Route("/device", self._page),
        ]

    async def _authorize(self, request: Request) -> Response:
        try:
            form = await read_form(request)
            code, device = self._devices.begin(form.get("client_id", ""), form.get("scope", ""))
        except (InvalidInput, LimitExceeded) as error:
            return oauth_error("invalid_request", error.message)
        complete = f"{self._url}/device?{urlencode({'user_code': device.user_code})}"
        answer = {
            "device_code": code,
            "user_code": device.user_code,
            "verification_uri": f"{self._url}/device",
            "verification_uri_complete": complete,
            "expires_in": int(DEVICE_LIFETIME.total_seconds()),
            "interval": int(INTERVAL.total_seconds()),
        }
        return JSONResponse(answer, headers=NO_STORE)

    def _page(self, request: Request) -> Response:
        query = dict(request.query_params)
        user_code, name = query.get("user_code", ""), query.get("login_hint")
        if not user_code:
            return user_page('<form><input name="user_code" autofocus><button>Next</button></form>')
        if name is None:
            shown = f"<p>The machine shows <code>{html.escape(user_code)}</code>. Who are you?</p>"
            return user_page(shown, choose_from=list(query.items()))
        self._devices.answer(user_code, None if name == "nobody" else demo_user(name.partition("@")[0]))
        return user_page("<p>Done. Go back to the machine.</p>")
