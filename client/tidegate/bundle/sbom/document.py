"""The CycloneDX document of a bundle: packages, models, prompts, tools and data, each with its hashes.

Deterministic: the serial number comes of the bundle's digest, and there is no time but the one that the caller gives.
Source: docs/spec/sbom.md; CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json/.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

from tidegate.bundle.diff.model import Bounds, Side
from tidegate.bundle.diff.texts import read_files
from tidegate.bundle.sbom.packages import Package, find_packages, package_file
from tidegate.digest import Digest
from tidegate.errors import BundleRefused, InvalidInput
from tidegate.formats.config import AgentConfig, Kind
from tidegate.formats.declarations import ModelPin
from tidegate.formats.jcs import JsonObject, parse_object
from tidegate.formats.paths import printable

if TYPE_CHECKING:
    from cyclonedx.model import HashType, Property
    from cyclonedx.model.component import Component, ComponentType

MAX_READ_BYTES = 256 << 20  # of all files that name packages
MAX_SBOM_BYTES = 64 << 20
_FILES = frozenset({Kind.PROMPTS, Kind.SKILLS, Kind.TOOLS, Kind.CONFIG})  # told file by file; others layer by layer
_DATA = frozenset({Kind.MEMORY, Kind.EVALS})


def write_sbom(side: Side, *, timestamp: datetime | None = None) -> JsonObject:
    """Write the CycloneDX 1.6 document of a bundle.

    Raises BundleRefused (code `sbom-source-invalid` for a lock file that cannot be read, `sbom-opaque` for an artifact
    of another tool); InvalidInput (code `sbom-extra-missing`) when the library is not installed.
    """
    config = side.config
    if config is None:
        raise BundleRefused(
            "that artifact does not say what it is made of",
            code="sbom-opaque",
            found=side.manifest.effective_artifact_type,
            hint="an artifact of another tool needs the SBOM of that tool",
        )
    try:
        from cyclonedx.model.bom import Bom, BomMetaData
        from cyclonedx.model.component import Component, ComponentType
        from cyclonedx.output.json import JsonV1Dot6
        from packageurl import PackageURL
    except ImportError as error:
        raise InvalidInput(
            "writing an SBOM needs a library that hosts do without",
            code="sbom-extra-missing",
            found=error.name,
            hint="run `pip install 'tidegate[sbom]'`",
        ) from error
    digest = side.manifest.digest
    root = Component(
        name=config.name,
        version=config.version,
        type=ComponentType.APPLICATION,
        bom_ref=str(digest),
        description=config.description,
        purl=PackageURL(type="oci", name=config.name.rpartition("/")[2], version=str(digest)),
        hashes=_hashes([(digest.algorithm, digest.hex)]),
    )
    components = [*_packages(side, config), *_models(config), *_parts(config)]
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"tidegate:{digest}"),
        metadata=BomMetaData(component=root, timestamp=timestamp),
        components=components,
    )
    bom.metadata.timestamp = timestamp  # type: ignore[assignment] # the library would take the time of day for none
    bom.register_dependency(root, components)
    raw = JsonV1Dot6(bom).output_as_string().encode()
    return parse_object(raw, limit=MAX_SBOM_BYTES, what="the SBOM")


def _packages(side: Side, config: AgentConfig) -> Iterator[Component]:
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    licences = LicenseFactory()
    for package in find_packages(_read(side, config), config.runtime.requirements):
        group, _, name = package.name.rpartition("/") if package.ecosystem == "npm" else ("", "", package.name)
        purl = PackageURL(type=package.ecosystem, namespace=group or None, name=name, version=package.version)
        yield Component(
            name=name,
            group=group or None,
            version=package.version,
            type=ComponentType.LIBRARY,
            bom_ref=purl.to_string(),
            purl=purl,
            hashes=_hashes(package.hashes),
            licenses=[licences.make_from_string(package.licence)] if package.licence else (),
            properties=_found_in(package),
        )


def _read(side: Side, config: AgentConfig) -> dict[str, bytes]:
    """Read every file that names packages, whole. Raises BundleRefused when they are too large."""
    wanted: set[str] = set()
    total = 0
    for entry in config.files:
        kind = package_file(entry.path, config.runtime.requirements)
        if kind is None or not entry.component.behavioural or entry.component is Kind.WEIGHTS:
            continue
        wanted.add(entry.path)
        total += entry.size
        if entry.size > kind.limit or total > MAX_READ_BYTES:
            raise BundleRefused(
                f"{printable(entry.path)}: too large to be read for the SBOM",
                code="sbom-source-invalid",
                found=f"{entry.size} bytes",
                expected=f"at most {kind.limit} bytes, and {MAX_READ_BYTES} of all such files",
            )
    return read_files(side, wanted, Bounds(layer_bytes=1 << 50))


def _models(config: AgentConfig) -> Iterator[Component]:
    from cyclonedx.model.component import Component, ComponentType

    files = {entry.path: entry.sha256 for entry in config.files if entry.component is Kind.WEIGHTS}
    for index, model in enumerate(config.models):
        digest = model.digest or files.pop(model.file or "", None)
        yield Component(
            name=model.id,
            version=model.revision,
            type=ComponentType.MACHINE_LEARNING_MODEL,
            bom_ref=f"model:{index}:{model.id}",
            hashes=_hashes([(digest.algorithm, digest.hex)] if digest is not None else ()),
            properties=_properties(_model_facts(model)),
        )
    for path, digest in files.items():
        yield _part(path, digest, Kind.WEIGHTS, ComponentType.MACHINE_LEARNING_MODEL)


def _model_facts(model: ModelPin) -> Iterator[tuple[str, str]]:
    if model.provider:
        yield "provider", model.provider
    if model.file:
        yield "file", model.file
    yield ("unpinned", model.unpinned or "no reason given") if model.floats else ("pinned-by", model.pinned_by or "")


def _parts(config: AgentConfig) -> Iterator[Component]:
    from cyclonedx.model.component import ComponentType

    for entry in config.files:
        if entry.component in _FILES:
            yield _part(entry.path, entry.sha256, entry.component, ComponentType.FILE)
    for component in config.components:
        if component.kind not in _FILES and component.kind.packing == "tar":
            kind = ComponentType.DATA if component.kind in _DATA else ComponentType.FILE
            yield _part(f"({component.kind})", component.digest, component.kind, kind)


def _part(name: str, digest: Digest, kind: Kind, what: ComponentType) -> Component:
    from cyclonedx.model.component import Component

    return Component(
        name=name,
        type=what,
        bom_ref=f"{kind}:{name}",
        hashes=_hashes([(digest.algorithm, digest.hex)]),
        properties=_properties([("component", str(kind))]),
    )


def _hashes(values: Iterable[tuple[str, str]]) -> list[HashType]:
    from cyclonedx.model import HashAlgorithm, HashType

    algorithms = {"sha256": HashAlgorithm.SHA_256, "sha384": HashAlgorithm.SHA_384, "sha512": HashAlgorithm.SHA_512}
    return [HashType(alg=algorithms[algorithm], content=value) for algorithm, value in values]


def _found_in(package: Package) -> list[Property]:
    return _properties(("found-in", path) for path in sorted(package.found_in))


def _properties(facts: Iterable[tuple[str, str]]) -> list[Property]:
    from cyclonedx.model import Property

    return [Property(name=f"tidegate:{name}", value=value) for name, value in facts]
