"""A signed summary: a DSSE envelope in a Sigstore bundle that says "a public key", not "a certificate".

The form in which a registry attaches the SLSA VSA of a decision. It carries no key id: stock tools compare theirs with
it, each by a rule of its own, and ours tries every key that it trusts. Spec page: docs/spec/vsa.md.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tidegate.errors import SigstoreBundleInvalid
from tidegate.formats.bundle import SigstoreBundle, check_members
from tidegate.formats.jcs import JsonObject, canonical_bytes
from tidegate.formats.mediatypes import INTOTO_PAYLOAD, SIGSTORE_BUNDLE

MAX_SUMMARY_BYTES: Final = 256 << 10  # 1,000 digests of evidence take 100 KB, in base64 4/3 of that

_SHAPE: Mapping[str, object] = {
    "mediaType": "text",
    "verificationMaterial": {"publicKey": {"hint?": "text"}, "tlogEntries?": [{}, 0]},
    "dsseEnvelope": {
        "payload": "base64",
        "payloadType": "text",
        "signatures": [{"sig": "base64", "keyid?": "text"}, 1],
    },
}


@dataclass(frozen=True, slots=True)
class SignedSummary:
    """A bundle of this form, unverified. `raw`: what was parsed."""

    raw: bytes
    payload_type: str
    payload: bytes
    signature: bytes

    @classmethod
    def parse(cls, raw: bytes) -> SignedSummary:
        """Parse `raw`, at most MAX_SUMMARY_BYTES. Raises SigstoreBundleInvalid."""
        if len(raw) > MAX_SUMMARY_BYTES:
            raise SigstoreBundleInvalid(
                "the summary is too large",
                code="vsa-too-large",
                found=f"{len(raw)} bytes",
                expected=f"at most {MAX_SUMMARY_BYTES} bytes",
            )
        bundle = SigstoreBundle.parse(raw)
        check_members(bundle.document, _SHAPE)
        if bundle.media_type != SIGSTORE_BUNDLE or bundle.signature_count != 1:
            raise SigstoreBundleInvalid(
                "a summary is a Sigstore bundle of version 0.3 with one signature",
                found=f"{str(bundle.media_type)[:80]}, {bundle.signature_count} signatures",
                expected=f"{SIGSTORE_BUNDLE}, one signature",
            )
        envelope = bundle.envelope
        (signature,) = envelope["signatures"] if isinstance(envelope["signatures"], list) else ({},)
        encoded = signature.get("sig") if isinstance(signature, dict) else ""
        return cls(
            raw,
            str(bundle.payload_type),
            base64.b64decode(str(envelope["payload"])),
            base64.b64decode(str(encoded)),
        )


def summary_bundle(statement: bytes, signature: bytes, *, hint: str) -> bytes:
    """Write the bundle, in canonical JSON. `signature`: over the DSSE encoding of `statement`. `hint`: of the key."""
    envelope: JsonObject = {
        "payload": base64.b64encode(statement).decode(),
        "payloadType": INTOTO_PAYLOAD,
        "signatures": [{"sig": base64.b64encode(signature).decode()}],
    }
    return canonical_bytes(
        {
            "mediaType": SIGSTORE_BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": hint}},
            "dsseEnvelope": envelope,
        }
    )
