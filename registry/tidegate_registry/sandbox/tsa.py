"""The sandbox's RFC 3161 timestamp authority; it also answers the JSON requests that sigstore-js sends."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from pydantic import BaseModel, Field
from pydantic.alias_generators import to_camel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tidegate.errors import InvalidInput
from tidegate_registry.sandbox import cms
from tidegate_registry.sandbox.certificates import (
    SERIAL_BYTES,
    Signer,
    make_authority,
    make_end_entity,
    serial_number,
)
from tidegate_registry.sandbox.http import parse_model, read_body
from tidegate_registry.sandbox.keys import KeyStore

PATH = "/api/v1/timestamp"
POLICY = x509.ObjectIdentifier("1.3.6.1.4.1.57264.2")  # Sigstore's timestamping policy
REQUEST_TYPE, REPLY_TYPE = "application/timestamp-query", "application/timestamp-reply"
MAX_REQUEST_BYTES = 4096
MAX_NONCE_BITS = 512
DIGEST_BYTES = {cms.SHA256: 32, cms.SHA384: 48, cms.SHA512: 64}
NAMED_HASHES = {"sha256": cms.SHA256, "sha384": cms.SHA384, "sha512": cms.SHA512}


class JsonRequest(BaseModel, alias_generator=to_camel):
    """timestamp-authority's JSON dialect."""

    artifact_hash: str = Field(max_length=128)
    hash_algorithm: str = Field(max_length=16)
    certificates: bool = False
    nonce: int | None = None


class TimestampAuthority:
    """Signs the time. Immutable once built: safe from any thread."""

    def __init__(
        self,
        keys: KeyStore,
        *,
        clock: Callable[[], datetime],
        entropy: Callable[[int], bytes],
        valid_from: datetime,
    ) -> None:
        self._clock, self._entropy = clock, entropy
        root_key = keys.ec_key("tsa-root", ec.SECP384R1())
        self.root = keys.certificate(
            "tsa-root",
            lambda: make_authority(
                "sandbox tsa root", root_key, serial=self._serial(), valid_from=valid_from, path_length=0
            ),
        )
        self.key = keys.ec_key("tsa", ec.SECP256R1())
        self.certificate = keys.certificate(
            "tsa",
            lambda: make_end_entity(
                "sandbox tsa",
                self.key,
                Signer(self.root, root_key),
                serial=self._serial(),
                valid_from=valid_from,
                usage=ExtendedKeyUsageOID.TIME_STAMPING,
            ),
        )
        self._certificate_der = self.certificate.public_bytes(Encoding.DER)

    def chain(self) -> list[x509.Certificate]:
        """Give the authority's certificates, signing one first."""
        return [self.certificate, self.root]

    def timestamp(self, message: bytes, *, at: datetime | None = None) -> bytes:
        """Give a DER TimeStampResp over SHA-256(`message`), dated `at` (default: the clock), with the certificate."""
        imprint = cms.MessageImprint(
            hash_algorithm=_algorithm(cms.SHA256), hashed_message=hashlib.sha256(message).digest()
        )
        request = cms.TimeStampReq(version=1, message_imprint=imprint, req_policy=None, nonce=None, cert_req=True)
        return self.reply(request, at=at)

    def reply(self, request: cms.TimeStampReq, *, at: datetime | None = None) -> bytes:
        """Answer a checked request with a DER TimeStampResp."""
        now = (at or self._clock()).astimezone(UTC).replace(microsecond=0, tzinfo=None)
        info = asn1.encode_der(
            cms.TSTInfo(
                version=1,
                policy=POLICY,
                message_imprint=request.message_imprint,
                serial_number=self._serial(),
                gen_time=asn1.GeneralizedTime(now.replace(tzinfo=UTC)),
                accuracy=cms.Accuracy(seconds=1),
                nonce=request.nonce,
            )
        )
        signer = self._sign(info, now.replace(tzinfo=UTC))
        signed = cms.SignedData(
            version=3,
            digest_algorithms=asn1.SetOf([_algorithm(cms.SHA256)]),
            encap_content_info=cms.EncapsulatedContentInfo(content_type=cms.TST_INFO, content=info),
            certificates=asn1.SetOf([cms.tlv(self._certificate_der)]) if request.cert_req else None,
            signer_infos=asn1.SetOf([signer]),
        )
        token = cms.ContentInfo(content_type=cms.SIGNED_DATA, content=signed)
        return asn1.encode_der(cms.TimeStampResp(status=cms.PKIStatusInfo(status=0), time_stamp_token=token))

    def routes(self) -> list[Route]:
        return [Route(PATH, self._post, methods=["POST"])]

    async def _post(self, request: Request) -> Response:
        raw = await read_body(request, MAX_REQUEST_BYTES)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "application/json":
            parsed = parse_json_request(raw)
        elif kind == REQUEST_TYPE:
            parsed = parse_request(raw)
        else:
            raise InvalidInput("not a timestamp request", found=kind or "no content type", expected=REQUEST_TYPE)
        return Response(await run_in_threadpool(self.reply, parsed), 201, media_type=REPLY_TYPE)

    def _sign(self, info: bytes, now: datetime) -> cms.SignerInfo:
        certificate = cms.ESSCertIDv2(cert_hash=hashlib.sha256(self._certificate_der).digest())
        attributes = asn1.SetOf(
            [
                cms.attribute(cms.CONTENT_TYPE, asn1.encode_der(cms.TST_INFO)),
                cms.attribute(cms.SIGNING_TIME, asn1.encode_der(asn1.UTCTime(now))),
                cms.attribute(cms.MESSAGE_DIGEST, asn1.encode_der(hashlib.sha256(info).digest())),
                cms.attribute(
                    cms.SIGNING_CERTIFICATE_V2, asn1.encode_der(cms.SigningCertificateV2(certs=[certificate]))
                ),
            ]
        )
        return cms.SignerInfo(
            version=1,
            sid=cms.IssuerAndSerialNumber(
                issuer=cms.tlv(self.certificate.issuer.public_bytes()), serial_number=self.certificate.serial_number
            ),
            digest_algorithm=_algorithm(cms.SHA256),
            signed_attrs=attributes,
            signature_algorithm=_algorithm(cms.ECDSA_SHA256),
            signature=self.key.sign(cms.attributes_to_sign(attributes), ec.ECDSA(hashes.SHA256())),
        )

    def _serial(self) -> int:
        return serial_number(self._entropy(SERIAL_BYTES))


