"""Signed notes and the keys that verify them. Source: C2SP signed-note; vkeys: its section "Verifier keys".

text, ending in a newline
(blank line: the last one in the note)
— key name base64(key id ‖ signature)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

from tidegate.errors import CheckpointInvalid, LogKeyInvalid, NoteInvalid
from tidegate.tlog.cosignature import ed25519_message, ml_dsa_message, split_timestamped
from tidegate.tlog.steps import LogStep, run_steps
from tidegate.tlog.text import format_base64, parse_base64, shown

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MAX_NOTE_BYTES = 128 << 10  # MAX_SIGNATURES of ML-DSA-44 take 105 kB
MAX_SIGNATURES = 32  # C2SP signed-note, "Format": at least 16 must be accepted
MAX_NAME_BYTES = 255  # C2SP tlog-cosignature: `opaque cosigner_name<1..2^8-1>`
KEY_ID_BYTES = 4
_MARK = "\N{EM DASH} "


class Algorithm(IntEnum):
    """The signature types that are verified; the byte in a vkey and in a key id (C2SP signed-note)."""

    ED25519 = 0x01
    COSIGNATURE_ED25519 = 0x04
    COSIGNATURE_ML_DSA_44 = 0x06

    @property
    def public_bytes(self) -> int:
        """The length of a raw public key."""
        return 1312 if self is Algorithm.COSIGNATURE_ML_DSA_44 else 32

    @property
    def is_cosignature(self) -> bool:
        """Whether signatures carry a time, as witnesses' do."""
        return self is not Algorithm.ED25519


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A key that a note may be signed with. `public`: the raw public key."""

    name: str
    algorithm: Algorithm
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """Read `<name>+<key id in hexadecimal>+<base64 of algorithm ‖ public key>`.

        Raises LogKeyInvalid (codes `log-key-invalid`, `log-key-unsupported`).
        """
        name, _, rest = vkey.partition("+")
        shown_id, _, encoded = rest.partition("+")
        raw = parse_base64(encoded) if len(encoded) <= MAX_NOTE_BYTES else None
        if not is_key_name(name) or not raw:
            raise _bad_key(vkey, "<name>+<8 hexadecimal digits>+<base64>")
        if raw[0] not in set(Algorithm):
            raise LogKeyInvalid(
                "that is a key of an algorithm we do not verify",
                code="log-key-unsupported",
                found=f"{raw[0]:#04x}",
                expected=", ".join(f"{each:#04x}" for each in Algorithm),
            )
        key = cls(name, Algorithm(raw[0]), raw[1:])
        if len(key.public) != key.algorithm.public_bytes:
            raise _bad_key(vkey, f"a public key of {key.algorithm.public_bytes} bytes")
        if shown_id != key.key_id.hex():
            raise _bad_key(vkey, f"the key id {key.key_id.hex()}: the name or the key was changed")
        return key

    @property
    def key_id(self) -> bytes:
        """4 bytes: with the name they say which key signed (C2SP signed-note, "Signatures")."""
        return sha256(self.name.encode() + b"\n" + bytes((self.algorithm,)) + self.public).digest()[:KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{format_base64(bytes((self.algorithm,)) + self.public)}"

    def verify(self, text: bytes, signature: bytes) -> int | None:
        """Verify `signature` (without the key id) over a note's `text`; give a cosignature's time in POSIX seconds.

        Raises NoteInvalid (code `note-signature-invalid`).
        """
        from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

        timed = split_timestamped(signature) if self.algorithm.is_cosignature else (None, signature)
        try:
            if timed is not None:
                self._verify(text, *timed)
                return timed[0]
        except (InvalidSignature, UnsupportedAlgorithm, ValueError, CheckpointInvalid) as error:
            raise self._unverified() from error
        raise self._unverified()

    def _verify(self, text: bytes, at: int | None, signature: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

        if at is None:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text)
        elif self.algorithm is Algorithm.COSIGNATURE_ED25519:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, ed25519_message(text, at))
        else:
            MLDSA44PublicKey.from_public_bytes(self.public).verify(signature, ml_dsa_message(self.name, text, at))

    def _unverified(self) -> NoteInvalid:
        return NoteInvalid(
            f"the signature by {self.name} does not verify",
            code="note-signature-invalid",
            found=f"a signature line with key id {self.key_id.hex()}",
            expected="a signature over this text",
            hint="the text or the signature was changed, or another key has this name",
            step="L3",
        )


class NoteSigner(Protocol):
    """Who signs notes: a key in memory, in a file, or in a key service."""

    @property
    def key(self) -> VerifierKey:
        """The key that verifies what `sign` gives."""

    def sign(self, text: bytes) -> bytes:
        """Give what follows the key id in a signature line for a note of this `text`."""


@dataclass(frozen=True, slots=True)
class Ed25519Signer:
    """Signs notes with a key in memory."""

    name: str
    private: Ed25519PrivateKey

    @property
    def key(self) -> VerifierKey:
        """The key that verifies."""
        return VerifierKey(self.name, Algorithm.ED25519, self.private.public_key().public_bytes_raw())

    def sign(self, text: bytes) -> bytes:
        """Give 64 bytes."""
        return self.private.sign(text)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line. `signature`: what follows the key id; a cosignature's begins with its time."""

    name: str
    key_id: bytes
    signature: bytes

    @classmethod
    def parse(cls, line: str) -> Signature:
        """Read a line without its newline. Raises NoteInvalid (code `note-malformed`)."""
        name, _, encoded = line.removeprefix(_MARK).partition(" ")
        raw = parse_base64(encoded)
        if not line.startswith(_MARK) or not is_key_name(name) or raw is None or len(raw) <= KEY_ID_BYTES:
            raise _malformed(shown(line), "— <key name> <base64 of key id and signature>")
        return cls(name, raw[:KEY_ID_BYTES], raw[KEY_ID_BYTES:])

    def __str__(self) -> str:
        return f"{_MARK}{self.name} {format_base64(self.key_id + self.signature)}"


