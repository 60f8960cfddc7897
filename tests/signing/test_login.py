"""Logging in for real: the sandbox's issuer, a registry that knows it, and a person played by an HTTP client."""

from __future__ import annotations

import itertools
import json
import secrets
import stat
import threading
import time
import webbrowser
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

import tidegate.remote.registry  # noqa: F401 - whose default is the real sleep, not a test's
from tests.registry.admission.world import GateWorld
from tidegate.cli.main import main
from tidegate.credentials.browser import log_in_by_browser
from tidegate.credentials.device import DeviceCode, log_in_by_device
from tidegate.credentials.oauth import OAuthRefused, Tokens
from tidegate.credentials.provider import Issuer, LoginOption, choose_option, parse_login_options
from tidegate.credentials.sources import Credentials, Source
from tidegate.credentials.store import LoginStore, RegistryLogin
from tidegate.errors import InvalidInput, Unauthenticated, Unreachable
from tidegate.formats.jcs import JsonObject, parse_object
from tidegate_registry.sandbox.serve import RunningSigstore

OFFLINE = ("openid", "email", "offline_access")


def utc_now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def http() -> Iterator[httpx2.Client]:
    with httpx2.Client(trust_env=False, timeout=20) as client:
        yield client


@pytest.fixture
def issuer(sigstore: RunningSigstore, http: httpx2.Client) -> Issuer:
    return Issuer(http, sigstore.url)


def click(url: str) -> httpx2.Response:
    """Open a page and follow it to its end, as a browser."""
    return httpx2.get(url, follow_redirects=True, trust_env=False, timeout=20)


def clicking(user: str) -> Callable[[str], None]:
    """A browser whose owner logs in as `user`, in its own time."""
    return lambda url: threading.Thread(target=click, args=(f"{url}&login_hint={user}",), daemon=True).start()


def by_browser(issuer: Issuer, client_id: str, show: Callable[[str], None], seconds: float = 20) -> Tokens:
    option = LoginOption(issuer.issuer, client_id, OFFLINE)
    return log_in_by_browser(
        issuer, issuer.discover(), option, show=show, entropy=secrets.token_bytes, clock=utc_now, seconds=seconds
    )


