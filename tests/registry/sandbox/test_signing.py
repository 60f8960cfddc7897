"""The real sigstore-python API signs and verifies against the private instance, unmodified."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from sigstore.dsse import DigestSet, StatementBuilder, Subject
from sigstore.errors import VerificationError
from sigstore.models import Bundle, ClientTrustConfig
from sigstore.oidc import IdentityToken
from sigstore.sign import SigningContext
from sigstore.verify import Verifier, policy

from tests import forge
from tests.fixtures_sandbox import Sigstores
from tidegate.formats.jcs import parse_object
from tidegate_registry.sandbox.jobs import JobRequest
from tidegate_registry.sandbox.serve import RunningSigstore

CONTENT = b"a file somebody signs"
JOB = JobRequest(repository="acme/support-agent")
JOB_IDENTITY = "https://git.sandbox.internal/acme/support-agent/.ci/workflows/release.yml@refs/heads/main"


@pytest.fixture(scope="module")
def trust(sigstore: RunningSigstore) -> ClientTrustConfig:
    return ClientTrustConfig.from_json(json.dumps(sigstore.instance.client_trust_config()))


@pytest.fixture(scope="module")
def verifier(trust: ClientTrustConfig) -> Verifier:
    return Verifier(trusted_root=trust.trusted_root)


def sign(trust: ClientTrustConfig, token: str, content: bytes = CONTENT) -> Bundle:
    with SigningContext.from_trust_config(trust).signer(IdentityToken(token)) as signer:
        return signer.sign_artifact(content)


def alice(sigstore: RunningSigstore) -> policy.VerificationPolicy:
    return policy.Identity(identity="alice@sandbox.example", issuer=sigstore.url)


def test_a_person_signs_a_file_and_it_verifies(
    sigstore: RunningSigstore, trust: ClientTrustConfig, verifier: Verifier
) -> None:
    bundle = sign(trust, sigstore.instance.mint_token("alice"))
    verifier.verify_artifact(CONTENT, Bundle.from_json(bundle.to_json()), alice(sigstore))


def test_another_persons_signature_is_refused(
    sigstore: RunningSigstore, trust: ClientTrustConfig, verifier: Verifier
) -> None:
    bundle = sign(trust, sigstore.instance.mint_token("bob"))
    with pytest.raises(VerificationError):
        verifier.verify_artifact(CONTENT, bundle, alice(sigstore))


def test_a_ci_job_signs_a_statement_and_its_certificate_says_where_it_ran(
    sigstore: RunningSigstore, trust: ClientTrustConfig, verifier: Verifier
) -> None:
    statement = (
        StatementBuilder()
        .subjects([Subject(name="agent", digest=DigestSet(root={"sha256": "ab" * 32}))])
        .predicate_type("https://example.com/predicate/v1")
        .predicate({"ok": True})
        .build()
    )
    token = IdentityToken(sigstore.instance.mint_token(JOB))
    with SigningContext.from_trust_config(trust).signer(token) as signer:
        bundle = signer.sign_dsse(statement)
    demanded = policy.AllOf(
        [
            policy.Identity(identity=JOB_IDENTITY, issuer=f"{sigstore.url}/ci"),
            policy.OIDCIssuerV2(f"{sigstore.url}/ci"),
            policy.OIDCSourceRepositoryURI("https://git.sandbox.internal/acme/support-agent"),
            policy.OIDCSourceRepositoryDigest(JOB.sha),
            policy.OIDCSourceRepositoryRef("refs/heads/main"),
            policy.OIDCBuildSignerURI(JOB_IDENTITY),
            policy.OIDCBuildConfigURI(JOB_IDENTITY),
            policy.OIDCBuildTrigger("push"),
            policy.OIDCRunnerEnvironment("sandbox-hosted"),
            policy.GitHubWorkflowRepository("acme/support-agent"),
        ]
    )
    kind, payload = verifier.verify_dsse(bundle, demanded)
    assert kind == forge.IN_TOTO
    assert parse_object(payload, limit=len(payload), what="the statement")["predicate"] == {"ok": True}


def test_the_evil_twin_convinces_nobody(sigstores: Sigstores, verifier: Verifier) -> None:
    twin = sigstores.twin
    evil = ClientTrustConfig.from_json(json.dumps(twin.instance.client_trust_config()))
    bundle = sign(evil, twin.instance.mint_token("alice"))
    Verifier(trusted_root=evil.trusted_root).verify_artifact(
        CONTENT, bundle, policy.Identity(identity="alice@sandbox.example", issuer=twin.url)
    )
    with pytest.raises(VerificationError):
        verifier.verify_artifact(CONTENT, bundle, policy.UnsafeNoOp())


def test_a_forged_bundle_without_flaw_verifies(sigstore: RunningSigstore, verifier: Verifier) -> None:
    bundle = Bundle.from_json(forge.dump(forge.sign_blob(sigstore.instance, "alice", CONTENT)))
    verifier.verify_artifact(CONTENT, bundle, alice(sigstore))
    statement = forge.sign_statement(sigstore.instance, JOB, b"{}")
    kind, payload = verifier.verify_dsse(
        Bundle.from_json(forge.dump(statement)), policy.Identity(identity=JOB_IDENTITY, issuer=f"{sigstore.url}/ci")
    )
    assert (kind, payload) == (forge.IN_TOTO, b"{}")


def test_a_bundle_can_be_dated_in_the_past(sigstore: RunningSigstore, verifier: Verifier) -> None:
    then = datetime.now(UTC) - timedelta(days=90)
    bundle = Bundle.from_json(forge.dump(forge.sign_blob(sigstore.instance, "alice", CONTENT, issued_at=then)))
    assert abs(bundle.signing_certificate.not_valid_before_utc - then) < timedelta(seconds=1)
    verifier.verify_artifact(CONTENT, bundle, alice(sigstore))


def test_a_signature_after_the_certificate_expired_is_refused(sigstore: RunningSigstore, verifier: Verifier) -> None:
    then = datetime.now(UTC) - timedelta(days=1)
    late = forge.sign_blob(
        sigstore.instance, "alice", CONTENT, issued_at=then, timestamped_at=then + timedelta(minutes=11)
    )
    with pytest.raises(VerificationError):
        verifier.verify_artifact(CONTENT, Bundle.from_json(forge.dump(late)), alice(sigstore))
