"""A log in a folder, as a registry writes one: tiles, bundles, signed checkpoints; and what an attacker does to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.client.auditor.made import START
from tidegate.auditor.audited import AuditedLog, open_audited
from tidegate.auditor.follow import Follower
from tidegate.auditor.position import Position
from tidegate.auditor.source import LogSource, folder_source
from tidegate.auditor.state import LogStates
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.edge import Edge
from tidegate.tlog.note import Ed25519Signer, VerifierKey, sign_note
from tidegate.verify.trust import LogTrust

ORIGIN = "registry.acme.example/log"
NOW = START + timedelta(hours=1)


@dataclass
class MadeLog:
    """`folder` holds it. `states`: what its auditor saw. `now`: their clock."""

    folder: Path
    states: LogStates
    now: datetime = NOW
    edge: Edge = field(default_factory=Edge)
    entries: list[bytes] = field(default_factory=list)
    signer: Ed25519Signer = field(default_factory=lambda: Ed25519Signer(ORIGIN, Ed25519PrivateKey.generate()))

    @classmethod
    def at(cls, path: Path) -> MadeLog:
        (path / "log").mkdir()
        return cls(path / "log", LogStates(path / "states"))

    @property
    def trust(self) -> LogTrust:
        return LogTrust(self.signer.key)

    def append(self, entries: Sequence[bytes]) -> None:
        """Add entries and publish a checkpoint."""
        self.entries += entries
        for name, content in self.edge.grow(entries) if entries else ():
            self.write(name, content)
        self.publish()

    def publish(self) -> None:
        text = Checkpoint(ORIGIN, self.edge.size, self.edge.root).text
        self.write("checkpoint", sign_note(text, [self.signer]))

    def write(self, name: str, content: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def source(self) -> LogSource:
        return folder_source(self.folder)

    def open(self, *, need: int = 0, witnesses: tuple[VerifierKey, ...] = ()) -> AuditedLog:
        trust = LogTrust(self.signer.key, witnesses, need) if need else self.trust
        return open_audited(self.source(), trust, self.states, now=self.now)

    def follower(self, position: Position | None = None) -> Follower:
        return Follower(self.open, position)
