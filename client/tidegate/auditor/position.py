"""How far a reader of the log has come: a small file, so that the next run goes on from there and nowhere else.

The file names the tree it was about by its root. A log that no longer begins with the entries that were read before is
found by that alone, also on a machine that has never seen it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from tidegate.auditor.files import write_file
from tidegate.errors import JsonInvalid, LogRefused
from tidegate.formats.jcs import JsonObject, parse_object
from tidegate.tlog.merkle import HASH_BYTES
from tidegate.tlog.text import format_base64, parse_base64

FORMAT = "tidegate/log-position/v1"
MAX_POSITION_BYTES = 1 << 20  # the counts of two hours' refusals, by the second, take 120 kB


@dataclass(frozen=True, slots=True)
class Position:
    """The first `size` entries of the log `origin` were read; they have `root`. `kept`: what the reader remembers."""

    origin: str
    size: int
    root: bytes
    kept: JsonObject = field(default_factory=dict)


def load_position(path: Path) -> Position | None:
    """Read a position; None when there is none yet. Raises LogRefused (code "log-position-damaged"), OSError."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_POSITION_BYTES + 1)
    except FileNotFoundError:
        return None
    try:
        document = parse_object(raw, limit=MAX_POSITION_BYTES, what="the file")
    except JsonInvalid as error:
        raise _damaged(path, str(error)) from error
    origin, size, root, kept = (document.get(name) for name in ("origin", "size", "root", "kept"))
    found = parse_base64(root) if isinstance(root, str) else None
    if (
        document.get("format") != FORMAT
        or not isinstance(origin, str)
        or isinstance(size, bool)
        or not isinstance(size, int)
        or size < 0
        or found is None
        or len(found) != HASH_BYTES
        or not isinstance(kept, dict)
    ):
        raise _damaged(path, "other members than were written")
    return Position(origin, size, found, kept)


def save_position(path: Path, position: Position, *, durable: bool = True) -> None:
    """Write a position, whole or not at all. `durable`: also after a power cut. Raises OSError."""
    document = {
        "format": FORMAT,
        "origin": position.origin,
        "size": position.size,
        "root": format_base64(position.root),
        "kept": position.kept,
    }
    write_file(path, f"{json.dumps(document)}\n".encode(), durable=durable)


def _damaged(path: Path, found: str) -> LogRefused:
    return LogRefused(
        f"how far the log was read before cannot be told: {path}",
        code="log-position-damaged",
        found=found[:300],
        hint="bring the file back from a backup; without it, name with --since where to begin",
    )
