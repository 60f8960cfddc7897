from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.digest import Digest
from tidegate.errors import DigestInvalid, ReferenceInvalid
from tidegate.formats.reference import Reference, TagKind, classify_tag, parse_version, suggest_version

DIGEST = Digest.of(b"x")


@pytest.mark.parametrize(
    "text",
    [
        "acme/support-agent",
        "acme/support-agent:1.2.0",
        f"acme/support-agent:1.2.0-rc.1@{DIGEST}",
        f"acme/a@{DIGEST}",
        "localhost/acme/a:0.0.1",
        "127.0.0.1:5000/acme/a",
        "[::1]:5000/acme/a",
        "registry.corp.example:8443/acme/a_b.c-d:10.20.30",
    ],
)
def test_a_reference_comes_back_as_it_was_written(text: str) -> None:
    assert str(Reference.parse(text)) == text


def test_three_segments_name_the_registry() -> None:
    reference = Reference.parse("localhost/acme/agent:1.0.0")
    assert (reference.registry, reference.name, reference.version) == ("localhost", "acme/agent", "1.0.0")
    assert reference.namespace == "acme"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "agent",
        "a/b/c/d",
        "Acme/agent",
        "acme/agent:",
        "acme/agent:latest",
        "acme/agent:v1.2.3",
        "acme/agent:1.2.3+build",
        "acme//agent",
        "acme/../agent",
        "ac me/agent",
        "acme/agent\n",
        "acme/" + "a" * 300,
        "http://host/acme/agent",
        "host:99x/acme/agent",
    ],
)
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ReferenceInvalid) as caught:
        Reference.parse(text)
    assert caught.value.reasons[0].code == "reference-invalid"


def test_a_reference_with_a_broken_digest_is_refused() -> None:
    with pytest.raises(DigestInvalid):
        Reference.parse("acme/agent@sha256:abc")


@pytest.mark.parametrize(
    ("tag", "kind", "suggestion"),
    [
        ("1.2.3", TagKind.VERSION, None),
        ("1.2.3-rc.1", TagKind.VERSION, None),
        ("v1.2.3", TagKind.VERSION_LIKE, "1.2.3"),
        ("V2", TagKind.VERSION_LIKE, "2.0.0"),
        ("1.2", TagKind.VERSION_LIKE, "1.2.0"),
        ("01.2.3", TagKind.VERSION_LIKE, "1.2.3"),
        ("1.2.3_4", TagKind.VERSION_LIKE, "1.2.3-4"),
        ("1.2.3.4", TagKind.VERSION_LIKE, "1.2.3-4"),
        ("latest", TagKind.WORKING, None),
        ("20261121", TagKind.WORKING, None),
        ("2026-11-21", TagKind.WORKING, None),
        ("video", TagKind.WORKING, None),
        ("sha-abc", TagKind.WORKING, None),
    ],
)
def test_tags_say_what_they_mean(tag: str, kind: TagKind, suggestion: str | None) -> None:
    assert classify_tag(tag) is kind
    if suggestion:
        assert suggest_version(tag) == suggestion
        with pytest.raises(ReferenceInvalid) as caught:
            parse_version(tag)
        assert caught.value.hint == f"write {suggestion}"


@given(st.from_regex(r"[vV0-9.+_-]{1,20}", fullmatch=True))
def test_every_suggestion_is_a_version(tag: str) -> None:
    suggestion = suggest_version(tag)
    if suggestion is not None:
        assert parse_version(suggestion) == suggestion
