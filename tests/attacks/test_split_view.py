"""A registry signs two histories with one key: a witness that saw one cosigns nothing of the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.client.tlog.logs import NOW, ORIGIN, checkpoint_of, entry, files_of, log_signer, signed
from tidegate.errors import CheckpointInvalid
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.edge import Edge
from tidegate.tlog.note import Note, sign_note
from tidegate.tlog.opened import open_checkpoint
from tidegate.tlog.policy import LogPolicy
from tidegate.tlog.reader import TileReader
from tidegate.tlog.witness import AddCheckpoint, parse_cosignatures, with_cosignatures
from tidegate_registry.sandbox.keys import KeyStore
from tidegate_registry.sandbox.witness import Witness

SEEN, SIZE = 300, 1000


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    made = Witness(KeyStore(tmp_path / "keys"), tmp_path / "seen", {ORIGIN: log_signer().key}, lambda: NOW)
    assert made.add(AddCheckpoint(0, (), signed(SEEN)).raw).status == 200
    return made


def forked(size: int) -> tuple[bytes, TileReader]:
    """Give another history of `size` entries that the log signed, and what proves things in it."""
    edge = Edge()
    files = dict(edge.grow([b"told to others" if index == 7 else entry(index) for index in range(size)]))
    checkpoint = Checkpoint(ORIGIN, size, edge.root)
    return sign_note(checkpoint.text, [log_signer()]), TileReader(files.get, checkpoint)


@pytest.mark.parametrize("size", [SEEN - 1, SEEN, SIZE])
def test_a_witness_cosigns_no_second_history(witness: Witness, size: int) -> None:
    note, reader = forked(size)
    for old in (0, min(SEEN, size)):
        answer = witness.add(AddCheckpoint(old, tuple(reader.consistency(old)), note).raw)
        assert answer.status in (409, 422)
        assert "\N{EM DASH}".encode() not in answer.body


def test_a_reader_who_asks_for_the_witness_takes_the_first_history_and_not_the_second(witness: Witness) -> None:
    policy = LogPolicy.need_of(log_signer().key, 1, [witness.key])
    proof = tuple(TileReader(files_of(SIZE).get, checkpoint_of(SIZE)).consistency(SEEN))
    note = Note.parse(signed(SIZE))
    lines = parse_cosignatures(witness.add(AddCheckpoint(SEEN, proof, note.raw).raw).body, note, witness.key)
    assert open_checkpoint(with_cosignatures(note, lines).raw, policy, now=NOW).checkpoint == checkpoint_of(SIZE)
    second, _ = forked(SIZE)
    with pytest.raises(CheckpointInvalid) as caught:
        open_checkpoint(second, policy, now=NOW)
    assert caught.value.reasons[0].code == "witnesses-missing"
