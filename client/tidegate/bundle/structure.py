"""Whether manifest, config and file list of a bundle agree, before any layer is read: steps B1 to B7 and B9.

Source: docs/spec/bundle.md, "Checking a bundle". `tidegate.bundle.content` adds step B8, the layers themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import BinaryIO, Generic, TypeVar

from tidegate.bundle.canonical import exactly, expect_end, tar_size
from tidegate.digest import Digest
from tidegate.errors import BundleRefused, NotFound, Reason
from tidegate.formats.config import (
    MAX_CONFIG_BYTES,
    MAX_FILES,
    MAX_REASONS,
    ORDER,
    AgentConfig,
    Component,
    FileEntry,
    Kind,
    pins_document,
    tar_content_digest,
)
from tidegate.formats.manifest import Descriptor, Manifest
from tidegate.formats.mediatypes import (
    AGENT_BUNDLE,
    AGENT_CONFIG,
    ANNOTATION_BEHAVIOUR,
    ANNOTATION_TITLE,
    ANNOTATION_VERSION,
    OCI_MANIFEST,
)
from tidegate.formats.paths import check_tree, printable

OpenBlob = Callable[[Digest], BinaryIO]


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a bundle may be. Nothing in it is compressed, so the sizes it states are the sizes it takes."""

    files: int = MAX_FILES
    total_bytes: int = 2 << 40  # the largest open models have some 1.5 TB of weights


DEFAULT_LIMITS = Limits()


@dataclass(slots=True)
class Parts:
    """What the steps look at: given manifest, blobs and limits; step B2 leaves the config here."""

    manifest: Manifest
    open_blob: OpenBlob
    limits: Limits
    config: AgentConfig | None = None

    def required_config(self) -> AgentConfig:
        """Give the config that step B2 has left."""
        if self.config is None:
            raise BundleRefused("the config blob was not read", code="config-missing")
        return self.config


Subject = TypeVar("Subject")


@dataclass(frozen=True, slots=True)
class BundleStep(Generic[Subject]):
    """One numbered check. `title` completes the sentence "checked: …"; `check` gives every reason to refuse."""

    number: str
    title: str
    check: Callable[[Subject], Iterable[Reason]]

    def reasons(self, subject: Subject) -> list[Reason]:
        """Run the check; its reasons carry the number of the step."""
        return [replace(reason, step=self.number) for reason in self.check(subject)]


def check_structure(manifest: Manifest, open_blob: OpenBlob, *, limits: Limits = DEFAULT_LIMITS) -> AgentConfig:
    """Check everything but the content of layers. Raises BundleRefused with every reason."""
    parts = Parts(manifest, open_blob, limits)
    for step in OPENING_STEPS:
        refuse(step.reasons(parts))
    refuse([reason for step in STRUCTURE_STEPS for reason in step.reasons(parts)])
    return parts.required_config()


def expected_layers(components: Iterable[Component]) -> tuple[Descriptor, ...]:
    """Give the layer descriptors that `components` make; a layer that is one file has its path as title."""
    return tuple(
        Descriptor(
            component.media_type,
            component.digest,
            component.size,
            annotations={ANNOTATION_TITLE: component.path} if component.path is not None else {},
        )
        for component in components
    )


def refuse(reasons: Sequence[Reason]) -> None:
    """Raise BundleRefused with `reasons`, at most MAX_REASONS of them, if there are any."""
    if reasons:
        message = reasons[0].message if len(reasons) == 1 else f"the bundle is not consistent, {len(reasons)} reasons"
        raise BundleRefused.because(message, reasons[:MAX_REASONS])


def _check_manifest(parts: Parts) -> Iterator[Reason]:
    """B1: an image manifest of our artifact type, about nothing else."""
    manifest = parts.manifest
    facts = (
        ("media type", manifest.media_type, OCI_MANIFEST),
        ("artifact type", manifest.artifact_type, AGENT_BUNDLE),
        ("config's media type", manifest.config and manifest.config.media_type, AGENT_CONFIG),
        ("subject", manifest.subject and manifest.subject.digest, None),
    )
    for what, found, expected in facts:
        if found != expected:
            yield Reason("not-a-bundle", f"the {what} is not that of an agent bundle", str(found), str(expected))


