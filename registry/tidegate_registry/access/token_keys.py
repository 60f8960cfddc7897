"""The keys that sign registry tokens: files that only the registry can read, and public keys accepted beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.jwk import ECKey, OKPKey

from tidegate_registry.access.jwt import PublicKey
from tidegate_registry.key_files import (
    create_private_key,
    load_private_key,
    load_public_key,
    private_pem,
    unusable_key,
)

WHAT = "token key"


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key and the one algorithm it is used with. `private` tells whether it can sign."""

    key: PublicKey
    algorithm: str
    private: bool

    @property
    def kid(self) -> str:
        """The key's RFC 7638 thumbprint (sha256): the same wherever the key is loaded."""
        return self.key.thumbprint()


def load_token_key(path: Path) -> TokenKey:
    """Read a PEM private key (Ed25519 or ECDSA P-256) that only its owner can read. Raises InvalidInput."""
    private = load_private_key(path, WHAT)
    if isinstance(private, Ed25519PrivateKey):
        return TokenKey(OKPKey.import_key(private_pem(private)), "Ed25519", private=True)
    if isinstance(private, EllipticCurvePrivateKey) and isinstance(private.curve, SECP256R1):
        return TokenKey(ECKey.import_key(private_pem(private)), "ES256", private=True)
    raise unusable_key(path, WHAT, type(private).__name__)


def load_accepted_key(path: Path) -> TokenKey:
    """Read a PEM public key whose tokens are accepted beside our own while keys rotate. Raises InvalidInput."""
    public = load_public_key(path, WHAT)
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    if isinstance(public, Ed25519PublicKey):
        return TokenKey(OKPKey.import_key(pem), "Ed25519", private=False)
    if isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1):
        return TokenKey(ECKey.import_key(pem), "ES256", private=False)
    raise unusable_key(path, WHAT, type(public).__name__)


def generate_token_key() -> TokenKey:
    """Make a new Ed25519 key in memory; it is not kept anywhere."""
    return TokenKey(OKPKey.import_key(private_pem(Ed25519PrivateKey.generate())), "Ed25519", private=True)


def create_token_key(path: Path) -> TokenKey:
    """Make a new Ed25519 key file with mode 0600. Raises Conflict when there is a file already."""
    create_private_key(path, Ed25519PrivateKey.generate())
    return load_token_key(path)
