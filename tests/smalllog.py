"""A small audit log in a folder, written with the library that the registry writes it with, and its forgeries."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tidegate.formats.jcs import JsonObject, canonical_bytes
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.edge import Edge
from tidegate.tlog.note import Ed25519Signer, NoteSigner, VerifierKey, sign_note

ORIGIN = "registry.example/log"
START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)


def entry(number: int, *, at: datetime | None = None, salt: str = "", **changes: object) -> bytes:
    """Make the entry `number`: one second after the one before, with an id of its own. `changes`: other members."""
    when = at or START + timedelta(seconds=number)
    document: JsonObject = {
        "actor": {"issuer": "https://id.example", "kind": "human", "name": "bob", "person": "bob"},
        "at": f"{when:%Y-%m-%dT%H:%M:%S.%f}Z",
        "data": {"agent": "acme/support-agent", "number": number},
        "id": entry_id(number, at=when, salt=salt),
        "type": "release.admitted",
        "version": 1,
    }
    return canonical_bytes(document | changes)


def entry_id(number: int, *, at: datetime | None = None, salt: str = "") -> str:
    """Give the id of the entry `number`, a UUID of version 7 that depends on nothing else."""
    milliseconds = int((at or START + timedelta(seconds=number)).timestamp() * 1000)
    noise = int.from_bytes(hashlib.sha256(f"{number}{salt}".encode()).digest()[:10])
    value = milliseconds << 80 | 7 << 76 | (noise >> 68) << 64 | 2 << 62 | noise & ((1 << 62) - 1)
    return str(uuid.UUID(int=value))


def signer(name: str = ORIGIN, seed: str = "log") -> Ed25519Signer:
    """Give a key that is the same in every run."""
    return Ed25519Signer(name, Ed25519PrivateKey.from_private_bytes(hashlib.sha256(seed.encode()).digest()))


class SmallLog:
    """A log in `folder`. `cosigners`: who signs each checkpoint beside the log itself."""

    def __init__(self, folder: Path, *, own: Ed25519Signer | None = None, cosigners: Sequence[NoteSigner] = ()) -> None:
        self.folder, self.own, self.cosigners = folder, own or signer(), cosigners
        self.entries: list[bytes] = []
        self._edge = Edge()
        self.publish()

    @property
    def key(self) -> VerifierKey:
        return self.own.key

    @property
    def head(self) -> Checkpoint:
        """The checkpoint of what was appended so far."""
        return Checkpoint(self.own.name, self._edge.size, self._edge.root)

    @property
    def note(self) -> bytes:
        """The checkpoint that is published."""
        return (self.folder / "checkpoint").read_bytes()

    def append(self, *entries: bytes) -> None:
        """Append entries and publish the checkpoint."""
        self.entries += entries
        for path, content in self._edge.grow(entries):
            self.write(path, content)
        self.publish()

    def grow(self, count: int, **changes: object) -> None:
        """Append `count` further entries."""
        start = len(self.entries)
        self.append(*(entry(number, **changes) for number in range(start, start + count)))  # type: ignore[arg-type]

    def publish(self, head: Checkpoint | None = None) -> None:
        """Sign and write a checkpoint: of what there is, or whatever a thief of the key would sign."""
        self.write("checkpoint", sign_note((head or self.head).text, (self.own, *self.cosigners)))

    def write(self, path: str, content: bytes) -> None:
        """Write a file, or replace it as one who holds the store could."""
        place = self.folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def rewritten(self, folder: Path, entries: Sequence[bytes]) -> SmallLog:
        """Give another log by the same key, as one who holds key and store could write it."""
        other = SmallLog(folder, own=self.own, cosigners=self.cosigners)
        other.append(*entries)
        return other
