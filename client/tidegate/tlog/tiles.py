"""Where the files of a log are, and what is in them: hash tiles and entry bundles.

Paths are relative to the log. Source: C2SP tlog-tiles, "Merkle Tree" and "Log entries".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from tidegate.errors import TileInvalid
from tidegate.tlog.merkle import HASH_BYTES
from tidegate.tlog.steps import LogStep, run_steps
from tidegate.tlog.text import MAX_SIZE, shown

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
TILE_BYTES = TILE_WIDTH * HASH_BYTES
CHECKPOINT_PATH = "checkpoint"
MAX_ENTRY_BYTES = (1 << 16) - 1  # the length prefix is a uint16
MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)
MAX_PATH_CHARACTERS = 64

Fetch = Callable[[str], bytes | None]
"""A path relative to the log to the bytes there; None when there are none. Bounds what it reads by MAX_BUNDLE_BYTES."""

_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class TilePath:
    """What a path names. `level`: None for an entry bundle. `width`: 1 to 255 of a partial one, 256 of a full one."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def __str__(self) -> str:
        return _path("entries" if self.level is None else str(self.level), self.index, self.width)

    @property
    def full(self) -> TilePath:
        """The full tile that this one becomes."""
        return TilePath(self.level, self.index)

    @property
    def entries_needed(self) -> int:
        """How many entries a log must have for this tile to be in it."""
        return (self.index * TILE_WIDTH + self.width) << TILE_HEIGHT * (self.level or 0)


def hash_tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Give the path of a hash tile: `tile/<level>/<index>[.p/<width>]`."""
    return _path(str(level), index, width)


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """Give the path of an entry bundle: `tile/entries/<index>[.p/<width>]`."""
    return _path("entries", index, width)


def parse_tile_path(path: str) -> TilePath:
    """Read a path; only the one form in which a tile of a tree of fewer than 2^63 entries is written is accepted.

    Raises TileInvalid (code `tile-path`, step L12).
    """
    attempt = _Path(path)
    run_steps(PATH_STEPS, attempt)
    return attempt.found


def partial_width(size: int, level: int) -> int:
    """Give how many hashes the last, partial tile of `level` has in a tree of `size` entries: 0 to 255."""
    return (size >> TILE_HEIGHT * level) % TILE_WIDTH


def width_of(size: int, level: int, index: int) -> int:
    """Give the width that tile `index` of `level` has in a tree of `size` entries: 0 when it is not in it."""
    return max(0, min(TILE_WIDTH, (size >> TILE_HEIGHT * level) - index * TILE_WIDTH))


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Join entries, each behind its length as a big-endian uint16. Raises TileInvalid (code `entry-too-large`)."""
    try:
        return b"".join([len(entry).to_bytes(2, "big") + entry for entry in entries])
    except OverflowError as error:
        raise TileInvalid(
            "an entry is too large for the log",
            code="entry-too-large",
            expected=f"at most {MAX_ENTRY_BYTES} bytes",
            hint="put what is large beside the log, and its digest into the entry",
        ) from error


def decode_bundle(raw: bytes, width: int = TILE_WIDTH) -> list[bytes]:
    """Take a bundle of exactly `width` entries apart. Raises TileInvalid (codes `tile-size`, `entries-malformed`)."""
    attempt = _Bundle(raw, width)
    run_steps(BUNDLE_STEPS, attempt)
    return attempt.entries


def read_tile(fetch: Fetch, path: TilePath) -> bytes:
    """Fetch the hashes of a tile, `32 * path.width` bytes; where a partial one is gone, from the full one.

    What it gives is not yet known to belong to the log. Raises TileInvalid (codes `tile-missing`, `tile-size`).
    """
    raw, width = _fetched(fetch, path)
    attempt = _Tile(raw, width, str(path))
    run_steps(TILE_STEPS, attempt)
    return raw[: path.width * HASH_BYTES]


def read_bundle(fetch: Fetch, path: TilePath) -> list[bytes]:
    """Fetch the entries of a bundle, `path.width` of them; where a partial one is gone, from the full one.

    What it gives is not yet known to belong to the log. Raises TileInvalid (codes `tile-missing`, `tile-size`,
    `entries-malformed`).
    """
    raw, width = _fetched(fetch, path)
    return decode_bundle(raw, width)[: path.width]


def leaf_hashes(entries: Sequence[bytes]) -> bytes:
    """Give the leaf hashes of `entries`, joined (RFC 6962 section 2.1)."""
    return b"".join([sha256(b"\x00" + entry).digest() for entry in entries])


def check_placed(what: str, found: bytes, expected: bytes) -> None:
    """Check that `what` hashes to what the tree above it says. Raises TileInvalid (code `tile-foreign`)."""
    run_steps(PLACE_STEPS, _Placed(what, found, expected))


def check_entries(index: int, leaves: bytes, hashes: bytes) -> None:
    """Check that the leaf hashes of entry bundle `index` are those of its tile. Raises TileInvalid, `entry-foreign`."""
    run_steps(ENTRY_STEPS, _Placed(entries_path(index), leaves, hashes))


