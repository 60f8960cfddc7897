"""Sigstore bundles made in process against a sandbox instance: any identity, any time, any flaw, in milliseconds."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

if TYPE_CHECKING:
    from tidegate_registry.sandbox.jobs import JobRequest
    from tidegate_registry.sandbox.sigstore import SigstoreInstance

    # a user's name, a token's claims, a CI job, or something that issues the certificate itself
    Issue = Callable[[SigstoreInstance, ec.EllipticCurvePublicKey, datetime | None], x509.Certificate]
    Who = str | Mapping[str, object] | JobRequest | Issue

BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IN_TOTO = "application/vnd.in-toto+json"
LEAF_LIFETIME = timedelta(minutes=10)


def pae(payload_type: str, payload: bytes) -> bytes:
    """Give the bytes that a DSSE signature covers (DSSE v1)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign_statement(
    instance: SigstoreInstance,
    who: Who,
    payload: bytes,
    *,
    payload_type: str = IN_TOTO,
    issued_at: datetime | None = None,
    timestamped_at: datetime | None = None,
    lifetime: timedelta = LEAF_LIFETIME,
) -> dict[str, object]:
    """Make a DSSE bundle over `payload` as `who`; the times default to the instance's clock.

    The result is the bundle's JSON as Python values, so that a test can break any part of it before `dump`.
    """
    message = pae(payload_type, payload)
    signature, material = _sign(
        instance, who, message, issued_at=issued_at, timestamped_at=timestamped_at, lifetime=lifetime
    )
    envelope = {
        "payload": _text(payload),
        "payloadType": payload_type,
        "signatures": [{"sig": _text(signature)}],
    }
    return {"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": envelope}


def sign_blob(
    instance: SigstoreInstance,
    who: Who,
    content: bytes,
    *,
    issued_at: datetime | None = None,
    timestamped_at: datetime | None = None,
    lifetime: timedelta = LEAF_LIFETIME,
) -> dict[str, object]:
    """Make a message-signature bundle over `content` as `who`."""
    signature, material = _sign(
        instance, who, content, issued_at=issued_at, timestamped_at=timestamped_at, lifetime=lifetime
    )
    digest = {"algorithm": "SHA2_256", "digest": _text(hashlib.sha256(content).digest())}
    message = {"messageDigest": digest, "signature": _text(signature)}
    return {"mediaType": BUNDLE, "verificationMaterial": material, "messageSignature": message}


def dump(bundle: Mapping[str, object]) -> bytes:
    return json.dumps(bundle).encode()


def _sign(
    instance: SigstoreInstance,
    who: Who,
    message: bytes,
    *,
    issued_at: datetime | None,
    timestamped_at: datetime | None,
    lifetime: timedelta,
) -> tuple[bytes, dict[str, object]]:
    from tidegate_registry.sandbox.rekor import hashed_rekord_body

    key = ec.generate_private_key(ec.SECP256R1())
    if callable(who):
        certificate = who(instance, key.public_key(), issued_at)
    else:
        certificate = instance.issue_certificate(who, key.public_key(), at=issued_at, lifetime=lifetime)
    raw = {"rawBytes": _text(certificate.public_bytes(Encoding.DER))}
    signature = key.sign(message, ec.ECDSA(hashes.SHA256()))
    body = hashed_rekord_body(hashlib.sha256(message).digest(), signature, {"x509Certificate": raw})
    timestamp = instance.tsa.timestamp(signature, at=timestamped_at or issued_at)
    material: dict[str, object] = {
        "certificate": raw,
        "tlogEntries": [instance.rekor.add_unchecked(body)],
        "timestampVerificationData": {"rfc3161Timestamps": [{"signedTimestamp": _text(timestamp)}]},
    }
    return signature, material


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
