"""What the path of an OCI request names, checked before anything is looked up. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.digest import Digest
from tidegate.errors import ReferenceInvalid
from tidegate.formats.reference import TagKind, classify_tag, is_oci_name, is_tag, suggest_version
from tidegate_registry.artifacts.errors import ChannelNotMovable, NameNotAnAgent, QueryInvalid, VersionMisspelt

AGENT_SEGMENTS = 2
MAX_TAG_PARAMETERS = 10  # OCI distribution-spec, draft of 1.2: what a registry should take in one PUT


def parse_repository(name: str) -> str:
    """Check that `name` is an agent's: a valid OCI name of two segments. Raises ReferenceInvalid, NameNotAnAgent."""
    if not is_oci_name(name):
        raise ReferenceInvalid(
            "that is not a repository name",
            code="name-invalid",
            found=name[:300],
            expected="lower-case letters and digits, with single . _ - between them, in segments joined by /",
        )
    segments = name.split("/")
    if len(segments) != AGENT_SEGMENTS:
        raise NameNotAnAgent(
            "an agent's name has exactly two segments",
            found=f"{name}: {len(segments)} segments",
            expected="namespace/agent",
            hint=f"push to {segments[0]}/{'-'.join(segments[1:]) or 'AGENT'}",
        )
    return name


def namespace_of(repository: str) -> str:
    """Give the first segment."""
    return repository.partition("/")[0]


@dataclass(frozen=True, slots=True)
class Version:
    """A tag that is a semantic version: naming it is asking for admission."""

    text: str


@dataclass(frozen=True, slots=True)
class WorkingTag:
    """A movable tag of those who may publish."""

    text: str


@dataclass(frozen=True, slots=True)
class Channel:
    """A name that only a promotion moves."""

    text: str


Name = Version | WorkingTag | Channel
Target = Digest | Name


def parse_target(reference: str, *, channels: tuple[str, ...]) -> Target:
    """Say what the last segment of `/manifests/<reference>` asks for.

    Raises DigestInvalid, ReferenceInvalid (no tag at all) or VersionMisspelt (nearly a version).
    """
    if ":" in reference:
        return Digest.parse(reference)
    if not is_tag(reference):
        raise ReferenceInvalid(
            "that is neither a tag nor a digest",
            code="tag-invalid",
            found=reference[:200],
            expected="[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}, or sha256:<hex>",
        )
    if reference in channels:
        return Channel(reference)
    match classify_tag(reference):
        case TagKind.VERSION:
            return Version(reference)
        case TagKind.WORKING:
            return WorkingTag(reference)
        case TagKind.VERSION_LIKE:
            suggestion = suggest_version(reference)
            raise VersionMisspelt(
                f"{reference} looks like a version but is no semantic version",
                found=reference,
                expected="MAJOR.MINOR.PATCH with an optional -prerelease",
                hint=f"use {suggestion}" if suggestion else "use a tag that does not look like a version",
            )


def parse_tags(tags: Sequence[str], target: Target, *, channels: tuple[str, ...]) -> tuple[Name, ...]:
    """Read the `tag` parameters of a PUT by digest: what else the manifest is to be called, each once, in order.

    Only one may be a version, as each asks for an admission of its own.
    Raises QueryInvalid, ReferenceInvalid, VersionMisspelt.
    """
    if tags and not isinstance(target, Digest):
        raise QueryInvalid("`tag` goes with a digest in the path", found=", ".join(tags)[:200], expected=target.text)
    if len(tags) > MAX_TAG_PARAMETERS:
        raise QueryInvalid("too many tags at once", found=len(tags), expected=f"at most {MAX_TAG_PARAMETERS}")
    named: list[Name] = []
    for tag in dict.fromkeys(tags):
        name = parse_target(tag, channels=channels)
        if isinstance(name, Digest):
            raise QueryInvalid("`tag` is a digest", found=tag[:200], expected="a tag")
        named.append(name)
    versions = [name.text for name in named if isinstance(name, Version)]
    if len(versions) > 1:
        raise QueryInvalid("several versions at once", found=", ".join(versions), expected="one version a request")
    return tuple(named)


def refuse_channel(channel: Channel, repository: str) -> ChannelNotMovable:
    """Make the refusal that says how a channel does move."""
    return ChannelNotMovable(
        f"{channel.text} is a channel: pushing a tag never moves it",
        found=f"{repository}:{channel.text}",
        expected="a version such as 1.2.0, or a working tag",
        hint="push a version; channels move by promotion, which this version does not offer yet, and never by a tag",
    )


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list that was asked for: at most `size` entries after `last`."""

    size: int
    last: str


def parse_page(n: str | None, last: str | None, *, most: int) -> Page:
    """Read `n` and `last`. `n` beyond `most` gets `most` and a link to the rest. Raises QueryInvalid."""
    if n is None:
        return Page(most, last or "")
    if not n.isascii() or not n.isdigit() or len(n) > len(str(1 << 31)):
        raise QueryInvalid("n is not a number of entries", found=n[:40], expected="a whole number, 0 or more")
    return Page(min(int(n), most), last or "")


def sort_key(tag: str) -> str:
    """Give a key that sorts as the Distribution Spec lists tags: by letter, whatever the case, then exactly."""
    return f"{tag.lower()} {tag}"  # a space sorts before every character of a tag
