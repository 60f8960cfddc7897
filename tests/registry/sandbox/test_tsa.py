"""The timestamp authority: an independent RFC 3161 verifier accepts its answers, and nonsense gets none."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from cryptography.hazmat import asn1
from rfc3161_client import (
    HashAlgorithm,
    TimeStampRequest,
    TimestampRequestBuilder,
    VerifierBuilder,
    decode_timestamp_response,
)

from tidegate.errors import InvalidInput
from tidegate_registry.sandbox import cms, tsa
from tidegate_registry.sandbox.serve import RunningSigstore

MESSAGE = b"a signature"


@pytest.fixture
def http(sigstore: RunningSigstore) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=sigstore.url, trust_env=False) as client:
        yield client


def verify(sigstore: RunningSigstore, raw: bytes, request: TimeStampRequest | None = None) -> datetime:
    """Verify with Sigstore's own verifier; gives the time."""
    authority = sigstore.instance.tsa
    builder = VerifierBuilder().tsa_certificate(authority.certificate).add_root_certificate(authority.root)
    if request is not None and request.nonce is not None:
        builder = builder.nonce(request.nonce)
    response = decode_timestamp_response(raw)
    assert builder.build().verify_message(response, MESSAGE)
    return response.tst_info.gen_time


def post(http: httpx2.Client, content: bytes, kind: str = tsa.REQUEST_TYPE) -> httpx2.Response:
    return http.post(tsa.PATH, content=content, headers={"content-type": kind})


@pytest.mark.parametrize("algorithm", [HashAlgorithm.SHA256, HashAlgorithm.SHA512])
@pytest.mark.parametrize("nonce", [True, False])
@pytest.mark.parametrize("certificates", [True, False])
def test_a_der_request_gets_a_token_that_verifies(
    http: httpx2.Client, sigstore: RunningSigstore, algorithm: HashAlgorithm, *, nonce: bool, certificates: bool
) -> None:
    request = (
        TimestampRequestBuilder()
        .hash_algorithm(algorithm)
        .data(MESSAGE)
        .nonce(nonce=nonce)
        .cert_request(cert_request=certificates)
        .build()
    )
    answer = post(http, request.as_bytes())
    assert (answer.status_code, answer.headers["content-type"]) == (201, tsa.REPLY_TYPE)
    assert abs(verify(sigstore, answer.content, request) - datetime.now(UTC)) < timedelta(minutes=1)
    assert len(decode_timestamp_response(answer.content).signed_data.certificates) == certificates


def test_the_json_dialect_gets_the_same_token(http: httpx2.Client, sigstore: RunningSigstore) -> None:
    digest = base64.b64encode(hashlib.sha256(MESSAGE).digest()).decode()
    body = {"artifactHash": digest, "hashAlgorithm": "sha256", "certificates": True, "nonce": 123456789}
    answer = http.post(tsa.PATH, json=body)
    verify(sigstore, answer.content)
    assert decode_timestamp_response(answer.content).tst_info.nonce == 123456789


def test_a_timestamp_can_be_backdated_in_process_only(sigstore: RunningSigstore) -> None:
    then = datetime.now(UTC).replace(microsecond=0) - timedelta(days=30)
    assert verify(sigstore, sigstore.instance.tsa.timestamp(MESSAGE, at=then)) == then


def test_serial_numbers_differ(sigstore: RunningSigstore) -> None:
    replies = [decode_timestamp_response(sigstore.instance.tsa.timestamp(MESSAGE)) for _ in range(3)]
    assert len({reply.tst_info.serial_number for reply in replies}) == 3


def request_of(**changes: object) -> bytes:
    algorithm = cms.AlgorithmIdentifier(algorithm=changes.get("hash", cms.SHA256), parameters=None)  # type: ignore[arg-type]
    digest = changes.get("digest", hashlib.sha256(MESSAGE).digest())
    request = cms.TimeStampReq(
        version=changes.get("version", 1),  # type: ignore[arg-type]
        message_imprint=cms.MessageImprint(hash_algorithm=algorithm, hashed_message=digest),  # type: ignore[arg-type]
        req_policy=changes.get("policy"),  # type: ignore[arg-type]
        nonce=changes.get("nonce"),  # type: ignore[arg-type]
        cert_req=True,
    )
    return asn1.encode_der(request)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not der",
        request_of() + b"\0",
        request_of()[:-3],
        request_of(version=2),
        request_of(digest=b"short"),
        request_of(hash=cms.SHA512),
        request_of(hash=cms.ECDSA_SHA256),
        request_of(policy=cms.TST_INFO),
        request_of(nonce=1 << 600),
    ],
)
def test_a_request_that_makes_no_sense_gets_no_time(raw: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        tsa.parse_request(raw)
    assert refused.value.reasons[0].code == "invalid-input"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"artifactHash": "***", "hashAlgorithm": "sha256"}',
        b'{"artifactHash": "AAAA", "hashAlgorithm": "md5"}',
        b'{"artifactHash": "AAAA", "hashAlgorithm": "sha256"}',
        b'{"hashAlgorithm": "sha256"}',
    ],
)
def test_a_json_request_that_makes_no_sense_gets_no_time(raw: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        tsa.parse_json_request(raw)
    assert refused.value.reasons[0].code == "invalid-input"


def test_errors_have_the_shape_that_clients_read(http: httpx2.Client) -> None:
    for answer in (post(http, b"junk"), post(http, request_of(), "text/html"), post(http, b"x" * 10_000)):
        assert answer.status_code in (400, 413)
        assert {"code", "message"} <= answer.json().keys()
