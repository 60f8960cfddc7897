"""Private keys in files: PEM, for their owner's eyes alone, never replaced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.errors import Conflict, InvalidInput

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

MAX_KEY_FILE_BYTES = 64 << 10
KEY_FILE_MODE = 0o600


def load_private_key(path: Path, what: str) -> PrivateKeyTypes:
    """Read an unencrypted PEM private key that only its owner can read. `what`: the key's name, for messages.

    Raises InvalidInput (codes "key-file-invalid", "key-file-mode").
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    pem = _read(path, what)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise InvalidInput(
            f"the {what} can be read by others",
            code="key-file-mode",
            found=f"{path}: mode {mode:o}",
            expected=f"mode {KEY_FILE_MODE:o}",
            hint=f"chmod {KEY_FILE_MODE:o} {path}; if others may have read it, make a new key",
        )
    try:
        return load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise unusable_key(path, what, str(error)) from error


def load_public_key(path: Path, what: str) -> PublicKeyTypes:
    """Read a PEM public key. Raises InvalidInput (code "key-file-invalid")."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return load_pem_public_key(_read(path, what))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise unusable_key(path, what, str(error)) from error


def create_private_key(path: Path, key: Ed25519PrivateKey | EllipticCurvePrivateKey) -> None:
    """Write `key` into a new file with mode 0600. Raises Conflict (code "key-file-exists"), InvalidInput."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, KEY_FILE_MODE)
    except FileExistsError as error:
        raise Conflict(
            "there is a file already, and a key is never replaced",
            code="key-file-exists",
            found=path,
            hint="choose another file; a key that is still trusted must not be lost",
        ) from error
    except OSError as error:
        raise unusable_key(path, "key", error.strerror or type(error).__name__) from error
    with os.fdopen(handle, "wb") as file:
        file.write(private_pem(key))
        file.flush()
        os.fsync(file.fileno())


def private_pem(key: Ed25519PrivateKey | EllipticCurvePrivateKey) -> bytes:
    """Give the key as PKCS #8 in PEM, not encrypted."""
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def unusable_key(path: Path, what: str, found: str) -> InvalidInput:
    """Tell that a file holds no key of the kinds that are used here."""
    return InvalidInput(
        f"that file holds no usable {what}",
        code="key-file-invalid",
        found=f"{path}: {found[:200]}",
        expected="an Ed25519 or ECDSA P-256 key in PEM, not encrypted",
    )


def _read(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_KEY_FILE_BYTES)
    except OSError as error:
        raise unusable_key(path, what, error.strerror or type(error).__name__) from error
