"""What a path names. Pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.digest import Digest
from tidegate.errors import DigestInvalid, ReferenceInvalid
from tidegate_registry.artifacts.errors import NameNotAnAgent, QueryInvalid, VersionMisspelt
from tidegate_registry.artifacts.names import (
    Channel,
    Page,
    Target,
    Version,
    WorkingTag,
    namespace_of,
    parse_page,
    parse_repository,
    parse_target,
    sort_key,
)

CHANNELS = ("dev", "stable")


@pytest.mark.parametrize(
    ("reference", "target"),
    [
        ("1.2.3", Version("1.2.3")),
        ("1.2.3-rc.1", Version("1.2.3-rc.1")),
        ("stable", Channel("stable")),
        ("staging", WorkingTag("staging")),  # no channel here
        ("Stable", WorkingTag("Stable")),
        ("latest", WorkingTag("latest")),
        (Digest.of(b""), Digest.of(b"")),
        (Digest.of(b"", "sha512"), Digest.of(b"", "sha512")),
    ],
)
def test_a_reference_is_a_digest_a_version_a_channel_or_a_working_tag(reference: str, target: Target) -> None:
    assert parse_target(reference, channels=CHANNELS) == target


@pytest.mark.parametrize(
    ("reference", "error", "code"),
    [
        ("v1.2.3", VersionMisspelt, "version-misspelt"),
        ("sha256:abc", DigestInvalid, "digest-invalid"),
        ("a:b", DigestInvalid, "digest-invalid"),
        ("-x", ReferenceInvalid, "tag-invalid"),
        ("x" * 129, ReferenceInvalid, "tag-invalid"),
        ("é", ReferenceInvalid, "tag-invalid"),
        ("", ReferenceInvalid, "tag-invalid"),
    ],
)
def test_anything_else_is_refused(reference: str, error: type[Exception], code: str) -> None:
    with pytest.raises(error) as caught:
        parse_target(reference, channels=CHANNELS)
    assert type(caught.value) is error
    assert caught.value.reasons[0].code == code  # type: ignore[attr-defined]  # all three are TidegateErrors


@pytest.mark.parametrize(
    ("name", "error", "code"),
    [
        ("acme", NameNotAnAgent, "name-not-an-agent"),
        ("a/b/c/d", NameNotAnAgent, "name-not-an-agent"),
        ("", ReferenceInvalid, "name-invalid"),
        ("acme/", ReferenceInvalid, "name-invalid"),
        ("../etc", ReferenceInvalid, "name-invalid"),
        ("acme/Agent", ReferenceInvalid, "name-invalid"),
        (f"acme/{'x' * 255}", ReferenceInvalid, "name-invalid"),
    ],
)
def test_a_repository_has_two_segments(name: str, error: type[ReferenceInvalid], code: str) -> None:
    with pytest.raises(error) as caught:
        parse_repository(name)
    assert caught.value.reasons[0].code == code
    assert parse_repository("acme/support-agent") == "acme/support-agent"
    assert namespace_of("acme/support-agent") == "acme"


def test_a_page_has_at_most_what_is_allowed() -> None:
    assert parse_page(None, None, most=10) == Page(10, "")
    assert parse_page("0", "x", most=10) == Page(0, "x")
    assert parse_page("99", None, most=10) == Page(10, "")
    for text in ("-1", "", "٣", "1e3", "1" * 40):
        with pytest.raises(QueryInvalid) as caught:
            parse_page(text, None, most=10)
        assert caught.value.reasons[0].code == "query-invalid"


@given(st.lists(st.from_regex(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,8}", fullmatch=True), unique=True))
def test_the_order_of_tags_is_by_letter_and_the_same_everywhere(tags: list[str]) -> None:
    ordered = sorted(tags, key=sort_key)
    assert [tag.lower() for tag in ordered] == sorted(tag.lower() for tag in tags)
    assert sorted(ordered, key=lambda tag: sort_key(tag).encode()) == ordered
