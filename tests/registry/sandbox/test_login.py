"""How people get tokens: the code flow with PKCE, the login of the command line, and what both refuse."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from tests.registry.sandbox.clock import Clock
from tidegate.errors import InvalidInput, Unauthenticated
from tidegate_registry.sandbox.login import (
    CODE_LIFETIME,
    MAX_PENDING_CODES,
    AuthorizeRequest,
    Codes,
    parse_authorize_request,
)
from tidegate_registry.sandbox.oauth import InvalidGrant
from tidegate_registry.sandbox.serve import RunningSigstore
from tidegate_registry.sandbox.users import USERS, demo_user

VERIFIER = "a-verifier-that-nobody-guesses-because-it-is-43-chars"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT = "http://localhost:45678/auth/callback"


@pytest.fixture
def http(sigstore: RunningSigstore) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=sigstore.url, trust_env=False) as client:
        yield client


def query(**changes: str) -> dict[str, str]:
    return {
        "response_type": "code",
        "client_id": "sigstore",
        "client_secret": "",
        "scope": "openid email",
        "redirect_uri": REDIRECT,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "state": "s/t=&te",
        "login_hint": "alice",
    } | changes


def code_for(http: httpx2.Client, **changes: str) -> str:
    answer = http.get("/authorize", params=query(**changes))
    assert answer.status_code == 302
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]


def redeem(http: httpx2.Client, code: str, **changes: str) -> httpx2.Response:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": VERIFIER,
    } | changes
    return http.post("/token", data=form, auth=("sigstore", ""))


def test_the_code_flow_gives_a_token_for_the_client(http: httpx2.Client, sigstore: RunningSigstore) -> None:
    answer = http.get("/authorize", params=query(nonce="n-1"))
    location = urlsplit(answer.headers["location"])
    assert location._replace(query="").geturl() == REDIRECT
    assert parse_qs(location.query)["state"] == ["s/t=&te"]
    granted = redeem(http, parse_qs(location.query)["code"][0])
    assert granted.status_code == 200
    assert granted.headers["cache-control"] == "no-store"
    body = granted.json()
    assert body["token_type"] == "Bearer"
    assert body["access_token"] == body["id_token"]  # sigstore-python uses the access token
    claims = sigstore.instance.issuer.verify(body["id_token"], "sigstore").claims
    assert (claims["email"], claims["nonce"]) == ("alice@sandbox.example", "n-1")
    assert claims["groups"] == ["developers"]


def test_an_audience_other_than_the_client_can_be_asked_for(http: httpx2.Client, sigstore: RunningSigstore) -> None:
    code = code_for(http, audience="http://127.0.0.1:5000", login_hint="dave@sandbox.example")
    token = redeem(http, code).json()["id_token"]
    assert sigstore.instance.issuer.verify(token, "http://127.0.0.1:5000").claims["groups"] == ["admins", "auditors"]


def test_a_wrong_verifier_gets_nothing_and_uses_the_code_up(http: httpx2.Client) -> None:
    code = code_for(http)
    refused = redeem(http, code, code_verifier="another-verifier")
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    assert redeem(http, code).json()["error"] == "invalid_grant"


def test_a_code_works_once(http: httpx2.Client) -> None:
    code = code_for(http)
    assert redeem(http, code).status_code == 200
    refused = redeem(http, code)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ({}, {"redirect_uri": "http://localhost:1/other"}),
        ({}, {"redirect_uri": ""}),
        ({}, {"code": "made-up"}),
        ({"client_id": "somebody-else"}, {}),
    ],
    ids=["redirect", "no-redirect", "code", "client"],
)
def test_a_code_is_bound_to_its_request(http: httpx2.Client, asked: dict[str, str], shown: dict[str, str]) -> None:
    code = code_for(http, **asked)
    refused = redeem(http, **({"code": code} | shown))
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")


def test_other_grants_and_malformed_forms_are_refused_in_oauth_words(http: httpx2.Client) -> None:
    assert http.post("/token", data={"grant_type": "password"}).json()["error"] == "unsupported_grant_type"
    twice = http.post("/token", content=b"code=a&code=b", headers={"content-type": "application/x-www-form-urlencoded"})
    assert twice.json()["error"] == "invalid_request"
    huge = http.post("/token", content=b"code=" + b"a" * 100_000)
    assert huge.json()["error"] == "invalid_request"
    bad_basic = http.post("/token", data={"grant_type": "authorization_code"}, headers={"authorization": "Basic !"})
    assert bad_basic.json()["error"] == "invalid_request"
    not_utf8 = http.post("/token", content=b"\xff\xfe")
    assert not_utf8.json()["error"] == "invalid_request"


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/auth/callback",
        "http://evil.example/auth/callback",
        "http://localhost.evil.example/",
        "http://localhost@evil.example/",
        "http://127.0.0.1.evil.example/",
        "http://evil.example\\@localhost/",
        "https://localhost/",
        "//localhost/x",
        "javascript:alert(1)",
        "http://localhost/#fragment",
        "http://user:secret@localhost/",
        "http://localhost/a b\r\nSet-Cookie: x=1",
        "http://[::1",
        "",
    ],
)
def test_a_redirect_that_leaves_this_machine_is_never_followed(http: httpx2.Client, uri: str) -> None:
    answer = http.get("/authorize", params=query(redirect_uri=uri))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    with pytest.raises(InvalidInput) as refused:
        parse_authorize_request(list(query(redirect_uri=uri).items()))
    assert refused.value.reasons[0].code == "redirect-refused"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"code_challenge": ""},
        {"response_type": "token"},
        {"client_id": ""},
        {"audience": "x" * 300},
    ],
)
def test_an_authorization_request_without_pkce_or_sense_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_authorize_request(list(query(**changes).items()))
    assert refused.value.reasons[0].code == "invalid-input"


def test_a_repeated_parameter_is_refused() -> None:
    with pytest.raises(InvalidInput, match="repeated") as refused:
        parse_authorize_request([*query().items(), ("state", "other")])
    assert refused.value.reasons[0].code == "invalid-input"


def test_nobody_else_can_log_in(http: httpx2.Client) -> None:
    assert http.get("/authorize", params=query(login_hint="mallory")).status_code == 404
    answer = http.post("/sandbox/login", json={"user": "mallory", "audience": "sigstore"})
    assert answer.status_code == 404
    assert answer.json()["code"] == 5
    assert "alice, bob, carol, dave" in answer.json()["message"]


def test_without_a_hint_the_four_are_offered_and_each_link_logs_in(http: httpx2.Client) -> None:
    parameters = query(state='"><script>alert(1)</script>')
    del parameters["login_hint"]
    page = http.get("/authorize", params=parameters)
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<script>" not in page.text
    links = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', page.text)]
    assert len(links) == len(USERS) == 4
    for link in links:
        chosen = http.get(f"/authorize{link}")
        assert chosen.status_code == 302
        assert parse_qs(urlsplit(chosen.headers["location"]).query)["state"] == [parameters["state"]]


def test_without_a_browser_the_code_is_shown(http: httpx2.Client) -> None:
    oob = "urn:ietf:wg:oauth:2.0:oob"
    page = http.get("/authorize", params=query(redirect_uri=oob))
    found = re.search(r"<code>([0-9a-f]{64})</code>", page.text)
    assert found
    assert redeem(http, found[1], redirect_uri=oob).status_code == 200


class TestDevice:
    """RFC 8628, without a clock: what a machine is told at each step."""

    def begin(self, http: httpx2.Client) -> dict[str, str]:
        body = http.post(
            "/device_authorization", data={"client_id": "tidegate", "scope": "openid offline_access"}
        ).json()
        assert (body["expires_in"], body["interval"]) == (600, 1)
        assert re.fullmatch(r"[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}", body["user_code"])
        return dict(body)

    def poll(self, http: httpx2.Client, code: str, client_id: str = "tidegate") -> httpx2.Response:
        grant = "urn:ietf:params:oauth:grant-type:device_code"
        return http.post("/token", data={"grant_type": grant, "device_code": code, "client_id": client_id})

    def test_a_person_says_yes_and_the_machine_gets_tokens_once(
        self, http: httpx2.Client, sigstore: RunningSigstore
    ) -> None:
        device = self.begin(http)
        page = http.get(device["verification_uri_complete"])
        assert device["user_code"] in page.text
        assert "login_hint=carol" in page.text
        assert http.get(device["verification_uri_complete"] + "&login_hint=carol").status_code == 200
        body = self.poll(http, device["device_code"]).json()
        assert sigstore.instance.issuer.verify(body["id_token"], "tidegate").claims["email"] == "carol@sandbox.example"
        assert self.poll(http, device["device_code"]).json()["error"] == "invalid_grant"
        refresh = {"grant_type": "refresh_token", "refresh_token": body["refresh_token"], "client_id": "tidegate"}
        again = http.post("/token", data=refresh).json()
        assert sigstore.instance.issuer.verify(again["id_token"], "tidegate").claims["sub"] == "sandbox|carol"
        assert again["refresh_token"] != body["refresh_token"]
        assert http.post("/token", data=refresh).json()["error"] == "invalid_grant"

    def test_until_then_it_is_told_to_wait_or_to_slow_down(self, http: httpx2.Client) -> None:
        device = self.begin(http)
        assert self.poll(http, device["device_code"]).json()["error"] == "authorization_pending"
        assert self.poll(http, device["device_code"]).json()["error"] == "slow_down"
        assert self.poll(http, device["device_code"], "another").json()["error"] == "invalid_grant"

    def test_a_no_is_an_answer_too(self, http: httpx2.Client) -> None:
        device = self.begin(http)
        http.get(device["verification_uri_complete"] + "&login_hint=nobody")
        assert self.poll(http, device["device_code"]).json()["error"] == "access_denied"
        assert http.get("/device", params={"user_code": "BBBB-BBBB", "login_hint": "alice"}).status_code == 400
        assert http.post("/device_authorization", data={}).json()["error"] == "invalid_request"


def test_the_command_line_logs_in_for_both_audiences(http: httpx2.Client, sigstore: RunningSigstore) -> None:
    for audience in ("sigstore", "http://127.0.0.1:5000"):
        answer = http.post("/sandbox/login", json={"user": "carol", "audience": audience})
        claims = sigstore.instance.issuer.verify(answer.json()["id_token"], audience).claims
        assert (claims["email"], claims["groups"]) == ("carol@sandbox.example", ["release-managers"])
        assert claims["iss"] == sigstore.url
    with pytest.raises(Unauthenticated) as refused:
        sigstore.instance.issuer.verify(answer.json()["id_token"], "sigstore")
    assert refused.value.reasons[0].code == "unauthenticated"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"user": "alice", "audience": "sigstore"}', "text/plain", 400),  # what a web page could send unasked
        (b'{"user": "alice", "audience": "sigstore"}', "", 400),
        (b'{"user": "alice", "user": "bob", "audience": "sigstore"}', "application/json", 400),
        (b'{"user": "alice", "audience": "sigstore", "more": 1}', "application/json", 400),
        (b'{"user": "alice", "audience": ""}', "application/json", 400),
        (b'{"user": "alice"}', "application/json", 400),
        (b"[]", "application/json", 400),
        (b"not json", "application/json", 400),
        (b'{"user": "' + b"a" * 70_000 + b'"}', "application/json", 413),
    ],
)
def test_a_login_that_is_not_exactly_a_login_is_refused(
    http: httpx2.Client, content: bytes, kind: str, status: int
) -> None:
    answer = http.post("/sandbox/login", content=content, headers={"content-type": kind} if kind else {})
    assert answer.status_code == status
    assert {"code", "message"} <= answer.json().keys()


def test_a_web_page_cannot_reach_the_sandbox_under_its_own_name(http: httpx2.Client) -> None:
    answer = http.get("/jwks", headers={"host": "evil.example:80"})
    assert answer.status_code == 403
    assert http.get("/jwks", headers={"host": "localhost:80"}).status_code == 200


def request(**changes: str) -> AuthorizeRequest:
    return AuthorizeRequest.model_validate(query(**changes))


def counter() -> Iterator[bytes]:
    number = 0
    while True:
        yield number.to_bytes(32)
        number += 1


def test_a_code_expires() -> None:
    clock = Clock()
    codes = Codes(clock, bytes)
    code = codes.issue(demo_user("alice"), request())
    clock.advance(CODE_LIFETIME)
    with pytest.raises(InvalidGrant) as refused:
        codes.redeem(code, client_id="sigstore", redirect_uri=REDIRECT, verifier=VERIFIER)
    assert refused.value.reasons[0].code == "invalid-grant"


def test_logins_that_nobody_finishes_are_bounded_and_forgotten() -> None:
    clock, numbers = Clock(), counter()
    codes = Codes(clock, lambda _: next(numbers))
    for _ in range(MAX_PENDING_CODES):
        codes.issue(demo_user("alice"), request())
    with pytest.raises(Exception, match="too many logins") as refused:
        codes.issue(demo_user("alice"), request())
    assert getattr(refused.value, "code", None) == "limit-exceeded"
    clock.advance(CODE_LIFETIME + timedelta(seconds=1))
    codes.issue(demo_user("alice"), request())
