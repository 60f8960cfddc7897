"""Cosigning with a key in memory. Source: C2SP tlog-cosignature, "Format"."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from tidegate.tlog.cosignature import ed25519_message, join_timestamped
from tidegate.tlog.note import Algorithm, VerifierKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class Ed25519Cosigner:
    """A witness's NoteSigner. It says that the checkpoint agrees with all it saw: whoever calls must know that."""

    name: str
    private: Ed25519PrivateKey
    clock: Callable[[], datetime]

    @property
    def key(self) -> VerifierKey:
        """The key that verifies."""
        return VerifierKey(self.name, Algorithm.COSIGNATURE_ED25519, self.private.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        """Give time and signature, 72 bytes."""
        at = int(self.clock().timestamp())
        return join_timestamped(at, self.private.sign(ed25519_message(text, at)))
