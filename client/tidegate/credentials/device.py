"""Logging in on a machine without a browser: a code to type in elsewhere, and patience. Source: RFC 8628."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from tidegate.credentials.oauth import OAuthRefused, Tokens, check_tokens, request_tokens
from tidegate.credentials.provider import Issuer, LoginOption, Provider, is_safe_url, unusable
from tidegate.errors import Unauthenticated, Unreachable
from tidegate.formats.jcs import JsonObject
from tidegate.remote.answers import clean_text

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
DEFAULT_INTERVAL = 5.0  # RFC 8628 section 3.2
SLOWER_BY = 5.0  # section 3.5
MAX_INTERVAL = 60.0
MAX_LIFETIME = 1800.0  # nobody types for longer, whatever the issuer says
MAX_CODE_CHARACTERS = 64
MAX_SILENCES = 5  # answers that did not come, in a row


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """What a person is shown, and what the machine asks with. Times in seconds."""

    device_code: str
    user_code: str
    verification_uri: str
    complete_uri: str | None
    expires_in: float
    interval: float

    @classmethod
    def parse(cls, answer: JsonObject, *, issuer: str) -> DeviceCode:
        """Read the device authorization response. Raises Unreachable (code `issuer-unusable`)."""
        device_code, user_code = answer.get("device_code"), answer.get("user_code")
        uri, complete = answer.get("verification_uri"), answer.get("verification_uri_complete")
        if not isinstance(device_code, str) or not isinstance(user_code, str) or not isinstance(uri, str):
            raise unusable(issuer, "no device_code, user_code or verification_uri", "RFC 8628 section 3.2")
        if not 0 < len(user_code) <= MAX_CODE_CHARACTERS or clean_text(user_code) != user_code or not is_safe_url(uri):
            raise unusable(issuer, f"{user_code!r} at {uri!r}"[:300], "a short code and an https URL")
        return cls(
            device_code,
            user_code,
            uri,
            complete if isinstance(complete, str) and is_safe_url(complete) else None,
            min(_seconds(answer, "expires_in", MAX_LIFETIME), MAX_LIFETIME),
            min(_seconds(answer, "interval", DEFAULT_INTERVAL), MAX_INTERVAL),
        )


def log_in_by_device(
    issuer: Issuer,
    provider: Provider,
    option: LoginOption,
    *,
    show: Callable[[DeviceCode], None],
    sleep: Callable[[float], None],
    monotonic: Callable[[], float],
    clock: Callable[[], datetime],
) -> Tokens:
    """Let a person log in on another machine. `show` is given what they need.

    Raises OAuthRefused, Unauthenticated (code `login-timeout`), Unreachable.
    """
    if provider.device_endpoint is None:
        raise Unauthenticated(
            f"{provider.issuer} has no login for machines without a browser",
            code="login-not-offered",
            hint="log in on a machine with a browser, or give a token in TIDEGATE_TOKEN",
        )
    asked = {"client_id": option.client_id, "scope": provider.scope(option)}
    status, answer = issuer.post(provider.device_endpoint, asked)
    if status != HTTPStatus.OK:
        raise OAuthRefused(provider.issuer, answer)
    code = DeviceCode.parse(answer, issuer=provider.issuer)
    show(code)
    form = {"grant_type": GRANT, "device_code": code.device_code, "client_id": option.client_id}
    patience, deadline = _Patience(code.interval), monotonic() + code.expires_in
    while monotonic() < deadline and not patience.over:
        sleep(patience.interval)
        try:
            tokens = request_tokens(issuer, provider, form)
        except (OAuthRefused, Unreachable) as error:
            patience.after(error)
        else:
            return check_tokens(tokens, issuer=provider.issuer, client_id=option.client_id, now=clock())
    raise Unauthenticated(
        "the code has expired before anybody logged in", code="login-timeout", hint="run `tidegate login` again"
    )


@dataclass
class _Patience:
    """How long to wait before asking again. Source: RFC 8628 section 3.5."""

    interval: float
    silences: int = 0
    over: bool = False

    def after(self, error: OAuthRefused | Unreachable) -> None:
        """Go on after an answer that gave no tokens, or raise it."""
        if isinstance(error, Unreachable):
            self.silences += 1
            if self.silences >= MAX_SILENCES:
                raise error
            self.interval = min(self.interval * 2, MAX_INTERVAL)
            return
        self.silences = 0
        if error.error == "slow_down":
            self.interval = min(self.interval + SLOWER_BY, MAX_INTERVAL)
        elif error.error == "expired_token":
            self.over = True
        elif error.error != "authorization_pending":
            raise error


def _seconds(answer: JsonObject, name: str, otherwise: float) -> float:
    value = answer.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else otherwise
