"""X.509 pieces that the sandbox's certificate authority and timestamp authority share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

ORGANIZATION = "Tidegate sandbox (never for production)"
AUTHORITY_LIFETIME = timedelta(days=3650)
SERIAL_BYTES = 20  # RFC 5280 section 4.1.2.2: at most 20 octets, positive

PublicKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


def utc_now() -> datetime:
    """The default clock of every sandbox service: now, aware, UTC."""
    return datetime.now(UTC)


def subject_name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def serial_number(entropy: bytes) -> int:
    """Give a positive serial number of at most 159 bits from SERIAL_BYTES random bytes."""
    return (int.from_bytes(entropy[:SERIAL_BYTES]) >> 1) | 1


def spki(key: PublicKey) -> bytes:
    """Give the DER SubjectPublicKeyInfo of `key`."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def key_id(key: PublicKey) -> bytes:
    """SHA-256 of the SubjectPublicKeyInfo: the id of a CT log and of an issuer key (RFC 6962 section 3.2)."""
    return hashlib.sha256(spki(key)).digest()


def key_usage(*, digital_signature: bool = False, authority: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


@dataclass(frozen=True, slots=True)
class Signer:
    """A certificate and the key that signs in its name."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_authority(
    common_name: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    serial: int,
    valid_from: datetime,
    path_length: int,
    parent: Signer | None = None,
    usage: x509.ObjectIdentifier | None = None,
) -> x509.Certificate:
    """Make a CA certificate: self-signed, or signed by `parent`; `usage` limits what its leaves may do."""
    issuer_key = parent.key if parent else key
    builder = _begin(common_name, key, parent, serial=serial, valid_from=valid_from)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
    builder = builder.add_extension(key_usage(authority=True), critical=True)
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return builder.sign(issuer_key, hashes.SHA384())


def make_end_entity(
    common_name: str,
    key: ec.EllipticCurvePrivateKey,
    parent: Signer,
    *,
    serial: int,
    valid_from: datetime,
    usage: x509.ObjectIdentifier,
) -> x509.Certificate:
    """Make a long-lived signing certificate whose only purpose, marked critical, is `usage` (RFC 3161 section 2.3)."""
    builder = _begin(common_name, key, parent, serial=serial, valid_from=valid_from)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    builder = builder.add_extension(key_usage(digital_signature=True), critical=True)
    builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
    return builder.sign(parent.key, hashes.SHA384())


def _begin(
    common_name: str,
    key: ec.EllipticCurvePrivateKey,
    parent: Signer | None,
    *,
    serial: int,
    valid_from: datetime,
) -> x509.CertificateBuilder:
    name = subject_name(common_name)
    issuer_key = (parent.key if parent else key).public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(parent.certificate.subject if parent else name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(valid_from)
        .not_valid_after(valid_from + AUTHORITY_LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )
