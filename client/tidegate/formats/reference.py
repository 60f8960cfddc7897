"""References: `[registry/]namespace/agent[:version][@sha256:…]`, and what a tag may mean.

An agent has exactly two name segments, so three segments mean that the first one is the registry.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum

from tidegate.digest import Digest
from tidegate.errors import ReferenceInvalid

# OCI distribution-spec 1.1, "Pulling manifests"
_SEGMENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_SEGMENT}/{_SEGMENT}")
_OCI_NAME = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_REGISTRY = re.compile(r"(?:\[[0-9a-fA-F:]+\]|[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?)(?::[0-9]{1,5})?")
MAX_NAME = 255  # OCI distribution-spec 1.1: many clients limit the name to 255 characters

# https://semver.org, the suggested expression, without build metadata: an OCI tag cannot hold "+"
SEMVER_PATTERN = (
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)"
    r"(?:-(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*)?"
)
_SEMVER = re.compile(SEMVER_PATTERN, re.ASCII)
_VERSION_LIKE = re.compile(r"[vV]?(\d+)(?:\.(\d+))?(?:\.(\d+))?([-+._].*)?", re.ASCII)

SHAPE = "[registry/]namespace/agent[:version][@sha256:…]"


class TagKind(Enum):
    """What a tag means to the gate (docs/spec/registry-api.md, "Names"): only a VERSION names a release."""

    VERSION = "version"
    VERSION_LIKE = "version-like"
    WORKING = "working"


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference. `name` is `namespace/agent`; `registry` is `host[:port]` or None for the default one."""

    name: str
    registry: str | None = None
    version: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Parse `text`. Raises ReferenceInvalid with the part that is wrong."""
        rest, at, digest_text = text.partition("@")
        digest = Digest.parse(digest_text) if at else None
        parts = rest.split("/")
        if len(parts) not in (2, 3):
            raise ReferenceInvalid("a reference names a namespace and an agent", found=text[:300], expected=SHAPE)
        registry = parts[0] if len(parts) == 3 else None  # noqa: PLR2004
        agent, colon, version = parts[-1].partition(":")
        reference = cls(name=parse_agent_name(f"{parts[-2]}/{agent}"), registry=registry, digest=digest)
        if registry is not None and not _REGISTRY.fullmatch(registry):
            raise ReferenceInvalid("the registry is not host[:port]", found=registry[:300], expected=SHAPE)
        return replace(reference, version=parse_version(version)) if colon else reference

    @property
    def namespace(self) -> str:
        """The first name segment."""
        return self.name.partition("/")[0]

    def __str__(self) -> str:
        registry = f"{self.registry}/" if self.registry else ""
        version = f":{self.version}" if self.version else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{registry}{self.name}{version}{digest}"


def parse_agent_name(text: str) -> str:
    """Check that `text` is `namespace/agent`. Raises ReferenceInvalid."""
    if len(text) > MAX_NAME or not _NAME.fullmatch(text):
        raise ReferenceInvalid(
            "that is not an agent's name",
            found=text[:300],
            expected="namespace/agent, each of lower-case letters, digits and single . _ - between them",
        )
    return text


def is_oci_name(text: str) -> bool:
    """Whether `text` is a repository name by the Distribution Spec (any number of segments)."""
    return len(text) <= MAX_NAME and _OCI_NAME.fullmatch(text) is not None


def is_registry(text: str) -> bool:
    """Whether `text` is `host[:port]`."""
    return _REGISTRY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    """Whether `text` is a tag by the Distribution Spec."""
    return _TAG.fullmatch(text) is not None


def may_name_channel(text: str) -> bool:
    """Whether `text` can name a channel: a tag that is no version and looks like none."""
    return is_tag(text) and classify_tag(text) is TagKind.WORKING


def parse_channel(text: str) -> str:
    """Check that `text` can name a channel: a tag that is no version and looks like none. Raises ReferenceInvalid."""
    if may_name_channel(text):
        return text
    raise ReferenceInvalid(
        "that is no name of a channel",
        code="channel-invalid",
        found=text[:160],
        expected="a tag that does not look like a version, such as stable",
    )


def parse_version(text: str) -> str:
    """Check for a semantic version without build metadata. Raises ReferenceInvalid with the right spelling."""
    if len(text) <= 128 and _SEMVER.fullmatch(text):  # noqa: PLR2004 - the length of an OCI tag
        return text
    suggestion = suggest_version(text)
    raise ReferenceInvalid(
        "that is not a semantic version",
        found=text[:160],
        expected="MAJOR.MINOR.PATCH with an optional -prerelease, and no +build (a tag cannot hold it)",
        hint=f"write {suggestion}" if suggestion else None,
    )


def version_key(version: str) -> tuple[object, ...]:
    """Give a key that sorts as semantic versions precede each other. Source: semver.org 2.0.0, item 11."""
    core, _, pre = version.partition("-")
    numbers = tuple(int(part) for part in core.split("."))
    identifiers = (
        tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in pre.split(".")) if pre else ()
    )
    return (numbers, not pre, identifiers)


def suggest_version(text: str) -> str | None:
    """Give the nearest semantic version to something that looks like one, or None."""
    match = _VERSION_LIKE.fullmatch(text)
    if match is None:
        return None
    core = ".".join(str(int(part or "0")) for part in match.groups()[:3])
    tail = (match[4] or "").partition("+")[0].lstrip("-._")
    candidate = f"{core}-{tail}" if tail else core
    return candidate if _SEMVER.fullmatch(candidate) else core


def classify_tag(tag: str) -> TagKind:
    """Say what a tag means: a version, something that only looks like one (to be refused), or a working tag."""
    if _SEMVER.fullmatch(tag):
        return TagKind.VERSION
    looks = _VERSION_LIKE.fullmatch(tag)
    # a bare number or a date such as 20261121 or 2026-11-21 is a habit of CI systems, not a version; v7 and 1.2 are
    if looks and (tag[0] in "vV" or looks[2] is not None):
        return TagKind.VERSION_LIKE
    return TagKind.WORKING
