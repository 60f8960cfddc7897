"""The certificate authority and its CT log: both forms of request, and every reason to refuse."""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.client.tlog.oracle import root_from_inclusion, roots_from_consistency
from tests.fixtures_sandbox import Sigstores
from tidegate.errors import InvalidInput, Unauthenticated
from tidegate.tlog.merkle import leaf_hash
from tidegate_registry.sandbox.certificates import key_id
from tidegate_registry.sandbox.fulcio import LEAF_LIFETIME
from tidegate_registry.sandbox.jobs import JobRequest
from tidegate_registry.sandbox.serve import RunningSigstore
from tidegate_registry.sandbox.sigstore import SigstoreInstance
from tidegate_registry.sandbox.users import demo_user

PATH = "/api/v2/signingCert"


@pytest.fixture
def http(sigstore: RunningSigstore) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=sigstore.url, trust_env=False) as client:
        yield client


def text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def csr(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> dict[str, object]:
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    made = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, algorithm)
    return {"certificateSigningRequest": text(made.public_bytes(Encoding.PEM))}


def proven(key: ec.EllipticCurvePrivateKey, subject: str) -> dict[str, object]:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    proof = key.sign(subject.encode(), ec.ECDSA(hashes.SHA256()))
    request = {"publicKey": {"algorithm": "ECDSA", "content": pem}, "proofOfPossession": text(proof)}
    return {"publicKeyRequest": request}


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def post(http: httpx2.Client, body: dict[str, object], token: str | None) -> httpx2.Response:
    headers = {"authorization": f"Bearer {token}"} if token else {}
    return http.post(PATH, json=body, headers=headers)


def chain_of(answer: httpx2.Response) -> list[x509.Certificate]:
    assert answer.status_code == 200, answer.text
    pems = answer.json()["signedCertificateEmbeddedSct"]["chain"]["certificates"]
    return [x509.load_pem_x509_certificate(pem.encode()) for pem in pems]


def test_a_csr_becomes_a_ten_minute_certificate_for_the_person(http: httpx2.Client, sigstore: RunningSigstore) -> None:
    key = new_key()
    leaf, intermediate, root = chain_of(post(http, csr(key), sigstore.instance.mint_token("alice")))
    leaf.verify_directly_issued_by(intermediate)
    intermediate.verify_directly_issued_by(root)
    assert leaf.public_key() == key.public_key()
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == LEAF_LIFETIME == timedelta(minutes=10)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.RFC822Name) == ["alice@sandbox.example"]
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CODE_SIGNING]


def test_every_authority_says_that_it_is_a_sandbox(sigstore: RunningSigstore) -> None:
    instance = sigstore.instance
    for certificate in (*instance.fulcio.chain(), *instance.tsa.chain()):
        (organization,) = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        assert "sandbox" in str(organization.value)


@pytest.mark.parametrize("subject", ["alice@sandbox.example", "sandbox|alice"], ids=["email", "sub"])
def test_a_public_key_with_its_proof_becomes_a_certificate(
    http: httpx2.Client, sigstore: RunningSigstore, subject: str
) -> None:
    key = new_key()
    body = proven(key, subject) | {"credentials": {"oidcIdentityToken": sigstore.instance.mint_token("alice")}}
    assert chain_of(post(http, body, None))[0].public_key() == key.public_key()


def test_a_job_proves_its_key_over_its_subject(http: httpx2.Client, sigstore: RunningSigstore) -> None:
    job = JobRequest(repository="acme/agent")
    body = proven(new_key(), "repo:acme/agent:ref:refs/heads/main")
    leaf = chain_of(post(http, body, sigstore.instance.mint_token(job)))[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [job.signer_uri]


def broken_csr() -> dict[str, object]:
    raw = bytearray(base64.b64decode(str(csr(new_key())["certificateSigningRequest"])))
    der = bytearray(x509.load_pem_x509_csr(bytes(raw)).public_bytes(Encoding.DER))
    der[-1] ^= 1  # the last byte of the signature
    lines = base64.encodebytes(bytes(der)).decode()
    pem = f"-----BEGIN CERTIFICATE REQUEST-----\n{lines}-----END CERTIFICATE REQUEST-----\n"
    return {"certificateSigningRequest": text(pem.encode())}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "invalid-input"),
        (csr(new_key()) | proven(new_key(), "alice@sandbox.example"), "invalid-input"),
        ({"certificateSigningRequest": "***"}, "invalid-input"),
        ({"certificateSigningRequest": text(b"not a csr")}, "invalid-input"),
        ({"certificateSigningRequest": "A" * 20_000}, "invalid-input"),
        (broken_csr(), "possession-unproven"),
        (csr(ec.generate_private_key(ec.SECP384R1())), "invalid-input"),
        (csr(ed25519.Ed25519PrivateKey.generate()), "invalid-input"),
        (proven(new_key(), "bob@sandbox.example"), "possession-unproven"),
        ({"publicKeyRequest": {"publicKey": {"content": "x"}, "proofOfPossession": ""}}, "invalid-input"),
    ],
    ids=[
        "neither", "both", "no-base64", "no-csr", "too-long", "csr-of-another", "p384", "ed25519",
        "proof-of-another", "no-key",
    ],
)  # fmt: skip
def test_a_key_that_is_not_proven_gets_no_certificate(
    http: httpx2.Client, sigstore: RunningSigstore, body: dict[str, object], code: str
) -> None:
    answer = post(http, body, sigstore.instance.mint_token("alice"))
    assert (answer.status_code, answer.json()["code"], answer.json()["reason"]) == (400, 3, code)


