"""The ASN.1 of RFC 3161 and of the little CMS (RFC 5652) that a timestamp token needs."""

from __future__ import annotations

from typing import Annotated

from cryptography import x509
from cryptography.hazmat import asn1

SIGNED_DATA = x509.ObjectIdentifier("1.2.840.113549.1.7.2")
TST_INFO = x509.ObjectIdentifier("1.2.840.113549.1.9.16.1.4")
CONTENT_TYPE = x509.ObjectIdentifier("1.2.840.113549.1.9.3")
MESSAGE_DIGEST = x509.ObjectIdentifier("1.2.840.113549.1.9.4")
SIGNING_TIME = x509.ObjectIdentifier("1.2.840.113549.1.9.5")
SIGNING_CERTIFICATE_V2 = x509.ObjectIdentifier("1.2.840.113549.1.9.16.2.47")
SHA256 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.1")
SHA384 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.2")
SHA512 = x509.ObjectIdentifier("2.16.840.1.101.3.4.2.3")
ECDSA_SHA256 = x509.ObjectIdentifier("1.2.840.10045.4.3.2")

SET_TAG = b"\x31"  # RFC 5652 section 5.4: signed attributes are signed as a SET, sent with an implicit tag


@asn1.sequence
class AlgorithmIdentifier:
    algorithm: x509.ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class MessageImprint:
    hash_algorithm: AlgorithmIdentifier
    hashed_message: bytes


@asn1.sequence
class TimeStampReq:
    """RFC 3161 section 2.4.1. Requests with extensions do not decode: none is supported."""

    version: int
    message_imprint: MessageImprint
    req_policy: x509.ObjectIdentifier | None
    nonce: int | None
    cert_req: Annotated[bool, asn1.Default(value=False)]


@asn1.sequence
class Accuracy:
    seconds: int


@asn1.sequence
class TSTInfo:
    """RFC 3161 section 2.4.2."""

    version: int
    policy: x509.ObjectIdentifier
    message_imprint: MessageImprint
    serial_number: int
    gen_time: asn1.GeneralizedTime
    accuracy: Accuracy
    nonce: int | None


@asn1.sequence
class ESSCertIDv2:
    cert_hash: bytes  # SHA-256 of the certificate: the default algorithm of RFC 5816, so it is not named


@asn1.sequence
class SigningCertificateV2:
    certs: list[ESSCertIDv2]


@asn1.sequence
class Attribute:
    type: x509.ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class IssuerAndSerialNumber:
    issuer: asn1.TLV
    serial_number: int


@asn1.sequence
class SignerInfo:
    version: int
    sid: IssuerAndSerialNumber
    digest_algorithm: AlgorithmIdentifier
    signed_attrs: Annotated[asn1.SetOf[Attribute], asn1.Implicit(0)]
    signature_algorithm: AlgorithmIdentifier
    signature: bytes


@asn1.sequence
class EncapsulatedContentInfo:
    content_type: x509.ObjectIdentifier
    content: Annotated[bytes, asn1.Explicit(0)]


@asn1.sequence
class SignedData:
    version: int
    digest_algorithms: asn1.SetOf[AlgorithmIdentifier]
    encap_content_info: EncapsulatedContentInfo
    certificates: Annotated[asn1.SetOf[asn1.TLV] | None, asn1.Implicit(0)]
    signer_infos: asn1.SetOf[SignerInfo]


@asn1.sequence
class ContentInfo:
    content_type: x509.ObjectIdentifier
    content: Annotated[SignedData, asn1.Explicit(0)]


@asn1.sequence
class PKIStatusInfo:
    status: int


@asn1.sequence
class TimeStampResp:
    status: PKIStatusInfo
    time_stamp_token: ContentInfo


@asn1.sequence
class _SignedAttributes:
    attributes: asn1.SetOf[Attribute]


def attribute(kind: x509.ObjectIdentifier, value: bytes) -> Attribute:
    """Make an attribute with one value, given as DER."""
    return Attribute(type=kind, values=asn1.SetOf([tlv(value)]))


def attributes_to_sign(attributes: asn1.SetOf[Attribute]) -> bytes:
    """Give the DER of `attributes` as the SET that RFC 5652 section 5.4 signs."""
    wrapped = asn1.encode_der(_SignedAttributes(attributes=attributes))
    return wrapped[wrapped.index(SET_TAG, 2) :]


def tlv(der: bytes) -> asn1.TLV:
    return asn1.decode_der(asn1.TLV, der)
