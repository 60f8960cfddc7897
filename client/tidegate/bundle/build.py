"""Make a bundle of an agent's folder: the same input gives the same bytes, on any machine and at any time.

Source: docs/spec/bundle.md. Layers are packed in threads; hashing and copying leave the interpreter lock alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tidegate.bundle.assign import assign_components
from tidegate.bundle.declare import check_declarations, declared_interfaces
from tidegate.bundle.layout import Layout
from tidegate.bundle.pack import Packed, pack_json, pack_raw, pack_tar
from tidegate.bundle.secrets import SecretGuard, find_secrets
from tidegate.bundle.spec import AgentFile
from tidegate.bundle.structure import expected_layers
from tidegate.bundle.tree import SourceFile, refuse_tree, scan_tree
from tidegate.digest import Digest
from tidegate.errors import Conflict, Reason, SourceTreeInvalid
from tidegate.formats.config import ORDER, AgentConfig, Component, Kind, pins_document
from tidegate.formats.declarations import AllowedSecret
from tidegate.formats.manifest import Descriptor, Manifest, image_manifest
from tidegate.formats.mediatypes import (
    AGENT_BUNDLE,
    AGENT_CONFIG,
    ANNOTATION_BEHAVIOUR,
    ANNOTATION_REVISION,
    ANNOTATION_SOURCE,
    ANNOTATION_TITLE,
    ANNOTATION_VERSION,
)
from tidegate.formats.paths import printable
from tidegate.formats.reference import parse_version

MAX_THREADS = 4  # enough to keep a fast disk busy; each takes a few MiB
_UNKNOWN_BEHAVIOUR = Digest.of(b"")


class Progress(Protocol):
    """Told how many more bytes are done, from several threads."""

    def advance(self, count: int) -> None:
        """Count `count` more bytes as done."""


ShowProgress = Callable[[int], AbstractContextManager[Progress]]  # given the total, in bytes


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the caller knows better than agent.yaml. `revision` and `source`: commit and repository, for annotations.

    `allowed_secrets`: more files that may hold what looks like a secret.
    """

    version: str | None = None
    revision: str | None = None
    source: str | None = None
    allowed_secrets: tuple[AllowedSecret, ...] = ()


@dataclass(frozen=True, slots=True)
class Built:
    """A finished bundle. `warnings`: sentences for a person; they refuse nothing."""

    layout: Layout
    manifest: Manifest
    config: AgentConfig
    warnings: tuple[str, ...]


def build(
    source: Path,
    out: Path,
    *,
    overrides: Overrides = Overrides(),
    progress: ShowProgress | None = None,
    link: bool = True,
) -> Built:
    """Build the agent in folder `source` into the OCI image layout `out`, which holds this bundle alone afterwards.

    `link`: weights may become hard links into the layout where the file system cannot share blocks otherwise; they
    must then not be written to in place. Raises AgentFileInvalid, SourceTreeInvalid, ReferenceInvalid, Conflict.
    """
    file = AgentFile.load(source)
    version = parse_version(overrides.version) if overrides.version is not None else file.spec.version
    _refuse_source(overrides)
    tree = scan_tree(source, file.spec.ignore, exclude=out)
    files = {found.path: found for found in tree.files}
    allowed = _allowed_secrets(file, overrides, files)
    kinds = assign_components(file, tuple(files))
    if mistakes := tuple(check_declarations(file, kinds, files)):
        raise file.refusal(mistakes)
    interfaces = declared_interfaces(file, files)
    with _output(out, file.spec.name) as layout:
        guard = SecretGuard({each.path for each in allowed})
        packed = _pack(layout, kinds, files, progress, guard, link=link)
        if file.spec.models:
            packed.append(_pack_pins(layout, file))
        packed.sort(key=lambda layer: (ORDER[layer.component.kind], layer.component.path or ""))
        config = AgentConfig(
            name=file.spec.name,
            version=version,
            description=file.spec.description,
            entrypoint=file.spec.entrypoint,
            runtime=file.spec.runtime,
            behaviour=_UNKNOWN_BEHAVIOUR,
            components=tuple(layer.component for layer in packed),
            files=tuple(sorted((entry for layer in packed for entry in layer.files), key=lambda entry: entry.path)),
            models=file.spec.models,
            capabilities=file.spec.capabilities,
            interfaces=interfaces,
            requirements=file.spec.requirements,
            state=file.spec.state,
            changelog=file.spec.changelog,
            allowed_secrets=allowed,
        )
        config = config.model_copy(update={"behaviour": config.computed_behaviour()})
        manifest = _manifest(layout, config, overrides)
        layout.add_manifest(manifest, version=version)
        layout.keep_only(manifest.digest)
    return Built(layout, manifest, config, (*tree.warnings, *_warnings(config)))


