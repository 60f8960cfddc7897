"""A note counts for exactly the keys that signed it, and only in the one form in which it is written."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tidegate.errors import LogKeyInvalid, NoteInvalid
from tidegate.tlog.note import (
    MAX_NOTE_BYTES,
    MAX_SIGNATURES,
    Algorithm,
    Ed25519Signer,
    Note,
    Signature,
    VerifierKey,
    sign_note,
    verify_note,
)

# the example of Go's sumdb/note package, made by others
NEUMANN_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
NEUMANN = """\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
""".encode()
TEXT = b"first\n\nlast\n"


def signer(name: str = "log.example/a", seed: int = 1) -> Ed25519Signer:
    return Ed25519Signer(name, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


def lines(raw: bytes) -> list[bytes]:
    return raw.split(b"\n\n")[-1].splitlines(keepends=True)


def code_of(raw: bytes, *keys: VerifierKey) -> tuple[str, str | None]:
    with pytest.raises(NoteInvalid) as caught:
        verify_note(raw, keys or [signer().key])
    return caught.value.reasons[0].code, caught.value.reasons[0].step


def test_a_note_of_another_implementation_verifies() -> None:
    key = VerifierKey.parse(NEUMANN_KEY)
    verified = verify_note(NEUMANN, [key])
    assert dict(verified.by) == {key: None}
    assert verified.note.text.endswith(b"what your problem is.\n")
    assert verified.note.raw == NEUMANN
    assert str(key) == NEUMANN_KEY


def test_a_note_is_split_at_its_last_blank_line() -> None:
    raw = sign_note(TEXT, [signer()])
    assert Note.parse(raw).text == TEXT
    nested = sign_note(raw, [signer(seed=2)])
    assert Note.parse(nested).text == raw
    assert code_of(nested) == ("note-unsigned", "L4")  # what the inner note says is text here


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
def test_every_text_of_printable_lines_can_be_signed_and_comes_back(line: str) -> None:
    raw = sign_note(f"{line}\n".encode(), [signer(), signer("other.example", 2)])
    verified = verify_note(raw, [signer().key])
    assert verified.note.text == f"{line}\n".encode()
    assert Note.parse(raw).raw == raw
    assert list(verified.by) == [signer().key]


def test_lines_of_unknown_keys_are_ignored_whatever_they_share_with_a_known_one() -> None:
    mine, foreign = lines(sign_note(TEXT, [signer()]))[0], lines(sign_note(TEXT, [signer("other.example", 2)]))[0]
    same_name = lines(sign_note(TEXT, [signer(seed=3)]))[0]
    spoilt = foreign.replace(b"A", b"B")
    assert set(verify_note(TEXT + b"\n" + foreign + same_name + spoilt + mine, [signer().key]).by) == {signer().key}


def test_a_known_key_that_does_not_verify_refuses_the_note_even_beside_one_that_does() -> None:
    mine = lines(sign_note(TEXT, [signer()]))[0]
    of_another_text = lines(sign_note(b"another\n", [signer("w.example", 2)]))[0]
    keys = [signer().key, signer("w.example", 2).key]
    assert code_of(TEXT + b"\n" + mine + of_another_text, *keys) == ("note-signature-invalid", "L3")
    assert code_of(sign_note(TEXT, [signer()]).replace(b"first", b"worst")) == ("note-signature-invalid", "L3")


def test_a_second_line_of_a_known_key_must_verify_too() -> None:
    mine, of_another_text = lines(sign_note(TEXT, [signer()]))[0], lines(sign_note(b"another\n", [signer()]))[0]
    assert list(verify_note(TEXT + b"\n" + mine + mine, [signer().key]).by) == [signer().key]
    for both in (mine + of_another_text, of_another_text + mine):
        assert code_of(TEXT + b"\n" + both) == ("note-signature-invalid", "L3")


def test_a_note_nobody_known_signed_is_refused() -> None:
    assert code_of(sign_note(TEXT, [signer(seed=2)])) == ("note-unsigned", "L4")
    assert code_of(sign_note(TEXT, [signer("log.example/b")])) == ("note-unsigned", "L4")


GOOD = sign_note(TEXT, [signer()])
LINE = lines(GOOD)[0]


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\n",
        b"\n\n",
        TEXT,
        TEXT + b"\n",
        GOOD[:-1],
        GOOD + b"\n",
        GOOD + b"text\n",
        GOOD.replace("—".encode(), b"-"),
        GOOD.replace(b"\n", b"\r\n"),
        GOOD.replace(b"first", b"fi\x00st"),
        GOOD.replace(b"first", b"fi\tst"),
        GOOD.replace(b"first", b"fi\xffst"),
        GOOD[:-2] + b"\n",  # no padding
        GOOD[:-2] + b" =\n",
        TEXT + b"\n" + LINE.replace(b"log.example/a", b"log+example"),
        TEXT + b"\n" + LINE.replace(b"log.example/a", "log\N{NO-BREAK SPACE}example".encode()),
        TEXT + b"\n" + LINE.replace(b"log.example/a", b""),
        TEXT + b"\n" + "— log.example/a AAAAAA==\n".encode(),  # a key id, no signature
        TEXT + b"\n" + "— log.example/a AAAAAAB=\n".encode(),  # stray bits behind the last byte
        TEXT + b"\n" + LINE * (MAX_SIGNATURES + 1),
    ],
)
def test_what_is_not_written_as_a_note_is_refused(raw: bytes) -> None:
    assert code_of(raw) == ("note-malformed", "L2")


def test_a_large_note_is_refused_before_it_is_read() -> None:
    assert code_of(b"\xff" * (MAX_NOTE_BYTES + 1)) == ("note-too-large", "L1")


def test_as_many_signatures_as_allowed_of_the_longest_kind_fit_into_a_note() -> None:
    line = f"{Signature('w' * 40, bytes(4), bytes(8 + 2420))}\n".encode()
    assert len(line) * MAX_SIGNATURES < MAX_NOTE_BYTES
    assert len(Note.parse(TEXT + b"\n" + line * MAX_SIGNATURES).signatures) == MAX_SIGNATURES


@pytest.mark.parametrize(
    ("vkey", "code"),
    [
        ("", "log-key-invalid"),
        ("PeterNeumann", "log-key-invalid"),
        ("PeterNeumann+c74f20a3", "log-key-invalid"),
        (NEUMANN_KEY.replace("Neumann", "Newman"), "log-key-invalid"),
        (NEUMANN_KEY.replace("Peter", "Peter "), "log-key-invalid"),
        (NEUMANN_KEY.replace("c74f20a3", "C74F20A3"), "log-key-invalid"),
        (NEUMANN_KEY.replace("ARpc", "ARpd"), "log-key-invalid"),
        (NEUMANN_KEY + "=", "log-key-invalid"),
        (NEUMANN_KEY[:-4], "log-key-invalid"),
        (NEUMANN_KEY + "\n", "log-key-invalid"),
        ("\ud800+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW", "log-key-invalid"),
        (NEUMANN_KEY.replace("ARpc", "Ahpc"), "log-key-unsupported"),
    ],
)
def test_a_key_that_is_not_what_its_operator_published_is_refused(vkey: str, code: str) -> None:
    with pytest.raises(LogKeyInvalid) as caught:
        VerifierKey.parse(vkey)
    assert caught.value.reasons[0].code == code


def test_one_key_as_log_and_as_witness_has_two_ids() -> None:
    log = signer().key
    assert VerifierKey(log.name, Algorithm.COSIGNATURE_ED25519, log.public).key_id != log.key_id
