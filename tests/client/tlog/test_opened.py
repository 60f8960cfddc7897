"""A checkpoint counts when the log signed it and the quorum of witnesses stands behind it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from tests.client.tlog.logs import NOW, ORIGIN, checkpoint_of, log_signer, signed, witness
from tidegate.errors import LogRefused
from tidegate.tlog.checkpoint import Checkpoint
from tidegate.tlog.cosignature import join_timestamped, ml_dsa_message
from tidegate.tlog.merkle import EMPTY_ROOT
from tidegate.tlog.note import Algorithm, NoteSigner, VerifierKey, sign_note
from tidegate.tlog.opened import open_checkpoint
from tidegate.tlog.policy import LogPolicy

SIZE = 300


class QuantumSafe:
    """A cosigner of the other kind."""

    def __init__(self, name: str, at: int = int(NOW.timestamp())) -> None:
        self.name, self.at, self.private = name, at, MLDSA44PrivateKey.generate()

    @property
    def key(self) -> VerifierKey:
        return VerifierKey(self.name, Algorithm.COSIGNATURE_ML_DSA_44, self.private.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        return join_timestamped(self.at, self.private.sign(ml_dsa_message(self.name, text, self.at)))


def policy(need: int, *keys: VerifierKey) -> LogPolicy:
    return LogPolicy.need_of(log_signer().key, need, keys or [witness(number).key for number in (1, 2, 3)])


def refused(raw: bytes, by: LogPolicy, now: datetime | None = NOW) -> tuple[str, str | None]:
    with pytest.raises(LogRefused) as caught:
        open_checkpoint(raw, by, now=now)
    return caught.value.reasons[0].code, caught.value.reasons[0].step


def test_a_checkpoint_of_the_log_with_its_witnesses_is_opened() -> None:
    opened = open_checkpoint(signed(SIZE, witnesses=[witness(1), witness(3)]), policy(2), now=NOW)
    assert opened.checkpoint == checkpoint_of(SIZE)
    assert dict(opened.cosigned) == {witness(1).key: NOW, witness(3).key: NOW}
    assert opened.raw == signed(SIZE, witnesses=[witness(1), witness(3)])


def test_too_few_witnesses_are_too_few_however_often_they_sign() -> None:
    assert refused(signed(SIZE, witnesses=[witness(1)]), policy(2)) == ("witnesses-missing", "L9")
    again = witness(1, NOW - timedelta(hours=1))
    assert refused(signed(SIZE, witnesses=[witness(1), again]), policy(2)) == ("witnesses-missing", "L9")
    assert refused(signed(SIZE, witnesses=[witness(4), witness(5)]), policy(1)) == ("witnesses-missing", "L9")


def test_a_witness_alone_makes_no_checkpoint() -> None:
    raw = sign_note(checkpoint_of(SIZE).text, [witness(1), witness(2)])
    assert refused(raw, policy(1)) == ("checkpoint-unsigned", "L6")


def test_a_checkpoint_of_another_log_that_the_same_key_signed_is_refused() -> None:
    text = Checkpoint("log.example/another", SIZE, checkpoint_of(SIZE).root).text
    assert refused(sign_note(text, [log_signer()]), policy(0)) == ("checkpoint-unsigned", "L6")


def test_a_cosignature_over_another_checkpoint_is_refused() -> None:
    other = sign_note(checkpoint_of(200).text, [witness(1)]).rpartition(b"\n\n")[2]
    assert refused(signed(SIZE) + other, policy(1)) == ("note-signature-invalid", "L3")


def test_a_log_signature_is_no_cosignature_and_the_other_way_round() -> None:
    both = VerifierKey(ORIGIN, Algorithm.COSIGNATURE_ED25519, log_signer().key.public)
    assert refused(signed(SIZE), policy(1, both)) == ("witnesses-missing", "L9")


def test_a_cosignature_from_the_future_is_refused() -> None:
    for minutes in (4, 6):
        raw = signed(SIZE, witnesses=[witness(1, NOW + timedelta(minutes=minutes))])
        assert open_checkpoint(raw, policy(1)).cosigned == {witness(1).key: NOW + timedelta(minutes=minutes)}
        if minutes > 5:
            assert refused(raw, policy(1)) == ("cosignature-future", "L8")
        else:
            open_checkpoint(raw, policy(1), now=NOW)


@pytest.mark.parametrize("at", [1 << 63, (1 << 63) - 1])
def test_a_time_no_calendar_has_is_refused_and_not_a_fault(at: int) -> None:
    class Late:
        key = witness(1).key

        def sign(self, text: bytes) -> bytes:
            message = f"cosignature/v1\ntime {at}\n".encode() + text
            return join_timestamped(at, witness(1).private.sign(message))

    late: NoteSigner = Late()
    code = ("note-signature-invalid", "L3") if at >> 63 else ("cosignature-future", "L8")
    assert refused(signed(SIZE, witnesses=[late]), policy(1)) == code


def test_an_empty_tree_has_the_root_of_nothing_and_no_other_tree_has() -> None:
    for size, root in ((0, bytes(32)), (1, EMPTY_ROOT)):
        raw = sign_note(Checkpoint(ORIGIN, size, root).text, [log_signer()])
        assert refused(raw, policy(0)) == ("checkpoint-root", "L7")
    empty = sign_note(Checkpoint(ORIGIN, 0, EMPTY_ROOT).text, [log_signer()])
    assert open_checkpoint(empty, policy(0)).checkpoint.size == 0


def test_a_note_of_the_log_that_is_no_checkpoint_is_refused() -> None:
    assert refused(sign_note(b"hello\n", [log_signer()]), policy(0)) == ("checkpoint-malformed", "L5")


def test_the_cosignature_that_quantum_computers_do_not_break_counts_too() -> None:
    safe = QuantumSafe("witness.example/safe")
    assert VerifierKey.parse(str(safe.key)) == safe.key
    opened = open_checkpoint(signed(SIZE, witnesses=[safe]), policy(1, safe.key), now=NOW)
    assert opened.cosigned == {safe.key: NOW}
    renamed = VerifierKey("witness.example/other", safe.key.algorithm, safe.key.public)
    note = sign_note(checkpoint_of(SIZE).text, [log_signer(), _As(renamed, safe)])
    assert refused(note, policy(1, renamed)) == ("note-signature-invalid", "L3")  # its name is signed as well


class _As:
    def __init__(self, key: VerifierKey, signer: NoteSigner) -> None:
        self.key, self.sign = key, signer.sign


def test_the_example_of_the_specification_says_when_it_was_cosigned() -> None:
    """C2SP tlog-cosignature's example is signed by keys that are not published; its time can be read."""
    line = "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA=="
    from tidegate.tlog.cosignature import ed25519_message, split_timestamped
    from tidegate.tlog.note import Signature

    found = split_timestamped(Signature.parse(f"— witness.example.com/w1 {line}").signature)
    assert found is not None
    assert datetime.fromtimestamp(found[0], UTC).year == 2023
    assert ed25519_message(b"x\n", found[0]).startswith(b"cosignature/v1\ntime 1679315147\nx\n")