def parse_request(der: bytes) -> cms.TimeStampReq:
    """Read a DER TimeStampReq. Raises InvalidInput."""
    try:
        request = asn1.decode_der(cms.TimeStampReq, der)
    except ValueError as error:
        raise InvalidInput("not a DER TimeStampReq that the sandbox understands", found=str(error)[:200]) from error
    return _checked(request)


def parse_json_request(raw: bytes) -> cms.TimeStampReq:
    """Read timestamp-authority's JSON form of a request. Raises InvalidInput, JsonInvalid."""
    fields = parse_model(raw, JsonRequest)
    algorithm = NAMED_HASHES.get(fields.hash_algorithm.lower())
    if algorithm is None:
        raise InvalidInput("unknown hashAlgorithm", found=fields.hash_algorithm, expected=", ".join(NAMED_HASHES))
    try:
        digest = base64.b64decode(fields.artifact_hash, validate=True)
    except ValueError as error:
        raise InvalidInput("artifactHash is not base64") from error
    imprint = cms.MessageImprint(hash_algorithm=_algorithm(algorithm), hashed_message=digest)
    return _checked(
        cms.TimeStampReq(
            version=1, message_imprint=imprint, req_policy=None, nonce=fields.nonce, cert_req=fields.certificates
        )
    )


def _checked(request: cms.TimeStampReq) -> cms.TimeStampReq:
    imprint = request.message_imprint
    expected = DIGEST_BYTES.get(imprint.hash_algorithm.algorithm)
    if request.version != 1:
        raise InvalidInput("unknown timestamp request version", found=request.version, expected=1)
    if expected is None or len(imprint.hashed_message) != expected:
        raise InvalidInput("the imprint is not a SHA-256, SHA-384 or SHA-512 digest")
    if request.req_policy not in (None, POLICY):
        raise InvalidInput("unknown timestamping policy", expected=POLICY.dotted_string)
    if request.nonce is not None and request.nonce.bit_length() > MAX_NONCE_BITS:
        raise InvalidInput("the nonce is too large", expected=f"at most {MAX_NONCE_BITS} bits")
    return request


def _algorithm(oid: x509.ObjectIdentifier) -> cms.AlgorithmIdentifier:
    return cms.AlgorithmIdentifier(algorithm=oid, parameters=None)
