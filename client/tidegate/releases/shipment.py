"""What is copied with a release: the manifests an index reaches, and everything that refers to any of it.

Read from a place that is not trusted: what is listed is only taken when it is about what it is listed for, and all of
it is bounded. Source: docs/spec/copying.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tidegate.digest import Digest
from tidegate.errors import (
    BundleRefused,
    LimitExceeded,
    NotFound,
    Reason,
    TidegateError,
    Unauthenticated,
    Unreachable,
)
from tidegate.formats.manifest import IMAGE_TYPES, INDEX_TYPES, MAX_REFERRERS, Descriptor, Manifest
from tidegate.verify.referrer import BundleReferrer
from tidegate.verify.steps import bounded

if TYPE_CHECKING:
    from tidegate.bundle.source import BundleSource
    from tidegate.verify.release import VerifiedRelease

MAX_MEMBERS = 500  # manifests that one index reaches: as many as a Tidegate registry names
MAX_MANIFESTS_BYTES = 256 << 20  # of all of them together, and of all referrers: they are held in memory
FATAL = (Unreachable, Unauthenticated)  # what is no property of the one thing that was asked for


@dataclass(frozen=True, slots=True)
class Referrer:
    """A manifest about another one. `counted`: it brought evidence that the release was verified by."""

    manifest: Manifest
    counted: bool

    @property
    def kind(self) -> str:
        """What it is, for a person: the predicate type that its author wrote beside it, else its artifact type."""
        found = BundleReferrer(self.manifest)
        claimed = found.claimed_type if found.is_bundle else None
        return _shown(claimed or self.manifest.effective_artifact_type or self.manifest.media_type)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that was listed and is not copied, and why."""

    digest: Digest
    kind: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Shipment:
    """A verified release and what goes along, in the order in which it may be sent.

    `members`: what an index reaches, each after what it names itself. `referrers`: those that counted first, each after
    what it is about.
    """

    release: VerifiedRelease
    members: tuple[Manifest, ...]
    referrers: tuple[Referrer, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def content(self) -> tuple[Manifest, ...]:
        """All manifests of the release itself, the release last."""
        return (*self.members, self.release.manifest)


@dataclass(frozen=True, slots=True)
class Listed:
    """One entry of a list of referrers: its descriptor, and how to read the manifest."""

    descriptor: Descriptor
    read: Callable[[], Manifest]


ListReferrers = Callable[[Digest], Iterable[Listed]]


def gather(source: BundleSource, list_referrers: ListReferrers, release: VerifiedRelease) -> Shipment:
    """Find everything that belongs to a verified release. Raises LimitExceeded, NotFound, and what the source raises.

    A referrer that cannot be read or is about something else is left out, with the reason. Raises BundleRefused (code
    "evidence-withheld") when the source does not give again what the release was verified by.
    """
    budget = _Budget(MAX_MANIFESTS_BYTES)
    members = _members(source, release.manifest, budget)
    found: list[tuple[int, Referrer]] = []
    left_out: list[LeftOut] = []
    seen = {release.digest, *(each.digest for each in members)}
    level, subjects = 0, [release.digest, *(each.digest for each in members)]
    while subjects:
        here: list[Digest] = []
        for subject in subjects:
            for each in _about(subject, list_referrers):
                if isinstance(each, LeftOut):
                    left_out.append(each)
                elif each.digest not in seen:
                    seen.add(each.digest)
                    budget.take(each)
                    here.append(each.digest)
                    found.append((level, Referrer(each, each.digest in release.counted)))
                _check_number(len(found) + len(left_out))
        level, subjects = level + 1, here
    _check_complete(release.counted, seen)
    ordered = sorted(found, key=lambda item: (item[0], _rank(item[1]), item[1].manifest.digest))
    return Shipment(release, members, tuple(each for _, each in ordered), tuple(left_out))


def _check_number(found: int) -> None:
    """Raise LimitExceeded for more than is carried. What is left out counts: each was asked for."""
    if found > MAX_REFERRERS:
        raise LimitExceeded(
            "too much is attached to the release, and to what is attached",
            code="too-many-referrers",
            found=f"{found} or more",
            expected=f"at most {MAX_REFERRERS}",
        )


def _check_complete(counted: AbstractSet[Digest], found: AbstractSet[Digest]) -> None:
    """Check that nothing fell away since the release was verified: nobody could verify what would arrive."""
    if missing := counted - found:
        raise BundleRefused(
            "the source does not give again what the release was verified by",
            code="evidence-withheld",
            found=f"{len(missing)} of {len(counted)} referrers are gone: {', '.join(sorted(missing)[:3])}",
            expected="the same evidence for as long as it is copied",
            hint="copy again; if it stays like this, do not trust the source",
        )


class _Budget:
    def __init__(self, size: int) -> None:
        self._left = size

    def take(self, manifest: Manifest) -> None:
        self._left -= len(manifest.raw)
        if self._left < 0:
            raise LimitExceeded("the manifests are too large", expected=f"at most {MAX_MANIFESTS_BYTES} bytes together")


def _members(source: BundleSource, root: Manifest, budget: _Budget) -> tuple[Manifest, ...]:
    """Read the manifests that an index reaches, each after those that it names itself."""
    found: dict[Digest, Manifest] = {}

    def visit(manifest: Manifest) -> Iterator[Manifest]:
        for digest in (item.digest for item in manifest.manifests if _is_manifest(item)):
            if digest in found:
                continue
            if len(found) == MAX_MEMBERS:
                raise LimitExceeded(
                    "the index reaches too many manifests",
                    code="too-many-members",
                    found=f"more than {MAX_MEMBERS}",
                    expected=MAX_MEMBERS,
                )
            member = found[digest] = source.manifest(digest)
            budget.take(member)
            yield from visit(member)
            yield member

    return tuple(visit(root))


def _is_manifest(item: Descriptor) -> bool:
    return item.media_type in IMAGE_TYPES | INDEX_TYPES


def _about(subject: Digest, list_referrers: ListReferrers) -> Iterator[Manifest | LeftOut]:
    try:
        listed = tuple(list_referrers(subject))
    except NotFound:
        return  # a registry that knows the manifest and no list about it has nothing to list
    for item in sorted(listed, key=lambda each: each.descriptor.digest):
        kind = _shown(item.descriptor.artifact_type or item.descriptor.media_type)
        try:
            manifest = item.read()
        except FATAL:
            raise
        except TidegateError as error:
            yield LeftOut(item.descriptor.digest, kind, error.reasons)
            continue
        if BundleReferrer(manifest).is_about(subject):
            yield manifest
        else:
            reason = Reason("referrer-subject", "it is about another manifest", expected=str(subject))
            yield LeftOut(item.descriptor.digest, kind, (reason,))


def _shown(text: str) -> str:
    """Bound and disarm what a stranger wrote: it goes to a terminal."""
    return bounded(text) or ""


def _rank(referrer: Referrer) -> int:
    if referrer.counted:
        return 0
    return 1 if BundleReferrer(referrer.manifest).is_bundle else 2
