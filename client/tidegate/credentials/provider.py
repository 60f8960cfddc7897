"""Where a person logs in: what a registry says about it, and what the issuer says about itself.

A registry is believed only that far: it names an issuer and a client. The issuer's endpoints come from the issuer, over
https (or on this machine), and a client that belongs to Sigstore is never used, whoever names it.
Sources: OpenID Connect Discovery 1.0 section 4, RFC 8414, RFC 9207.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tidegate.credentials.token import SIGSTORE_AUDIENCE
from tidegate.errors import InvalidInput, JsonInvalid, Unauthenticated, Unreachable
from tidegate.formats.jcs import JsonObject, JsonValue, parse_object
from tidegate.remote.address import is_loopback

if TYPE_CHECKING:
    import httpx2

WELL_KNOWN = "/.well-known/openid-configuration"
MAX_DOCUMENT_BYTES = 256 << 10  # the largest real discovery document seen is below 10 KiB
ANSWER_SECONDS = 15.0  # for one answer of an issuer, to its last byte
MAX_OPTIONS = 32
MAX_TEXT = 512
_SCOPE = re.compile(r"[!#-\[\]-~]{1,256}")  # RFC 6749 section 3.3
DEFAULT_SCOPES = ("openid", "email", "profile")


@dataclass(frozen=True, slots=True)
class LoginOption:
    """One way to log in: the issuer, and the public OAuth client to do it with."""

    issuer: str
    client_id: str
    scopes: tuple[str, ...] = DEFAULT_SCOPES

    def __post_init__(self) -> None:
        if not is_safe_url(self.issuer) or urlsplit(self.issuer).query or urlsplit(self.issuer).fragment:
            raise InvalidInput(
                "that is not the URL of an OIDC issuer", found=self.issuer[:300], expected="https://… without a query"
            )
        if self.client_id == SIGSTORE_AUDIENCE:
            raise InvalidInput(
                "that login would give a token which can sign in your name, so it is not begun",
                code="login-for-sigstore",
                found=f"client id {self.client_id}",
                expected="a client of the registry's own",
                hint="tell the registry's operator: a token for Sigstore must never reach a registry",
            )


@dataclass(frozen=True, slots=True)
class Provider:
    """An issuer's endpoints, by its own discovery document. `says_issuer`: its redirects carry `iss` (RFC 9207)."""

    issuer: str
    token_endpoint: str
    authorization_endpoint: str | None = None
    device_endpoint: str | None = None
    scopes: tuple[str, ...] = ()
    says_issuer: bool = False

    @classmethod
    def parse(cls, document: JsonObject, *, issuer: str) -> Provider:
        """Read a discovery document. Raises Unreachable (code `issuer-unusable`)."""
        if document.get("issuer") != issuer:
            raise unusable(issuer, f"a document of {document.get('issuer')!r}"[:200], f"issuer {issuer}")
        token_endpoint = _endpoint(document, "token_endpoint", issuer)
        if token_endpoint is None:
            raise unusable(issuer, "no token_endpoint", "an issuer at which people log in")
        listed = document.get("scopes_supported")
        return cls(
            issuer,
            token_endpoint,
            _endpoint(document, "authorization_endpoint", issuer),
            _endpoint(document, "device_authorization_endpoint", issuer),
            tuple(scope for scope in listed if isinstance(scope, str)) if isinstance(listed, list) else (),
            document.get("authorization_response_iss_parameter_supported") is True,
        )

    def scope(self, option: LoginOption) -> str:
        """Give the scopes to ask for: those of `option` that the issuer offers, where it says what it offers."""
        offered = [scope for scope in option.scopes if not self.scopes or scope in self.scopes]
        return " ".join(dict.fromkeys(["openid", *offered]))


