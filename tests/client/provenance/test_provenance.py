from __future__ import annotations

import pytest

from tidegate.digest import Digest
from tidegate.errors import SigningRefused
from tidegate.formats.identity import CertificateIdentity, ClaimName, from_oidc_claims
from tidegate.formats.jcs import JsonObject, canonical_bytes
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, Descriptor, image_manifest
from tidegate.formats.predicates.provenance import Provenance
from tidegate.provenance import has_provenance, provenance_of

MANIFEST = image_manifest(
    artifact_type="application/x",
    config=EMPTY_DESCRIPTOR,
    layers=(Descriptor("application/layer", Digest.of(b"layer"), 5),),
)
GITHUB: dict[str, object] = {
    "iss": "https://token.actions.githubusercontent.com",
    "repository": "acme/agents",
    "repository_id": "1",
    "repository_owner": "acme",
    "repository_owner_id": "2",
    "repository_visibility": "private",
    "ref": "refs/tags/v1.2.0",
    "sha": "a" * 40,
    "workflow_ref": "acme/agents/.github/workflows/release.yml@refs/tags/v1.2.0",
    "workflow_sha": "a" * 40,
    "job_workflow_ref": "trusted/builders/.github/workflows/build.yml@refs/tags/v2",
    "job_workflow_sha": "b" * 40,
    "event_name": "push",
    "run_id": "9",
    "run_attempt": "2",
    "runner_environment": "github-hosted",
}
GITLAB: dict[str, object] = {
    "iss": "https://gitlab.com",
    "project_path": "acme/agents",
    "project_id": "1",
    "namespace_path": "acme",
    "namespace_id": "2",
    "project_visibility": "private",
    "ref": "main",
    "ref_type": "branch",
    "sha": "a" * 40,
    "ci_config_ref_uri": "gitlab.com/acme/agents//.gitlab-ci.yml@refs/heads/main",
    "ci_config_sha": "a" * 40,
    "pipeline_source": "push",
    "job_id": "77",
    "runner_environment": "gitlab-hosted",
}


def part(value: JsonObject, *path: str) -> object:
    found: object = value
    for key in path:
        assert isinstance(found, dict)
        found = found[key]
    return found


def test_a_github_build_says_builder_source_commit_and_run_as_its_certificate_does() -> None:
    identity = from_oidc_claims("github", GITHUB)
    predicate = provenance_of(identity, MANIFEST, None)
    read = Provenance.parse(predicate)
    assert read.builder_id == "https://github.com/trusted/builders/.github/workflows/build.yml@refs/tags/v2"
    assert (read.repository, read.ref) == ("https://github.com/acme/agents", "refs/tags/v1.2.0")
    assert (read.commit, read.path) == ("a" * 40, ".github/workflows/release.yml")
    assert read.invocation_id == "https://github.com/acme/agents/actions/runs/9/attempts/2"
    assert part(predicate, "buildDefinition", "internalParameters") == {
        "buildTrigger": "push",
        "runnerEnvironment": "github-hosted",
        "sourceRepositoryIdentifier": "1",
        "sourceRepositoryOwnerIdentifier": "2",
    }
    assert part(predicate, "runDetails", "byproducts") == [
        {"mediaType": "application/layer", "digest": {"sha256": Digest.of(b"layer").hex}}
    ]


def test_a_gitlab_build_names_its_file_without_the_doubled_slash() -> None:
    read = Provenance.parse(provenance_of(from_oidc_claims("gitlab", GITLAB), MANIFEST, None))
    assert read.builder_id == "https://gitlab.com/acme/agents//.gitlab-ci.yml@refs/heads/main"
    assert (read.repository, read.ref, read.path) == (
        "https://gitlab.com/acme/agents",
        "refs/heads/main",
        ".gitlab-ci.yml",
    )
    assert read.invocation_id == "https://gitlab.com/acme/agents/-/jobs/77"


def test_the_same_build_gives_the_same_bytes() -> None:
    identity = from_oidc_claims("github", GITHUB)
    first, second = (canonical_bytes(provenance_of(identity, MANIFEST, None)) for _ in range(2))
    assert first == second


def test_a_person_has_no_provenance_to_give() -> None:
    person = CertificateIdentity("https://id.example", "alice@example.org")
    assert not has_provenance(person)
    assert not has_provenance(None)
    with pytest.raises(SigningRefused) as caught:
        provenance_of(person, MANIFEST, None)
    assert caught.value.reasons[0].code == "provenance-missing"
    assert "--provenance FILE" in (caught.value.hint or "")


@pytest.mark.parametrize(
    "name",
    [
        ClaimName.BUILD_SIGNER_URI,
        ClaimName.SOURCE_REPOSITORY_URI,
        ClaimName.SOURCE_REPOSITORY_REF,
        ClaimName.SOURCE_REPOSITORY_DIGEST,
    ],
)
def test_provenance_without_one_of_its_parts_is_refused(name: ClaimName) -> None:
    full = from_oidc_claims("github", GITHUB)
    claims = {key: value for key, value in full.claims.items() if key is not name}
    with pytest.raises(SigningRefused) as caught:
        provenance_of(CertificateIdentity(full.issuer, full.san, claims), MANIFEST, None)
    assert caught.value.reasons[0].code == "provenance-missing"
