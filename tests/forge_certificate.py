"""Certificates that no honest authority issues, signed by a sandbox's authority all the same.

Each function gives a `who` for `tests.forge`: something that issues the leaf when it is asked to sign.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

if TYPE_CHECKING:
    from tests.forge import Issue
    from tidegate_registry.sandbox.sigstore import SigstoreInstance

ARC = "1.3.6.1.4.1.57264.1"
ISSUER_V1, ISSUER_V2 = 1, 8
LIFETIME = timedelta(minutes=10)


def claims_of(job: object) -> dict[int, str]:
    """Give the Fulcio extensions that the sandbox writes for a CI job, by their last number, from 1.8 on."""
    from tidegate.formats.identity import ClaimName, from_oidc_claims
    from tidegate_registry.sandbox.jobs import SERVER_URL, JobRequest

    assert isinstance(job, JobRequest)
    identity = from_oidc_claims("github", job.claims() | {"iss": "-"}, server_url=SERVER_URL)
    return {int(name.oid.rpartition(".")[2]): identity.claims[name] for name in ClaimName if name in identity.claims}


def leaf(
    names: Iterable[x509.GeneralName],
    texts: Mapping[int, str],
    *,
    raw: Mapping[int, bytes] | None = None,
    with_sct: bool = True,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
    sign_with: ec.EllipticCurvePrivateKey | None = None,
) -> Issue:
    """Issue a leaf with these subject names and extensions.

    `texts`: Fulcio extensions from 1.8 on, as DER UTF8String; `raw`: extensions with their value as it is.
    `sign_with`: another key than the authority's.
    """

    def issue(
        instance: SigstoreInstance, public_key: ec.EllipticCurvePublicKey, at: datetime | None
    ) -> x509.Certificate:
        from tidegate_registry.sandbox.certificates import key_id, key_usage

        authority = instance.fulcio
        start = (at or authority._clock()).replace(microsecond=0)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(authority.intermediate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + LIFETIME)
            .add_extension(key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False
            )
            .add_extension(x509.SubjectAlternativeName(list(names)), critical=True)
        )
        values = {number: asn1.encode_der(text) for number, text in texts.items()} | dict(raw or {})
        for number, value in sorted(values.items()):
            oid = x509.ObjectIdentifier(f"{ARC}.{number}")
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
        key = sign_with or authority.key
        unlogged = builder.sign(key, hashes.SHA384())
        if not with_sct:
            return unlogged
        sct = instance.ct_log.add_precertificate(
            key_id(authority.key.public_key()), unlogged.tbs_certificate_bytes, start
        )
        listed = struct.pack("!H", len(sct)) + sct
        value = asn1.encode_der(struct.pack("!H", len(listed)) + listed)
        oid = ExtensionOID.PRECERT_SIGNED_CERTIFICATE_TIMESTAMPS
        return builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False).sign(key, hashes.SHA384())

    return issue