@dataclass(slots=True)
class _Path:
    path: str
    found: TilePath = field(default_factory=lambda: TilePath(None, 0))


@dataclass(slots=True)
class _Placed:
    what: str
    found: bytes
    expected: bytes


@dataclass(slots=True)
class _Tile:
    raw: bytes
    width: int
    path: str


@dataclass(slots=True)
class _Bundle:
    raw: bytes
    width: int
    entries: list[bytes] = field(default_factory=list)


def _check_tile_size(at: _Tile) -> None:
    if len(at.raw) != at.width * HASH_BYTES:
        raise TileInvalid(
            f"{at.path} is not as large as its name says",
            code="tile-size",
            found=f"{len(at.raw)} bytes",
            expected=f"{at.width} hashes of {HASH_BYTES} bytes",
            step="L13",
        )


def _check_bundle_size(at: _Bundle) -> None:
    if len(at.raw) > MAX_BUNDLE_BYTES:
        raise TileInvalid(
            "an entry bundle is too large",
            code="tile-size",
            found=f"{len(at.raw)} bytes",
            expected=f"at most {MAX_BUNDLE_BYTES} bytes",
            step="L13",
        )


def _check_bundle_form(at: _Bundle) -> None:
    raw, start, end = at.raw, 0, len(at.raw)
    while start < end:
        body = start + 2
        start = body + int.from_bytes(raw[start:body], "big")
        at.entries.append(raw[body:start])
    if start != end or len(at.entries) != at.width:
        raise TileInvalid(
            "an entry bundle is not a sequence of as many entries as its name says",
            code="entries-malformed",
            found=f"{len(at.entries)} entries" + ("" if start == end else ", and the last one is cut off"),
            expected=f"{at.width} entries",
            step="L14",
        )


def _check_path(at: _Path) -> None:
    match = _PATH.fullmatch(at.path) if len(at.path) <= MAX_PATH_CHARACTERS else None
    if match is not None:
        level = None if match["level"] == "entries" else int(match["level"])
        digits = match["index"].replace("x", "").replace("/", "")
        at.found = TilePath(level, int(digits), TILE_WIDTH if match["width"] is None else int(match["width"]))
        canonical = str(at.found) == at.path  # no leading group of zeros, no `.p/256`
        if canonical and at.found.width <= TILE_WIDTH and at.found.entries_needed <= MAX_SIZE:
            return
    raise TileInvalid(
        "that is not the path of a tile",
        code="tile-path",
        found=shown(at.path),
        expected="tile/<level or `entries`>/<index in groups of three digits, all but the last with an x>[.p/<width>]",
        step="L12",
    )


def _check_placed(at: _Placed) -> None:
    if at.found != at.expected:
        raise TileInvalid(
            f"{at.what} is not of the tree that the checkpoint is about",
            code="tile-foreign",
            found=at.found.hex()[:64],
            expected=at.expected.hex()[:64],
            hint="the file was changed, or is another log's; the checkpoint itself is signed",
            step="L15",
        )


def _check_entries(at: _Placed) -> None:
    if at.found != at.expected:
        width = min(len(at.found), len(at.expected)) // HASH_BYTES
        first = next((spot for spot in range(width) if _hash_at(at.found, spot) != _hash_at(at.expected, spot)), width)
        raise TileInvalid(
            f"{at.what} does not hold the entries that the tree has there",
            code="entry-foreign",
            found=f"another entry at place {first} of the bundle",
            hint="an entry was changed, or the bundle is another log's",
            step="L16",
        )


PATH_STEPS = (LogStep("L12", "a path is that of a tile, in the one form", _check_path),)
PLACE_STEPS = (LogStep("L15", "a tile hashes to what is above it, and at last to the root", _check_placed),)
ENTRY_STEPS = (LogStep("L16", "entries hash to the tile of their bundle", _check_entries),)
TILE_STEPS = (LogStep("L13", "a tile is as large as its name says", _check_tile_size),)
BUNDLE_STEPS = (
    LogStep("L13", "a bundle is not too large", _check_bundle_size),
    LogStep("L14", "a bundle is as many whole entries as its name says", _check_bundle_form),
)


def _hash_at(hashes: bytes, place: int) -> bytes:
    return hashes[place * HASH_BYTES : (place + 1) * HASH_BYTES]


def _fetched(fetch: Fetch, path: TilePath) -> tuple[bytes, int]:
    """Give the bytes of a tile and its width: its own, or TILE_WIDTH where only the full tile is left."""
    raw = fetch(str(path))
    if raw is not None:
        return raw, path.width
    raw = fetch(str(path.full)) if path.width < TILE_WIDTH else None
    if raw is not None:
        return raw, TILE_WIDTH
    raise TileInvalid(
        f"{path} is missing: the log is not complete",
        code="tile-missing",
        hint="every tile of a published checkpoint must be there; ask another source",
        step="L13",
    )


def _path(kind: str, index: int, width: int) -> str:
    index, last = divmod(index, 1000)
    digits = f"{last:03d}"
    while index:
        index, group = divmod(index, 1000)
        digits = f"x{group:03d}/{digits}"
    return f"tile/{kind}/{digits}" + ("" if width == TILE_WIDTH else f".p/{width}")
