"""A proof convinces offline of one entry at one place in one log, and is written in one way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.tlog.logs import NOW, checkpoint_of, entry, files_of, log_signer, signed, witness
from tidegate.errors import LogRefused, ProofInvalid
from tidegate.tlog.policy import LogPolicy
from tidegate.tlog.proof import MAX_PROOF_BYTES, LogProof, verify_proof
from tidegate.tlog.reader import TileReader

SIZE, INDEX = 1000, 123
POLICY = LogPolicy.need_of(log_signer().key, 1, [witness(1).key])


def proof(index: int = INDEX, size: int = SIZE, extra: bytes | None = None) -> LogProof:
    path = TileReader(files_of(size).get, checkpoint_of(size)).inclusion(index)
    return LogProof(index, tuple(path), signed(size, witnesses=[witness(1)]), extra)


def refused(raw: bytes, content: bytes = entry(INDEX)) -> tuple[str, str | None]:
    with pytest.raises(LogRefused) as caught:
        verify_proof(raw, content, POLICY, now=NOW)
    return caught.value.reasons[0].code, caught.value.reasons[0].step


@pytest.mark.parametrize("extra", [None, b"", entry(INDEX)])
@pytest.mark.parametrize(("index", "size"), [(0, 1), (INDEX, SIZE), (SIZE - 1, SIZE)])
def test_a_proof_convinces_of_its_entry(index: int, size: int, extra: bytes | None) -> None:
    raw = proof(index, size, extra).raw
    assert LogProof.parse(raw) == proof(index, size, extra)
    assert LogProof.parse(raw).raw == raw
    proven = verify_proof(raw, entry(index), POLICY, now=NOW)
    assert (proven.index, proven.opened.checkpoint) == (index, checkpoint_of(size))


def test_a_proof_is_written_as_the_specification_shows_it() -> None:
    lines = proof(extra=b"more").raw.decode().split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", "extra bW9yZQ==", "index 123"]
    assert lines[lines.index("") + 1] == "log.example/audit"


def test_a_proof_convinces_of_nothing_else() -> None:
    assert refused(proof().raw, b"forged") == ("proof-wrong", "L19")
    assert refused(replace(proof(), index=INDEX + 1).raw) == ("proof-wrong", "L19")
    assert refused(replace(proof(), index=SIZE).raw) == ("proof-outside-tree", "L17")
    assert refused(replace(proof(), hashes=proof().hashes[:-1]).raw) == ("proof-length", "L18")
    assert refused(replace(proof(), checkpoint=signed(999, witnesses=[witness(1)])).raw) == ("proof-wrong", "L19")
    assert refused(replace(proof(), checkpoint=signed(SIZE)).raw) == ("witnesses-missing", "L9")


RAW = proof(extra=b"more").raw


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        RAW.replace(b"@v1", b"@v2"),
        RAW.replace(b"\n", b"\r\n"),
        RAW.replace(b"index 123", b"index 0123"),
        RAW.replace(b"index 123", b"index -1"),
        RAW.replace(b"index 123", b"index  123"),
        RAW.replace(b"index 123\n", b""),
        RAW.replace(b"extra bW9yZQ==", b"extra bW9yZQ"),
        RAW.replace(b"extra bW9yZQ==\nindex 123", b"index 123\nextra bW9yZQ=="),
        RAW.replace(b"extra", b"extra bW9yZQ==\nextra", 1),
        RAW.replace(b"index 123\n", b"index 123\nAAAA\n"),
        RAW.replace(b"index 123\n", b"index 123\n" + b"A" * 43 + b"=\n" * 1 + (b"A" * 43 + b"=\n") * 63),
        RAW.partition(b"\n\n")[0] + b"\n\n",
        RAW.partition(b"\n\n")[0],
        RAW.replace(b"bW9yZQ==", b"A" * 87_384),
    ],
)
def test_what_is_not_written_as_a_proof_is_refused(raw: bytes) -> None:
    assert refused(raw) == ("proof-malformed", "L11")


def test_a_large_proof_is_refused_before_it_is_read() -> None:
    assert refused(b"\xff" * (MAX_PROOF_BYTES + 1)) == ("proof-too-large", "L10")


@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_no_other_byte_anywhere_but_in_what_proves_nothing_is_accepted(at: int, change: int) -> None:
    raw = RAW[:at] + bytes([RAW[at] ^ change]) + RAW[at + 1 :]
    try:
        verify_proof(raw, entry(INDEX), POLICY, now=NOW)
    except LogRefused:
        return
    assert LogProof.parse(raw).checkpoint == LogProof.parse(RAW).checkpoint
    assert replace(LogProof.parse(raw), extra=None) == replace(LogProof.parse(RAW), extra=None)


def test_the_error_of_a_proof_is_a_refusal_with_a_hint() -> None:
    with pytest.raises(ProofInvalid) as caught:
        verify_proof(RAW, b"forged", POLICY)
    assert caught.value.hint
