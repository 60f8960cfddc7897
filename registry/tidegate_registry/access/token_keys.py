"""The keys that sign registry tokens: files that only the registry can read, and public keys accepted beside them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.jwk import ECKey, OKPKey

from tidegate.errors import InvalidInput
from tidegate_registry.access.jwt import PublicKey

MAX_KEY_FILE_BYTES = 64 << 10


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
    pem = _read(path)
    if path.stat().st_mode & 0o077:
        raise InvalidInput(
            "the token key can be read by others",
            code="key-file-mode",
            found=f"{path}: mode {path.stat().st_mode & 0o777:o}",
            expected="mode 600",
            hint=f"chmod 600 {path}; if others may have read it, make a new key",
        )
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(path, str(error)) from error
    if isinstance(private, Ed25519PrivateKey):
        return TokenKey(OKPKey.import_key(_pem(private)), "Ed25519", private=True)
    if isinstance(private, EllipticCurvePrivateKey) and isinstance(private.curve, SECP256R1):
        return TokenKey(ECKey.import_key(_pem(private)), "ES256", private=True)
    raise _unusable(path, type(private).__name__)


def load_accepted_key(path: Path) -> TokenKey:
    """Read a PEM public key whose tokens are accepted beside our own while keys rotate. Raises InvalidInput."""
    try:
        public = serialization.load_pem_public_key(_read(path))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _unusable(path, str(error)) from error
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    if isinstance(public, Ed25519PublicKey):
        return TokenKey(OKPKey.import_key(pem), "Ed25519", private=False)
    if isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1):
        return TokenKey(ECKey.import_key(pem), "ES256", private=False)
    raise _unusable(path, type(public).__name__)


def generate_token_key() -> TokenKey:
    """Make a new Ed25519 key in memory; it is not kept anywhere."""
    return TokenKey(OKPKey.import_key(_pem(Ed25519PrivateKey.generate())), "Ed25519", private=True)


def create_token_key(path: Path) -> TokenKey:
    """Make a new Ed25519 key file with mode 0600; an existing file is never replaced (FileExistsError)."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(_pem(Ed25519PrivateKey.generate()))
    return load_token_key(path)


def _pem(private: Ed25519PrivateKey | EllipticCurvePrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_KEY_FILE_BYTES)
    except OSError as error:
        raise _unusable(path, error.strerror or type(error).__name__) from error


def _unusable(path: Path, found: str) -> InvalidInput:
    return InvalidInput(
        "that file holds no usable token key",
        code="key-file-invalid",
        found=f"{path}: {found[:200]}",
        expected="an Ed25519 or ECDSA P-256 key in PEM, not encrypted",
    )
