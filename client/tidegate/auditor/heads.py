"""Two checkpoints of one log, both verified: where the larger tree does not begin with the smaller one, it forked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.errors import ProofInvalid
from tidegate.formats.moment import moment_text
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.merkle import verify_consistency
from tidegate.tlog.opened import OpenedCheckpoint
from tidegate.tlog.reader import TileReader
from tidegate.tlog.text import format_base64
from tidegate.tlog.tiles import Fetch


@dataclass(frozen=True, slots=True)
class Consistent:
    """The larger tree begins with the smaller one. `proof`: that it does, as RFC 6962 section 2.1.2 orders it."""

    proof: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class Forked:
    """There is no tree that both belong to. `proof`: the hashes that would prove it if there were one."""

    proof: Sequence[bytes] = ()

    def __bool__(self) -> bool:
        return False


def judge_heads(one: Checkpoint, other: Checkpoint, fetch: Fetch) -> Consistent | Forked:
    """Compare two checkpoints of one log. `fetch`: gives the tiles of the larger tree.

    Tiles are authenticated by the root of the larger one, so that a mirror's damage is no fork: it raises TileInvalid.
    """
    smaller, larger = sorted((one, other), key=lambda each: each.size)
    if smaller.size == larger.size:
        return Consistent() if smaller.root == larger.root else Forked()
    proof = TileReader(fetch, larger).consistency(smaller.size)
    try:
        verify_consistency(smaller.size, larger.size, smaller.root, larger.root, proof)
    except ProofInvalid:
        return Forked(proof)
    return Consistent(proof)


def judge_times(before: OpenedCheckpoint, after: OpenedCheckpoint) -> str | None:
    """Say which witness cosigned the later, larger tree at an earlier time; None when none did.

    A witness signs sizes in order, so its clock went back, or it signed what it had not seen.
    """
    if after.checkpoint.size <= before.checkpoint.size:
        return None
    for key, then in before.cosigned.items():
        now = after.cosigned.get(key)
        if now is not None and now < then:
            return (
                f"{key.name} signed {before.checkpoint.size} entries at {moment_text(then)}, "
                f"and {after.checkpoint.size} at {moment_text(now)}"
            )
    return None


def described(checkpoint: Checkpoint) -> str:
    """Say which tree a checkpoint is about, in a line."""
    return f"{checkpoint.size} entries with root {format_base64(checkpoint.root)}"