def _load_config(parts: Parts) -> Iterator[Reason]:
    """B2: the config blob has size and digest of its descriptor, is canonical and of its schema."""
    descriptor = parts.manifest.config
    if descriptor is None or descriptor.size > MAX_CONFIG_BYTES:
        yield Reason("config-too-large", "the config blob is too large", expected=f"at most {MAX_CONFIG_BYTES} bytes")
        return
    try:
        with parts.open_blob(descriptor.digest) as stream:
            raw = b"".join(exactly(stream, descriptor.size))
            expect_end(stream)
        if not descriptor.digest.matches(raw):
            found, expected = Digest.of(raw, descriptor.digest.algorithm), descriptor.digest
            yield Reason("config-digest", "the config blob has another digest", found, expected)
            return
        parts.config = AgentConfig.parse(raw)
    except (NotFound, BundleRefused) as error:
        yield from (replace(reason, message=f"the config blob: {reason.message}") for reason in error.reasons)


def _check_files(parts: Parts) -> Iterator[Reason]:
    """B3: the file list is sorted, within limits, and no two names can be taken for one; B2 saw to each path."""
    config, limits = parts.required_config(), parts.limits
    for before, after in pairwise(config.files):
        if before.path >= after.path:
            message = f"the file list is not sorted, or names a file twice: {printable(after.path)}"
            yield Reason("files-unsorted", message, after.path, f"a path after {printable(before.path)}")
    if len(config.files) > limits.files:
        yield Reason("too-many-files", "there are too many files", str(len(config.files)), str(limits.files))
    total = sum(component.size for component in config.components)
    if total > limits.total_bytes:
        yield Reason("too-large", "the bundle is too large", f"{total} bytes", f"at most {limits.total_bytes}")
    yield from check_tree(entry.path for entry in config.files)


def _check_components(parts: Parts) -> Iterator[Reason]:
    """B4: layers in order, each file in exactly one, sizes and content digests as the file list makes them."""
    config = parts.required_config()
    keys = [(ORDER[component.kind], component.path or "") for component in config.components]
    if any(before >= after for before, after in pairwise(keys)):
        yield Reason("components-unsorted", "the components are not in order, or one is there twice")
    by_path = {entry.path: entry for entry in config.files}
    by_kind: dict[Kind, list[FileEntry]] = {}
    for entry in config.files:
        by_kind.setdefault(entry.component, []).append(entry)
    placed: Counter[Kind] = Counter()
    for component in config.components:
        kind = component.kind
        if component.media_type != kind.media_type:
            yield _component_reason(component, "media type", component.media_type, kind.media_type)
        if kind.packing == "tar":
            entries = by_kind.get(kind, [])
            placed[kind] += len(entries)
            yield from _check_tar(component, entries)
        elif component.path is not None:
            placed[kind] += 1
            yield from _check_file_layer(component, by_path.get(component.path))
        elif kind is not Kind.MODELS:
            yield _component_reason(component, "path", None, "the path of its file")
    for kind, entries in by_kind.items():
        if placed[kind] != len(entries):
            message = f"files of component {kind} are in no layer"
            yield Reason("files-without-layer", message, str(len(entries)), str(placed[kind]))
    yield from _check_requirements(config.runtime.requirements, by_path)


def _check_requirements(requirements: str | None, by_path: Mapping[str, FileEntry]) -> Iterator[Reason]:
    if requirements is not None and (requirements not in by_path or not by_path[requirements].component.behavioural):
        message = "the requirements file is not among the files that count for the behavioural version"
        yield Reason("requirements-missing", message, requirements)


def _check_tar(component: Component, entries: list[FileEntry]) -> Iterator[Reason]:
    if not entries or component.path is not None:
        yield _component_reason(component, "path and files", component.path, "no path, and at least one file")
    if component.size != tar_size(entries):
        yield _component_reason(component, "size", component.size, tar_size(entries))
    if component.content_digest != (content := tar_content_digest(entries)):
        yield _component_reason(component, "content digest", component.content_digest, content)


def _check_file_layer(component: Component, entry: FileEntry | None) -> Iterator[Reason]:
    if entry is None or entry.component is not component.kind:
        yield _component_reason(component, "file", None, "one of its kind in the file list")
        return
    if (component.digest, component.size) != (entry.sha256, entry.size):
        expected = f"{entry.sha256}, {entry.size} bytes"
        yield _component_reason(component, "layer", f"{component.digest}, {component.size} bytes", expected)
    if component.kind.packing == "raw" and component.content_digest != entry.sha256:
        yield _component_reason(component, "content digest", component.content_digest, entry.sha256)


