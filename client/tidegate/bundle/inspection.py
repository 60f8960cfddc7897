"""What is in a bundle, for people and for programs: what it says of itself. No signature is verified here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tidegate.bundle.content import check_bundle
from tidegate.bundle.source import BundleSource
from tidegate.bundle.structure import check_structure
from tidegate.formats.config import AgentConfig, Component, Kind
from tidegate.formats.declarations import Interface, ModelPin
from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.formats.manifest import Manifest
from tidegate.formats.mediatypes import (
    AGENT_BUNDLE,
    ANNOTATION_PREDICATE_TYPE,
    ANNOTATION_REVISION,
    ANNOTATION_SOURCE,
    ANNOTATION_TITLE,
    ANNOTATION_VERSION,
)
from tidegate.formats.paths import printable

_LABEL = 14  # columns before a value
_KIB = 1024
_SHORT = 19  # `sha256:` and twelve digits


@dataclass(frozen=True, slots=True)
class Inspection:
    """A bundle and what is attached to it. `config` is None for an artifact of another tool (an opaque bundle)."""

    manifest: Manifest
    config: AgentConfig | None
    referrers: tuple[Manifest, ...]
    content_checked: bool

    def as_json(self) -> JsonObject:
        """Give everything as one JSON document."""
        manifest = self.manifest
        config = self.config.model_dump(mode="json", by_alias=True, exclude_defaults=True) if self.config else None
        return {
            "digest": str(manifest.digest),
            "size": sum(blob.size for blob in manifest.blobs),
            "artifactType": manifest.effective_artifact_type,
            "annotations": dict(manifest.annotations),
            "layers": [layer.as_json() for layer in manifest.layers],
            "config": config,
            "unpinned": [{"id": model.id, "reason": model.unpinned} for model in self.unpinned],
            "contentChecked": self.content_checked,
            "referrers": [_referrer_json(referrer) for referrer in self.referrers],
        }

    @property
    def unpinned(self) -> tuple[ModelPin, ...]:
        """The models whose ids can float."""
        return self.config.unpinned if self.config is not None else ()

    def lines(self, *, files: bool = False) -> Iterator[str]:
        """Write it for a person. `files`: with the list of files."""
        if self.config is None:
            yield from self._opaque()
        else:
            yield from self._head(self.config)
            yield from _unpinned(self.unpinned)
            yield from _allowed_secrets(self.config)
            yield from _components(self.config)
            yield from _models(self.config.models)
            yield from _declared(self.config)
        yield from self._evidence()
        if files and self.config is not None:
            yield from _files(self.config)

    def _head(self, config: AgentConfig) -> Iterator[str]:
        yield f"{config.name} {config.version}"
        yield from (f"  {printable(line)}" for line in (config.description or "").splitlines())
        yield ""
        yield _field("digest", str(self.manifest.digest))
        yield _field("behaviour", str(config.behaviour))
        yield _field("entrypoint", " ".join(config.entrypoint))
        runtime = config.runtime
        installed = f"Python {runtime.python or '(any)'} with {runtime.requirements}, hash-locked"
        yield _field("runtime", "vendored" if runtime.kind == "vendored" else installed)
        source, revision = (self.manifest.annotations.get(key) for key in (ANNOTATION_SOURCE, ANNOTATION_REVISION))
        if source or revision:
            yield _field("source", " at ".join(part for part in (source, revision) if part))
        content = (
            "layers read and found consistent" if self.content_checked else "consistent; layers not read (--check)"
        )
        yield _field("content", content)

    def _opaque(self) -> Iterator[str]:
        annotations = self.manifest.annotations
        title, version = (annotations.get(key, "") for key in (ANNOTATION_TITLE, ANNOTATION_VERSION))
        yield f"{title} {version}".strip() or "an artifact without a name"
        yield "  An artifact of another tool: what it does and what it asks for is not known."
        yield ""
        yield _field("digest", str(self.manifest.digest))
        yield _field("type", self.manifest.effective_artifact_type or self.manifest.media_type)
        rows = [(layer.media_type, size_text(layer.size), layer.digest[:_SHORT]) for layer in self.manifest.layers]
        yield from _table("layers", rows)

    def _evidence(self) -> Iterator[str]:
        if not self.referrers:
            yield from ("", _field("evidence", "none attached"))
            return
        counts = Counter(_what(referrer) for referrer in self.referrers)
        yield from _table("evidence", [(what, f"{count} attached") for what, count in sorted(counts.items())])
        yield "  attached, not verified here: `tidegate verify` does that"


def inspect_bundle(source: BundleSource, version: str | None = None, *, check: bool = False) -> Inspection:
    """Look at the bundle that `source` gives for `version`. `check`: read its layers too.

    Raises NotFound, InvalidInput; BundleRefused when the bundle is not what it says it is.
    """
    manifest = source.root(version)
    config = None
    if manifest.effective_artifact_type == AGENT_BUNDLE:
        config = (check_bundle if check else check_structure)(manifest, source.open_blob)
    referrers = tuple(source.referrers(manifest.digest))
    return Inspection(manifest, config, referrers, content_checked=check and config is not None)


def _unpinned(models: Sequence[ModelPin]) -> Iterator[str]:
    if models:
        subject = "1 model is" if len(models) == 1 else f"{len(models)} models are"
        yield from ("", f"NOT PINNED: {subject} not pinned, and may be another model tomorrow")
        yield from _columns([(model.id, model.unpinned or "") for model in models])


def _allowed_secrets(config: AgentConfig) -> Iterator[str]:
    if rows := [(allowed.path, allowed.reason) for allowed in config.allowed_secrets]:
        yield from ("", "MAY HOLD SECRETS: not looked through when it was built")
        yield from _columns(rows)


def _components(config: AgentConfig) -> Iterator[str]:
    counts = Counter(entry.component for entry in config.files)
    rows = [(*_component_row(component, counts), component.content_digest[:_SHORT]) for component in config.components]
    total = sum(component.size for component in config.components)
    yield from _table("components", [*rows, ("", f"{len(config.files)} files", size_text(total), "")])


def _component_row(component: Component, counts: Mapping[Kind, int]) -> tuple[str, str, str]:
    kind, size = component.kind, size_text(component.size)
    if component.path is not None:
        return f"{kind} {component.path}", "", size
    if kind.packing != "tar":
        return f"{kind} (pins)", "", size
    mark = "" if kind.behavioural else " (not behaviour)"
    files = counts[kind]
    return f"{kind}{mark}", f"{files} files" if files != 1 else "1 file", size


def _models(models: Iterable[ModelPin]) -> Iterator[str]:
    rows = [
        (model.id, model.provider or "", f"NOT PINNED: {model.unpinned}" if model.floats else f"by {model.pinned_by}")
        for model in models
    ]
    yield from _table("models", rows)


def _declared(config: AgentConfig) -> Iterator[str]:
    asked, needs = config.capabilities, config.requirements
    yield from _table(
        "asks for",
        _some(
            ("tools", ", ".join(asked.tools)),
            *(("MCP server", f"{item.name} {item.url or ' '.join(item.command or ())}") for item in asked.mcp_servers),
            ("egress", ", ".join(asked.egress)),
            ("secrets", ", ".join(asked.secrets)),
            *((f"{scope.access} files", scope.path) for scope in asked.files),
        )
        or [("nothing", "")],
    )
    yield from _table(
        "needs",
        _some(
            ("platforms", ", ".join(needs.platforms)),
            ("programs", ", ".join(needs.programs)),
            ("memory", f"{needs.memory_mib} MiB" if needs.memory_mib else ""),
            ("disk", f"{needs.disk_mib} MiB" if needs.disk_mib else ""),
            ("GPU memory", f"{needs.gpu_memory_mib} MiB" if needs.gpu_memory_mib else ""),
        ),
    )
    provided, consumed = config.interfaces.provides, config.interfaces.consumes
    yield from _table("interfaces", [*_named("provides", provided), *_named("consumes", consumed)])
    if config.state is not None:
        state = config.state
        reads = ", ".join(map(str, state.reads or (state.schema_,)))
        yield from _table(
            "state",
            _some(
                ("schema", f"writes {state.schema_}, reads {reads}"),
                ("migrate", " ".join(state.migrate or ())),
                ("on rollback", state.on_rollback),
            ),
        )
    if config.changelog:
        yield from ("", "changelog", *(f"  {printable(line)}" for line in config.changelog.splitlines()))


def _named(what: str, interfaces: Iterable[Interface]) -> list[tuple[str, ...]]:
    return [(what, " ".join(part for part in (item.name, item.version) if part)) for item in interfaces]


def _files(config: AgentConfig) -> Iterator[str]:
    rows = [
        (entry.component, entry.mode, size_text(entry.size), entry.sha256[:_SHORT], entry.path)
        for entry in config.files
    ]
    yield from _table("files", rows)


def _what(referrer: Manifest) -> str:
    predicate = referrer.annotations.get(ANNOTATION_PREDICATE_TYPE)
    return predicate or referrer.effective_artifact_type or "of unknown type"


def _referrer_json(referrer: Manifest) -> JsonValue:
    return {
        "digest": str(referrer.digest),
        "artifactType": referrer.effective_artifact_type,
        "predicateType": referrer.annotations.get(ANNOTATION_PREDICATE_TYPE),
    }


def _field(name: str, value: str) -> str:
    return f"{name:<{_LABEL}}{printable(value)}".rstrip()


def _some(*rows: tuple[str, str]) -> list[tuple[str, ...]]:
    return [row for row in rows if row[1]]


def _table(title: str, rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    if rows:
        yield from ("", title, *_columns(rows))


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Align columns; those of sizes and counts to the right."""
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = (
            cell.rjust(width) if cell[:1].isdigit() and cell[-1:].isalpha() else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        )
        yield f"  {'  '.join(cells)}".rstrip()


def size_text(size: int) -> str:
    """Write a size for people, in binary units."""
    if size < _KIB:
        return f"{size} B"
    amount = float(size)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        amount /= _KIB
        if amount < _KIB or unit == "TiB":
            break
    return f"{amount:.1f} {unit}"