def test_a_token_that_does_not_count_gets_no_certificate(http: httpx2.Client, sigstores: Sigstores) -> None:
    ours, twin = sigstores.main.instance, sigstores.twin.instance
    forged = {**demo_user("alice").claims(), "iss": ours.url}
    for token in (None, "junk", ours.mint_token("alice", "http://127.0.0.1:5000"), twin.mint_token(forged)):
        answer = post(http, csr(new_key()), token)
        assert (answer.status_code, answer.json()["code"]) == (401, 16)
        assert answer.json()["reason"] == Unauthenticated.code


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "x"},
        {"sub": "x", "email": "x@sandbox.example"},
        {"sub": "x", "email": "x@sandbox.example", "email_verified": "true"},
        {"sub": "x", "email": "", "email_verified": True},
    ],
)
def test_an_email_that_nobody_verified_is_no_identity(sigstore: RunningSigstore, claims: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as refused:
        sigstore.instance.issue_certificate(claims, new_key().public_key())
    assert refused.value.reasons[0].code == "claim-missing"


def test_a_job_token_without_its_claims_is_no_identity(sigstore: RunningSigstore) -> None:
    claims = {**JobRequest(repository="acme/agent").claims(), "iss": f"{sigstore.url}/ci"}
    for missing in ("repository", "job_workflow_ref", "sha", "runner_environment"):
        with pytest.raises(InvalidInput) as refused:
            sigstore.instance.issue_certificate(
                {name: value for name, value in claims.items() if name != missing}, new_key().public_key()
            )
        assert refused.value.reasons[0].code == "claim-missing"


def test_the_trust_bundle_is_the_chain(http: httpx2.Client, sigstore: RunningSigstore) -> None:
    (chain,) = http.get("/api/v2/trustBundle").json()["chains"]
    loaded = [x509.load_pem_x509_certificate(pem.encode()) for pem in chain["certificates"]]
    assert loaded == sigstore.instance.fulcio.chain()


def test_serial_numbers_come_from_the_entropy_given(tmp_path: Path) -> None:
    instance = SigstoreInstance(tmp_path / "state", "http://127.0.0.1:1", entropy=lambda size: b"\x7f" * size)
    certificate = instance.issue_certificate("alice", new_key().public_key())
    assert certificate.serial_number == int.from_bytes(b"\x7f" * 20) >> 1
    instance.close()


def test_what_is_certified_is_in_the_ct_log(http: httpx2.Client, sigstore: RunningSigstore) -> None:
    instance = sigstore.instance
    before = http.get("/ct/v1/get-sth").json()
    leaf = instance.issue_certificate("alice", new_key().public_key())
    (sct,) = leaf.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value
    tbs = leaf.tbs_precertificate_bytes
    timestamp = int(sct.timestamp.replace(tzinfo=leaf.not_valid_before_utc.tzinfo).timestamp() * 1000)
    tree_leaf = (
        struct.pack("!BBQH", 0, 0, timestamp, 1)
        + key_id(instance.fulcio.key.public_key())
        + len(tbs).to_bytes(3)
        + tbs
        + b"\0\0"
    )
    head = http.get("/ct/v1/get-sth").json()
    size, root = head["tree_size"], base64.b64decode(head["sha256_root_hash"])
    query = {"hash": text(leaf_hash(tree_leaf)), "tree_size": size}
    proof = http.get("/ct/v1/get-proof-by-hash", params=query).json()
    path = [base64.b64decode(node) for node in proof["audit_path"]]
    assert root_from_inclusion(leaf_hash(tree_leaf), proof["leaf_index"], size, path) == root
    entries = http.get("/ct/v1/get-entries", params={"start": proof["leaf_index"], "end": proof["leaf_index"]}).json()
    assert base64.b64decode(entries["entries"][0]["leaf_input"]) == tree_leaf
    signed = struct.pack("!BBQQ", 0, 1, head["timestamp"], size) + root
    signature = base64.b64decode(head["tree_head_signature"])
    instance.ct_log.key.public_key().verify(signature[4:], signed, ec.ECDSA(hashes.SHA256()))
    if before["tree_size"]:
        query = {"first": before["tree_size"], "second": size}
        answer = http.get("/ct/v1/get-sth-consistency", params=query).json()
        nodes = [base64.b64decode(node) for node in answer["consistency"]]
        old = base64.b64decode(before["sha256_root_hash"])
        assert roots_from_consistency(before["tree_size"], size, old, nodes) == (old, root)


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("get-entries", {"start": "5", "end": "4"}, 400),
        ("get-entries", {"start": "999999", "end": "999999"}, 400),
        ("get-entries", {"start": "-1", "end": "4"}, 400),
        ("get-entries", {"start": "0"}, 400),
        ("get-entries", {"start": "²", "end": "3"}, 400),
        ("get-proof-by-hash", {"hash": text(hashlib.sha256(b"absent").digest()), "tree_size": "1"}, 404),
        ("get-proof-by-hash", {"hash": "***", "tree_size": "1"}, 400),
        ("get-sth-consistency", {"first": "9", "second": "1"}, 400),
        ("get-sth-consistency", {"first": "1", "second": "9999999"}, 400),
    ],
)
def test_the_ct_log_proves_nothing_outside_its_tree(
    http: httpx2.Client, path: str, query: dict[str, str], status: int
) -> None:
    answer = http.get(f"/ct/v1/{path}", params=query)
    assert answer.status_code == status
    assert {"code", "message"} <= answer.json().keys()
