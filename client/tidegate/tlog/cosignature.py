"""What a cosignature signs: that at a time, this was the largest tree a witness had seen of a log, and all agreed.

Source: C2SP tlog-cosignature, "Format", "Ed25519 signed message", "ML-DSA-44 signed message".
"""

from __future__ import annotations

from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.text import MAX_SIZE

TIME_BYTES = 8
_SUBTREE_LABEL = b"subtree/v1\n\x00"


def split_timestamped(signature: bytes) -> tuple[int, bytes] | None:
    """Give POSIX time and signature proper of a `timestamped_signature`; None when the time is 2^63 or later."""
    at = int.from_bytes(signature[:TIME_BYTES], "big")
    return (at, signature[TIME_BYTES:]) if at <= MAX_SIZE else None


def join_timestamped(at: int, signature: bytes) -> bytes:
    """Give a `timestamped_signature`. `at`: POSIX seconds."""
    return at.to_bytes(TIME_BYTES, "big") + signature


def ed25519_message(text: bytes, at: int) -> bytes:
    """Give what an Ed25519 cosigner signs of the checkpoint with this `text`. `at`: POSIX seconds."""
    return f"cosignature/v1\ntime {at}\n".encode() + text


def ml_dsa_message(name: str, text: bytes, at: int) -> bytes:
    """Give what the ML-DSA-44 cosigner `name` signs of the checkpoint with this `text`. `at`: POSIX seconds.

    Raises CheckpointInvalid where `text` is no checkpoint; extension lines are not signed.
    """
    checkpoint = Checkpoint.parse(text)
    return b"".join(
        (
            _SUBTREE_LABEL,
            _opaque(name),
            at.to_bytes(TIME_BYTES, "big"),
            _opaque(checkpoint.origin),
            bytes(TIME_BYTES),  # start: a checkpoint is the subtree from the first leaf
            checkpoint.size.to_bytes(TIME_BYTES, "big"),
            checkpoint.root,
        )
    )


def _opaque(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(1, "big") + raw
