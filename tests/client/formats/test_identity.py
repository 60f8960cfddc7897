"""Identities: from tokens as Fulcio maps them, from certificates only in the one way that can be compared."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vectorcase import VECTORS
from tidegate.errors import IdentityInvalid
from tidegate.formats.bundle import SigstoreBundle
from tidegate.formats.identity import (
    MAX_CERTIFICATE_BYTES,
    CertificateIdentity,
    ClaimName,
    from_oidc_claims,
    parse_certificate,
    workflow_of,
)

GITHUB: dict[str, Any] = {
    "iss": "https://token.actions.githubusercontent.com",
    "sub": "repo:acme/agent:ref:refs/tags/v1",
    "repository": "acme/agent",
    "repository_id": "548213790",
    "repository_owner": "acme",
    "repository_owner_id": 9919,
    "repository_visibility": "public",
    "ref": "refs/tags/v1",
    "sha": "5a" * 20,
    "workflow_ref": "acme/agent/.github/workflows/release.yml@refs/tags/v1",
    "workflow_sha": "5a" * 20,
    "job_workflow_ref": "acme/builder/.github/workflows/agent.yml@refs/tags/v2",
    "job_workflow_sha": "7b" * 20,
    "event_name": "push",
    "run_id": "77",
    "run_attempt": "1",
    "runner_environment": "github-hosted",
}
GITLAB: dict[str, Any] = {
    "iss": "https://gitlab.com",
    "project_path": "acme/agent",
    "project_id": "42",
    "namespace_path": "acme",
    "namespace_id": "7",
    "project_visibility": "private",
    "ref": "main",
    "ref_type": "branch",
    "sha": "5a" * 20,
    "ci_config_ref_uri": "gitlab.com/acme/agent//.gitlab-ci.yml@refs/heads/main",
    "ci_config_sha": "5a" * 20,
    "pipeline_source": "push",
    "job_id": "1001",
    "runner_environment": "gitlab-hosted",
}


def test_the_claims_are_numbered_as_fulcio_numbers_them() -> None:
    numbers = [int(name.oid.rpartition(".")[2]) for name in ClaimName]
    assert numbers == list(range(9, 24))
    assert ClaimName.SOURCE_REPOSITORY_REF.oid == "1.3.6.1.4.1.57264.1.14"
    assert ClaimName.DEPLOYMENT_ENVIRONMENT.oid == "1.3.6.1.4.1.57264.1.23"


def test_a_github_token_maps_as_fulcio_maps_it() -> None:
    identity = from_oidc_claims("github", GITHUB | {"environment": "prod"})
    assert identity.issuer == GITHUB["iss"]
    assert identity.san == "https://github.com/acme/builder/.github/workflows/agent.yml@refs/tags/v2"
    assert identity.workflow == "https://github.com/acme/builder/.github/workflows/agent.yml"
    assert {name.value: value for name, value in identity.claims.items()} == {
        "buildSignerURI": identity.san,
        "buildSignerDigest": "7b" * 20,
        "runnerEnvironment": "github-hosted",
        "sourceRepositoryURI": "https://github.com/acme/agent",
        "sourceRepositoryDigest": "5a" * 20,
        "sourceRepositoryRef": "refs/tags/v1",
        "sourceRepositoryIdentifier": "548213790",
        "sourceRepositoryOwnerURI": "https://github.com/acme",
        "sourceRepositoryOwnerIdentifier": "9919",
        "buildConfigURI": "https://github.com/acme/agent/.github/workflows/release.yml@refs/tags/v1",
        "buildConfigDigest": "5a" * 20,
        "buildTrigger": "push",
        "runInvocationURI": "https://github.com/acme/agent/actions/runs/77/attempts/1",
        "sourceRepositoryVisibility": "public",
        "deploymentEnvironment": "prod",
    }


def test_a_gitlab_token_maps_as_fulcio_maps_it() -> None:
    identity = from_oidc_claims("gitlab", GITLAB)
    assert identity.san == "https://gitlab.com/acme/agent//.gitlab-ci.yml@refs/heads/main"
    assert identity.claim(ClaimName.SOURCE_REPOSITORY_REF) == "refs/heads/main"
    assert identity.claim(ClaimName.RUN_INVOCATION_URI) == "https://gitlab.com/acme/agent/-/jobs/1001"
    tag = from_oidc_claims("gitlab", GITLAB | {"ref": "v1", "ref_type": "tag"}, server_url="https://git.example/")
    assert tag.claim(ClaimName.SOURCE_REPOSITORY_REF) == "refs/tags/v1"
    assert tag.claim(ClaimName.SOURCE_REPOSITORY_URI) == "https://git.example/acme/agent"


def test_a_person_is_a_verified_address() -> None:
    claims = {"iss": "https://id.example", "email": "bob@acme.example", "email_verified": True}
    assert from_oidc_claims("email", claims) == CertificateIdentity("https://id.example", "bob@acme.example")
    for unverified in (False, "true", None):
        with pytest.raises(IdentityInvalid) as refused:
            from_oidc_claims("email", claims | {"email_verified": unverified})
        assert refused.value.reasons[0].code == "identity-malformed"


@pytest.mark.parametrize("missing", sorted(GITHUB.keys() - {"sub"}))
@pytest.mark.parametrize("value", [None, "", [], True, "a\nb", "x" * 3000])
def test_a_claim_that_is_missing_or_no_text_is_refused(missing: str, value: object) -> None:
    with pytest.raises(IdentityInvalid) as refused:
        from_oidc_claims("github", GITHUB | {missing: value})
    assert refused.value.reasons[0].code == "identity-malformed"


@pytest.mark.parametrize(
    ("uri", "workflow"),
    [
        (
            "https://github.com/a/b/.github/workflows/x.yml@refs/tags/v1",
            "https://github.com/a/b/.github/workflows/x.yml",
        ),
        ("https://github.com/a/b/x.yml@" + "5a" * 20, "https://github.com/a/b/x.yml"),
        ("https://github.com/a/b/x.yml@refs/heads/y@refs/heads/z", "https://github.com/a/b/x.yml"),
        ("https://github.com/a/b/x.yml@v1", "https://github.com/a/b/x.yml@v1"),
        ("bob@acme.example", "bob@acme.example"),
    ],
)
def test_a_workflow_is_its_uri_without_ref_or_commit(uri: str, workflow: str) -> None:
    assert workflow_of(uri) == workflow


def test_a_certificate_gives_what_the_token_gave() -> None:
    der = SigstoreBundle.parse((VECTORS / "release" / "bundle.json").read_bytes()).certificate
    identity = parse_certificate(der)
    assert identity.issuer == "https://main.sigstore.example/ci"
    assert identity.workflow.endswith("/acme/support-agent/.ci/workflows/release.yml")
    assert set(identity.claims) == set(ClaimName) - {ClaimName.DEPLOYMENT_ENVIRONMENT}


@pytest.mark.parametrize("der", [b"", b"0\x00", b"x" * (MAX_CERTIFICATE_BYTES + 1)])
def test_what_is_no_certificate_is_refused(der: bytes) -> None:
    with pytest.raises(IdentityInvalid) as refused:
        parse_certificate(der)
    assert refused.value.reasons[0].code == "identity-malformed"


def test_bytes_after_a_certificate_are_refused() -> None:
    der = SigstoreBundle.parse((VECTORS / "release" / "bundle.json").read_bytes()).certificate
    with pytest.raises(IdentityInvalid):
        parse_certificate(der + b"\0")
