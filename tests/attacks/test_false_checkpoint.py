"""Somebody shows an auditor a checkpoint that the log did not sign, or that nobody witnessed: it is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.client.tlog.logs import NOW, ORIGIN, checkpoint_of, log_signer, signed, witness
from tidegate.errors import LogRefused
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.merkle import EMPTY_ROOT
from tidegate.tlog.note import MAX_NOTE_BYTES, sign_note, verify_note
from tidegate.tlog.opened import open_checkpoint
from tidegate.tlog.policy import LogPolicy

SIZE = 300
WITNESSES = [witness(number) for number in (1, 2, 3)]
POLICY = LogPolicy.need_of(log_signer().key, 2, [each.key for each in WITNESSES])
GOOD = signed(SIZE, witnesses=WITNESSES)
LATE = witness(1, NOW + timedelta(days=1))  # so that it seems fresh for ever


def note(checkpoint: Checkpoint) -> bytes:
    return sign_note(checkpoint.text, [log_signer(), *WITNESSES])


FORGED = {
    "L1 note-too-large": b"\xff" * (MAX_NOTE_BYTES + 1),
    "L2 note-malformed": GOOD.replace(b"\n\n", b"\n\x1b[2J\n\n"),  # hides lines on a terminal
    "L3 note-signature-invalid": GOOD.replace(b"\n300\n", b"\n299\n"),
    "L4 note-unsigned": sign_note(checkpoint_of(SIZE).text, [log_signer(seed=66)]),
    "L5 checkpoint-malformed": sign_note(b"log.example/audit\n3e2\n\n", [log_signer(), *WITNESSES]),
    "L6 checkpoint-unsigned": note(replace(checkpoint_of(SIZE), origin="log.example/test")),
    "L7 checkpoint-root": note(Checkpoint(ORIGIN, 0, bytes(32))),
    "L8 cosignature-future": signed(SIZE, witnesses=[LATE, *WITNESSES[1:]]),
    "L9 witnesses-missing": signed(SIZE, witnesses=[WITNESSES[0], witness(66)]),
}


@pytest.mark.parametrize("expected", FORGED)
def test_a_forged_checkpoint_is_refused_by_the_step_that_is_there_for_it(expected: str) -> None:
    open_checkpoint(GOOD, POLICY, now=NOW)
    with pytest.raises(LogRefused) as caught:
        open_checkpoint(FORGED[expected], POLICY, now=NOW)
    assert f"{caught.value.reasons[0].step} {caught.value.reasons[0].code}" == expected


def test_a_note_that_nobody_known_signed_is_none_for_anybody() -> None:
    with pytest.raises(LogRefused) as caught:
        verify_note(GOOD, [log_signer(seed=66).key])
    assert caught.value.reasons[0].code == "note-unsigned"


def test_a_log_cannot_witness_itself() -> None:
    """One key as log and as witness would be one party that counts as two."""
    itself = sign_note(checkpoint_of(SIZE).text, [log_signer(), log_signer("witness.example/w1"), WITNESSES[1]])
    with pytest.raises(LogRefused) as caught:
        open_checkpoint(itself, POLICY, now=NOW)
    assert caught.value.reasons[0].code == "witnesses-missing"


def test_a_tree_without_entries_is_the_only_one_with_its_root() -> None:
    with pytest.raises(LogRefused) as caught:
        open_checkpoint(note(Checkpoint(ORIGIN, SIZE, EMPTY_ROOT)), POLICY, now=NOW)
    assert caught.value.reasons[0].code == "checkpoint-root"
