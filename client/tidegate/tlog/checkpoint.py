"""The text of a checkpoint: which log, how large, with what root. Source: C2SP tlog-checkpoint, "Note text"."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.errors import CheckpointInvalid
from tidegate.tlog.merkle import HASH_BYTES
from tidegate.tlog.text import format_base64, parse_base64, parse_decimal, shown

MAX_ORIGIN_BYTES = 255  # C2SP tlog-cosignature: `opaque log_origin<1..2^8-1>`
_FIXED_LINES = 3


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head. `root`: 32 bytes. `extensions`: further lines, without their newlines; ours have none."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: bytes) -> Checkpoint:
        """Read a note's text. Raises CheckpointInvalid (code `checkpoint-malformed`, step L5)."""
        try:
            lines = text.decode("utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise _malformed("text that is not UTF-8", "UTF-8") from error
        if len(lines) <= _FIXED_LINES or lines.pop() or not all(lines):
            raise _malformed(f"{len(lines)} lines", "at least three lines, none empty, each with a newline")
        origin, number, encoded, *extensions = lines
        size, root = parse_decimal(number), parse_base64(encoded)
        if len(origin.encode()) > MAX_ORIGIN_BYTES:
            raise _malformed("a long origin", f"an origin of at most {MAX_ORIGIN_BYTES} bytes")
        if size is None:
            raise _malformed(shown(number), "a size below 2^63, decimal, without leading zeros")
        if root is None or len(root) != HASH_BYTES:
            raise _malformed(shown(encoded), f"a root of {HASH_BYTES} bytes in canonical base64")
        return cls(origin, size, root, tuple(extensions))

    @property
    def text(self) -> bytes:
        """The bytes that are signed."""
        lines = (self.origin, str(self.size), format_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines).encode()


def _malformed(found: str, expected: str) -> CheckpointInvalid:
    return CheckpointInvalid(
        "that is not the text of a checkpoint",
        code="checkpoint-malformed",
        found=found,
        expected=expected,
        step="L5",
    )