def _pack(
    layout: Layout,
    kinds: Mapping[str, Kind],
    files: Mapping[str, SourceFile],
    progress: ShowProgress | None,
    guard: SecretGuard,
    *,
    link: bool,
) -> list[Packed]:
    """Pack every layer; of those that fail, report all, and every secret that was found in the others."""
    by_kind: dict[Kind, list[SourceFile]] = {}
    for path in files:  # sorted by path
        by_kind.setdefault(kinds[path], []).append(files[path])
    total = sum(found.size for found in files.values())
    with progress(total) if progress else _no_progress() as bar, ThreadPoolExecutor(_threads()) as pool:
        running: list[Future[Packed]] = []
        for kind, members in by_kind.items():
            if kind.packing == "tar":
                running.append(pool.submit(pack_tar, layout, kind, tuple(members), bar.advance, guard))
            elif kind.packing == "json":
                running += [pool.submit(pack_json, layout, kind, member, bar.advance, guard) for member in members]
            else:
                running += [
                    pool.submit(pack_raw, layout, kind, member, bar.advance, guard, link=link) for member in members
                ]
        try:
            return _gather(running, guard)
        finally:
            pool.shutdown(cancel_futures=True)


def _gather(running: list[Future[Packed]], guard: SecretGuard) -> list[Packed]:
    packed: list[Packed] = []
    reasons: list[Reason] = []
    for future in running:
        try:
            packed.append(future.result())
        except SourceTreeInvalid as error:
            reasons += error.reasons
    reasons += guard.reasons
    if reasons:
        raise refuse_tree(reasons)
    return packed


def _pack_pins(layout: Layout, file: AgentFile) -> Packed:
    document = pins_document(file.spec.models)
    digest = layout.put(document)
    kind = Kind.MODELS
    component = Component(
        kind=kind, media_type=kind.media_type, digest=digest, size=len(document), content_digest=digest
    )
    return Packed(component, ())


def _manifest(layout: Layout, config: AgentConfig, overrides: Overrides) -> Manifest:
    raw = config.canonical()
    annotations = {
        ANNOTATION_TITLE: config.name,
        ANNOTATION_VERSION: config.version,
        ANNOTATION_BEHAVIOUR: str(config.behaviour),
    }
    if overrides.revision is not None:
        annotations[ANNOTATION_REVISION] = overrides.revision
    if overrides.source is not None:
        annotations[ANNOTATION_SOURCE] = overrides.source
    return image_manifest(
        artifact_type=AGENT_BUNDLE,
        config=Descriptor(AGENT_CONFIG, layout.put(raw), len(raw)),
        layers=expected_layers(config.components),
        annotations=annotations,
    )


@contextmanager
def _output(path: Path, name: str) -> Iterator[Layout]:
    """Open the layout to build into, alone; whatever a failed build has written there is removed again."""
    layout = Layout.create(path)
    others = sorted({title for found in layout.manifests() if (title := _foreign(found, name)) is not None})
    if others:
        raise Conflict(
            "the layout holds something else, which a build would remove",
            code="layout-in-use",
            found=", ".join(others),
            expected=f"a layout of {name}, or none",
            hint="name another folder with --out",
        )
    with _locked(path):
        try:
            yield layout
        except BaseException:
            layout.sweep()
            raise


def _foreign(manifest: Manifest, name: str) -> str | None:
    if manifest.subject is not None:
        return None
    title = manifest.annotations.get(ANNOTATION_TITLE, "an artifact without a name")
    return None if manifest.artifact_type == AGENT_BUNDLE and title == name else title


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        import fcntl
    except ImportError:  # not a Unix: two builds into one folder are the caller's care
        yield
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Conflict("another build is writing to that layout", code="layout-locked", found=path) from error
    else:
        yield
    finally:
        os.close(descriptor)


class _Silent:
    def advance(self, count: int) -> None:
        """Tell nobody."""


@contextmanager
def _no_progress() -> Iterator[Progress]:
    yield _Silent()


def _threads() -> int:
    return min(MAX_THREADS, os.cpu_count() or 1)


def _warnings(config: AgentConfig) -> Iterator[str]:
    for model in config.unpinned:
        yield f"the model {model.id} is not pinned: {model.unpinned}"
    for allowed in config.allowed_secrets:
        yield f"not looked through for secrets: {printable(allowed.path)}: {allowed.reason}"


def _allowed_secrets(
    file: AgentFile, overrides: Overrides, files: Mapping[str, SourceFile]
) -> tuple[AllowedSecret, ...]:
    """Give what agent.yaml and the caller allow, by path; a path that is not there is a typing mistake."""
    given = (*file.spec.allowed_secrets, *overrides.allowed_secrets)
    if missing := sorted({allowed.path for allowed in given if allowed.path not in files}):
        raise file.refusal(
            [
                Reason(
                    "file-missing",
                    f"secrets are allowed in a file that is not in the bundle: {printable(path)}",
                    hint="paths start at the folder of agent.yaml; ignored files do not count",
                )
                for path in missing
            ]
        )
    latest = {allowed.path: allowed for allowed in given}
    return tuple(latest[path] for path in sorted(latest))


def _refuse_source(overrides: Overrides) -> None:
    """Refuse a repository's URL that holds a password, as those of CI jobs often do."""
    for found in find_secrets((overrides.source or "").encode()):
        raise SourceTreeInvalid(
            f"the source holds {found.rule.title}", code="secret-found", found=found.excerpt, hint="leave it out"
        )
