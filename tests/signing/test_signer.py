"""Signing against the private Sigstore: what is made verifies, and what would not verify is never handed out."""

from __future__ import annotations

import gc
import json
import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest

from tests import forge
from tidegate.credentials.sandbox_login import SandboxLogin
from tidegate.credentials.sources import Credentials
from tidegate.credentials.store import LoginStore
from tidegate.digest import Digest
from tidegate.errors import SigningRefused, StatementInvalid, TrustFileInvalid, Unauthenticated, Unreachable
from tidegate.formats.manifest import EMPTY_DESCRIPTOR, image_manifest
from tidegate.formats.mediatypes import PREDICATE_SLSA_PROVENANCE
from tidegate.formats.statement import Statement, make_statement
from tidegate.provenance import provenance_of
from tidegate.signing import sigstore as sigstore_module
from tidegate.signing.signer import Signer
from tidegate.signing.sigstore import Sigstore, browser_login, load_sigstore
from tidegate.verify.trust import Root, Trust
from tidegate_registry.sandbox.jobs import SERVER_URL, JobRequest
from tidegate_registry.sandbox.serve import RunningSigstore

AGENT = "acme/support-agent"
JOB = JobRequest(repository=AGENT, ref="refs/tags/v1.2.0")
SUBJECT = Digest.of(b"manifest")
STATEMENT = make_statement(AGENT, SUBJECT, "https://example.org/predicate/v1", {"good": True})


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def config(sigstore: RunningSigstore, tmp_path: Path) -> Path:
    path = tmp_path / "_Client_trust_config.json"  # whatever it is called, its root gets a name charters can use
    path.write_text(json.dumps(sigstore.instance.client_trust_config()))
    return path


@pytest.fixture
def instance(config: Path) -> Sigstore:
    return load_sigstore(config, allow_sandbox=True)


def signer_with(
    instance: Sigstore,
    tmp_path: Path,
    token: str | None,
    environ: Mapping[str, str] | None = None,
    clock: Callable[[], datetime] = now,
) -> Signer:
    credentials = Credentials(environ or {}, clock=now, store=LoginStore(tmp_path), signing_token=token)
    return Signer(instance, credentials, clock=clock)


@pytest.fixture
def job_signer(sigstore: RunningSigstore, instance: Sigstore, tmp_path: Path) -> Signer:
    token = sigstore.instance.mint_token(JOB)
    return signer_with(instance, tmp_path, token, {"GITHUB_SERVER_URL": SERVER_URL})


def test_a_job_signs_statement_and_provenance_with_one_certificate(job_signer: Signer) -> None:
    first = job_signer.sign_statement(STATEMENT)
    assert first.attestation.statement.raw == STATEMENT
    assert first.attestation.identity == job_signer.expected_identity()
    manifest = image_manifest(artifact_type="application/x", config=EMPTY_DESCRIPTOR, layers=())
    predicate = provenance_of(first.attestation.identity, manifest, None)
    payload = make_statement(AGENT, manifest.digest, PREDICATE_SLSA_PROVENANCE, predicate)
    second = job_signer.sign_statement(payload)
    assert "A18" in second.attestation.steps  # the verifier compared the provenance with the certificate
    certificates = [json.loads(s.bundle)["verificationMaterial"]["certificate"] for s in (first, second)]  # noqa: TID251
    assert certificates[0] == certificates[1]


def test_a_person_who_logged_in_to_the_sandbox_signs(
    sigstore: RunningSigstore, instance: Sigstore, tmp_path: Path
) -> None:
    LoginStore(tmp_path).keep_sandbox(SandboxLogin(sigstore.url, "alice"))
    signed = signer_with(instance, tmp_path, None).sign_statement(STATEMENT)
    assert signed.attestation.identity.san == "alice@sandbox.example"


def test_a_sandbox_is_not_signed_with_unless_allowed(config: Path) -> None:
    with pytest.raises(TrustFileInvalid) as caught:
        load_sigstore(config, allow_sandbox=False)
    assert caught.value.reasons[0].code == "sandbox-root"


def test_a_trusted_root_alone_is_no_place_to_sign(sigstore: RunningSigstore, tmp_path: Path) -> None:
    path = tmp_path / "root.json"
    path.write_text(json.dumps(sigstore.instance.trusted_root()))
    for wrong in (path, tmp_path / "absent.json"):
        with pytest.raises(TrustFileInvalid):
            load_sigstore(wrong, allow_sandbox=True)


def test_a_bundle_that_the_named_root_does_not_vouch_for_is_not_handed_out(
    sigstore: RunningSigstore, evil_sigstore: RunningSigstore, config: Path, tmp_path: Path
) -> None:
    other = Root("company", json.dumps(evil_sigstore.instance.trusted_root()).encode())
    trust = Trust.from_parts([other], [], allow_sandbox=True)
    instance = load_sigstore(config, name="company", trust=trust, allow_sandbox=True)
    signer = signer_with(instance, tmp_path, sigstore.instance.mint_token("alice"))
    with pytest.raises(SigningRefused) as caught:
        signer.sign_statement(STATEMENT)
    assert caught.value.reasons[0].step == "A12"


def test_a_certificate_for_somebody_else_is_not_used(
    sigstore: RunningSigstore, instance: Sigstore, tmp_path: Path
) -> None:
    # our token says we are a job of another forge than the one the authority certifies
    signer = signer_with(
        instance, tmp_path, sigstore.instance.mint_token(JOB), {"GITHUB_SERVER_URL": "https://git.example"}
    )
    with pytest.raises(SigningRefused) as caught:
        signer.sign_statement(STATEMENT)
    assert caught.value.reasons[0].code == "identity-not-in-charter"


