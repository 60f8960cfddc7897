"""Sigstore bundles, version 0.3: limits and shape. No trust.

Closed at every level: sigstore-python also takes snake_case names for the same members, so a bundle could otherwise
carry one envelope for us to look at and another for the library to verify. Source: protobuf-specs,
sigstore_bundle.proto.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from tidegate.digest import Digest
from tidegate.errors import JsonInvalid, SigstoreBundleInvalid
from tidegate.formats.jcs import JsonObject, JsonValue, parse_object

MAX_BUNDLE_BYTES = 4 << 20  # ours are 8 to 9 KB; an SBOM of thousands of packages is 1 to 2 MB, in base64 4/3 of that
MAX_MEMBERS = 4096  # a bundle with all optional parts has some 300; parsing 4 MiB of `{},` takes seconds and 300 MB
MAX_HASHES = 64  # a Merkle proof in a tree of 2^64 entries
MAX_TIMESTAMPS = 32  # sigstore-go and sigstore-python: MAX_ALLOWED_TIMESTAMP
MAX_SIGNATURES = 16  # all but one are refused; enough to say how many there were

_TEXT = "text"
_BASE64 = "base64"

# each member: a kind of text, a shape, or a list (of at most N) of one of these; `?` marks members that may be absent
_CERTIFICATE: Mapping[str, object] = {"rawBytes": _BASE64}
_PROOF: Mapping[str, object] = {
    "logIndex": _TEXT,
    "rootHash": _BASE64,
    "treeSize": _TEXT,
    "hashes?": [_BASE64, MAX_HASHES],
    "checkpoint": {"envelope": _TEXT},
}
_ENTRY: Mapping[str, object] = {
    "logIndex": _TEXT,
    "logId": {"keyId": _BASE64},
    "kindVersion": {"kind": _TEXT, "version": _TEXT},
    "integratedTime?": _TEXT,
    "inclusionPromise?": {"signedEntryTimestamp": _BASE64},
    "inclusionProof": _PROOF,
    "canonicalizedBody": _BASE64,
}
_MATERIAL: Mapping[str, object] = {
    "certificate": _CERTIFICATE,
    "tlogEntries": [_ENTRY, 1],
    "timestampVerificationData?": {"rfc3161Timestamps?": [{"signedTimestamp": _BASE64}, MAX_TIMESTAMPS]},
}
_ENVELOPE: Mapping[str, object] = {
    "payload": _BASE64,
    "payloadType": _TEXT,
    "signatures": [{"sig": _BASE64, "keyid?": _TEXT}, MAX_SIGNATURES],
}
_BUNDLE: Mapping[str, object] = {"mediaType": _TEXT, "verificationMaterial": _MATERIAL, "dsseEnvelope": _ENVELOPE}


@dataclass(frozen=True)
class SigstoreBundle:
    """A bundle as JSON of one meaning. `raw` is what was parsed; members are checked by `check_shape` and its like.

    Reading a member before the check that covers it may raise KeyError or TypeError.
    """

    raw: bytes
    document: JsonObject

    @classmethod
    def parse(cls, raw: bytes) -> SigstoreBundle:
        """Parse `raw`, at most MAX_BUNDLE_BYTES and MAX_MEMBERS, as strict JSON. Raises SigstoreBundleInvalid."""
        # what is long in a bundle is base64, which has none of these characters
        if sum(raw.count(mark) for mark in (b",", b"{", b"[")) > MAX_MEMBERS:
            raise SigstoreBundleInvalid("the Sigstore bundle has too many members", expected=f"at most {MAX_MEMBERS}")
        try:
            document = parse_object(raw, limit=MAX_BUNDLE_BYTES, what="the Sigstore bundle")
        except JsonInvalid as error:
            raise SigstoreBundleInvalid(str(error), found=error.reasons[0].found) from error
        return cls(raw, _with_defaults(_without_nulls(document)))

    @property
    def media_type(self) -> str | None:
        """What the bundle says it is."""
        value = self.document.get("mediaType")
        return value if isinstance(value, str) else None

    @property
    def is_attestation(self) -> bool:
        """Whether the content is a DSSE envelope and nothing else."""
        return "dsseEnvelope" in self.document and "messageSignature" not in self.document

    @property
    def envelope(self) -> JsonObject:
        """The DSSE envelope, unverified."""
        return _object(self.document["dsseEnvelope"])

    @property
    def signature_count(self) -> int:
        """How many signatures the envelope has."""
        signatures = self.envelope.get("signatures")
        return len(signatures) if isinstance(signatures, list) else 0

    @property
    def payload_type(self) -> str | None:
        """The envelope's payload type, unverified."""
        value = self.envelope.get("payloadType")
        return value if isinstance(value, str) else None

    @cached_property
    def certificate(self) -> bytes:
        """The leaf certificate, DER."""
        material = _object(self.document["verificationMaterial"])
        return base64.b64decode(str(_object(material["certificate"])["rawBytes"]))

    @property
    def log_entry(self) -> JsonObject:
        """The one transparency log entry."""
        entries = _object(self.document["verificationMaterial"])["tlogEntries"]
        return _object(entries[0]) if isinstance(entries, list) and entries else {}

    @property
    def digest(self) -> Digest:
        """The sha256 of the bundle's bytes. Malleable: never a key for "have I seen this signature"."""
        return Digest.of(self.raw)

    @cached_property
    def _members(self) -> tuple[tuple[str, JsonValue, str], ...]:
        return tuple(_leaves(self.document, _BUNDLE, ""))

    def one_meaning(self) -> str:
        """Give the document again as JSON, so that another parser reads what was checked and not what was sent."""
        return json.dumps(self.document)

    def check_shape(self) -> None:
        """Check that each member is known, of its type, and there. Raises SigstoreBundleInvalid with its path."""
        for path, value, kind in self._members:
            if not isinstance(value, str):
                raise SigstoreBundleInvalid(
                    f"{path} is not text", found=type(value).__name__, expected=kind, code="bundle-malformed"
                )

    def check_base64(self) -> None:
        """Check that all base64 is canonical (RFC 4648 section 3.5). Raises SigstoreBundleInvalid, code "base64".

        The library's decoder skips what is no base64, which lets one signed content wear many encodings.
        """
        for path, value, kind in self._members:
            if kind == _BASE64 and not is_strict_base64(str(value)):
                raise SigstoreBundleInvalid(
                    f"{path} is not strict base64", code="base64", found=str(value)[-40:], expected="RFC 4648, padded"
                )


