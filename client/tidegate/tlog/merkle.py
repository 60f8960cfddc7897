"""The Merkle tree of RFC 6962 section 2.1 with SHA-256: its hashes, its proofs, and their verification.

Proofs are made from complete subtrees: whoever keeps a tree gives a `Subtree` that knows their hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from tidegate.errors import ProofInvalid
from tidegate.tlog.steps import LogStep, run_steps
from tidegate.tlog.text import MAX_SIZE

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
MAX_PROOF_HASHES = 63  # a tree of fewer than 2^63 leaves is at most 63 levels deep

Subtree = Callable[[int, int], bytes]
"""(height, number) to the hash of a complete subtree: over leaves `number << height` up to `(number + 1) << height`."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash an entry (RFC 6962 section 2.1): 32 bytes."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two children (RFC 6962 section 2.1): 32 bytes."""
    return sha256(b"\x01" + left + right).digest()


def complete_hash(hashes: bytes) -> bytes:
    """Give the root of a complete subtree from one row of its hashes: 2^k of 32 bytes each, k >= 0, joined."""
    while len(hashes) > HASH_BYTES:
        step = 2 * HASH_BYTES
        hashes = b"".join([sha256(b"\x01" + hashes[at : at + step]).digest() for at in range(0, len(hashes), step)])
    return hashes


def tree_hash(size: int, subtree: Subtree) -> bytes:
    """Give the root of the first `size` leaves; EMPTY_ROOT for none (RFC 6962 section 2.1)."""
    return _range_hash(0, size, subtree) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """Give the audit path of leaf `index` in the tree of `size` leaves, leaf to root (RFC 6962 section 2.1.1).

    Raises ProofInvalid (code `proof-outside-tree`) unless `0 <= index < size`.
    """
    _need_inside(index, size)
    proof: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            proof.append(_range_hash(middle, end, subtree))
            end = middle
        else:
            proof.append(_range_hash(start, middle, subtree))
            start = middle
    return proof[::-1]


def consistency_proof(old: int, size: int, subtree: Subtree) -> list[bytes]:
    """Prove that the tree of `old` leaves is a prefix of that of `size` (RFC 6962 section 2.1.2).

    Empty when `old` is 0 or `size`. Raises ProofInvalid (code `proof-outside-tree`) unless `0 <= old <= size`.
    """
    need_order(old, size)
    proof: list[bytes] = []
    start, end, whole = 0, size, True
    if old == 0:
        return proof
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            proof.append(_range_hash(middle, end, subtree))
            end = middle
        else:
            proof.append(_range_hash(start, middle, subtree))
            start, whole = middle, False
    if not whole:
        proof.append(_range_hash(start, end, subtree))
    return proof[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that leaf hash `leaf` (32 bytes) is entry `index` of the tree of `size` entries with root `root`.

    `proof`: sibling hashes, 32 bytes each, leaf to root. Source: RFC 9162 section 2.1.3.2.
    Raises ProofInvalid, codes `proof-outside-tree`, `proof-length`, `proof-wrong`.
    """
    run_steps(INCLUSION_STEPS, _Inclusion(leaf, index, size, proof, root))


