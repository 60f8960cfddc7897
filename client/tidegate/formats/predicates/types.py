"""The kinds of evidence Tidegate knows, by the URIs of their predicate types and by short names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tidegate.errors import StatementInvalid
from tidegate.formats.mediatypes import PREDICATE_COSIGN_SIGN, PREDICATE_RELEASE, PREDICATE_SLSA_PROVENANCE

PREDICATE_EVALUATION = "https://tidegate.dev/predicate/evaluation/v1"
PREDICATE_APPROVAL = "https://tidegate.dev/predicate/approval/v1"
PREDICATE_BREAK_GLASS = "https://tidegate.dev/predicate/break-glass/v1"
PREDICATE_REVIEW = "https://tidegate.dev/predicate/review/v1"
PREDICATE_SHADOW = "https://tidegate.dev/predicate/shadow-comparison/v1"
PREDICATE_VULNERABILITIES = "https://in-toto.io/attestation/vulns/v0.2"
PREDICATE_TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
PREDICATE_CYCLONEDX = "https://cyclonedx.org/bom"
PREDICATE_SPDX = "https://spdx.dev/Document"

PREDICATE_TYPES: Final[Mapping[str, str]] = {
    "release": PREDICATE_RELEASE,
    "provenance": PREDICATE_SLSA_PROVENANCE,
    "signature": PREDICATE_COSIGN_SIGN,
    "evaluation": PREDICATE_EVALUATION,
    "vulnerabilities": PREDICATE_VULNERABILITIES,
    "sbom-cyclonedx": PREDICATE_CYCLONEDX,
    "sbom-spdx": PREDICATE_SPDX,
    "approval": PREDICATE_APPROVAL,
    "break-glass": PREDICATE_BREAK_GLASS,
    "review": PREDICATE_REVIEW,
    "shadow": PREDICATE_SHADOW,
    "test-result": PREDICATE_TEST_RESULT,
}
"""Short names, as `tidegate attest` and charters take them."""

SIGNATURE_TYPES: Final = frozenset({PREDICATE_RELEASE, PREDICATE_COSIGN_SIGN})
"""What counts as the signature of a release."""

# what a build says of its own output; anything else it says, it says as an attester
PUBLISHER_TYPES: Final = (
    PREDICATE_RELEASE,
    PREDICATE_COSIGN_SIGN,
    PREDICATE_SLSA_PROVENANCE,
    PREDICATE_CYCLONEDX,
    PREDICATE_SPDX,
)

APPROVER_TYPES: Final = (PREDICATE_APPROVAL, PREDICATE_REVIEW)
BREAK_GLASS_TYPES: Final = (PREDICATE_BREAK_GLASS,)
RESERVED_TYPES: Final = frozenset({PREDICATE_APPROVAL, PREDICATE_BREAK_GLASS})
"""What only a charter's approvers and break-glass identities may sign, whatever another rule lists."""


def predicate_type(name: str) -> str:
    """Give the predicate type for a short name; a URI is given back as it is. Raises StatementInvalid."""
    if name in PREDICATE_TYPES:
        return PREDICATE_TYPES[name]
    if "://" in name and name.isprintable() and " " not in name:
        return name
    known = ", ".join(PREDICATE_TYPES)
    raise StatementInvalid("no such predicate type", found=name[:160], expected=f"a URI, or one of {known}")


def short_name(uri: str) -> str:
    """Give the short name of a predicate type, or the type itself."""
    return next((name for name, known in PREDICATE_TYPES.items() if known == uri), uri)
