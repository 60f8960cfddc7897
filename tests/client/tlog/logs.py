"""Logs to read and to spoil: entries, their files, keys, and checkpoints that keys signed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.cosigner import Ed25519Cosigner
from tidegate.tlog.edge import Edge
from tidegate.tlog.note import Ed25519Signer, NoteSigner, sign_note

ORIGIN = "log.example/audit"
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def private(seed: int) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)


def log_signer(name: str = ORIGIN, seed: int = 1) -> Ed25519Signer:
    return Ed25519Signer(name, private(seed))


def witness(number: int, at: datetime = NOW) -> Ed25519Cosigner:
    return Ed25519Cosigner(f"witness.example/w{number}", private(100 + number), lambda: at)


def entry(index: int) -> bytes:
    return b"entry %d" % index


@cache
def _built(size: int) -> tuple[bytes, tuple[tuple[str, bytes], ...]]:
    edge = Edge()
    files = edge.grow([entry(index) for index in range(size)])
    return edge.root, tuple(files)


def checkpoint_of(size: int) -> Checkpoint:
    return Checkpoint(ORIGIN, size, _built(size)[0])


def files_of(size: int) -> dict[str, bytes]:
    """Give the files of the tree of `entry(0)` to `entry(size - 1)`."""
    return dict(_built(size)[1])


def signed(size: int, *, witnesses: Sequence[NoteSigner] = ()) -> bytes:
    return sign_note(checkpoint_of(size).text, [log_signer(), *witnesses])
