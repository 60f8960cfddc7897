"""What a log says to a witness and what that answers: the bodies of `add-checkpoint`. Source: C2SP tlog-witness.

old <size>
<base64 of 32 bytes>        for each hash of the consistency proof, at most 63
(blank line)
<the checkpoint, a signed note>
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tidegate.errors import NoteInvalid, ProofInvalid
from tidegate.tlog.note import MAX_NOTE_BYTES, Note, Signature, VerifierKey
from tidegate.tlog.proof import parse_hashes
from tidegate.tlog.text import format_base64, parse_decimal, shown

ADD_CHECKPOINT = "add-checkpoint"  # below a witness's submission prefix
SIZE_TYPE = "text/x.tlog.size"  # media type of the answer that tells the size a witness has seen
MAX_REQUEST_BYTES = MAX_NOTE_BYTES + (4 << 10)
MAX_ANSWER_BYTES = MAX_NOTE_BYTES
_OLD = "old "


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """A request to cosign `checkpoint`, raw. `old`: the size the witness has cosigned; `hashes`: proof from there."""

    old: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes

    @classmethod
    def parse(cls, raw: bytes) -> AddCheckpoint:
        """Read a request. Raises ProofInvalid (code `witness-request`)."""
        head, _, checkpoint = raw[: MAX_REQUEST_BYTES + 1].partition(b"\n\n")
        first, *lines = head.decode("latin-1").split("\n")
        old = parse_decimal(first.removeprefix(_OLD)) if first.startswith(_OLD) else None
        hashes = parse_hashes(lines)
        if len(raw) > MAX_REQUEST_BYTES or old is None or hashes is None or not checkpoint:
            raise ProofInvalid(
                "that is not a checkpoint with a proof of consistency",
                code="witness-request",
                found=shown(first),
                expected="old <size>, at most 63 hashes, a blank line, a checkpoint",
            )
        return cls(old, hashes, checkpoint)

    @property
    def raw(self) -> bytes:
        """The body of the request."""
        lines = (f"{_OLD}{self.old}", *(format_base64(each) for each in self.hashes))
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.checkpoint


def parse_cosignatures(body: bytes, checkpoint: Note, key: VerifierKey) -> tuple[Signature, ...]:
    """Give those signature lines of a witness's answer that are `key`'s, each verified over `checkpoint`.

    Raises NoteInvalid: `note-malformed`, `note-signature-invalid`, `note-unsigned` (there is no line of `key`).
    """
    if len(body) > MAX_ANSWER_BYTES:
        raise NoteInvalid("a witness answered too much", code="note-too-large", expected=f"{MAX_ANSWER_BYTES} bytes")
    lines = Note.parse(checkpoint.text + b"\n" + body).signatures
    mine = tuple(line for line in lines if (line.name, line.key_id) == (key.name, key.key_id))
    for line in mine:
        key.verify(checkpoint.text, line.signature)
    if not mine:
        raise NoteInvalid(
            "a witness answered without its signature",
            code="note-unsigned",
            found=", ".join(shown(line.name) for line in lines),
            expected=f"{key.name}+{key.key_id.hex()}",
        )
    return mine


def with_cosignatures(checkpoint: Note, cosignatures: Iterable[Signature]) -> Note:
    """Give the checkpoint with further signature lines."""
    return Note(checkpoint.text, (*checkpoint.signatures, *cosignatures))


def parse_size(body: bytes) -> int | None:
    """Read the size in a witness's answer to a wrong `old` one: decimal and a newline; None for anything else."""
    text = body[:32].decode("latin-1")
    return parse_decimal(text[:-1]) if text.endswith("\n") and len(body) == len(text) else None


def format_size(size: int) -> bytes:
    """Write the size that a witness has cosigned."""
    return f"{size}\n".encode()
