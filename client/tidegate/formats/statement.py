"""in-toto Statement v1, or v0.1 of others: which bytes are meant, and what is said of them.

Spec page: docs/spec/statement.md.

Parsing is strict where another reading could mislead (one subject, lower-case sha256, no repeated keys) and lets
unknown members pass, as the in-toto specification asks. Nothing here is trust: the verifier parses only the bytes
that a signature was verified over.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.digest import Digest
from tidegate.errors import JsonInvalid, SigningRefused, StatementInvalid
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes, parse_object
from tidegate.formats.mediatypes import INTOTO_STATEMENT, INTOTO_STATEMENT_V01

MAX_STATEMENT_BYTES = 3 << 20  # fits, in base64, into the largest Sigstore bundle we read (4 MiB)
MAX_PREDICATE_TYPE_CHARACTERS = 512
MAX_SUBJECT_NAME_CHARACTERS = 1024
PAE_PREFIX = b"DSSEv1 "  # DSSE 1.0, protocol.md: what is signed is "DSSEv1" SP LEN(type) SP type SP LEN(body) SP body
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about: the sha256 of some bytes, and the name the signer gave them, if any."""

    name: str | None
    digest: Digest


@dataclass(frozen=True, slots=True)
class Statement:
    """A parsed statement with exactly one subject. `raw` is what was parsed, byte for byte."""

    raw: bytes
    subject: Subject
    predicate_type: str
    predicate: JsonObject

    @classmethod
    def parse(cls, payload: bytes) -> Statement:
        """Parse `payload`, at most MAX_STATEMENT_BYTES. Raises StatementInvalid.

        Codes: "statement-malformed"; "subject-count" when there is not exactly one subject; "subject-digest" when it
        has no sha256 of 64 lower-case hexadecimal digits.
        """
        if looks_like_pae(payload):
            raise StatementInvalid("the payload is itself a DSSE encoding", found="DSSEv1 …", expected="a JSON object")
        try:
            document = parse_object(payload, limit=MAX_STATEMENT_BYTES, what="the statement")
        except JsonInvalid as error:
            raise StatementInvalid(str(error), found=error.reasons[0].found) from error
        if document.get("_type") not in (INTOTO_STATEMENT, INTOTO_STATEMENT_V01):
            raise StatementInvalid(
                "not an in-toto statement of version 1 or 0.1", found=document.get("_type"), expected=INTOTO_STATEMENT
            )
        predicate_type = document.get("predicateType")
        if not isinstance(predicate_type, str) or not 0 < len(predicate_type) <= MAX_PREDICATE_TYPE_CHARACTERS:
            raise StatementInvalid("the statement has no predicate type", found=str(predicate_type)[:80])
        predicate = document.get("predicate")
        if predicate is not None and not isinstance(predicate, dict):
            raise StatementInvalid("the predicate is not an object", found=type(predicate).__name__)
        return cls(payload, _one_subject(document.get("subject")), predicate_type, predicate or {})


def make_statement(name: str | None, digest: Digest, predicate_type: str, predicate: Mapping[str, JsonValue]) -> bytes:
    """Write a statement about `digest` in canonical JSON, so that equal statements are equal bytes.

    Raises StatementInvalid when the result is not one that `Statement.parse` accepts.
    """
    if digest.algorithm != "sha256":
        raise StatementInvalid("a subject is named by its sha256", found=digest, code="subject-digest")
    subject: JsonObject = {"digest": {"sha256": digest.hex}}
    if name is not None:
        subject["name"] = name
    payload = canonical_bytes(
        {
            "_type": INTOTO_STATEMENT,
            "subject": [subject],
            "predicateType": predicate_type,
            "predicate": dict(predicate),
        }
    )
    return Statement.parse(payload).raw


def pre_authentication(payload_type: str, payload: bytes) -> bytes:
    """Give the bytes that a DSSE signature is over. Source: DSSE 1.0, protocol.md."""
    kind = payload_type.encode()
    return b"%b%d %b %d %b" % (PAE_PREFIX, len(kind), kind, len(payload), payload)


def looks_like_pae(data: bytes) -> bool:
    """Whether `data` begins like a DSSE pre-authentication encoding."""
    return data.startswith(PAE_PREFIX)


def refuse_to_sign_pae(data: bytes, what: str) -> None:
    """Raise SigningRefused (code "looks-like-pae") when `data` begins like a DSSE pre-authentication encoding.

    A plain signature over such a file is, byte for byte, a valid signature over an attestation that the file's author
    wrote; a log that records only digests cannot tell the two apart. `what`: the thing to be signed, for the message.
    """
    if looks_like_pae(data):
        raise SigningRefused(
            f"{what} begins like a DSSE envelope's signed bytes",
            code="looks-like-pae",
            found=data[:40].decode("ascii", "replace"),
            hint="sign a digest of the file, or an attestation about it, never the file itself",
        )


def _one_subject(value: JsonValue) -> Subject:
    if not isinstance(value, list) or len(value) != 1:
        found = len(value) if isinstance(value, list) else type(value).__name__
        raise StatementInvalid(
            "a statement is about exactly one subject", code="subject-count", found=found, expected=1
        )
    subject = value[0]
    if not isinstance(subject, dict):
        raise StatementInvalid("the subject is not an object", found=type(subject).__name__)
    name, digests = subject.get("name"), subject.get("digest")
    if name is not None and (not isinstance(name, str) or len(name) > MAX_SUBJECT_NAME_CHARACTERS):
        raise StatementInvalid("the subject's name is not text", found=str(name)[:80])
    sha256 = digests.get("sha256") if isinstance(digests, dict) else None
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise StatementInvalid(
            "the subject has no sha256 digest",
            code="subject-digest",
            found=str(sha256)[:80],
            expected="64 lower-case hexadecimal digits",
        )
    return Subject(name or None, Digest(f"sha256:{sha256}"))
