"""The sandbox's transparency log: Rekor v2 for writing, C2SP tlog-tiles for reading.

An entry is durable, integrated and covered by the checkpoint in the answer before the answer is sent.
Sources: rekor-tiles' HTTP API (hashedrekord 0.0.2), C2SP signed-note, tlog-checkpoint, tlog-tiles.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from pydantic import BaseModel, Field
from pydantic.alias_generators import to_camel
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tidegate.errors import InvalidInput, NotFound, TileInvalid
from tidegate.formats.jcs import canonical_bytes
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.note import Ed25519Signer, sign_note
from tidegate.tlog.tiles import TILE_WIDTH, TilePath, encode_bundle, parse_tile_path
from tidegate_registry.sandbox.http import json_endpoint
from tidegate_registry.sandbox.keys import KeyStore
from tidegate_registry.sandbox.tlog import Included, TransparencyLog

ORIGIN = "rekor.sandbox.internal"
KEY_DETAILS = "PKIX_ECDSA_P256_SHA_256"
ED25519_NOTE_TYPE = b"\x01"  # C2SP signed-note: signature type of the key id
SHA256_BYTES = 32
MAX_FIELD_CHARACTERS = 32 << 10
IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}  # a full tile never changes


class X509CertificateFields(BaseModel, alias_generator=to_camel):
    raw_bytes: str = Field(max_length=MAX_FIELD_CHARACTERS)


class VerifierFields(BaseModel, alias_generator=to_camel):
    x509_certificate: X509CertificateFields | None = None
    public_key: X509CertificateFields | None = None
    key_details: str = Field(max_length=64)


class SignatureFields(BaseModel):
    content: str = Field(max_length=MAX_FIELD_CHARACTERS)
    verifier: VerifierFields


class HashedRekordRequest(BaseModel):
    digest: str = Field(max_length=128)
    signature: SignatureFields


class EntryRequest(BaseModel, alias_generator=to_camel):
    """The one kind of entry the sandbox logs; DSSE envelopes come as the digest of their PAE, as sigstore 4.5 does."""

    hashed_rekord_request_v002: HashedRekordRequest = Field(alias="hashedRekordRequestV002")


class Rekor:
    """Takes entries and serves the tree. Safe from several threads."""

    def __init__(self, keys: KeyStore, path: Path, origin: str = ORIGIN) -> None:
        self.origin = origin
        self.key = keys.ed25519_key("rekor")
        raw = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        # the note key id is the first four bytes; Rekor v2 uses all of the hash as its log id
        self.log_id = hashlib.sha256(f"{origin}\n".encode() + ED25519_NOTE_TYPE + raw).digest()
        self._log = TransparencyLog(path)

    @property
    def size(self) -> int:
        return self._log.size

    def checkpoint(self) -> str:
        """Give the signed checkpoint of the whole tree."""
        return self._sign_checkpoint(*self._log.head())

    def add(self, request: EntryRequest) -> dict[str, object]:
        """Check the signature, log the entry, give a TransparencyLogEntry (protobuf JSON). Raises InvalidInput."""
        body = canonical_body(request)
        return self.entry(body, self._log.append(lambda _: body))

    def add_unchecked(self, body: bytes) -> dict[str, object]:
        """Log `body` as it is: what a log without checks would do. For tests of verifiers; no endpoint leads here."""
        return self.entry(body, self._log.append(lambda _: body))

    def entry(self, body: bytes, included: Included) -> dict[str, object]:
        return {
            "logIndex": str(included.index),
            "logId": {"keyId": _text(self.log_id)},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
            "canonicalizedBody": _text(body),
            "inclusionProof": {
                "logIndex": str(included.index),
                "rootHash": _text(included.root),
                "treeSize": str(included.size),
                "hashes": [_text(node) for node in included.proof],
                "checkpoint": {"envelope": self._sign_checkpoint(included.size, included.root)},
            },
        }

    def routes(self) -> list[Route]:
        return [
            Route("/api/v2/log/entries", json_endpoint(EntryRequest, self._post, 201), methods=["POST"]),
            Route("/api/v2/checkpoint", self._get_checkpoint),
            Route("/api/v2/tile/{path:path}", self._get_tile),
        ]

    def close(self) -> None:
        self._log.close()

    def _post(self, _: Request, body: EntryRequest) -> dict[str, object]:
        return self.add(body)

    def _get_checkpoint(self, _: Request) -> Response:
        return PlainTextResponse(self.checkpoint(), headers={"Cache-Control": "no-store"})

    def _get_tile(self, request: Request) -> Response:
        try:
            path = parse_tile_path(f"tile/{request.path_params['path']}")
        except TileInvalid as error:
            raise NotFound("no such tile") from error
        content = self._entries(path) if path.level is None else self._log.tile(path.level, path.index, path.width)
        if content is None:
            raise NotFound("no such tile")
        return Response(content, media_type="application/octet-stream", headers=IMMUTABLE)

    def _entries(self, path: TilePath) -> bytes | None:
        records = self._log.records(path.index * TILE_WIDTH, path.width)
        return encode_bundle(records) if len(records) == path.width else None

    def _sign_checkpoint(self, size: int, root: bytes) -> str:
        text = Checkpoint(self.origin, size, root).text
        return sign_note(text, [Ed25519Signer(self.origin, self.key)]).decode()


def canonical_body(request: EntryRequest) -> bytes:
    """Give the RFC 8785 form of the entry after checking its signature. Raises InvalidInput."""
    entry = request.hashed_rekord_request_v002
    verifier = entry.signature.verifier
    if verifier.key_details != KEY_DETAILS:
        raise InvalidInput("the sandbox log takes one algorithm", found=verifier.key_details, expected=KEY_DETAILS)
    digest, signature = _bytes(entry.digest, "digest"), _bytes(entry.signature.content, "signature.content")
    if len(digest) != SHA256_BYTES:
        raise InvalidInput("digest is not a SHA-256", found=f"{len(digest)} bytes", expected=f"{SHA256_BYTES} bytes")
    key, shown = _verifier_key(verifier)
    try:
        key.verify(signature, digest, ec.ECDSA(Prehashed(hashes.SHA256())))
    except InvalidSignature as error:
        raise InvalidInput("the signature does not verify", code="signature-invalid") from error
    return hashed_rekord_body(digest, signature, shown)


def hashed_rekord_body(digest: bytes, signature: bytes, verifier: dict[str, object]) -> bytes:
    """Give a hashedrekord 0.0.2 body; `verifier` is `{"x509Certificate"|"publicKey": {"rawBytes": base64}}`."""
    content: dict[str, object] = {
        "data": {"algorithm": "SHA2_256", "digest": _text(digest)},
        "signature": {"content": _text(signature), "verifier": {"keyDetails": KEY_DETAILS, **verifier}},
    }
    body = {"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": content}}
    return canonical_bytes(body)


def _verifier_key(verifier: VerifierFields) -> tuple[ec.EllipticCurvePublicKey, dict[str, object]]:
    if (verifier.x509_certificate is None) == (verifier.public_key is None):
        raise InvalidInput("give either x509Certificate or publicKey")
    try:
        if verifier.x509_certificate is not None:
            raw = _bytes(verifier.x509_certificate.raw_bytes, "x509Certificate.rawBytes")
            key: object = x509.load_der_x509_certificate(raw).public_key()
            shown: dict[str, object] = {"x509Certificate": {"rawBytes": _text(raw)}}
        elif verifier.public_key is not None:
            raw = _bytes(verifier.public_key.raw_bytes, "publicKey.rawBytes")
            key, shown = load_der_public_key(raw), {"publicKey": {"rawBytes": _text(raw)}}
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidInput("the verifier is not a DER certificate or key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise InvalidInput("the verifier's key is not of the algorithm it names", expected=KEY_DETAILS)
    return key, shown


def _bytes(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InvalidInput(f"{name} is not base64") from error


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
