"""What a log and a witness say to each other is read in one way, and a witness's answer counts for its key alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.client.tlog.logs import checkpoint_of, files_of, signed, witness
from tidegate.errors import NoteInvalid, ProofInvalid
from tidegate.tlog.note import Note, sign_note
from tidegate.tlog.reader import TileReader
from tidegate.tlog.witness import (
    MAX_ANSWER_BYTES,
    MAX_REQUEST_BYTES,
    AddCheckpoint,
    format_size,
    parse_cosignatures,
    parse_size,
    with_cosignatures,
)

SIZE = 1000
REQUEST = AddCheckpoint(700, tuple(TileReader(files_of(SIZE).get, checkpoint_of(SIZE)).consistency(700)), signed(SIZE))


def answer_of(*numbers: int, size: int = SIZE) -> bytes:
    return sign_note(checkpoint_of(size).text, [witness(number) for number in numbers]).rpartition(b"\n\n")[2]


def test_a_request_is_read_as_it_was_written() -> None:
    assert AddCheckpoint.parse(REQUEST.raw) == REQUEST
    first = AddCheckpoint(0, (), signed(SIZE))
    assert AddCheckpoint.parse(first.raw) == first
    assert first.raw.startswith(b"old 0\n\nlog.example/audit\n1000\n")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        REQUEST.raw.replace(b"old 700", b"old 0700"),
        REQUEST.raw.replace(b"old 700", b"old -1"),
        REQUEST.raw.replace(b"old 700", b"700"),
        REQUEST.raw.replace(b"old 700\n", b"old 700\n" + b"A" * 43 + b"\n"),
        replace(REQUEST, hashes=(bytes(32),) * 64).raw,
        replace(REQUEST, checkpoint=b"").raw,
        REQUEST.raw + bytes(MAX_REQUEST_BYTES),
    ],
)
def test_another_request_is_refused(raw: bytes) -> None:
    with pytest.raises(ProofInvalid) as caught:
        AddCheckpoint.parse(raw)
    assert caught.value.reasons[0].code == "witness-request"


def test_the_cosignature_of_the_witness_that_was_asked_is_taken_and_no_other() -> None:
    note = Note.parse(signed(SIZE))
    mine = parse_cosignatures(answer_of(2, 1), note, witness(1).key)
    assert [line.name for line in mine] == [witness(1).name]
    assert with_cosignatures(note, mine).raw == signed(SIZE, witnesses=[witness(1)])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (answer_of(2), "note-unsigned"),
        (answer_of(1, size=700), "note-signature-invalid"),
        (b"", "note-malformed"),
        (b"cosigned\n", "note-malformed"),
        (answer_of(1)[:-1], "note-malformed"),
        (b"\n" + answer_of(1).replace(b"w1", b"w9"), "note-unsigned"),
        (bytes(MAX_ANSWER_BYTES + 1), "note-too-large"),
    ],
)
def test_an_answer_that_is_not_its_cosignature_is_refused(body: bytes, code: str) -> None:
    with pytest.raises(NoteInvalid) as caught:
        parse_cosignatures(body, Note.parse(signed(SIZE)), witness(1).key)
    assert caught.value.reasons[0].code == code


def test_a_size_is_read_in_one_form() -> None:
    assert parse_size(format_size(20_852_163)) == 20_852_163
    for body in (b"", b"1", b"01\n", b"1\n\n", b"-1\n", b"1\r\n", b"9" * 40 + b"\n", b"9223372036854775808\n"):
        assert parse_size(body) is None
