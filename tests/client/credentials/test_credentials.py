from __future__ import annotations

import base64
import io
import json
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from tidegate.credentials.sandbox_login import SandboxLogin, find_sandbox_issuer, parse_env
from tidegate.credentials.sources import Credentials, Source, read_signing_token
from tidegate.credentials.store import LoginStore
from tidegate.credentials.token import IdentityToken
from tidegate.errors import InvalidInput, NotFound, Unauthenticated, Unreachable
from tidegate.formats.identity import ClaimName

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
REGISTRY = "http://127.0.0.1:5000"
GITHUB = {
    "iss": "https://token.actions.githubusercontent.com",
    "sub": "repo:acme/agents:ref:refs/heads/main",
    "repository": "acme/agents",
    "repository_id": "1",
    "repository_owner": "acme",
    "repository_owner_id": "2",
    "repository_visibility": "private",
    "ref": "refs/heads/main",
    "sha": "a" * 40,
    "workflow_ref": "acme/agents/.github/workflows/release.yml@refs/heads/main",
    "workflow_sha": "a" * 40,
    "job_workflow_ref": "acme/agents/.github/workflows/release.yml@refs/heads/main",
    "job_workflow_sha": "a" * 40,
    "event_name": "push",
    "run_id": "9",
    "run_attempt": "1",
    "runner_environment": "github-hosted",
}


def jwt(audience: object = "sigstore", lives: timedelta = timedelta(minutes=5), **claims: object) -> str:
    body = {"iss": "https://id.example", "sub": "s", "aud": audience, "exp": (NOW + lives).timestamp(), **claims}
    parts = (b'{"alg":"RS256"}', json.dumps(body).encode(), b"signature")
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def credentials(environ: dict[str, str], tmp_path: Path, **more: object) -> Credentials:
    return Credentials(environ, clock=lambda: NOW, store=LoginStore(tmp_path), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("audience", ["sigstore", [REGISTRY, "sigstore"], REGISTRY + "/", [], None])
def test_a_token_that_is_not_for_the_registry_alone_is_never_sent_there(audience: object, tmp_path: Path) -> None:
    with pytest.raises(Unauthenticated) as caught:
        credentials({"TIDEGATE_TOKEN": jwt(audience)}, tmp_path).registry_token(REGISTRY)
    assert caught.value.reasons[0].code == "token-audience"


def test_the_registrys_token_is_never_taken_for_signing(tmp_path: Path) -> None:
    assert credentials({"TIDEGATE_TOKEN": jwt(REGISTRY)}, tmp_path).find("sigstore") is None
    with pytest.raises(Unauthenticated) as caught:
        credentials({}, tmp_path, signing_token=jwt(REGISTRY)).find("sigstore")
    assert caught.value.reasons[0].code == "token-audience"


def test_a_given_token_for_the_registry_is_used(tmp_path: Path) -> None:
    token = jwt([REGISTRY])
    assert credentials({"TIDEGATE_TOKEN": f"{token}\n"}, tmp_path).registry_token(REGISTRY) == token


def test_an_expired_token_is_not_sent(tmp_path: Path) -> None:
    with pytest.raises(Unauthenticated) as caught:
        credentials({"TIDEGATE_TOKEN": jwt(REGISTRY, timedelta(seconds=5))}, tmp_path).registry_token(REGISTRY)
    assert caught.value.reasons[0].code == "token-expired"


@pytest.mark.parametrize("raw", ["", "a.b", "a.!.c", "a.e30.c.d", f"a.{'e' * 70000}.c", "a.W10.c"])
def test_what_is_no_token_is_refused(raw: str) -> None:
    with pytest.raises(Unauthenticated):
        IdentityToken.parse(raw, audience="sigstore")


def test_a_token_never_shows_itself() -> None:
    token = IdentityToken.parse(jwt(), audience="sigstore")
    assert token.raw not in f"{token} {token!r}"


def test_a_token_is_fetched_again_when_it_is_about_to_expire(tmp_path: Path) -> None:
    asked: list[str] = []

    def browser() -> str:
        asked.append("browser")
        return jwt(lives=timedelta(minutes=len(asked)))

    moment = [NOW]
    held = Credentials({}, clock=lambda: moment[0], store=LoginStore(tmp_path), browser=browser)
    first = held.find("sigstore")
    assert first is not None
    assert first.source is Source.BROWSER
    assert held.find("sigstore") is first
    moment[0] += timedelta(seconds=55)
    assert held.find("sigstore") is not first
    assert len(asked) == 2


def test_nobody_is_known_without_any_source(tmp_path: Path) -> None:
    assert credentials({}, tmp_path).find(REGISTRY) is None
    assert credentials({}, tmp_path).find("sigstore") is None


def test_a_ci_job_without_the_permission_is_a_stranger_to_a_registry_and_an_error_to_a_signer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"GITHUB_ACTIONS": "true"}
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.delenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", raising=False)
    assert credentials(environ, tmp_path).registry_token(REGISTRY) is None
    with pytest.raises(Unauthenticated) as caught:
        credentials(environ, tmp_path).find("sigstore")
    assert caught.value.reasons[0].code == "ci-token"
    assert "id-token: write" in (caught.value.hint or "")


def test_a_gitlab_job_signs_with_the_token_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = jwt("sigstore")
    for name, value in {"GITLAB_CI": "true", "SIGSTORE_ID_TOKEN": token}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    held = credentials({"GITLAB_CI": "true"}, tmp_path).find("sigstore")
    assert held is not None
    assert (held.token.raw, held.source) == (token, Source.CI)