def check_members(document: JsonObject, shape: Mapping[str, object]) -> None:
    """Check a document of another shape than an attestation's in the same way. Raises SigstoreBundleInvalid."""
    for path, value, kind in _leaves(document, shape, ""):
        if not isinstance(value, str) or (kind == _BASE64 and not is_strict_base64(value)):
            raise SigstoreBundleInvalid(
                f"{path} is not {kind}", found=type(value).__name__, expected=kind, code="bundle-malformed"
            )


def is_strict_base64(text: str) -> bool:
    """Whether `text` is the one standard, padded encoding of the bytes it stands for."""
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)) == text.encode("ascii")
    except (binascii.Error, ValueError):
        return False


def _leaves(value: JsonValue, shape: Mapping[str, object], path: str) -> Iterator[tuple[str, JsonValue, str]]:
    if not isinstance(value, dict):
        raise SigstoreBundleInvalid(f"{path or 'the bundle'} is not an object", found=type(value).__name__)
    known = {key.rstrip("?") for key in shape}
    unknown = value.keys() - known
    if unknown:
        raise SigstoreBundleInvalid(
            f"{path or 'the bundle'} has an unknown member",
            found=", ".join(sorted(unknown))[:160],
            expected=", ".join(sorted(known)),
        )
    for key, kind in shape.items():
        name = key.rstrip("?")
        inner = f"{path}.{name}".lstrip(".")
        if name in value:
            yield from _leaf(value[name], kind, inner)
        elif not key.endswith("?"):
            raise SigstoreBundleInvalid(f"{inner} is missing")


def _leaf(value: JsonValue, kind: object, path: str) -> Iterator[tuple[str, JsonValue, str]]:
    if isinstance(kind, str):
        yield path, value, kind
    elif isinstance(kind, list):
        item_kind, limit = kind
        if not isinstance(value, list) or len(value) > limit:
            found = len(value) if isinstance(value, list) else type(value).__name__
            raise SigstoreBundleInvalid(f"{path} is not a list of at most {limit}", found=found)
        for index, item in enumerate(value):
            yield from _leaf(item, item_kind, f"{path}[{index}]")
    elif isinstance(kind, Mapping):
        yield from _leaves(value, kind, path)


def _without_nulls(document: JsonObject) -> JsonObject:
    """Take members that are null for members that are absent, as protobuf's JSON does."""
    return {key: _pruned(value) for key, value in document.items() if value is not None}


def _with_defaults(document: JsonObject) -> JsonObject:
    """Write out what protobuf's JSON leaves out because it is zero or empty: the first entry of a log has index 0."""
    material = document.get("verificationMaterial")
    entries = material.get("tlogEntries") if isinstance(material, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            entry.setdefault("logIndex", "0")
            proof = entry.get("inclusionProof")
            if isinstance(proof, dict):
                proof.setdefault("logIndex", "0")
                proof.setdefault("hashes", [])
    return document


def _pruned(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return _without_nulls(value)
    return [_pruned(item) for item in value] if isinstance(value, list) else value


def _object(value: JsonValue) -> JsonObject:
    if not isinstance(value, dict):
        raise SigstoreBundleInvalid("a member is not an object", found=type(value).__name__)
    return value