def _component_reason(component: Component, what: str, found: object, expected: object) -> Reason:
    name = f"{component.kind} {printable(component.path)}" if component.path is not None else str(component.kind)
    return Reason("component-inconsistent", f"component {name}: wrong {what}", str(found), str(expected))


def _check_layers(parts: Parts) -> Iterator[Reason]:
    """B5: the manifest's layers are the components, in order, and nothing else; so `+zstd` layers are refused."""
    manifest, config = parts.manifest, parts.required_config()
    expected = expected_layers(config.components)
    if len(manifest.layers) != len(expected):
        message = "the manifest has other layers than the config"
        yield Reason("layers-differ", message, f"{len(manifest.layers)} layers", f"{len(expected)}")
    for index, (layer, wanted) in enumerate(zip(manifest.layers, expected, strict=False)):
        if layer.media_type == f"{wanted.media_type}+zstd":
            hint = "push the bundle as tidegate built it"
            message = f"layers[{index}] is compressed, which is not supported yet"
            yield Reason("layer-compressed", message, layer.media_type, wanted.media_type, hint)
        elif layer != wanted:
            message = f"layers[{index}] is not the component of the config"
            yield Reason("layers-differ", message, str(layer.as_json()), str(wanted.as_json()))


def _check_names(parts: Parts) -> Iterator[Reason]:
    """B6: the annotations say what the config says."""
    manifest, config = parts.manifest, parts.required_config()
    for key, expected in ((ANNOTATION_TITLE, config.name), (ANNOTATION_VERSION, config.version)):
        if (found := manifest.annotations.get(key)) != expected:
            message = f"the annotation {key} is not what the config says"
            yield Reason("annotation-differs", message, found, expected)


def _check_models(parts: Parts) -> Iterator[Reason]:
    """B7: no id floats without a reason; pins by file name weights of the bundle; their layer is made of them."""
    config = parts.required_config()
    weights = {entry.path for entry in config.files if entry.component is Kind.WEIGHTS}
    for model in config.models:
        if model.floats and model.unpinned is None:
            hint = "pin it, or say why not with `unpinned` in agent.yaml"
            message = f"the model {model.id} can float and no reason is given"
            yield Reason("model-unpinned", message, model.id, None, hint)
        if model.file is not None and model.file not in weights:
            message = f"the model {model.id} is pinned by a file that is no weights file of the bundle"
            yield Reason("model-file-missing", message, model.file)
    document = pins_document(config.models)
    expected = {(Digest.of(document), Digest.of(document), len(document))} if config.models else set()
    layers = [found for found in config.components if found.kind is Kind.MODELS and found.path is None]
    if {(found.digest, found.content_digest, found.size) for found in layers} != expected:
        yield Reason("model-pins-differ", "the layer of model pins is not made of the pins in the config")


def _check_behaviour(parts: Parts) -> Iterator[Reason]:
    """B9: the behavioural version is that of the content."""
    manifest, config = parts.manifest, parts.required_config()
    computed = config.computed_behaviour()
    for where, found in (("config", config.behaviour), ("manifest", manifest.annotations.get(ANNOTATION_BEHAVIOUR))):
        if found != computed:
            message = f"the behavioural version in the {where} is not that of the content"
            yield Reason("behaviour-differs", message, found, str(computed))


# B2 opens what the later steps look at, so the first two stand alone; of the others every reason is collected
OPENING_STEPS = (
    BundleStep("B1", "the manifest is that of an agent bundle", _check_manifest),
    BundleStep("B2", "the config blob is the one named, canonical, of its schema, with safe paths", _load_config),
)
STRUCTURE_STEPS = (
    BundleStep("B3", "the file list is sorted, within limits, and no two names can be taken for one", _check_files),
    BundleStep("B4", "each file is in exactly one component, with its size and content digest", _check_components),
    BundleStep("B5", "the layers are the components", _check_layers),
    BundleStep("B6", "the annotations say what the config says", _check_names),
    BundleStep("B7", "models are pinned, or it is said why not", _check_models),
    BundleStep("B9", "the behavioural version is that of the content", _check_behaviour),
)
