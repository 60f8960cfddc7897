"""The sandbox's certificate transparency log: RFC 6962, with a Merge Delay of zero.

A precertificate is durably in the tree before its signed certificate timestamp is given out. What the log keeps is
the Merkle tree leaf; it serves tree heads, proofs and leaves, but no `extra_data` and no `add-chain`, since the
certificate authority beside it is its only submitter.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tidegate.errors import InvalidInput, NotFound, ProofInvalid
from tidegate.tlog.merkle import leaf_hash
from tidegate_registry.sandbox.certificates import key_id
from tidegate_registry.sandbox.http import query_integer
from tidegate_registry.sandbox.keys import KeyStore
from tidegate_registry.sandbox.tlog import TransparencyLog

VERSION_1 = 0
CERTIFICATE_TIMESTAMP, TREE_HASH = 0, 1  # RFC 6962 section 3.2, SignatureType
TIMESTAMPED_ENTRY = 0  # section 3.4, MerkleLeafType
PRECERTIFICATE_ENTRY = 1  # section 3.1, LogEntryType
SHA256_ECDSA = b"\x04\x03"  # RFC 5246 section 7.4.1.4.1
NO_EXTENSIONS = b"\x00\x00"
MAX_ENTRIES_PER_REQUEST = 256

SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")  # RFC 6962 section 3.3


class CTLog:
    """Gives signed certificate timestamps for what it has logged."""

    def __init__(self, keys: KeyStore, path: Path, clock: Callable[[], datetime]) -> None:
        # sigstore verifiers accept P-256 or RSA with SHA-256 here, nothing stronger
        self.key = keys.ec_key("ctlog", ec.SECP256R1())
        self.id = key_id(self.key.public_key())
        self._log = TransparencyLog(path)
        self._clock = clock

    def add_precertificate(self, issuer_key_hash: bytes, tbs_certificate: bytes, at: datetime | None = None) -> bytes:
        """Log a precertificate and give its SCT, serialised as in RFC 6962 section 3.2.

        `tbs_certificate`: DER of the final certificate's to-be-signed part without the SCT extension;
        `issuer_key_hash`: SHA-256 of the issuer's SubjectPublicKeyInfo; `at` stands in for the clock.
        """
        timestamp = _milliseconds(at or self._clock())
        entry = (
            struct.pack("!QH", timestamp, PRECERTIFICATE_ENTRY)
            + issuer_key_hash
            + len(tbs_certificate).to_bytes(3)
            + tbs_certificate
            + NO_EXTENSIONS
        )
        self._log.append(lambda _: bytes((VERSION_1, TIMESTAMPED_ENTRY)) + entry)
        signature = self._sign(bytes((VERSION_1, CERTIFICATE_TIMESTAMP)) + entry)
        return bytes((VERSION_1,)) + self.id + struct.pack("!Q", timestamp) + NO_EXTENSIONS + signature

    def signed_tree_head(self) -> dict[str, object]:
        size, root = self._log.head()
        timestamp = _milliseconds(self._clock())
        signed = struct.pack("!BBQQ", VERSION_1, TREE_HASH, timestamp, size) + root
        return {
            "tree_size": size,
            "timestamp": timestamp,
            "sha256_root_hash": _text(root),
            "tree_head_signature": _text(self._sign(signed)),
        }

    def routes(self) -> list[Route]:
        return [
            Route("/ct/v1/get-sth", self._get_sth),
            Route("/ct/v1/get-sth-consistency", self._get_consistency),
            Route("/ct/v1/get-proof-by-hash", self._get_proof),
            Route("/ct/v1/get-entries", self._get_entries),
        ]

    def close(self) -> None:
        self._log.close()

    def _sign(self, message: bytes) -> bytes:
        """Give a TLS DigitallySigned structure over `message`."""
        signature = self.key.sign(message, ec.ECDSA(hashes.SHA256()))
        return SHA256_ECDSA + struct.pack("!H", len(signature)) + signature

    def _get_sth(self, _: Request) -> Response:
        return JSONResponse(self.signed_tree_head())

    def _get_consistency(self, request: Request) -> Response:
        old, new = query_integer(request, "first"), query_integer(request, "second")
        if old == 0:  # RFC 6962 leaves it open; an empty proof is what public logs answer
            return JSONResponse({"consistency": []})
        try:
            proof = self._log.consistency(old, new)
        except (IndexError, ProofInvalid) as error:
            raise InvalidInput(str(error)) from error
        return JSONResponse({"consistency": [_text(node) for node in proof]})

    def _get_proof(self, request: Request) -> Response:
        size = query_integer(request, "tree_size")
        try:
            index = self._log.index_of(base64.b64decode(request.query_params.get("hash", ""), validate=True))
        except ValueError as error:
            raise InvalidInput("`hash` is not base64") from error
        if index is None or not index < size <= self._log.size:
            raise NotFound("no such leaf in a tree of that size")
        return JSONResponse(
            {"leaf_index": index, "audit_path": [_text(node) for node in self._log.inclusion(index, size)]}
        )

    def _get_entries(self, request: Request) -> Response:
        start, end = query_integer(request, "start"), query_integer(request, "end")
        if not 0 <= start <= end or start >= self._log.size:
            raise InvalidInput("that range holds no entries", found=f"{start}..{end}", expected=f"< {self._log.size}")
        leaves = self._log.records(start, min(end - start + 1, MAX_ENTRIES_PER_REQUEST))
        return JSONResponse({"entries": [{"leaf_input": _text(leaf), "extra_data": ""} for leaf in leaves]})


def leaf_of(tree_leaf: bytes) -> bytes:
    """Give the leaf hash under which `get-proof-by-hash` finds a Merkle tree leaf."""
    return leaf_hash(tree_leaf)


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
