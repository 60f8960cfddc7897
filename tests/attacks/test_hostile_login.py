"""A registry, a page in the browser or an issuer that wants the token of somebody who only meant to log in."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx2
import pytest

from tidegate.credentials.browser import log_in_by_browser
from tidegate.credentials.device import DeviceCode
from tidegate.credentials.login import demand_own_client
from tidegate.credentials.oauth import check_tokens
from tidegate.credentials.provider import Issuer, LoginOption, Provider, parse_login_options
from tidegate.errors import InvalidInput, TidegateError, Unauthenticated, Unreachable
from tidegate.formats.jcs import JsonObject
from tidegate_registry.sandbox.serve import RunningSigstore

NOW = datetime.now(UTC)
GOOD, EVIL = "https://registry.acme.example", "https://registry.evil.example"
DOCUMENT: JsonObject = {
    "issuer": "https://id.example",
    "authorization_endpoint": "https://id.example/authorize",
    "token_endpoint": "https://id.example/token",
    "device_authorization_endpoint": "https://id.example/device",
}


def code_of(error: TidegateError) -> str:
    return error.reasons[0].code


def log_in(sigstore: RunningSigstore, show: Callable[[str], None], *, provider: Provider | None = None) -> str:
    with httpx2.Client(trust_env=False, timeout=20) as http:
        issuer = Issuer(http, sigstore.url)
        tokens = log_in_by_browser(
            issuer,
            provider or issuer.discover(),
            LoginOption(sigstore.url, "tidegate"),
            show=show,
            entropy=secrets.token_bytes,
            clock=lambda: datetime.now(UTC),
            seconds=20,
        )
    return str(tokens.identity.claims["email"])


def get(url: str, **headers: str) -> httpx2.Response:
    return httpx2.get(url, headers=headers, trust_env=False, timeout=20)


def redirected(url: str, user: str = "bob") -> str:
    """Where the issuer sends the browser of `user`; nobody follows it yet."""
    location: str = get(f"{url}&login_hint={user}").headers["location"]
    return location


def test_a_registry_that_names_sigstores_client_gets_nothing() -> None:
    """That token could sign in the person's name; the registry would have it to itself."""
    for issuer in ("https://oauth2.sigstore.dev/auth", "https://id.example"):
        with pytest.raises(InvalidInput) as caught:
            parse_login_options({"options": [{"issuer": issuer, "clientId": "sigstore"}]})
        assert code_of(caught.value) == "login-for-sigstore"


def test_a_registry_that_names_another_registrys_client_gets_nothing() -> None:
    """A token for that client is a token for the other registry: it would be used there in the person's name."""
    option, clients = LoginOption("https://id.example", "acme"), {GOOD: ("https://id.example", "acme")}
    with pytest.raises(InvalidInput) as caught:
        demand_own_client(option, EVIL, clients)
    assert code_of(caught.value) == "login-client-shared"
    demand_own_client(option, GOOD, clients)
    demand_own_client(LoginOption("https://id.example", "other"), EVIL, clients)


@pytest.mark.parametrize(
    "issuer", ["http://id.example", "file:///x", "https://", "https://u@id.example", "https://[::1"]
)
def test_an_issuer_that_others_can_listen_to_is_not_used(issuer: str) -> None:
    with pytest.raises(InvalidInput):
        LoginOption(issuer, "acme")


@pytest.mark.parametrize(
    "bent",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://id.example/token"},
        {"token_endpoint": "http://127.0.0.1:1/token"},  # of an issuer that is not on this machine
        {"token_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://id.example/a b"},
        {"device_authorization_endpoint": ["https://id.example"]},
    ],
)
def test_a_discovery_document_that_leads_elsewhere_is_refused(bent: JsonObject) -> None:
    assert Provider.parse(DOCUMENT, issuer="https://id.example").token_endpoint == "https://id.example/token"
    with pytest.raises(Unreachable) as caught:
        Provider.parse({**DOCUMENT, **bent}, issuer="https://id.example")
    assert code_of(caught.value) == "issuer-unusable"


def test_other_pages_cannot_slip_their_own_answer_in(sigstore: RunningSigstore) -> None:
    """A page of another site knows no state; a site whose name was made to lead here shows its own host."""

    def show(url: str) -> None:
        genuine = redirected(url, "bob")
        mine = redirected(url, "alice")
        where = urlsplit(genuine)
        stateless = genuine.partition("&state=")[0]
        for target in (
            f"http://{where.netloc}/",
            stateless,
            f"{stateless}&state=",
            f"{stateless}&state=guessed",
            f"{genuine}&state=again",
            f"{genuine}&code=other",
            genuine.replace("/callback", "/other"),
        ):
            assert get(target).status_code == 400, target
        assert get(mine, Host=f"evil.example:{where.port}").status_code == 400
        assert get(genuine).status_code == 200
        assert get(mine).status_code == 400  # there is one answer

    assert log_in(sigstore, show) == "bob@sandbox.example"


def test_the_answer_of_another_issuer_is_refused(sigstore: RunningSigstore) -> None:
    """RFC 9207: otherwise the code of one issuer is sent to the token endpoint of another."""

    def from_another(url: str) -> None:
        get(redirected(url).replace("iss=", "iss=https://evil.example/"))

    def from_nobody(url: str) -> None:
        get(_without_iss(redirected(url)))

    for show in (from_another, from_nobody):
        with pytest.raises(Unauthenticated) as caught:
            log_in(sigstore, show)
        assert code_of(caught.value) == "login-mixed-up"


def _without_iss(url: str) -> str:
    base, _, query = url.partition("?")
    return f"{base}?{'&'.join(part for part in query.split('&') if not part.startswith('iss='))}"


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"aud": "sigstore"}, "token-audience"),
        ({"aud": ["tidegate", "sigstore"]}, "token-audience"),
        ({"iss": "https://evil.example"}, "login-token"),
        ({"azp": "another-client"}, "login-token"),
        ({"nonce": "another"}, "login-token"),
        ({"nonce": None}, "login-token"),
        ({"sub": "somebody-else"}, "login-token"),
        ({"exp": 1}, "login-token"),
    ],
)
def test_a_token_that_was_not_asked_for_is_not_kept(
    sigstore: RunningSigstore, claims: dict[str, object], code: str
) -> None:
    def check(more: dict[str, object]) -> None:
        token = sigstore.instance.issuer.mint({"sub": "alice", "nonce": "n", "azp": "tidegate", **more}, "tidegate")
        check_tokens(
            {"id_token": token}, issuer=sigstore.url, client_id="tidegate", now=NOW, nonce="n", subject="alice"
        )

    check({})
    with pytest.raises(Unauthenticated) as caught:
        check(claims)
    assert code_of(caught.value) == code


@pytest.mark.parametrize(
    "bent",
    [
        {"verification_uri": "http://id.example/device"},
        {"verification_uri": "javascript:alert(1)"},
        {"user_code": "\x1b[2Jopen https://evil.example"},
        {"user_code": "x" * 100},
        {"device_code": 7},
    ],
)
def test_what_a_device_login_shows_cannot_steer_the_terminal_or_lead_elsewhere(bent: JsonObject) -> None:
    answer: JsonObject = {"device_code": "d", "user_code": "AB-CD", "verification_uri": "https://id.example/device"}
    shown = DeviceCode.parse({**answer, "verification_uri_complete": "file:///x"}, issuer="https://id.example")
    assert (shown.complete_uri, shown.interval) == (None, 5.0)
    with pytest.raises(Unreachable) as caught:
        DeviceCode.parse({**answer, **bent}, issuer="https://id.example")
    assert code_of(caught.value) == "issuer-unusable"