def test_a_ci_token_says_who_will_be_certified() -> None:
    token = IdentityToken.parse(jwt("sigstore", timedelta(minutes=5), **GITHUB), audience="sigstore")
    identity = token.identity("https://git.example")
    assert identity is not None
    assert identity.san == "https://git.example/acme/agents/.github/workflows/release.yml@refs/heads/main"
    assert identity.claim(ClaimName.SOURCE_REPOSITORY_DIGEST) == "a" * 40


def test_a_federated_login_is_certified_under_the_issuer_behind_it() -> None:
    token = IdentityToken.parse(
        jwt(email="a@b.example", email_verified=True, federated_claims={"connector_id": "https://real.example"}),
        audience="sigstore",
    )
    identity = token.identity()
    assert identity is not None
    assert (identity.issuer, identity.san) == ("https://real.example", "a@b.example")


def test_a_login_is_remembered_for_its_owner_only(tmp_path: Path) -> None:
    store = LoginStore.of_user({"XDG_CONFIG_HOME": str(tmp_path)})
    assert store.sandbox() is None
    login = SandboxLogin("http://127.0.0.1:8080", "alice")
    store.keep_sandbox(SandboxLogin("http://127.0.0.1:8080", "bob"))
    store.keep_sandbox(login)
    assert store.path == tmp_path / "tidegate" / "credentials.json"
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert store.sandbox() == login
    assert [path.name for path in store.path.parent.iterdir()] == ["credentials.json"]
    assert store.forget()
    assert not store.forget()
    assert store.sandbox() is None


@pytest.mark.parametrize("content", [b"{", b"{}", b'{"format":"tidegate/credentials/v1","sandbox":[]}'])
def test_a_login_file_that_cannot_be_read_is_said_so(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "credentials.json").write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        LoginStore(tmp_path).sandbox()
    assert caught.value.reasons[0].code == "credentials-unreadable"


@pytest.mark.parametrize(
    "issuer", ["https://id.example", "http://id.example", "https://127.0.0.1:1", "http://127.0.0.1.example"]
)
def test_a_login_without_password_is_for_this_machine_only(issuer: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        SandboxLogin(issuer, "alice")
    assert caught.value.reasons[0].code == "login-not-sandbox"


def sandbox(handler: httpx2.MockTransport) -> httpx2.Client:
    return httpx2.Client(transport=handler)


def test_a_login_gets_a_token_for_one_audience() -> None:
    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.url == "http://127.0.0.1:8080/sandbox/login"
        return httpx2.Response(200, json={"id_token": json.loads(request.content)["audience"]})  # noqa: TID251

    login = SandboxLogin("http://127.0.0.1:8080", "alice")
    assert login.fetch_token(REGISTRY, sandbox(httpx2.MockTransport(answer))) == REGISTRY


def test_an_unknown_user_and_a_silent_sandbox_are_told_apart() -> None:
    def unknown(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(404, json={"code": 5, "message": "the sandbox has no such user"})

    def silent(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    login = SandboxLogin("http://127.0.0.1:8080", "mallory")
    with pytest.raises(NotFound, match="no such user"):
        login.fetch_token(REGISTRY, sandbox(httpx2.MockTransport(unknown)))
    with pytest.raises(Unreachable, match="does not answer"):
        login.fetch_token(REGISTRY, sandbox(httpx2.MockTransport(silent)))
    with pytest.raises(Unauthenticated):
        login.fetch_token(REGISTRY, sandbox(httpx2.MockTransport(lambda _: httpx2.Response(200, content=b"<"))))


def test_the_sandbox_is_found_in_its_folder_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "env").write_text(
        "# sandbox\nexport TIDEGATE_SANDBOX_ISSUER='http://127.0.0.1:1/'\nexport A=b C=d\n'\n"
    )
    environ = {"TIDEGATE_SANDBOX_ISSUER": "http://127.0.0.1:2"}
    assert find_sandbox_issuer(environ, tmp_path) == "http://127.0.0.1:1"
    assert find_sandbox_issuer(environ, None) == "http://127.0.0.1:2"
    assert find_sandbox_issuer({"TIDEGATE_SANDBOX_DIR": str(tmp_path)}, None) == "http://127.0.0.1:1"
    assert parse_env((tmp_path / "env").read_text())["C"] == "d"
    with pytest.raises(InvalidInput) as caught:
        find_sandbox_issuer({}, None)
    assert caught.value.reasons[0].code == "login-not-sandbox"
    with pytest.raises(InvalidInput):
        find_sandbox_issuer(environ, tmp_path / "absent")


def test_a_signing_token_is_read_from_where_the_user_says(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("T\n")
    assert read_signing_token(str(file), {}) == "T\n"
    assert read_signing_token("-", {}, io.StringIO("T")) == "T"
    assert read_signing_token("env:NAME", {"NAME": "T"}) == "T"
    assert read_signing_token(None, {"SIGSTORE_ID_TOKEN": "T"}) == "T"
    assert read_signing_token(None, {"SIGSTORE_ID_TOKEN": "T", "GITLAB_CI": "true"}) is None
    for where in ("env:ABSENT", str(tmp_path / "absent"), str(tmp_path)):
        with pytest.raises(InvalidInput):
            read_signing_token(where, {})
