"""Where a release is copied from: a repository of a registry, a layout or an archive of one. None is believed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tidegate.bundle.layout import Layout
from tidegate.credentials.sources import SOURCE_TOKEN_VARIABLE
from tidegate.digest import Digest
from tidegate.errors import InvalidInput, Unauthenticated
from tidegate.formats.manifest import Manifest
from tidegate.formats.mediatypes import AGENT_BUNDLE
from tidegate.formats.reference import Reference
from tidegate.releases.locate import demand_version_or_digest
from tidegate.releases.shipment import Listed, ListReferrers
from tidegate.releases.verify import choose_in, own_name
from tidegate.remote.source import RegistrySource

if TYPE_CHECKING:
    from tidegate.bundle.source import BundleSource
    from tidegate.remote.registry import Registry


@dataclass(frozen=True, slots=True)
class Origin:
    """A bundle, found but not verified. `wanted`: the release that it must be. `where`: the registry, or the path."""

    source: BundleSource
    manifest: Manifest
    wanted: Reference
    where: str
    list_referrers: ListReferrers


def from_layout(path: Path, wanted: Reference | None) -> Origin:
    """Find the bundle in a layout or an archive of one; `wanted` chooses among several, and names an opaque one.

    Raises NotFound, InvalidInput (code "layout-ambiguous", "agent-unknown", "archive-…"), BundleRefused.
    """
    layout = Layout.open(path)
    manifest = choose_in(layout, wanted)
    if wanted is None or manifest.effective_artifact_type == AGENT_BUNDLE:
        wanted = _named_alike(own_name(layout, manifest), wanted)
    about: dict[Digest, list[Manifest]] = {}
    for each in layout.manifests():  # read once, however much is attached to what is attached
        if each.subject is not None:
            about.setdefault(each.subject.digest, []).append(each)

    def list_referrers(subject: Digest) -> Iterator[Listed]:
        for each in about.get(subject, ()):
            yield Listed(each.descriptor, lambda each=each: each)  # type: ignore[misc]

    return Origin(layout, manifest, wanted, str(path), list_referrers)


def from_registry(registry: Registry, wanted: Reference) -> Origin:
    """Find a release in a registry. Raises ReferenceInvalid (code "reference-incomplete"), NotFound, Unreachable."""
    demand_version_or_digest(wanted)
    source = RegistrySource(registry, wanted.name, wanted.digest)

    def list_referrers(subject: Digest) -> Iterator[Listed]:
        for item in source.listed(subject):
            yield Listed(item, lambda item=item: source.referrer(item))  # type: ignore[misc]

    try:
        manifest = source.root(wanted.version)
    except Unauthenticated as error:
        first = error.reasons[0]
        raise Unauthenticated(
            f"{registry.address.host} lets nobody read with that credential: {first.message}",
            code=first.code,
            found=first.found,
            expected=first.expected,
            step=first.step,
            hint=f"log in there, or put a token for {registry.address.url} in {SOURCE_TOKEN_VARIABLE}",
        ) from error
    return Origin(source, manifest, wanted, registry.address.host, list_referrers)


def agreed(source: Reference | None, destination: Reference | None) -> Reference | None:
    """Give what both ends say of a release; None when neither names one.

    Raises InvalidInput (code "copy-renames") when they differ: a release is signed for one agent and version.
    """
    if source is None or destination is None:
        return source or destination
    for one, two in (
        (source.name, destination.name),
        (source.version, destination.version),
        (source.digest, destination.digest),
    ):
        if one is not None and two is not None and one != two:
            raise _renames(one, two)
    version, digest = source.version or destination.version, source.digest or destination.digest
    return Reference(source.name, source.registry, version, digest)


def _named_alike(name: str, wanted: Reference | None) -> Reference:
    if wanted is None:
        return Reference(name)
    if wanted.name != name:
        raise _renames(name, wanted.name)
    return wanted


def _renames(found: str, expected: str) -> InvalidInput:
    return InvalidInput(
        "a copy keeps its name: what was signed for one agent and version is no release of another",
        code="copy-renames",
        found=found,
        expected=expected,
        hint="name the same agent and version at both ends, or publish it anew; a path begins with ./ or /",
    )
