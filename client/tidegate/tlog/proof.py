"""An offline proof that an entry is in a log: a text of its index, the path to the root, and the signed checkpoint.

    c2sp.org/tlog-proof@v1
    extra <base64>              left out when there is none; proves nothing
    index <number>
    <base64 of 32 bytes>        for each hash, leaf to root
    (blank line)
    <the checkpoint, a signed note>

Source: C2SP tlog-proof, "Format". Files are named `*.tlog-proof`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tidegate.errors import ProofInvalid
from tidegate.tlog.merkle import HASH_BYTES, MAX_PROOF_HASHES, leaf_hash, verify_inclusion
from tidegate.tlog.note import MAX_NOTE_BYTES
from tidegate.tlog.opened import OpenedCheckpoint, open_checkpoint
from tidegate.tlog.policy import LogPolicy
from tidegate.tlog.steps import LogStep, run_steps
from tidegate.tlog.text import format_base64, parse_base64, parse_decimal, shown
from tidegate.tlog.tiles import MAX_ENTRY_BYTES

HEADER = "c2sp.org/tlog-proof@v1"
MAX_EXTRA_BYTES = MAX_ENTRY_BYTES  # room for the entry itself
MAX_PROOF_BYTES = MAX_NOTE_BYTES + (128 << 10)
_INDEX, _EXTRA = "index ", "extra "


@dataclass(frozen=True, slots=True)
class LogProof:
    """A proof, nothing of it verified. `hashes`: 32 bytes each. `checkpoint`: the note's bytes. `extra`: unproven."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    @classmethod
    def parse(cls, raw: bytes) -> LogProof:
        """Read a proof. Raises ProofInvalid (codes `proof-too-large`, `proof-malformed`; steps L10, L11)."""
        attempt = _Attempt(raw)
        run_steps(PROOF_STEPS, attempt)
        return attempt.proof

    @property
    def raw(self) -> bytes:
        """The proof as bytes: those that were parsed."""
        lines = [HEADER, *([] if self.extra is None else [_EXTRA + format_base64(self.extra)]), f"{_INDEX}{self.index}"]
        lines += [format_base64(each) for each in self.hashes]
        return "".join(f"{line}\n" for line in lines).encode() + b"\n" + self.checkpoint


@dataclass(frozen=True, slots=True)
class ProvenEntry:
    """An entry that is in a log: at `index`, in the tree of `opened`."""

    index: int
    opened: OpenedCheckpoint


def verify_proof(raw: bytes, entry: bytes, policy: LogPolicy, *, now: datetime | None = None) -> ProvenEntry:
    """Verify that `entry` is in a log that `policy` believes: steps L10, L11, L1 to L9, L17 to L19.

    Raises ProofInvalid (also codes `proof-outside-tree`, `proof-length`, `proof-wrong`), and what `open_checkpoint`
    does.
    """
    proof = LogProof.parse(raw)
    opened = open_checkpoint(proof.checkpoint, policy, now=now)
    size, root = opened.checkpoint.size, opened.checkpoint.root
    verify_inclusion(leaf_hash(entry), proof.index, size, proof.hashes, root)
    return ProvenEntry(proof.index, opened)


def parse_hashes(lines: Sequence[str]) -> tuple[bytes, ...] | None:
    """Read the hashes of a proof, one a line; None where one is not 32 bytes in canonical base64, or too many are."""
    if len(lines) > MAX_PROOF_HASHES:
        return None
    hashes = tuple(raw for line in lines if (raw := parse_base64(line)) is not None and len(raw) == HASH_BYTES)
    return hashes if len(hashes) == len(lines) else None


@dataclass(slots=True)
class _Attempt:
    raw: bytes
    proof: LogProof = field(default_factory=lambda: LogProof(0, (), b""))


def _check_size(at: _Attempt) -> None:
    if len(at.raw) > MAX_PROOF_BYTES:
        raise ProofInvalid(
            "the proof is too large",
            code="proof-too-large",
            found=f"{len(at.raw)} bytes",
            expected=f"at most {MAX_PROOF_BYTES} bytes",
            step="L10",
        )


def _check_form(at: _Attempt) -> None:
    head, _, checkpoint = at.raw.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise _malformed("bytes that are not ASCII", "ASCII above the checkpoint") from error
    if first != HEADER:
        raise _malformed(shown(first), HEADER)
    extra = None
    if lines and lines[0].startswith(_EXTRA):
        extra = parse_base64(lines.pop(0).removeprefix(_EXTRA))
        if extra is None or len(extra) > MAX_EXTRA_BYTES:
            raise _malformed("another `extra`", f"canonical base64 of at most {MAX_EXTRA_BYTES} bytes")
    index = parse_decimal(lines[0].removeprefix(_INDEX)) if lines and lines[0].startswith(_INDEX) else None
    if index is None:
        raise _malformed(shown(lines[0]) if lines else "nothing", "index <number>")
    hashes = parse_hashes(lines[1:])
    if hashes is None:
        raise _malformed("another path", f"at most {MAX_PROOF_HASHES} lines of {HASH_BYTES} bytes in base64")
    if not checkpoint:
        raise _malformed("no checkpoint", "a blank line and the checkpoint")
    at.proof = LogProof(index, hashes, checkpoint, extra)


PROOF_STEPS = (
    LogStep("L10", "the proof is not too large", _check_size),
    LogStep("L11", "the proof is of the one form", _check_form),
)


def _malformed(found: str, expected: str) -> ProofInvalid:
    return ProofInvalid(
        "that is not a proof from a log", code="proof-malformed", found=found, expected=expected, step="L11"
    )
