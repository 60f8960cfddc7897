"""Tokens of CI jobs, in the two shapes there are, shown too early, too late, or to the rule for the other shape."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.registry.access.issuer import NOW, SHA, Clock, FakeIssuer, github, make_verifier, rsa_key, running_issuer
from tidegate.formats.identity import ClaimName
from tidegate_registry.access.issuers import IssuerRule
from tidegate_registry.access.jwt import TokenRefused
from tidegate_registry.access.principal import PrincipalKind

GITHUB_JOB = github()
GITLAB_JOB: dict[str, object] = {
    "sub": "project_path:acme/agent:ref_type:tag:ref:v1.0.0",
    "namespace_id": "1",
    "namespace_path": "acme",
    "project_id": "22",
    "project_path": "acme/agent",
    "project_visibility": "private",
    "user_id": "7",
    "user_login": "alice",
    "pipeline_source": "push",
    "job_id": "99",
    "ref": "v1.0.0",
    "ref_type": "tag",
    "ref_protected": "true",
    "runner_environment": "gitlab-hosted",
    "sha": SHA,
    "ci_config_ref_uri": "gitlab.com/acme/agent//.gitlab-ci.yml@refs/tags/v1.0.0",
    "ci_config_sha": SHA,
}
SHAPES = {"github": GITHUB_JOB, "gitlab": GITLAB_JOB}


@pytest.fixture(scope="module")
def forge() -> Iterator[FakeIssuer]:
    with running_issuer(rsa_key("ci")) as issuer:
        yield issuer


def refusal(clock: Clock, issuer: FakeIssuer, kind: str, token: str) -> tuple[str | None, str]:
    with pytest.raises(TokenRefused) as caught:
        make_verifier(clock, IssuerRule.model_validate({"issuer": issuer.url, "kind": kind})).verify(token)
    reason = caught.value.reasons[0]
    return reason.step, reason.code


def test_a_gitlab_jobs_token_says_which_pipeline_runs_and_who_set_it_off(forge: FakeIssuer) -> None:
    rule = IssuerRule(issuer=forge.url, kind="gitlab")
    who = make_verifier(Clock(), rule).verify(forge.token(GITLAB_JOB, alg="RS256"))
    assert who.kind is PrincipalKind.CI
    assert who.name == "https://gitlab.com/acme/agent//.gitlab-ci.yml@refs/tags/v1.0.0"
    assert who.identity is not None
    assert who.identity.claim(ClaimName.SOURCE_REPOSITORY_REF) == "refs/tags/v1.0.0"
    assert who.attributes == {"user_login": ("alice",), "user_id": ("7",)}


@pytest.mark.parametrize(("kind", "other"), [("github", "gitlab"), ("gitlab", "github")])
def test_one_forges_claims_mean_nothing_under_the_rule_for_the_other(forge: FakeIssuer, kind: str, other: str) -> None:
    token = forge.token(SHAPES[other], alg="RS256")
    assert refusal(Clock(), forge, kind, token) == ("T12", "identity-unmapped")
    both = forge.token({**SHAPES[other], "email": "alice@acme.example", "email_verified": True}, alg="RS256")
    assert refusal(Clock(), forge, kind, both) == ("T12", "identity-unmapped")


@pytest.mark.parametrize("kind", ["github", "gitlab"])
@pytest.mark.parametrize(
    ("seconds", "code"), [(-61, "token-not-yet-valid"), (-3600, "token-not-yet-valid"), (361, "token-expired")]
)
def test_a_clock_that_is_off_by_more_than_a_minute_is_not_believed(
    forge: FakeIssuer, kind: str, seconds: int, code: str
) -> None:
    clock, token = Clock(), forge.token(SHAPES[kind], alg="RS256")
    for tolerated in (-60, 359):
        clock.now = NOW + timedelta(seconds=tolerated)
        make_verifier(clock, IssuerRule.model_validate({"issuer": forge.url, "kind": kind})).verify(token)
    clock.now = NOW + timedelta(seconds=seconds)
    assert refusal(clock, forge, kind, token) == ("T9", code)


@pytest.mark.parametrize("kind", ["github", "gitlab"])
@pytest.mark.parametrize("audience", ["sigstore", "https://other.example", ["https://registry.example", "sigstore"]])
def test_a_jobs_token_for_another_audience_is_refused(forge: FakeIssuer, kind: str, audience: object) -> None:
    token = forge.token({**SHAPES[kind], "aud": audience}, alg="RS256")
    assert refusal(Clock(), forge, kind, token) == ("T7", "audience-wrong")