class TestCommand:
    """`tidegate login`, as a person types it."""

    @pytest.fixture
    def home(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gate_world: GateWorld) -> Path:
        for name in ("TIDEGATE_TOKEN", "GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI", "BUILDKITE"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"XDG_CONFIG_HOME": str(tmp_path), "TIDEGATE_REGISTRY": gate_world.url}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("BROWSER", "played-by-this-test")
        return tmp_path

    def test_a_person_logs_in_with_a_browser_and_is_known_from_then_on(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(webbrowser, "open", clicking("bob"))
        assert main(["login", "--no-keyring", "--json"]) == 0
        told = parse_object(capsys.readouterr().out.encode(), limit=1 << 20, what="what it said")
        assert (told["identity"], told["keyring"], told["refreshes"]) == ("bob@sandbox.example", False, True)
        file = home / "tidegate" / "credentials.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert main(["whoami"]) == 0
        shown = capsys.readouterr()
        assert shown.out == "bob@sandbox.example\n"
        assert "as human, by login token" in shown.err
        assert main(["login", "--forget"]) == 0
        assert not file.exists()

    def test_a_machine_without_a_browser_shows_a_code(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("sys.platform", "linux")
        waited: list[float] = []

        def somebody_types_it_in(seconds: float) -> None:
            waited.append(seconds)
            (link,) = [word for word in capsys.readouterr().err.split() if "user_code=" in word]
            click(f"{link}&login_hint=dave")

        monkeypatch.setattr(time, "sleep", somebody_types_it_in)
        assert main(["login", "--no-keyring"]) == 0
        assert capsys.readouterr().out == "dave@sandbox.example\n"
        assert waited == [1.0]
        assert (home / "tidegate" / "credentials.json").exists()

    def test_a_token_that_the_registry_refuses_is_not_kept(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], sigstore: RunningSigstore
    ) -> None:
        monkeypatch.setattr(webbrowser, "open", clicking("bob"))
        elsewhere = ["--issuer", sigstore.url, "--client-id", "http://127.0.0.1:9"]
        assert main(["login", "--no-keyring", *elsewhere]) == 1
        assert "audience-wrong" in capsys.readouterr().err
        assert not (home / "tidegate").exists()

    def test_a_registry_that_names_the_client_of_another_gets_no_login_begun(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], gate_world: GateWorld
    ) -> None:
        opened: list[str] = []
        monkeypatch.setattr(webbrowser, "open", opened.append)
        (option,) = httpx2.get(f"{gate_world.url}/api/v1/login-options", trust_env=False).json()["options"]
        other = ("https://other.example", option["issuer"], option["clientId"], "https://id.example/t", "token")
        LoginStore(home / "tidegate").keep(RegistryLogin(*other))
        assert main(["login", "--no-keyring"]) == 2
        assert "login-client-shared" in capsys.readouterr().err
        assert opened == []

    def test_what_cannot_work_is_said_before_anything_is_opened(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert home.exists()
        assert main(["login", "--issuer", "https://login.acme.example"]) == 1
        assert "login-not-offered" in capsys.readouterr().err
        assert main(["login", "--registry", "127.0.0.1:1"]) == 3
        monkeypatch.delenv("TIDEGATE_REGISTRY")
        assert main(["login"]) == 2
        assert "registry-missing" in capsys.readouterr().err


class TestBrowser:
    def test_nobody_logs_in_and_that_is_said(self, issuer: Issuer) -> None:
        with pytest.raises(Unauthenticated) as caught:
            by_browser(issuer, "tidegate", lambda _: None, seconds=0.01)
        assert caught.value.reasons[0].code == "login-timeout"

    def test_a_person_who_may_not_is_told_in_the_issuers_words(self, issuer: Issuer) -> None:
        def deny(url: str) -> None:
            query = dict(httpx2.URL(url).params)
            back = {"error": "access_denied", "error_description": "not today", "state": query["state"]}
            click(f"{query['redirect_uri']}?{httpx2.QueryParams({**back, 'iss': issuer.issuer})}")

        with pytest.raises(OAuthRefused) as caught:
            by_browser(issuer, "tidegate", deny)
        assert caught.value.reasons[0].found == "access_denied: not today"


class TestDevice:
    def log_in(self, issuer: Issuer, show: Callable[[DeviceCode], None], sleep: Callable[[float], None]) -> Tokens:
        option, ticks = LoginOption(issuer.issuer, "tidegate", OFFLINE), itertools.count()
        return log_in_by_device(
            issuer,
            issuer.discover(),
            option,
            show=show,
            sleep=sleep,
            monotonic=lambda: float(next(ticks)),
            clock=utc_now,
        )

    def test_it_asks_as_often_as_the_issuer_wants(self, issuer: Issuer) -> None:
        shown: list[DeviceCode] = []
        waited: list[float] = []

        def sleep(seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == 3:  # before that: not yet, and asked again too soon
                click(f"{shown[0].complete_uri}&login_hint=carol")
                time.sleep(1.05)  # the issuer measures its interval by the clock, and would refuse an earlier question

        tokens = self.log_in(issuer, shown.append, sleep)
        assert waited == [1.0, 1.0, 6.0]
        assert tokens.identity.claims["email"] == "carol@sandbox.example"
        assert tokens.refresh is not None

    def test_it_ends_when_somebody_says_no_or_nobody_says_anything(self, issuer: Issuer) -> None:
        def deny(code: DeviceCode) -> None:
            click(f"{code.complete_uri}&login_hint=nobody")

        with pytest.raises(OAuthRefused) as refused:
            self.log_in(issuer, deny, lambda _: None)
        assert refused.value.error == "access_denied"
        with pytest.raises(Unauthenticated) as caught:
            self.log_in(issuer, lambda _: None, lambda _: None)
        assert caught.value.reasons[0].code == "login-timeout"

    def test_an_issuer_that_falls_silent_is_asked_a_few_times_more(self) -> None:
        waited: list[float] = []
        document = {
            "issuer": "https://id.example",
            "token_endpoint": "https://id.example/token",
            "device_authorization_endpoint": "https://id.example/device",
        }
        device = {
            "device_code": "d",
            "user_code": "AB-CD",
            "verification_uri": "https://id.example/",
            "expires_in": 600,
        }

        def answer(request: httpx2.Request) -> httpx2.Response:
            if request.url.path == "/token":
                raise httpx2.ConnectError("gone")
            body = device if request.url.path == "/device" else document
            return httpx2.Response(200, stream=httpx2.ByteStream(json.dumps(body).encode()))

        with httpx2.Client(transport=httpx2.MockTransport(answer)) as client, pytest.raises(Unreachable):
            self.log_in(Issuer(client, "https://id.example"), lambda _: None, waited.append)
        assert waited == [5.0, 10.0, 20.0, 40.0, 60.0]


class TestKept:
    """What a login leaves behind, and how it is used."""

    REGISTRY = "https://registry.example"

    def login(self, issuer: Issuer, *, expired: bool = True) -> RegistryLogin:
        tokens = by_browser(issuer, "tidegate", clicking("alice"))
        provider = issuer.discover()
        login = RegistryLogin(
            self.REGISTRY, issuer.issuer, "tidegate", provider.token_endpoint, tokens.identity.raw, tokens.refresh
        )
        return login if expired else replace(login, refresh_token=None)

    def credentials(self, store: LoginStore, clock: Callable[[], datetime] = utc_now) -> Credentials:
        return Credentials({}, clock=clock, store=store)

    def test_it_is_for_its_registry_alone_and_never_for_signing(self, issuer: Issuer, tmp_path: Path) -> None:
        store = LoginStore(tmp_path)
        store.keep(self.login(issuer))
        credentials = self.credentials(store)
        held = credentials.find(self.REGISTRY)
        assert held is not None
        assert (held.source, held.token.audience) == (Source.LOGIN, "tidegate")
        assert credentials.find("https://other.example") is None
        assert credentials.find("sigstore") is None

    def test_an_id_token_that_has_ended_is_renewed_and_kept(
        self, issuer: Issuer, tmp_path: Path, sigstore: RunningSigstore
    ) -> None:
        store, login = LoginStore(tmp_path), self.login(issuer)
        before = sigstore.instance.issuer.mint({"sub": "sandbox|alice"}, "tidegate", lifetime=timedelta(seconds=-1))
        store.keep(replace(login, id_token=before))
        held = self.credentials(store).find(self.REGISTRY)
        assert held is not None
        kept = store.find(self.REGISTRY)
        assert kept is not None
        assert kept.id_token == held.token.raw != before
        assert kept.refresh_token not in (None, login.refresh_token)

    @pytest.mark.parametrize("refresh", [None, "made-up"])
    def test_a_login_that_cannot_be_renewed_has_ended(
        self, issuer: Issuer, tmp_path: Path, sigstore: RunningSigstore, refresh: str | None
    ) -> None:
        store = LoginStore(tmp_path)
        before = sigstore.instance.issuer.mint({"sub": "sandbox|alice"}, "tidegate", lifetime=timedelta(seconds=-1))
        store.keep(replace(self.login(issuer), id_token=before, refresh_token=refresh))
        with pytest.raises(Unauthenticated) as caught:
            self.credentials(store).find(self.REGISTRY)
        assert caught.value.reasons[0].code == "token-expired"
        assert "tidegate login" in (caught.value.hint or "")

    def test_a_renewed_token_of_somebody_else_is_refused(
        self, issuer: Issuer, tmp_path: Path, sigstore: RunningSigstore
    ) -> None:
        store = LoginStore(tmp_path)
        before = sigstore.instance.issuer.mint({"sub": "sandbox|bob"}, "tidegate", lifetime=timedelta(seconds=-1))
        store.keep(replace(self.login(issuer), id_token=before))
        with pytest.raises(Unauthenticated) as caught:
            self.credentials(store).find(self.REGISTRY)
        assert caught.value.reasons[0].code == "login-token"

    def test_a_file_of_another_form_is_said_so(self, issuer: Issuer, tmp_path: Path) -> None:
        store = LoginStore(tmp_path)
        store.keep(self.login(issuer))
        document = parse_object(store.path.read_bytes(), limit=1 << 20, what="the file")
        registries = document["registries"]
        assert isinstance(registries, dict)
        login = registries[self.REGISTRY]
        assert isinstance(login, dict)
        for broken in (
            {**document, "format": "other"},
            {**document, "registries": []},
            {**document, "registries": {self.REGISTRY: 1}},
            {**document, "registries": {self.REGISTRY: {**login, "tokens": {}}}},
        ):
            store.path.write_text(json.dumps(broken))
            with pytest.raises(InvalidInput) as caught:
                store.find(self.REGISTRY)
            assert caught.value.reasons[0].code == "credentials-unreadable"
        assert store.forget()


def test_a_registry_with_several_issuers_is_asked_for_one_of_them() -> None:
    one, two = (LoginOption(f"https://{name}.example", "c") for name in ("one", "two"))
    assert choose_option((one, two), issuer=two.issuer, client_id=None, registry="r") == two
    assert choose_option((), issuer=one.issuer, client_id="mine", registry="r").client_id == "mine"
    for options, code in (((one, two), "login-ambiguous"), ((), "login-not-offered")):
        with pytest.raises((InvalidInput, Unauthenticated)) as caught:
            choose_option(options, issuer=None, client_id=None, registry="r")
        assert caught.value.reasons[0].code == code


def test_what_a_registry_says_is_read_strictly() -> None:
    option: JsonObject = {"issuer": "https://id.example", "clientId": "c", "scopes": ["openid", "two words", 7]}
    assert parse_login_options({"options": [option]}) == (LoginOption("https://id.example", "c", ("openid",)),)
    assert parse_login_options({}) == ()
    wrongs: tuple[JsonObject, ...] = ({"issuer": "http://id.example"}, {"issuer": "file:///x"}, {"clientId": 7})
    for wrong in wrongs:
        with pytest.raises(InvalidInput):
            parse_login_options({"options": [{**option, **wrong}]})