@dataclass(frozen=True, slots=True)
class Note:
    """A text and its signatures, none of them verified. `text` ends in a newline."""

    text: bytes
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Note:
        """Read a signed note. Raises NoteInvalid (codes `note-too-large`, `note-malformed`; steps L1, L2)."""
        attempt = _Attempt(raw)
        run_steps(FORM_STEPS, attempt)
        return attempt.note

    @property
    def raw(self) -> bytes:
        """The note as bytes: those that were parsed, as there is one way to write each note."""
        return self.text + b"\n" + "".join(f"{line}\n" for line in self.signatures).encode()


@dataclass(frozen=True, slots=True)
class VerifiedNote:
    """A note that at least one known key signed. `by`: those keys, each with the latest time of its cosignatures."""

    note: Note
    by: Mapping[VerifierKey, int | None]


def sign_note(text: bytes, signers: Iterable[NoteSigner]) -> bytes:
    """Give the note of `text`, signed by all of `signers`. Raises NoteInvalid where that makes no note."""
    note = Note(text, tuple(Signature(each.key.name, each.key.key_id, each.sign(text)) for each in signers))
    return Note.parse(note.raw).raw


def verify_note(raw: bytes, keys: Iterable[VerifierKey]) -> VerifiedNote:
    """Verify that at least one of `keys` signed a note. Lines of other keys are ignored.

    Raises NoteInvalid, codes `note-too-large`, `note-malformed`, `note-signature-invalid` (a line of one of `keys`
    does not verify), `note-unsigned` (none is there). Source: C2SP signed-note, "Signatures".
    """
    attempt = _Attempt(raw, tuple(keys))
    run_steps(NOTE_STEPS, attempt)
    return VerifiedNote(attempt.note, attempt.by)


def is_key_name(name: str) -> bool:
    """Whether a key may have this name: not empty, no space of any script, no plus, no control character."""
    unfit = any(
        character.isspace() or character == "+" or character < " " or "\ud800" <= character <= "\udfff"
        for character in name
    )
    return not unfit and 0 < len(name.encode()) <= MAX_NAME_BYTES


@dataclass(slots=True)
class _Attempt:
    raw: bytes
    keys: Sequence[VerifierKey] = ()
    note: Note = field(default_factory=lambda: Note(b"", ()))
    by: dict[VerifierKey, int | None] = field(default_factory=dict)


def _check_size(at: _Attempt) -> None:
    if len(at.raw) > MAX_NOTE_BYTES:
        raise NoteInvalid(
            "the note is too large",
            code="note-too-large",
            found=f"{len(at.raw)} bytes",
            expected=f"at most {MAX_NOTE_BYTES} bytes",
            step="L1",
        )


def _check_form(at: _Attempt) -> None:
    try:
        text = at.raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed("bytes that are not UTF-8", "UTF-8") from error
    if any(character < " " and character != "\n" for character in text):
        raise _malformed("a control character", "none but the newline")
    body, blank, signed = text.rpartition("\n\n")
    if not blank or not signed.endswith("\n"):
        raise _malformed("no block of signatures", "a text, a blank line, and signature lines")
    lines = signed[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise _malformed(f"{len(lines)} signatures", f"at most {MAX_SIGNATURES}")
    at.note = Note(f"{body}\n".encode(), tuple(Signature.parse(line) for line in lines))


def _check_known(at: _Attempt) -> None:
    known = {(key.name, key.key_id): key for key in at.keys}
    for line in at.note.signatures:
        key = known.get((line.name, line.key_id))
        if key is not None:  # a key's second line must verify too, and counts no further
            time = key.verify(at.note.text, line.signature)
            at.by[key] = time if time is None else max(time, at.by.get(key) or 0)


def _check_signed(at: _Attempt) -> None:
    if not at.by:
        raise NoteInvalid(
            "the note is not signed by a known key",
            code="note-unsigned",
            found=", ".join(sorted({shown(f"{line.name}+{line.key_id.hex()}") for line in at.note.signatures})),
            expected=" or ".join(f"{key.name}+{key.key_id.hex()}" for key in at.keys) or "a known key",
            hint="compare the name and the key with those in your trust file",
            step="L4",
        )


FORM_STEPS = (
    LogStep("L1", "the note is not too large", _check_size),
    LogStep("L2", "the note is a text and signature lines", _check_form),
)
NOTE_STEPS = (
    *FORM_STEPS,
    LogStep("L3", "each signature of a known key verifies", _check_known),
    LogStep("L4", "a known key signed", _check_signed),
)


def _malformed(found: str, expected: str) -> NoteInvalid:
    return NoteInvalid("that is not a signed note", code="note-malformed", found=found, expected=expected, step="L2")


def _bad_key(vkey: str, expected: str) -> LogKeyInvalid:
    return LogKeyInvalid(
        "that is not the key of a log or witness",
        code="log-key-invalid",
        found=shown(vkey),
        expected=expected,
        hint="copy the whole line that its operator published",
    )
