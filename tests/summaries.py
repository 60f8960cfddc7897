"""Summaries of decisions as a registry signs them, and as somebody who is none would."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import BinaryIO

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256

from tidegate.digest import Digest
from tidegate.errors import NotFound
from tidegate.formats.jcs import JsonObject
from tidegate.formats.manifest import Descriptor, Manifest, evidence_manifest
from tidegate.formats.mediatypes import INTOTO_PAYLOAD, INTOTO_STATEMENT, OCI_MANIFEST, PREDICATE_VSA
from tidegate.formats.predicates.vsa import ADMITTED, Decision, VsaPredicate, promoted_level, resource_uri
from tidegate.formats.statement import pre_authentication
from tidegate.formats.summary import summary_bundle
from tidegate.verify.vsa import Wanted
from tidegate.verify.vsakey import VsaKey

REGISTRY = "https://registry.acme.example"
AGENT = "acme/support-agent"
MANIFEST = Digest.of(b"the manifest")
THEN = datetime(2026, 6, 1, 12, tzinfo=UTC)
PREDICATE = VsaPredicate(
    verifier=REGISTRY,
    verified_at=THEN,
    resource_uri=resource_uri(REGISTRY, AGENT, MANIFEST),
    policy_uri=f"{REGISTRY}/api/v1/policies",
    policy=Digest.of(b"the policy"),
    result="PASSED",
    levels=("SLSA_BUILD_LEVEL_2", ADMITTED, promoted_level("stable")),
    inputs=(Digest.of(b"provenance"),),
    decision=Decision("01972b4e-2a00-7000-8000-000000000001", Digest.of(b"the record"), "1.2.0", "promote", "stable"),
)
WANTED = Wanted(AGENT, MANIFEST, "1.2.0", ("SLSA_BUILD_LEVEL_2",), "stable")


@dataclass(frozen=True)
class Signer:
    """Whoever holds a key."""

    private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def key(self, verifier: str = REGISTRY, **bounds: datetime) -> VsaKey:
        """The entry of a trust file that believes them."""
        return VsaKey("acme", verifier, self.private.public_key(), **bounds)

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.private, ed25519.Ed25519PrivateKey):
            return self.private.sign(message)
        return self.private.sign(message, ec.ECDSA(SHA256()))

    def bundle(self, statement: bytes, payload_type: str = INTOTO_PAYLOAD) -> bytes:
        raw = summary_bundle(statement, self.sign(pre_authentication(payload_type, statement)), hint="any")
        return raw.replace(INTOTO_PAYLOAD.encode(), payload_type.encode())


def statement(
    predicate: VsaPredicate | JsonObject = PREDICATE,
    *,
    subjects: tuple[Digest, ...] = (MANIFEST,),
    predicate_type: str = PREDICATE_VSA,
) -> bytes:
    """Write a statement as an attacker can: with any subjects, any type."""
    said = predicate.as_json() if isinstance(predicate, VsaPredicate) else predicate
    document: Mapping[str, object] = {
        "_type": INTOTO_STATEMENT,
        "subject": [{"name": AGENT, "digest": {"sha256": each.hex}} for each in subjects],
        "predicateType": predicate_type,
        "predicate": said,
    }
    return json.dumps(document).encode()


def envelope_of(bundle: bytes) -> bytes:
    """Give the DSSE envelope alone, as slsa-verifier reads it."""
    return json.dumps(json.loads(bundle)["dsseEnvelope"]).encode()  # noqa: TID251 - our own


def payload_of(bundle: bytes) -> JsonObject:
    """Give the statement of a bundle, unverified."""
    envelope = json.loads(bundle)["dsseEnvelope"]  # noqa: TID251 - our own
    found: JsonObject = json.loads(base64.b64decode(envelope["payload"]))  # noqa: TID251 - our own
    return found


class Attached:
    """What a registry says is attached to the manifest."""

    def __init__(self, *bundles: bytes, predicate_type: str = PREDICATE_VSA, subject: Digest = MANIFEST) -> None:
        about = Descriptor(OCI_MANIFEST, subject, 12)
        self.blobs = {Digest.of(raw): raw for raw in bundles}
        self.manifests = [evidence_manifest(raw, about, predicate_type) for raw in bundles]

    def open_blob(self, digest: Digest, /) -> BinaryIO:
        if digest not in self.blobs:
            raise NotFound("no such blob", code="blob-missing", found=digest)
        return io.BytesIO(self.blobs[digest])

    def referrers(self, _: Digest, /) -> list[Manifest]:
        return self.manifests
