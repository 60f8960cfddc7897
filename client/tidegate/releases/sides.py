"""The bundle an argument names, or the two of a comparison: a layout, an archive, an agent's folder, a registry."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tidegate.bundle.diff.model import Side
from tidegate.bundle.layout import MARKER, Layout
from tidegate.bundle.outdated import check_up_to_date
from tidegate.bundle.source import BundleSource
from tidegate.bundle.spec import FILE_NAME
from tidegate.bundle.structure import check_structure
from tidegate.credentials.connect import address_for, open_registry
from tidegate.credentials.sources import Credentials
from tidegate.errors import InvalidInput, ReferenceInvalid
from tidegate.formats.manifest import Manifest
from tidegate.formats.mediatypes import AGENT_BUNDLE, ANNOTATION_TITLE, ANNOTATION_VERSION
from tidegate.formats.reference import Reference, parse_agent_name, parse_version
from tidegate.releases.locate import demand_version_or_digest, find_layout, parse_release
from tidegate.remote.registry import Registry
from tidegate.remote.source import RegistrySource

BUILT = Path(".tidegate") / "layout"  # where `tidegate build` writes by default


@dataclass(frozen=True, slots=True)
class _Named:
    """What one argument names: a layout (and which version of it), or a reference. `folder`: what it was built of."""

    layout: Layout | None
    reference: Reference | None
    version: str | None = None
    folder: Path | None = None


@contextmanager
def open_sides(
    before: str, after: str, *, registry: str | None, plain_http: bool, credentials: Credentials
) -> Iterator[tuple[Side, Side]]:
    """Give both bundles, each with its config checked but no signature verified.

    Each is a layout (folder or archive; `LAYOUT:VERSION` chooses among several bundles), an agent's folder that was
    built, what `pull` wrote, a reference with version or digest, or a version alone: one of the other side's agent, in
    the same layout if it has it, else in the registry.
    Raises InvalidInput (also for a folder that is not what was built of it any more), NotFound, BundleRefused,
    Unreachable; what reads layers later raises them, too.
    """
    if _is_version(before) and _is_version(after):
        raise InvalidInput(
            "two versions do not say of which agent",
            code="reference-incomplete",
            found=f"{before} {after}",
            expected="one of the two as a reference, or as a layout",
            hint=f"write NAMESPACE/AGENT:{before} {after}",
        )
    with ExitStack() as stack:
        opener = _Opener(stack, registry, plain_http=plain_http, credentials=credentials)
        sides = _named(before, after)
        yield opener.side(sides[0]), opener.side(sides[1])


@contextmanager
def open_side(what: str, *, registry: str | None, plain_http: bool, credentials: Credentials) -> Iterator[Side]:
    """Give one bundle, named and checked as those of `open_sides`."""
    with ExitStack() as stack:
        yield _Opener(stack, registry, plain_http=plain_http, credentials=credentials).side(_one(what))


class _Opener:
    """Opens bundles, each registry once."""

    def __init__(self, stack: ExitStack, registry: str | None, *, plain_http: bool, credentials: Credentials) -> None:
        self._stack, self._registry, self._plain_http, self._credentials = stack, registry, plain_http, credentials
        self._opened: dict[str, Registry] = {}

    def side(self, named: _Named) -> Side:
        if named.layout is not None:
            side = side_of(named.layout, named.layout.root(named.version), None, named.version)
            if named.folder is not None and side.config is not None:
                check_up_to_date(named.folder, named.layout, side.config)
            return side
        reference = demand_version_or_digest(named.reference or Reference(""))
        source = self._source(reference)
        manifest = source.manifest(reference.digest) if reference.digest else source.root(reference.version)
        return side_of(source, manifest, reference.name, reference.version)

    def _source(self, reference: Reference) -> RegistrySource:
        address = address_for(reference, self._registry, plain_http=self._plain_http)
        if address.host not in self._opened:
            self._opened[address.host] = self._stack.enter_context(open_registry(address, self._credentials))
        return RegistrySource(self._opened[address.host], reference.name)


def _named(before: str, after: str) -> tuple[_Named, _Named]:
    if _is_version(before):
        other = _one(after)
        return _sibling(other, before), other
    first = _one(before)
    return first, _sibling(first, after) if _is_version(after) else _one(after)


def _one(text: str) -> _Named:
    folder, _, version = text.rpartition(":")
    if folder and not Path(text).exists() and (path := _layout_at(folder)) is not None:
        return _Named(Layout.open(path), None, parse_version(version))
    here = Path(text).expanduser()
    if (here / FILE_NAME).is_file() and not (here / BUILT / MARKER).is_file():
        raise InvalidInput(
            "nothing was built of that folder",
            code="not-built",
            found=here,
            expected=f"a layout in {here / BUILT}",
            hint=f"run `tidegate build {here}`",
        )
    path = _layout_at(text) or find_layout(text)
    if path is None:
        return _Named(None, parse_release(text))
    return _Named(Layout.open(path), None, folder=here if path == here / BUILT else None)


def _layout_at(text: str) -> Path | None:
    """Give the layout that is there, or that was built there; None when there is none."""
    here = Path(text).expanduser()
    if not here.exists():
        return None
    return here / BUILT if (here / BUILT / MARKER).is_file() else find_layout(text)


def _sibling(other: _Named, version: str) -> _Named:
    """Give another version of the agent that `other` names."""
    if other.layout is None:
        reference = other.reference or Reference("")
        return _Named(None, Reference(reference.name, reference.registry, version))
    held = other.layout.by_version()
    if version in held and len(held) > 1:
        return _Named(other.layout, None, version)
    name = side_of(other.layout, other.layout.root(other.version), None, None).agent
    return _Named(None, Reference(parse_agent_name(name or ""), version=version))


def side_of(source: BundleSource, manifest: Manifest, name: str | None = None, version: str | None = None) -> Side:
    """Read what a bundle says of itself. What the caller asked for by name counts for an artifact that has none."""
    if manifest.effective_artifact_type == AGENT_BUNDLE:
        config = check_structure(manifest, source.open_blob)
        return Side(manifest, config, source.open_blob, config.name, config.version)
    said = manifest.annotations.get(ANNOTATION_VERSION)
    known = version or (said if said is not None and _is_version(said) else None)
    return Side(manifest, None, source.open_blob, name or manifest.annotations.get(ANNOTATION_TITLE), known)


def _is_version(text: str) -> bool:
    """Whether it is a version and no file of that name."""
    if Path(text).exists():
        return False
    try:
        parse_version(text)
    except ReferenceInvalid:
        return False
    return True