def verify_consistency(old: int, size: int, old_root: bytes, root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree of `size` entries with root `root` begins with the one of `old` entries with `old_root`.

    `proof`: 32 bytes each, as RFC 6962 section 2.1.2 orders them; empty when `old` is 0 or `size`.
    Source: RFC 9162 section 2.1.4.2. Raises ProofInvalid, codes `proof-outside-tree`, `proof-length`,
    `consistency-fork` (the trees differ, or the proof is not theirs).
    """
    run_steps(CONSISTENCY_STEPS, _Consistency(old, size, old_root, root, proof))


@dataclass(slots=True)
class _Inclusion:
    leaf: bytes
    index: int
    size: int
    proof: Sequence[bytes]
    root: bytes

    @property
    def inner(self) -> int:
        """How many levels there are below the point where the paths to this leaf and to the last one part."""
        return (self.index ^ (self.size - 1)).bit_length()


@dataclass(slots=True)
class _Consistency:
    old: int
    size: int
    old_root: bytes
    root: bytes
    proof: Sequence[bytes]

    @property
    def shift(self) -> int:
        """The height of the smallest complete subtree at the right edge of the old tree: where the proof begins."""
        return (self.old & -self.old).bit_length() - 1

    @property
    def inner(self) -> int:
        return ((self.old - 1) ^ (self.size - 1)).bit_length() - self.shift

    def parts(self) -> tuple[bytes, Sequence[bytes], Sequence[bytes]]:
        """Give the hash that both trees share and begin with, and the hashes below and above the parting point."""
        if self.old == 1 << self.shift:  # the old tree is complete: its root is the beginning
            return self.old_root, self.proof[: self.inner], self.proof[self.inner :]
        return self.proof[0], self.proof[1 : 1 + self.inner], self.proof[1 + self.inner :]


def _check_inside(at: _Inclusion) -> None:
    _need_inside(at.index, at.size)


def _check_inclusion_length(at: _Inclusion) -> None:
    _need_length(at.proof, at.inner + (at.index >> at.inner).bit_count(), step="L18")


def _check_inclusion_root(at: _Inclusion) -> None:
    found = at.leaf
    for level, sibling in enumerate(at.proof[: at.inner]):
        found = node_hash(sibling, found) if at.index >> level & 1 else node_hash(found, sibling)
    for sibling in at.proof[at.inner :]:
        found = node_hash(sibling, found)
    if found != at.root:
        raise ProofInvalid(
            "the proof does not lead from that entry to the root of the checkpoint",
            code="proof-wrong",
            found=found.hex(),
            expected=at.root.hex(),
            hint="this entry is not in that log, or the proof is of another entry or another checkpoint",
            step="L19",
        )


INCLUSION_STEPS = (
    LogStep("L17", "the index lies in the tree", _check_inside),
    LogStep("L18", "the proof has as many hashes as the path has levels", _check_inclusion_length),
    LogStep("L19", "the hashes lead from the entry to the root", _check_inclusion_root),
)


def _check_order(at: _Consistency) -> None:
    need_order(at.old, at.size)


def _check_consistency_length(at: _Consistency) -> None:
    if at.old in (0, at.size):
        count = 0
    else:
        above = ((at.old - 1) >> (at.inner + at.shift)).bit_count()
        count = at.inner + above + (at.old != 1 << at.shift)
    _need_length(at.proof, count, step="L21")


def _check_old_root(at: _Consistency) -> None:
    if at.old == 0:
        found = EMPTY_ROOT
    elif at.old == at.size:
        found = at.root
    else:
        found, below, above = at.parts()
        mask = (at.old - 1) >> at.shift
        for level, sibling in enumerate(below):
            if mask >> level & 1:
                found = node_hash(sibling, found)
        for sibling in above:
            found = node_hash(sibling, found)
    _need_same(found, at.old_root, "older")


def _check_new_root(at: _Consistency) -> None:
    if at.old in (0, at.size):
        return
    found, below, above = at.parts()
    mask = (at.old - 1) >> at.shift
    for level, sibling in enumerate(below):
        found = node_hash(sibling, found) if mask >> level & 1 else node_hash(found, sibling)
    for sibling in above:
        found = node_hash(sibling, found)
    _need_same(found, at.root, "newer")


CONSISTENCY_STEPS = (
    LogStep("L20", "the newer tree is not the smaller one", _check_order),
    LogStep("L21", "the proof has as many hashes as the two sizes ask for", _check_consistency_length),
    LogStep("L22", "the proof leads to the root of the older tree", _check_old_root),
    LogStep("L23", "the proof leads to the root of the newer tree", _check_new_root),
)


def _need_inside(index: int, size: int) -> None:
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofInvalid(
            "there is no such entry in a tree of that size",
            code="proof-outside-tree",
            found=f"entry {index} of {size}",
            expected=f"0 <= index < size <= {MAX_SIZE}",
            step="L17",
        )


def need_order(old: int, size: int) -> None:
    """Check that a tree of `old` entries may be the beginning of one of `size`. Raises ProofInvalid."""
    if not 0 <= old <= size <= MAX_SIZE:
        raise ProofInvalid(
            "a log does not shrink",
            code="proof-outside-tree",
            found=f"{old} entries, then {size}",
            expected=f"0 <= older size <= newer size <= {MAX_SIZE}",
            step="L20",
        )


def _need_length(proof: Sequence[bytes], count: int, *, step: str) -> None:
    if len(proof) != count or any(len(each) != HASH_BYTES for each in proof):
        raise ProofInvalid(
            "the proof is not as long as the tree is deep",
            code="proof-length",
            found=f"{len(proof)} hashes",
            expected=f"{count} hashes of {HASH_BYTES} bytes",
            step=step,
        )


def _need_same(found: bytes, expected: bytes, which: str) -> None:
    if found != expected:
        raise ProofInvalid(
            f"the proof does not lead to the root of the {which} tree: the log was rewritten, or it is not its proof",
            code="consistency-fork",
            found=found.hex(),
            expected=expected.hex(),
            hint="keep both checkpoints: two signed ones that do not agree prove that the log lied",
            step="L22" if which == "older" else "L23",
        )


def _range_hash(start: int, end: int, subtree: Subtree) -> bytes:
    """Hash leaves `start` to `end`, a range that a node of the tree covers."""
    count = end - start
    if count & (count - 1) == 0:
        height = count.bit_length() - 1
        return subtree(height, start >> height)
    middle = start + _split(count)
    return node_hash(_range_hash(start, middle, subtree), _range_hash(middle, end, subtree))


def _split(count: int) -> int:
    """The largest power of two smaller than `count`."""
    return 1 << ((count - 1).bit_length() - 1)
