"""The sandbox's certificate authority: a checked identity token and proof of a key become a ten-minute certificate.

Wire format: Fulcio's v2 HTTP API, both forms of request (a CSR, or a public key with a signature over the subject).
Extensions: `1.3.6.1.4.1.57264.1.*`, Fulcio's docs/oid-info.md.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from pydantic import BaseModel, Field
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate.errors import InvalidInput, Unauthenticated
from tidegate_registry.sandbox.certificates import (
    SERIAL_BYTES,
    Signer,
    key_id,
    key_usage,
    make_authority,
    serial_number,
)
from tidegate_registry.sandbox.ctlog import SCT_LIST, CTLog
from tidegate_registry.sandbox.http import bearer_token, json_endpoint
from tidegate_registry.sandbox.issuer import SIGSTORE_AUDIENCE, Issuer, VerifiedToken
from tidegate_registry.sandbox.jobs import SERVER_URL
from tidegate_registry.sandbox.keys import KeyStore

LEAF_LIFETIME = timedelta(minutes=10)  # Fulcio's
MAX_FIELD_CHARACTERS = 16 << 10

ARC = "1.3.6.1.4.1.57264.1"
# extensions 1.2 to 1.6 hold the raw text (deprecated upstream, still written); those from 1.8 hold a DER UTF8String
RAW_CLAIMS = ((2, "event_name"), (3, "sha"), (4, "workflow"), (5, "repository"), (6, "ref"))


class CredentialFields(BaseModel, alias_generator=to_camel):
    oidc_identity_token: str = Field(max_length=MAX_FIELD_CHARACTERS)


class PublicKeyFields(BaseModel):
    algorithm: str = Field(default="", max_length=40)
    content: str = Field(max_length=MAX_FIELD_CHARACTERS)


class PublicKeyRequest(BaseModel, alias_generator=to_camel):
    public_key: PublicKeyFields
    proof_of_possession: str = Field(max_length=MAX_FIELD_CHARACTERS)


class CertificateRequest(BaseModel, alias_generator=to_camel):
    """Exactly one of the two forms; the token is in the header or in `credentials`."""

    credentials: CredentialFields | None = None
    certificate_signing_request: str | None = Field(default=None, max_length=MAX_FIELD_CHARACTERS)
    public_key_request: PublicKeyRequest | None = None


@dataclass(frozen=True, slots=True)
class CertificateSubject:
    """Who a certificate is for: its SAN, its Fulcio extensions, and the texts a proof of possession may sign."""

    name: x509.GeneralName
    extensions: tuple[tuple[x509.ObjectIdentifier, bytes], ...]
    proof_texts: tuple[str, ...]


class Fulcio:
    """Issues certificates; each one is in the CT log before it is handed out. Safe from several threads."""

    def __init__(
        self,
        keys: KeyStore,
        issuer: Issuer,
        ct_log: CTLog,
        *,
        clock: Callable[[], datetime],
        entropy: Callable[[int], bytes],
        valid_from: datetime,
    ) -> None:
        self._issuer, self._ct_log, self._clock, self._entropy = issuer, ct_log, clock, entropy
        root_key = keys.ec_key("fulcio-root", ec.SECP384R1())
        self.root = keys.certificate(
            "fulcio-root",
            lambda: make_authority(
                "sandbox fulcio root", root_key, serial=self._serial(), valid_from=valid_from, path_length=1
            ),
        )
        self.key = keys.ec_key("fulcio-intermediate", ec.SECP384R1())
        self.intermediate = keys.certificate(
            "fulcio-intermediate",
            lambda: make_authority(
                "sandbox fulcio intermediate",
                self.key,
                serial=self._serial(),
                valid_from=valid_from,
                path_length=0,
                parent=Signer(self.root, root_key),
                usage=ExtendedKeyUsageOID.CODE_SIGNING,
            ),
        )

    def chain(self) -> list[x509.Certificate]:
        """Give the authority's certificates, issuing one first."""
        return [self.intermediate, self.root]

    def subject_of(self, token: VerifiedToken) -> CertificateSubject:
        """Map checked claims to a certificate subject. Raises InvalidInput when a claim is missing."""
        return _person(token) if token.issuer == self._issuer.url else _workload(token)

    def issue(
        self,
        subject: CertificateSubject,
        public_key: ec.EllipticCurvePublicKey,
        *,
        at: datetime | None = None,
        lifetime: timedelta = LEAF_LIFETIME,
    ) -> x509.Certificate:
        """Issue a leaf, valid from `at` (default: the clock) for `lifetime`, with one embedded SCT of that time."""
        start = (at or self._clock()).replace(microsecond=0)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.intermediate.subject)
            .public_key(public_key)
            .serial_number(self._serial())
            .not_valid_before(start)
            .not_valid_after(start + lifetime)
            .add_extension(key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([subject.name]), critical=True)
        )
        for oid, value in subject.extensions:
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
        # RFC 6962 section 3.2: the log signs the final certificate's content without the SCT extension
        unlogged = builder.sign(self.key, hashes.SHA384())
        sct = self._ct_log.add_precertificate(key_id(self.key.public_key()), unlogged.tbs_certificate_bytes, at)
        listed = struct.pack("!H", len(sct)) + sct
        value = asn1.encode_der(struct.pack("!H", len(listed)) + listed)
        return builder.add_extension(x509.UnrecognizedExtension(SCT_LIST, value), critical=False).sign(
            self.key, hashes.SHA384()
        )

    def sign_request(self, body: CertificateRequest, token: str | None) -> list[x509.Certificate]:
        """Check token and key, and give leaf, intermediate, root. Raises Unauthenticated, InvalidInput."""
        presented = token or (body.credentials.oidc_identity_token if body.credentials else None)
        if not presented:
            raise Unauthenticated("the request carries no identity token")
        subject = self.subject_of(self._issuer.verify(presented, SIGSTORE_AUDIENCE))
        if (body.certificate_signing_request is None) == (body.public_key_request is None):
            raise InvalidInput("give either certificateSigningRequest or publicKeyRequest")
        if body.certificate_signing_request is not None:
            public_key = _key_of_csr(body.certificate_signing_request)
        elif body.public_key_request is not None:
            public_key = _proven_key(body.public_key_request, subject.proof_texts)
        return [self.issue(subject, public_key), *self.chain()]

    def routes(self) -> list[Route]:
        return [
            Route("/api/v2/signingCert", json_endpoint(CertificateRequest, self._post), methods=["POST"]),
            Route("/api/v2/trustBundle", self._get_trust_bundle),
        ]

    def _post(self, request: Request, body: CertificateRequest) -> dict[str, object]:
        chain = self.sign_request(body, bearer_token(request))
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": [_pem(each) for each in chain]}}}

    def _get_trust_bundle(self, _: Request) -> Response:
        return JSONResponse({"chains": [{"certificates": [_pem(each) for each in self.chain()]}]})

    def _serial(self) -> int:
        return serial_number(self._entropy(SERIAL_BYTES))


