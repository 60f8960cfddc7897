"""Entries as the API shows them: the entry's own bytes, and where in the log they are to be proven."""

from __future__ import annotations

import base64
from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field

from tidegate.formats.entry import MAX_ENTRY_BYTES
from tidegate.formats.jcs import JsonObject, parse_object
from tidegate.tlog.merkle import leaf_hash
from tidegate.tlog.tiles import CHECKPOINT_PATH, TILE_WIDTH, entries_path, hash_tile_path
from tidegate_registry.api import JsonDocument, Out
from tidegate_registry.storage.blobs import LOG

if TYPE_CHECKING:
    from tidegate_registry.audit.search import Found, FoundPage


class EntryState(StrEnum):
    """How far an entry has come."""

    PENDING = "pending"
    INTEGRATED = "integrated"
    PUBLISHED = "published"


class ProofOut(Out):
    """Where the log's static files say the same, whatever this answer says. Paths are relative to the registry.

    The bundle holds the entry, the tile its leaf hash; `tidegate log prove` takes it from there to the checkpoint.
    """

    checkpoint: str = Field(examples=["/log/checkpoint"])
    bundle: str = Field(examples=["/log/tile/entries/000.p/17"])
    tile: str = Field(examples=["/log/tile/0/000.p/17"])


class EntryOut(Out):
    """An entry as this server tells it, which proves nothing."""

    index: int | None = Field(description="Its place in the log, from 0; none yet while it is pending")
    state: EntryState = Field(description="`published`: a checkpoint covers it")
    leaf_hash: str = Field(description="Base64 of the hash of the entry as a leaf (RFC 6962)")
    proof: ProofOut | None = Field(description="Where it can be proven, once it is published")
    entry: JsonDocument = Field(description="The entry, canonical: these very bytes are the leaf")


class EntriesOut(Out):
    """A page of entries, the newest first. It may be short, or empty, and still have a `next`."""

    items: list[EntryOut]
    next: str | None = Field(description="The cursor of the next page, for `after`; none: there is none")
    searched: int = Field(description="How many entries, from the first on, this search saw; newer ones come later")


def show_entry(found: Found) -> JsonObject:
    """Give the members of EntryOut."""
    row, published = found.row, found.published
    state, proof = EntryState.PENDING, None
    if row.idx is not None:
        state = EntryState.PUBLISHED if row.idx < published else EntryState.INTEGRATED
        proof = _proof(row.idx, published) if row.idx < published else None
    return {
        "index": row.idx,
        "state": str(state),
        "leafHash": base64.b64encode(leaf_hash(row.body)).decode(),
        "proof": proof,
        "entry": parse_object(row.body, limit=MAX_ENTRY_BYTES, what="an entry"),
    }


def show_page(page: FoundPage) -> JsonObject:
    """Give the members of EntriesOut."""
    return {"items": [show_entry(each) for each in page.items], "next": page.next, "searched": page.searched}


def _proof(index: int, published: int) -> JsonObject:
    number = index // TILE_WIDTH
    width = min(TILE_WIDTH, published - number * TILE_WIDTH)
    return {
        "checkpoint": f"/{LOG}{CHECKPOINT_PATH}",
        "bundle": f"/{LOG}{entries_path(number, width)}",
        "tile": f"/{LOG}{hash_tile_path(0, number, width)}",
    }
