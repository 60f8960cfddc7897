"""An alert as a document that proves itself. Spec page: docs/spec/alerts.md."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from tidegate.auditor.follow import Proven
from tidegate.auditor.rules import Finding, Rule
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes, parse_object
from tidegate.formats.moment import moment_text
from tidegate.formats.paths import printable
from tidegate.tlog.tiles import MAX_ENTRY_BYTES

FORMAT = "tidegate/alert/v1"
ID_CHARACTERS = 32


@dataclass(frozen=True, slots=True)
class Alert:
    """What is told. `place`: tells the alerts of one rule apart, an index or the time a state of the log began."""

    rule: Rule
    message: str
    at: datetime
    log: str
    place: str
    index: int | None = None
    entry: JsonValue = None
    checkpoint: str | None = None
    proof: str | None = None

    @property
    def id(self) -> str:
        """The same for the same alert, whoever makes it and however often."""
        return sha256(f"{self.log}\n{self.rule}\n{self.place}".encode()).hexdigest()[:ID_CHARACTERS]

    def as_json(self) -> JsonObject:
        """Give the document."""
        return {
            "format": FORMAT,
            "id": self.id,
            "rule": str(self.rule),
            "message": self.message,
            "at": moment_text(self.at),
            "log": self.log,
            "index": self.index,
            "entry": self.entry,
            "checkpoint": self.checkpoint,
            "proof": self.proof,
        }

    @property
    def body(self) -> bytes:
        """The document as it is sent."""
        return canonical_bytes(self.as_json())

    def line(self) -> str:
        """Say it in a line that no terminal obeys."""
        where = "" if self.index is None else f"  #{self.index}"
        return f"{moment_text(self.at)}  {self.rule}{where}  {printable(self.message)}"


def alert_of_entry(finding: Finding, proven: Proven, proof: bytes, *, now: datetime) -> Alert:
    """Make the alert about a proven entry."""
    head, entry = proven.head.head, proven.entry
    shown: JsonValue = (
        base64.b64encode(proven.raw).decode()
        if entry is None
        else parse_object(proven.raw, limit=MAX_ENTRY_BYTES, what="an entry")
    )
    return Alert(
        rule=finding.rule,
        message=finding.message,
        at=now if entry is None else entry.at,
        log=head.checkpoint.origin,
        place=f"{proven.index} {finding.detail}",
        index=proven.index,
        entry=shown,
        checkpoint=head.raw.decode(),
        proof=proof.decode(),
    )


def alert_of_log(finding: Finding, origin: str, checkpoint: bytes | None, *, since: datetime) -> Alert:
    """Make an alert about the log as a whole. `since`: when it was noticed."""
    return Alert(
        rule=finding.rule,
        message=finding.message,
        at=since,
        log=origin,
        place=moment_text(since),
        checkpoint=None if checkpoint is None else checkpoint.decode(),
    )
