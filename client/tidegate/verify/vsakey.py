"""Keys that sign summaries of a registry's decisions, of a trust file. Spec page: docs/spec/trust-file.md."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tidegate.errors import TrustFileInvalid

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from tidegate.formats.trustfile import VsaKeyEntry


@dataclass(frozen=True, slots=True)
class VsaKey:
    """A key under which summaries of one registry's decisions count. `verifier`: its URL, as summaries name it.

    `not_before`, `not_after`: bounds, both inclusive, of the decisions that count; None where there is none.
    """

    name: str
    verifier: str
    public: EllipticCurvePublicKey | Ed25519PublicKey
    not_before: datetime | None = None
    not_after: datetime | None = None

    @classmethod
    def read(cls, entry: VsaKeyEntry, pem: bytes) -> VsaKey:
        """Read an entry of a trust file. Raises TrustFileInvalid."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        try:
            public = load_pem_public_key(pem)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise _no_vsa_key(entry, type(error).__name__) from error
        if isinstance(public, EllipticCurvePublicKey) and not isinstance(public.curve, SECP256R1):
            raise _no_vsa_key(entry, public.curve.name)
        if not isinstance(public, EllipticCurvePublicKey | Ed25519PublicKey):
            raise _no_vsa_key(entry, type(public).__name__)
        return cls(entry.name, entry.verifier, public, entry.not_before, entry.not_after)

    def counts_at(self, moment: datetime) -> bool:
        """Whether decisions of that moment count under this key."""
        return (self.not_before is None or self.not_before <= moment) and (
            self.not_after is None or moment <= self.not_after
        )


def _no_vsa_key(entry: VsaKeyEntry, found: str) -> TrustFileInvalid:
    return TrustFileInvalid(
        f"the key of `{entry.name}` under vsa cannot be used",
        code="vsa-key-invalid",
        found=f"{entry.key.file}: {found}",
        expected="a public key in PEM, ECDSA P-256 or Ed25519",
    )
