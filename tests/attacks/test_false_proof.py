"""Somebody proves an entry that is not in the log, or that a log only grew when it was rewritten: neither holds."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.client.tlog.logs import NOW, checkpoint_of, entry, files_of, log_signer, signed
from tidegate.errors import LogRefused
from tidegate.tlog.edge import Edge
from tidegate.tlog.merkle import EMPTY_ROOT, leaf_hash, node_hash, verify_consistency, verify_inclusion
from tidegate.tlog.policy import LogPolicy
from tidegate.tlog.proof import MAX_PROOF_BYTES, LogProof, verify_proof
from tidegate.tlog.reader import TileReader

SIZE, INDEX = 1000, 123
POLICY = LogPolicy.need_of(log_signer().key, 0, [])
READER = TileReader(files_of(SIZE).get, checkpoint_of(SIZE))
ROOT = checkpoint_of(SIZE).root
PROOF = LogProof(INDEX, tuple(READER.inclusion(INDEX)), signed(SIZE))


def refusal(attempt: pytest.ExceptionInfo[LogRefused]) -> str:
    return f"{attempt.value.reasons[0].step} {attempt.value.reasons[0].code}"


FORGED = {
    "L10 proof-too-large": (b"\xff" * (MAX_PROOF_BYTES + 1), entry(INDEX)),
    "L11 proof-malformed": (PROOF.raw.replace(b"index 123", b"index 0123"), entry(INDEX)),
    "L17 proof-outside-tree": (replace(PROOF, index=SIZE).raw, entry(INDEX)),
    "L18 proof-length": (replace(PROOF, hashes=(*PROOF.hashes, EMPTY_ROOT)).raw, entry(INDEX)),
    "L19 proof-wrong": (PROOF.raw, b"an entry that was never made"),
}


@pytest.mark.parametrize("expected", FORGED)
def test_a_forged_proof_is_refused_by_the_step_that_is_there_for_it(expected: str) -> None:
    verify_proof(PROOF.raw, entry(INDEX), POLICY, now=NOW)
    raw, content = FORGED[expected]
    with pytest.raises(LogRefused) as caught:
        verify_proof(raw, content, POLICY, now=NOW)
    assert refusal(caught) == expected


def test_an_inner_node_is_no_entry() -> None:
    """What a leaf and what a node hashes begins with another byte, or a node could be passed off as an entry."""
    left, right = leaf_hash(entry(INDEX - 1)), leaf_hash(entry(INDEX))
    shorter = PROOF.hashes[1:]
    with pytest.raises(LogRefused) as caught:
        verify_inclusion(leaf_hash(left + right), INDEX // 2, SIZE // 2, shorter, ROOT)
    assert refusal(caught).startswith("L1")
    verify_inclusion(node_hash(left, right), INDEX // 2, SIZE // 2, shorter, ROOT)  # which is why sizes are signed


def test_a_log_that_was_rewritten_does_not_agree_with_what_it_signed_before() -> None:
    old = READER.root(300)
    forged = Edge()
    files = dict(forged.grow([b"rewritten" if index == 7 else entry(index) for index in range(SIZE)]))
    rewritten = replace(checkpoint_of(SIZE), root=forged.root)
    proof = TileReader(files.get, rewritten).consistency(300)
    verify_consistency(300, SIZE, old, ROOT, READER.consistency(300))
    with pytest.raises(LogRefused) as caught:
        verify_consistency(300, SIZE, old, forged.root, proof)
    assert refusal(caught) == "L22 consistency-fork"


def test_a_log_does_not_grow_into_a_tree_of_others_entries() -> None:
    with pytest.raises(LogRefused) as caught:
        verify_consistency(300, SIZE, READER.root(300), EMPTY_ROOT, READER.consistency(300))
    assert refusal(caught) == "L23 consistency-fork"


def test_a_log_that_was_truncated_is_noticed_by_its_size() -> None:
    with pytest.raises(LogRefused) as caught:
        verify_consistency(SIZE, 300, ROOT, READER.root(300), [])
    assert refusal(caught) == "L20 proof-outside-tree"


def test_two_logs_of_one_size_need_no_proof_to_be_two() -> None:
    with pytest.raises(LogRefused) as caught:
        verify_consistency(SIZE, SIZE, READER.root(999), ROOT, [])
    assert refusal(caught) == "L22 consistency-fork"


@pytest.mark.parametrize("proof", [[], [EMPTY_ROOT] * 64, [*READER.consistency(300), EMPTY_ROOT]])
def test_a_proof_of_another_length_is_of_other_sizes(proof: list[bytes]) -> None:
    with pytest.raises(LogRefused) as caught:
        verify_consistency(300, SIZE, READER.root(300), ROOT, proof)
    assert refusal(caught) == "L21 proof-length"
