"""What clients are given to trust: trusted root v0.1, signing config v0.2, and both as one client trust config.

The documents are the protobuf JSON of sigstore's trustroot messages; sigstore-python reads them with strict models.
"""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tidegate_registry.sandbox import tsa
from tidegate_registry.sandbox.certificates import ORGANIZATION, PublicKey, spki
from tidegate_registry.sandbox.ctlog import CTLog
from tidegate_registry.sandbox.fulcio import Fulcio
from tidegate_registry.sandbox.rekor import Rekor

TRUSTED_ROOT = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
SIGNING_CONFIG = "application/vnd.dev.sigstore.signingconfig.v0.2+json"
CLIENT_TRUST_CONFIG = "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json"
OPERATOR = "sandbox"


def trusted_root(
    url: str, fulcio: Fulcio, ct_log: CTLog, rekor: Rekor, authority: tsa.TimestampAuthority
) -> dict[str, object]:
    start = fulcio.root.not_valid_before_utc
    return {
        "mediaType": TRUSTED_ROOT,
        "tlogs": [
            _log(f"https://{rekor.origin}", rekor.key.public_key(), "PKIX_ED25519", rekor.log_id, start),
        ],
        "certificateAuthorities": [_authority(url, fulcio.chain(), start)],
        "ctlogs": [_log(f"{url}/ct", ct_log.key.public_key(), "PKIX_ECDSA_P256_SHA_256", ct_log.id, start)],
        "timestampAuthorities": [_authority(f"{url}{tsa.PATH}", authority.chain(), start)],
    }


def signing_config(url: str, start: datetime) -> dict[str, object]:
    return {
        "mediaType": SIGNING_CONFIG,
        "caUrls": [_service(url, 1, start)],
        "oidcUrls": [_service(url, 1, start)],
        "rekorTlogUrls": [_service(url, 2, start)],
        "tsaUrls": [_service(f"{url}{tsa.PATH}", 1, start)],
        "rekorTlogConfig": {"selector": "ANY"},
        "tsaConfig": {"selector": "ANY"},
    }


def client_trust_config(root: dict[str, object], signing: dict[str, object]) -> dict[str, object]:
    return {"mediaType": CLIENT_TRUST_CONFIG, "trustedRoot": root, "signingConfig": signing}


def _log(base_url: str, key: PublicKey, details: str, log_id: bytes, start: datetime) -> dict[str, object]:
    return {
        "baseUrl": base_url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": _text(spki(key)), "keyDetails": details, "validFor": _from(start)},
        "logId": {"keyId": _text(log_id)},
    }


def _authority(uri: str, chain: list[x509.Certificate], start: datetime) -> dict[str, object]:
    common_name = chain[0].subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
    return {
        "subject": {"organization": ORGANIZATION, "commonName": common_name},
        "uri": uri,
        "certChain": {"certificates": [{"rawBytes": _text(each.public_bytes(Encoding.DER))} for each in chain]},
        "validFor": _from(start),
    }


def _service(url: str, version: int, start: datetime) -> dict[str, object]:
    return {"url": url, "majorApiVersion": version, "validFor": _from(start), "operator": OPERATOR}


def _from(start: datetime) -> dict[str, object]:
    return {"start": start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