def test_a_bundle_of_another_statement_or_signer_is_not_ours(sigstore: RunningSigstore, job_signer: Signer) -> None:
    other = make_statement(AGENT, SUBJECT, "https://example.org/predicate/v1", {"good": False})
    ours = forge.dump(forge.sign_statement(sigstore.instance, JOB, other))
    with pytest.raises(SigningRefused) as caught:
        job_signer.verify_own(ours, Statement.parse(STATEMENT))
    assert caught.value.reasons[0].code == "signed-other"
    theirs = forge.dump(forge.sign_statement(sigstore.instance, "bob", STATEMENT))
    with pytest.raises(SigningRefused) as caught:
        job_signer.verify_own(theirs, Statement.parse(STATEMENT))
    assert caught.value.reasons[0].code == "identity-not-in-charter"
    same = forge.dump(forge.sign_statement(sigstore.instance, JOB, STATEMENT))
    assert job_signer.verify_own(same, Statement.parse(STATEMENT)).is_publisher


def test_each_part_of_our_identity_counts(
    sigstore: RunningSigstore, instance: Sigstore, job_signer: Signer, tmp_path: Path
) -> None:
    alice = signer_with(instance, tmp_path, sigstore.instance.mint_token("alice"))
    other_commit = JobRequest(repository=AGENT, ref=JOB.ref, sha="b" * 40)  # the same subject, another claim
    for signer, who in ((alice, "bob"), (job_signer, other_commit)):
        theirs = forge.dump(forge.sign_statement(sigstore.instance, who, STATEMENT))
        with pytest.raises(SigningRefused) as caught:
            signer.verify_own(theirs, Statement.parse(STATEMENT))
        assert caught.value.reasons[0].code == "identity-not-in-charter"


def test_what_begins_like_signed_dsse_bytes_is_never_signed(job_signer: Signer) -> None:
    with pytest.raises(SigningRefused) as caught:
        job_signer.sign_statement(forge.pae(forge.IN_TOTO, STATEMENT))
    assert caught.value.reasons[0].code == "looks-like-pae"


def test_only_statements_are_signed(job_signer: Signer) -> None:
    with pytest.raises(StatementInvalid):
        job_signer.sign_statement(b'{"_type":"something else"}')


def test_a_token_the_authority_does_not_believe_is_explained(
    evil_sigstore: RunningSigstore, instance: Sigstore, tmp_path: Path
) -> None:
    signer = signer_with(instance, tmp_path, evil_sigstore.instance.mint_token("alice"))
    with pytest.raises(SigningRefused) as caught:
        signer.sign_statement(STATEMENT)
    assert caught.value.reasons[0].code == "certificate-refused"
    assert "401" in (caught.value.reasons[0].found or "")


def test_without_anybody_to_sign_as_nothing_is_signed(instance: Sigstore, tmp_path: Path) -> None:
    with pytest.raises(Unauthenticated) as caught:
        signer_with(instance, tmp_path, None).sign_statement(STATEMENT)
    assert caught.value.reasons[0].code == "signer-unknown"


def test_a_clock_far_behind_is_noticed_while_signing(
    sigstore: RunningSigstore, instance: Sigstore, tmp_path: Path
) -> None:
    token = sigstore.instance.mint_token("alice")
    signer = signer_with(instance, tmp_path, token, clock=lambda: now() - timedelta(hours=1))
    with pytest.raises(SigningRefused) as caught:
        signer.sign_statement(STATEMENT)
    assert caught.value.reasons[0].code == "signed-in-the-future"


def test_an_authority_that_never_answers_is_given_up(
    sigstore: RunningSigstore, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sigstore_module, "FULCIO_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        document = json.loads(config.read_text())  # noqa: TID251
        document["signingConfig"]["caUrls"][0]["url"] = url
        config.write_text(json.dumps(document))
        instance = load_sigstore(config, allow_sandbox=True)
        signer = signer_with(instance, tmp_path, sigstore.instance.mint_token("alice"))
        with pytest.raises(Unreachable) as caught:
            signer.sign_statement(STATEMENT)
    assert url.removeprefix("http://") in caught.value.message


@pytest.mark.filterwarnings("ignore:.*socket.socket:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:unclosed <socket.socket:ResourceWarning")
def test_a_person_signs_in_with_a_browser(
    sigstore: RunningSigstore, instance: Sigstore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def browser(url: str) -> bool:
        """Follow the way a person would click: to the issuer, choose a user, and back to the waiting command."""
        with httpx2.Client(trust_env=False) as client:
            login = client.get(url).headers["location"]
            opened.append(login)
            back = client.get(f"{login}&login_hint=carol").headers["location"]
            assert client.get(back).status_code == 200
        return True

    monkeypatch.setattr("webbrowser.open", browser)
    credentials = Credentials({}, clock=now, store=LoginStore(tmp_path), browser=lambda: browser_login(instance))
    signed = Signer(instance, credentials, clock=now).sign_statement(STATEMENT)
    assert signed.attestation.identity.san == "carol@sandbox.example"
    assert opened[0].startswith(f"{sigstore.url}/authorize?")
    assert "code_challenge_method=S256" in opened[0]
    gc.collect()  # sigstore-python leaves the socket it listened on to the collector: here, where that is expected


def test_a_login_that_fails_is_explained(sigstore: RunningSigstore, config: Path) -> None:
    document = json.loads(config.read_text())  # noqa: TID251
    document["signingConfig"]["oidcUrls"][0]["url"] = f"{sigstore.url}/nowhere"
    config.write_text(json.dumps(document))
    with pytest.raises(Unauthenticated):
        browser_login(load_sigstore(config, allow_sandbox=True))