class Issuer:
    """Asks one issuer over HTTP: bounded answers, no redirects."""

    def __init__(self, client: httpx2.Client, issuer: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client, self.issuer, self._monotonic = client, issuer, monotonic

    def discover(self) -> Provider:
        """Fetch what the issuer says about itself. Raises Unreachable."""
        status, document = self._ask("GET", self.issuer.removesuffix("/") + WELL_KNOWN, None)
        if status != HTTPStatus.OK:
            raise unusable(self.issuer, f"status {status}", "a discovery document")
        return Provider.parse(document, issuer=self.issuer)

    def post(self, url: str, form: Mapping[str, str]) -> tuple[int, JsonObject]:
        """Send a form; give the status and the JSON object of the answer. Raises Unreachable."""
        return self._ask("POST", url, form)

    def _ask(self, method: str, url: str, form: Mapping[str, str] | None) -> tuple[int, JsonObject]:
        import httpx2

        deadline, body = self._monotonic() + ANSWER_SECONDS, bytearray()
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        try:
            with self._client.stream(method, url, data=form, headers=headers, follow_redirects=False) as response:
                for chunk in response.iter_raw():
                    body += chunk
                    if len(body) > MAX_DOCUMENT_BYTES or self._monotonic() > deadline:
                        raise unusable(self.issuer, f"a longer or slower answer from {url}", "a few KiB, in seconds")
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unreachable(
                f"the issuer {self.issuer} does not answer",
                code="issuer-unreachable",
                found=(str(error) or type(error).__name__)[:200],
                hint="check the network, and that this machine may reach the issuer",
            ) from error
        try:
            return response.status_code, parse_object(bytes(body), limit=MAX_DOCUMENT_BYTES, what=url)
        except JsonInvalid as error:
            found = f"status {response.status_code} and no JSON object from {url}"
            raise unusable(self.issuer, found, "an OpenID Connect issuer") from error


def new_issuer_client(issuer: str) -> httpx2.Client:
    """Make the HTTP client for an issuer: no redirects, bounded waits, no proxy to this machine."""
    import httpx2

    local = is_loopback(urlsplit(issuer).hostname or "")
    return httpx2.Client(timeout=ANSWER_SECONDS, follow_redirects=False, trust_env=not local)


def parse_login_options(document: JsonObject) -> tuple[LoginOption, ...]:
    """Read what a registry says about logging in. Raises InvalidInput for an option that is not safe to use."""
    listed = document.get("options")
    return tuple(
        LoginOption(
            _text(item, "issuer"),
            _text(item, "clientId"),
            tuple(_texts(item.get("scopes"))) or DEFAULT_SCOPES,
        )
        for item in (listed[:MAX_OPTIONS] if isinstance(listed, list) else ())
        if isinstance(item, dict)
    )


def choose_option(
    options: tuple[LoginOption, ...], *, issuer: str | None, client_id: str | None, registry: str
) -> LoginOption:
    """Give the option that the user means. `issuer`, `client_id`: as the user wrote them, which decides.

    Raises InvalidInput when none or several are left, Unauthenticated when the registry offers none.
    """
    if issuer is not None and client_id is not None:
        known = [option for option in options if option.issuer == issuer]
        return LoginOption(issuer, client_id, known[0].scopes if known else DEFAULT_SCOPES)
    left = [option for option in options if issuer in (None, option.issuer) and client_id in (None, option.client_id)]
    if len(left) == 1:
        return left[0]
    offered = ", ".join(option.issuer for option in options) or "none"
    if left:
        raise InvalidInput(
            f"{registry} knows several issuers",
            code="login-ambiguous",
            found=offered,
            hint="name one with --issuer URL",
        )
    raise Unauthenticated(
        f"{registry} does not say where people log in" if not options else f"{registry} does not know that issuer",
        code="login-not-offered",
        found=offered,
        expected="an issuer with a client for `tidegate login`",
        hint="ask the registry's operator for `client_id` in its settings, or pass --issuer URL and --client-id ID; "
        "a token of your identity provider can also be given in TIDEGATE_TOKEN",
    )


def is_safe_url(url: str) -> bool:
    """Whether what is sent to `url` stays between us: https, or http that never leaves this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:  # brackets that hold no IPv6 address
        return False
    if not host or parts.username is not None or not url.isascii() or not url.isprintable() or " " in url:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def unusable(issuer: str, found: str, expected: str) -> Unreachable:
    """Say that an issuer does not answer as one."""
    return Unreachable(
        f"{issuer} does not answer as an OIDC issuer", code="issuer-unusable", found=found, expected=expected
    )


def _endpoint(document: JsonObject, name: str, issuer: str) -> str | None:
    url = document.get(name)
    if url is None:
        return None
    local = is_loopback(urlsplit(issuer).hostname or "")
    if not isinstance(url, str) or not is_safe_url(url) or (url.startswith("http:") and not local):
        raise unusable(issuer, f"{name} {url!r}"[:300], "an https URL")
    return url


def _text(item: JsonObject, name: str) -> str:
    value = item.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT or not value.isprintable():
        raise InvalidInput("the registry's answer about logging in is not understood", found=f"{name} {value!r}"[:200])
    return value


def _texts(value: JsonValue) -> list[str]:
    texts = value[:MAX_OPTIONS] if isinstance(value, list) else []
    return [text for text in texts if isinstance(text, str) and _SCOPE.fullmatch(text)]