def _person(token: VerifiedToken) -> CertificateSubject:
    email = token.text("email")
    if token.claims.get("email_verified") is not True:
        raise InvalidInput("the token's email is not verified", code="claim-missing", expected="email_verified: true")
    # Fulcio and cosign prove possession over the email, sigstore-js over the subject of issuers it does not know
    return CertificateSubject(x509.RFC822Name(email), _issuer_extensions(token), (email, token.text("sub")))


def _workload(token: VerifiedToken) -> CertificateSubject:
    claim = token.text
    repository, run = claim("repository"), f"{claim('run_id')}/attempts/{claim('run_attempt')}"
    typed = (
        (9, f"{SERVER_URL}/{claim('job_workflow_ref')}"),  # Build Signer URI
        (10, claim("job_workflow_sha")),  # Build Signer Digest
        (11, claim("runner_environment")),  # Runner Environment
        (12, f"{SERVER_URL}/{repository}"),  # Source Repository URI
        (13, claim("sha")),  # Source Repository Digest
        (14, claim("ref")),  # Source Repository Ref
        (15, claim("repository_id")),  # Source Repository Identifier
        (16, f"{SERVER_URL}/{claim('repository_owner')}"),  # Source Repository Owner URI
        (17, claim("repository_owner_id")),  # Source Repository Owner Identifier
        (18, f"{SERVER_URL}/{claim('workflow_ref')}"),  # Build Config URI
        (19, claim("workflow_sha")),  # Build Config Digest
        (20, claim("event_name")),  # Build Trigger
        (21, f"{SERVER_URL}/{repository}/actions/runs/{run}"),  # Run Invocation URI
        (22, claim("repository_visibility")),  # Source Repository Visibility At Signing
    )
    extensions = (
        *_issuer_extensions(token),
        *((_oid(number), claim(name).encode()) for number, name in RAW_CLAIMS),
        *((_oid(number), asn1.encode_der(text)) for number, text in typed),
    )
    name = x509.UniformResourceIdentifier(f"{SERVER_URL}/{claim('job_workflow_ref')}")
    return CertificateSubject(name, extensions, (claim("sub"),))


def _issuer_extensions(token: VerifiedToken) -> tuple[tuple[x509.ObjectIdentifier, bytes], ...]:
    return (_oid(1), token.issuer.encode()), (_oid(8), asn1.encode_der(token.issuer))


def _key_of_csr(encoded: str) -> ec.EllipticCurvePublicKey:
    try:
        csr = x509.load_pem_x509_csr(base64.b64decode(encoded, validate=True))
        valid = csr.is_signature_valid
        public_key = csr.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise InvalidInput("certificateSigningRequest is not base64 of a PEM CSR") from error
    if not valid:
        raise InvalidInput("the CSR is not signed by its own key", code="possession-unproven")
    return _p256(public_key)


def _proven_key(request: PublicKeyRequest, proof_texts: tuple[str, ...]) -> ec.EllipticCurvePublicKey:
    try:
        public_key = _p256(load_pem_public_key(request.public_key.content.encode()))
        proof = base64.b64decode(request.proof_of_possession, validate=True)
    except (ValueError, UnsupportedAlgorithm, binascii.Error) as error:
        raise InvalidInput("publicKeyRequest is not a PEM key with a base64 proof") from error
    if not any(_signed(public_key, proof, text) for text in proof_texts):
        raise InvalidInput("the proof of possession does not verify", code="possession-unproven")
    return public_key


def _signed(key: ec.EllipticCurvePublicKey, signature: bytes, text: str) -> bool:
    try:
        key.verify(signature, text.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _p256(key: object) -> ec.EllipticCurvePublicKey:
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInput("the sandbox certifies P-256 keys only", found=type(key).__name__, expected="ECDSA P-256")
    return key


def _oid(number: int) -> x509.ObjectIdentifier:
    return x509.ObjectIdentifier(f"{ARC}.{number}")


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
