"""What the vectors do not show: the second reader of identities, refusals that help, what an attestation tells."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.x509 import load_der_x509_certificate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sigstore.errors import VerificationError

from tests.vectorcase import VECTORS, VectorCase
from tidegate.errors import EvidenceRefused, StatementInvalid
from tidegate.formats.bundle import SigstoreBundle
from tidegate.formats.charter import Role, SignerRule
from tidegate.formats.identity import CertificateIdentity, ClaimName, parse_certificate
from tidegate.formats.statement import Statement
from tidegate.policy.evidence import RefusedEvidence
from tidegate.verify.signature import _policy, verify_signature


@pytest.fixture(scope="module")
def case() -> VectorCase:
    return VectorCase.load(VECTORS / "release")


def load(name: str) -> VectorCase:
    return VectorCase.load(VECTORS / name)


def test_an_attestation_tells_who_what_when_and_under_which_root(case: VectorCase) -> None:
    verified = case.verify()
    assert (verified.root, verified.role, verified.signers) == ("main", Role.PUBLISHER, ("release",))
    assert verified.is_publisher
    assert verified.release is not None
    assert verified.release.version == "1.2.0"
    assert str(verified) == "release by release"
    told = verified.as_json()
    assert told["identity"] == verified.identity.san
    assert json.dumps(told)
    assert verified.signed_at < case.now


def test_an_attesters_evidence_says_so() -> None:
    verified = load("evaluation-by-attester").verify()
    assert (verified.role, verified.signers, verified.release) == (Role.ATTESTER, ("evals",), None)


@pytest.mark.parametrize(
    ("case", "role", "signer"), [("approval", Role.APPROVER, "bob"), ("break-glass", Role.BREAK_GLASS, "carol")]
)
def test_who_approved_and_who_broke_the_glass_stands_in_the_role(case: str, role: Role, signer: str) -> None:
    verified = load(case).verify()
    assert (verified.role, verified.signers) == (role, (signer,))


def test_refused_evidence_tells_its_first_reason_in_a_line() -> None:
    with pytest.raises(EvidenceRefused) as error:
        load("another-ref_fail").verify()
    refused = RefusedEvidence(load("another-ref_fail").subject, error.value.reasons, "https://slsa.dev/provenance/v1")
    assert str(refused).startswith("provenance sha256:")
    assert str(refused).endswith("refused at A13 (identity-not-in-charter)")
    assert json.dumps(refused.as_json())


def test_a_refused_signer_is_told_what_the_nearest_rule_wants() -> None:
    with pytest.raises(EvidenceRefused) as error:
        load("repository-name-taken-over_fail").verify()
    reason = error.value.reasons[0]
    assert reason.expected is not None
    assert reason.expected.startswith("rule `release`, but sourceRepositoryIdentifier 666 is not ")
    assert reason.hint is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "https://main.sigstore.example"},
        {"workflow": None, "identity": "https://git.sandbox.internal/acme/x"},
        {"claims": {ClaimName.SOURCE_REPOSITORY_REF: "refs/tags/v9"}},
        {"claims": {ClaimName.DEPLOYMENT_ENVIRONMENT: "prod", ClaimName.BUILD_TRIGGER: "schedule"}},
    ],
    ids=["issuer", "identity", "ref", "trigger"],
)
def test_the_library_reads_the_same_extensions_and_would_refuse_too(
    changes: dict[str, object], case: VectorCase
) -> None:
    der = SigstoreBundle.parse(case.bundle).certificate
    certificate, identity = load_der_x509_certificate(der), parse_certificate(der)
    rule = case.charter.publishers[0]
    _policy(rule, identity).verify(certificate)
    with pytest.raises(VerificationError):
        _policy(rule.model_copy(update=changes), identity).verify(certificate)


def test_a_rule_that_would_match_anybody_by_mistake_is_still_stopped_by_the_second_reader(case: VectorCase) -> None:
    class CarelessRule(SignerRule):
        def differences(self, _: CertificateIdentity) -> tuple[str, ...]:
            return ()

    rule = CarelessRule(name="careless", root="main", issuer="https://issuer.example", identity="bob@acme.example")
    charter = case.charter.model_copy(update={"publishers": (rule,)})
    with pytest.raises(EvidenceRefused) as error:
        verify_signature(case.bundle, charter=charter, trust=case.trust)
    assert (error.value.reasons[0].step, error.value.reasons[0].code) == ("A13", "verification-error")


def test_the_payload_is_what_was_signed_to_the_byte(case: VectorCase) -> None:
    signed = verify_signature(case.bundle, charter=case.charter, trust=case.trust)
    assert Statement.parse(signed.payload).raw == signed.payload
    assert signed.bundle_digest.matches(case.bundle)


def test_a_payload_that_is_a_pae_is_called_one() -> None:
    with pytest.raises(StatementInvalid, match="itself a DSSE encoding"):
        Statement.parse(b"DSSEv1 28 application/vnd.in-toto+json 2 {}")


FOLDERS = [VECTORS / "release", VECTORS / "provenance", VECTORS / "review-by-person"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_bytes_put_into_a_bundle_make_the_verifier_raise_anything_else(folder: Path, data: st.DataObject) -> None:
    case = VectorCase.load(folder)
    raw = bytearray(case.bundle)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw) - 1))
        raw[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with suppress(EvidenceRefused):  # whatever else escapes fails the test
        assert replace(case, bundle=bytes(raw)).verify().statement.raw == case.verify().statement.raw


@given(st.binary(max_size=300))
def test_no_bytes_at_all_make_the_verifier_raise_anything_else(raw: bytes) -> None:
    case = VectorCase.load(VECTORS / "release")
    with pytest.raises(EvidenceRefused) as error:
        verify_signature(raw, charter=case.charter, trust=case.trust)
    expected = {("A2", "bundle-malformed"), ("A3", "bundle-media-type")}  # `{}` is JSON, and nothing more
    assert (error.value.reasons[0].step, error.value.reasons[0].code) in expected
