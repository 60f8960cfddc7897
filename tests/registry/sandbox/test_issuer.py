"""Tokens, CI jobs, and that both say the same as the certificates made from them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import id as ambient
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from tests.fixtures_sandbox import Sigstores
from tests.registry.sandbox.clock import Clock
from tidegate.errors import AccessDenied, InvalidInput, LimitExceeded, NotFound, Unauthenticated
from tidegate.formats.identity import from_oidc_claims, parse_certificate
from tidegate_registry.sandbox.issuer import TOKEN_LIFETIME
from tidegate_registry.sandbox.jobs import JOB_LIFETIME, MAX_JOBS, SERVER_URL, JobRequest
from tidegate_registry.sandbox.serve import RunningSigstore
from tidegate_registry.sandbox.sigstore import SigstoreInstance
from tidegate_registry.sandbox.users import USERS, demo_user

REGISTRY = "http://127.0.0.1:5000"
REUSABLE = "acme/workflows/.ci/workflows/release.yml@refs/tags/v2"


@pytest.fixture
def http(sigstore: RunningSigstore) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=sigstore.url, trust_env=False) as client:
        yield client


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def instance(tmp_path: Path, clock: Clock) -> Iterator[SigstoreInstance]:
    made = SigstoreInstance(tmp_path / "state", "http://127.0.0.1:1", clock=clock)
    yield made
    made.close()


def test_discovery_leads_to_the_keys_that_verify_tokens(http: httpx2.Client, sigstore: RunningSigstore) -> None:
    for issuer, token in (
        (sigstore.url, sigstore.instance.mint_token("alice")),
        (f"{sigstore.url}/ci", sigstore.instance.mint_token(JobRequest(repository="acme/agent"))),
    ):
        found = http.get(f"{issuer}/.well-known/openid-configuration").json()
        assert found["issuer"] == issuer
        keys = KeySet.import_key_set(http.get(found["jwks_uri"]).json())
        assert jwt.decode(token, keys, algorithms=["RS256"]).claims["iss"] == issuer


def test_published_keys_hold_nothing_private(http: httpx2.Client) -> None:
    (key,) = http.get("/jwks").json()["keys"]
    assert key.keys() == {"kty", "n", "e", "kid", "use", "alg"}


def test_the_ci_issuer_has_no_browser_flow(http: httpx2.Client) -> None:
    assert "authorization_endpoint" not in http.get("/ci/.well-known/openid-configuration").json()


def test_the_four_have_one_role_each() -> None:
    assert {user.name: user.groups for user in USERS.values()} == {
        "alice": ("developers",),
        "bob": ("reviewers",),
        "carol": ("release-managers",),
        "dave": ("admins", "auditors"),
    }
    with pytest.raises(NotFound) as refused:
        demo_user("eve")
    assert refused.value.reasons[0].code == "not-found"


def test_a_token_ends(instance: SigstoreInstance, clock: Clock) -> None:
    token = instance.mint_token("alice")
    assert instance.issuer.verify(token, "sigstore").text("sub") == "sandbox|alice"
    clock.advance(TOKEN_LIFETIME)
    with pytest.raises(Unauthenticated) as refused:
        instance.issuer.verify(token, "sigstore")
    assert refused.value.reasons[0].code == "unauthenticated"


def test_tokens_of_another_key_audience_issuer_or_algorithm_are_refused(
    instance: SigstoreInstance, sigstores: Sigstores
) -> None:
    stranger = RSAKey.generate_key(2048)
    claims: dict[str, object] = {**demo_user("alice").claims(), "iss": instance.url}
    refused = [
        sigstores.twin.instance.issuer.mint(claims, "sigstore"),
        instance.mint_token("alice", REGISTRY),
        instance.mint_token({**claims, "iss": f"{instance.url}/ci/hammer-time"}),
        instance.mint_token({**claims, "iss": "https://accounts.google.com"}),
        instance.mint_token({**claims, "sub": None}),
        instance.mint_token({**claims, "exp": None}),
        instance.mint_token({**claims, "nbf": 32503680000}),
        jwt.encode({"alg": "RS256"}, {**claims, "aud": "sigstore"}, stranger, algorithms=["RS256"]),
        "a.b.c",
        "",
    ]
    for token in refused:
        with pytest.raises(Unauthenticated) as error:
            instance.issuer.verify(token, "sigstore")
        assert error.value.reasons[0].code == "unauthenticated"


@pytest.mark.parametrize("missing", ["iss", "aud", "sub", "exp", "iat"])
def test_a_token_without_one_of_its_claims_is_refused(instance: SigstoreInstance, missing: str) -> None:
    issuer = instance.issuer
    claims = dict(issuer.verify(instance.mint_token("alice"), "sigstore").claims)
    del claims[missing]
    token = jwt.encode({"alg": "RS256", "kid": issuer.key_id}, claims, issuer._key, algorithms=["RS256"])
    with pytest.raises(Unauthenticated, match="not valid") as refused:
        issuer.verify(token, "sigstore")
    assert refused.value.reasons[0].code == "unauthenticated"


@pytest.mark.parametrize("audience", ["", "x" * 257, "new\nline"])
def test_an_audience_is_one_short_line(instance: SigstoreInstance, audience: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        instance.mint_token("alice", audience)
    assert refused.value.reasons[0].code == "invalid-input"


def test_token_and_certificate_of_a_job_say_the_same(sigstore: RunningSigstore) -> None:
    for job in (
        JobRequest(repository="acme/agent"),
        JobRequest(
            repository="acme/agent",
            ref="refs/tags/v1.2.3",
            sha="0" * 40,
            workflow=".ci/workflows/build.yml",
            event="workflow_dispatch",
            run_id="77",
            run_attempt="3",
            runner_environment="self-hosted",
            job_workflow_ref=REUSABLE,
            job_workflow_sha="1" * 40,
            repository_id="5",
            repository_owner_id="6",
        ),
    ):
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        certificate = parse_certificate(sigstore.instance.issue_certificate(job, key).public_bytes(Encoding.DER))
        claims = sigstore.instance.issuer.verify(sigstore.instance.mint_token(job), "sigstore").claims
        assert certificate == from_oidc_claims("github", claims, server_url=SERVER_URL)
        assert certificate.issuer == f"{sigstore.url}/ci"
        assert certificate.san == job.signer_uri
    assert certificate.san == f"{SERVER_URL}/{REUSABLE}"


def test_token_and_certificate_of_a_person_say_the_same(sigstore: RunningSigstore) -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    certificate = parse_certificate(sigstore.instance.issue_certificate("bob", key).public_bytes(Encoding.DER))
    claims = sigstore.instance.issuer.verify(sigstore.instance.mint_token("bob"), "sigstore").claims
    assert certificate == from_oidc_claims("email", claims)


def test_ids_follow_from_names_so_a_reused_name_needs_another_id() -> None:
    one, same = JobRequest(repository="acme/agent").claims(), JobRequest(repository="acme/agent").claims()
    assert one["repository_id"] == same["repository_id"]
    assert one["repository_id"] != JobRequest(repository="acme/other").claims()["repository_id"]
    assert JobRequest(repository="acme/agent", repository_id="1").claims()["repository_id"] == "1"


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({}, "repo:acme/agent:ref:refs/heads/main"),
        ({"event": "pull_request", "ref": "refs/pull/7/merge"}, "repo:acme/agent:pull_request"),
        ({"environment": "production"}, "repo:acme/agent:environment:production"),
    ],
)
def test_a_job_has_the_subject_that_its_forge_would_give(changes: dict[str, str], subject: str) -> None:
    assert JobRequest.model_validate({"repository": "acme/agent"} | changes).claims()["sub"] == subject


def post_job(http: httpx2.Client, secret: str, **job: object) -> httpx2.Response:
    return http.post("/ci/jobs", json=job, headers={"authorization": f"Bearer {secret}"})


def test_the_id_package_finds_a_jobs_identity_in_its_environment(
    http: httpx2.Client, sigstore: RunningSigstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = post_job(http, sigstore.instance.admin_secret, repository="acme/agent", sha="c" * 40)
    assert answer.status_code == 201
    environment: dict[str, str] = answer.json()["environment"]
    assert environment["GITHUB_SERVER_URL"] == SERVER_URL
    assert environment["GITHUB_WORKFLOW_REF"] == "acme/agent/.ci/workflows/release.yml@refs/heads/main"
    assert (environment["GITHUB_REF_NAME"], environment["GITHUB_SHA"]) == ("main", "c" * 40)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for audience in ("sigstore", REGISTRY):
        token = ambient.detect_credential(audience)
        assert token
        claims = sigstore.instance.issuer.verify(token, audience).claims
        assert (claims["repository"], claims["sha"]) == ("acme/agent", "c" * 40)


@pytest.mark.parametrize("secret", ["", "wrong", "ü"])
def test_only_who_reads_the_sandbox_folder_registers_jobs(sigstore: RunningSigstore, secret: str) -> None:
    with httpx2.Client(base_url=sigstore.url, trust_env=False) as http:
        header = {b"authorization": f"Bearer {secret}".encode()} if secret else {}
        answer = http.post("/ci/jobs", json={"repository": "acme/agent"}, headers=header)
    assert answer.status_code == 403
    assert answer.json()["reason"] == AccessDenied.code


@pytest.mark.parametrize(
    "job",
    [
        {"repository": "acme"},
        {"repository": "acme/agent/more"},
        {"repository": "../x/y"},
        {"repository": "acme/agent", "ref": "main"},
        {"repository": "acme/agent", "sha": "HEAD"},
        {"repository": "acme/agent", "workflow": "/etc/passwd\n"},
        {"repository": "acme/agent", "job_workflow_ref": "no-ref"},
        {"repository": "acme/agent", "issuer": "https://token.actions.githubusercontent.com"},
        {"repository": "acme/agent", "ref_protected": "perhaps"},
        {},
    ],
)
def test_a_job_that_no_forge_could_have_is_refused(sigstore: RunningSigstore, job: dict[str, object]) -> None:
    with httpx2.Client(base_url=sigstore.url, trust_env=False) as http:
        answer = post_job(http, sigstore.instance.admin_secret, **job)
    assert (answer.status_code, answer.json()["reason"]) == (400, InvalidInput.code)


@pytest.mark.parametrize("header", [{}, {"authorization": "Bearer made-up"}, {"authorization": "Basic abc"}])
def test_a_token_needs_a_job(http: httpx2.Client, header: dict[str, str]) -> None:
    answer = http.get("/ci/token", params={"audience": "sigstore"}, headers=header)
    assert (answer.status_code, answer.json()["reason"]) == (401, Unauthenticated.code)


def test_a_job_ends_and_jobs_are_bounded(instance: SigstoreInstance, clock: Clock) -> None:
    request = JobRequest(repository="acme/agent")
    job = instance.register_job(request)
    assert instance.jobs.identity_token(job.token, "sigstore")
    for _ in range(MAX_JOBS - 1):
        instance.register_job(request)
    with pytest.raises(LimitExceeded) as full:
        instance.register_job(request)
    assert full.value.reasons[0].code == "limit-exceeded"
    clock.advance(JOB_LIFETIME)
    with pytest.raises(Unauthenticated) as over:
        instance.jobs.identity_token(job.token, "sigstore")
    assert over.value.reasons[0].code == "unauthenticated"
    instance.register_job(request)
