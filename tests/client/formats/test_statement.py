"""Statements: what we write parses, what could be read in two ways does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.digest import Digest
from tidegate.errors import SigningRefused, StatementInvalid
from tidegate.formats.statement import (
    MAX_STATEMENT_BYTES,
    Statement,
    looks_like_pae,
    make_statement,
    refuse_to_sign_pae,
)

DIGEST = Digest.of(b"manifest")
TYPE = "https://example.com/predicate/v1"


def written(change: Callable[[dict[str, Any]], object] = lambda _: None) -> bytes:
    document = json.loads(make_statement("acme/agent", DIGEST, TYPE, {"a": 1}))  # noqa: TID251 - our own
    change(document)
    return json.dumps(document).encode()


def test_what_we_write_is_canonical_and_parses() -> None:
    payload = make_statement("acme/agent", DIGEST, TYPE, {"b": 2, "a": 1})
    assert payload == make_statement("acme/agent", DIGEST, TYPE, {"a": 1, "b": 2})
    statement = Statement.parse(payload)
    assert statement.raw is payload
    assert (statement.subject.name, statement.subject.digest) == ("acme/agent", DIGEST)
    assert (statement.predicate_type, statement.predicate) == (TYPE, {"a": 1, "b": 2})


@pytest.mark.parametrize(
    "change", [lambda d: d.pop("predicate"), lambda d: d.update(predicate=None)], ids=["absent", "null"]
)
def test_a_statement_without_predicate_has_an_empty_one(change: Callable[[dict[str, Any]], object]) -> None:
    assert Statement.parse(written(change)).predicate == {}


def test_members_we_do_not_know_are_ignored() -> None:
    def change(document: dict[str, Any]) -> None:
        document["x"] = 1
        document["subject"][0]["annotations"] = {"y": 2}
        document["subject"][0]["digest"]["sha512"] = "0"

    assert Statement.parse(written(change)).subject.digest == DIGEST


def test_a_statement_of_version_0_means_the_same() -> None:
    old = Statement.parse(written(lambda d: d.update(_type="https://in-toto.io/Statement/v0.1")))
    assert old.subject == Statement.parse(written(lambda _: None)).subject


def test_an_empty_name_is_no_name() -> None:
    assert Statement.parse(written(lambda d: d["subject"][0].update(name=""))).subject.name is None
    assert Statement.parse(make_statement(None, DIGEST, TYPE, {})).subject.name is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda d: d.update(_type="https://in-toto.io/Statement/v2"), "statement-malformed"),
        (lambda d: d.pop("_type"), "statement-malformed"),
        (lambda d: d.pop("predicateType"), "statement-malformed"),
        (lambda d: d.update(predicateType=""), "statement-malformed"),
        (lambda d: d.update(predicateType=["x"]), "statement-malformed"),
        (lambda d: d.update(predicate=[]), "statement-malformed"),
        (lambda d: d.update(subject=[]), "subject-count"),
        (lambda d: d.update(subject=d["subject"] * 2), "subject-count"),
        (lambda d: d.update(subject=d["subject"][0]), "subject-count"),
        (lambda d: d.pop("subject"), "subject-count"),
        (lambda d: d.update(subject=["x"]), "statement-malformed"),
        (lambda d: d["subject"][0].update(name=5), "statement-malformed"),
        (lambda d: d["subject"][0].update(name="x" * 2000), "statement-malformed"),
        (lambda d: d["subject"][0].update(digest=DIGEST.hex), "subject-digest"),
        (lambda d: d["subject"][0]["digest"].update(sha256=DIGEST.hex.upper()), "subject-digest"),
        (lambda d: d["subject"][0]["digest"].update(sha256=DIGEST.hex + "\n"), "subject-digest"),
        (lambda d: d["subject"][0]["digest"].update(sha256=DIGEST.hex[:-1]), "subject-digest"),
        (lambda d: d["subject"][0]["digest"].pop("sha256"), "subject-digest"),
    ],
    ids=count(),
)
def test_a_statement_of_another_form_is_refused(change: Callable[[dict[str, Any]], object], code: str) -> None:
    with pytest.raises(StatementInvalid) as refused:
        Statement.parse(written(change))
    assert refused.value.reasons[0].code == code


BAD = [b"", b"[]", b"{", b"\xff", b'{"_type":"a","_type":"b"}', b"DSSEv1 2 {} 2 {}", b" " * (MAX_STATEMENT_BYTES + 1)]


@pytest.mark.parametrize("payload", BAD, ids=count())
def test_bytes_that_are_no_statement_are_refused(payload: bytes) -> None:
    with pytest.raises(StatementInvalid) as refused:
        Statement.parse(payload)
    assert refused.value.reasons[0].code == "statement-malformed"


@given(st.binary(max_size=200))
def test_no_bytes_make_the_parser_raise_anything_else(payload: bytes) -> None:
    with pytest.raises(StatementInvalid):
        Statement.parse(payload)


def test_a_subject_is_named_by_sha256_alone() -> None:
    with pytest.raises(StatementInvalid) as refused:
        make_statement("acme/agent", Digest.of(b"x", "sha512"), TYPE, {})
    assert refused.value.reasons[0].code == "subject-digest"


def test_a_file_that_begins_like_an_envelopes_signed_bytes_is_not_signed() -> None:
    with pytest.raises(SigningRefused) as refused:
        refuse_to_sign_pae(b"DSSEv1 28 application/vnd.in-toto+json 2 {}", "notes.txt")
    assert refused.value.reasons[0].code == "looks-like-pae"
    refuse_to_sign_pae(b"DSSEv2 ", "notes.txt")
    assert looks_like_pae(b"DSSEv1 ")
    assert not looks_like_pae(b"dssev1 ")
