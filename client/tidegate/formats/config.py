"""The config blob of a bundle: everything about the agent that is not file content, and the digest of what is.

Source: docs/spec/bundle.md, "Config". Here are shape and digests; `tidegate.bundle.content` checks it against layers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Literal, Self

from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass as checked
from pydantic_core import ErrorDetails

from tidegate.digest import Digest, Hasher
from tidegate.errors import BundleRefused, JsonInvalid, Reason
from tidegate.formats.declarations import (
    MAX_ITEMS,
    AgentName,
    AllowedSecret,
    Argv,
    BundlePath,
    Capabilities,
    Interfaces,
    ModelPin,
    Requirements,
    Runtime,
    State,
    Text,
    Version,
)
from tidegate.formats.document import Closed
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes, parse_object
from tidegate.formats.manifest import MAX_BLOB_BYTES, MAX_LAYERS
from tidegate.formats.paths import check_path

MAX_CONFIG_BYTES = 16 << 20  # MAX_FILES entries of some 300 bytes
MAX_FILES = 50_000  # a vendored Python agent with a large framework has some 20,000
MAX_REASONS = 100  # a refusal lists every reason a person could want to read

DECLARED = frozenset({"entrypoint", "runtime", "capabilities", "interfaces", "requirements", "state"})
_PATH_MEMBERS = frozenset({"path", "file", "requirements"})


class Kind(StrEnum):
    """The kinds of components, in the order of their layers."""

    CODE = "code"
    PROMPTS = "prompts"
    SKILLS = "skills"
    TOOLS = "tools"
    MODELS = "models"
    CONFIG = "config"
    MEMORY = "memory"
    WEIGHTS = "weights"
    EVALS = "evals"
    DOCS = "docs"

    @property
    def packing(self) -> Literal["tar", "json", "raw"]:
        """`tar`: one layer for all files; `json` and `raw`: one layer a file, the bytes of the file."""
        if self in {Kind.TOOLS, Kind.MODELS, Kind.CONFIG}:
            return "json"
        return "raw" if self is Kind.WEIGHTS else "tar"

    @property
    def media_type(self) -> str:
        """The media type of its layers."""
        suffix = {"tar": ".tar", "json": "+json", "raw": ".raw"}[self.packing]
        return f"application/vnd.tidegate.agent.{self}.v1{suffix}"

    @property
    def behavioural(self) -> bool:
        """Whether it counts for the behavioural version. Evals and docs are not read by the agent."""
        return self not in {Kind.EVALS, Kind.DOCS}


ORDER: Mapping[Kind, int] = {kind: index for index, kind in enumerate(Kind)}


@checked(frozen=True, slots=True, kw_only=True, config=ConfigDict(extra="forbid"))
class FileEntry:
    """One file of the agent's folder. With slots, as there may be MAX_FILES of them."""

    path: BundlePath
    size: int = Field(ge=0, le=MAX_BLOB_BYTES)
    mode: Literal["x", "-"] = Field(description="`x` for an executable file (0755), `-` for any other (0644).")
    sha256: Digest = Field(description="Digest of the bytes of the file.")
    component: Kind

    def canonical(self) -> bytes:
        """Give its RFC 8785 form."""
        return canonical_bytes({name: getattr(self, name) for name in self.__slots__})


class Component(Closed):
    """One layer. `path` is set for a layer that is one file of the tree, and None for tars and for the model pins."""

    kind: Kind
    media_type: str
    digest: Digest = Field(description="Digest of the layer's bytes.")
    size: int = Field(ge=0, le=MAX_BLOB_BYTES)
    content_digest: Digest = Field(description="Digest over uncompressed canonical content.")
    path: BundlePath | None = None


class AgentConfig(Closed):
    """The config blob. Made by `tidegate.bundle.build`, or by `parse`; both give objects whose paths are safe."""

    name: AgentName
    version: Version
    description: Text | None = None
    entrypoint: Argv
    runtime: Runtime
    behaviour: Digest
    components: tuple[Component, ...] = Field(max_length=MAX_LAYERS)
    files: tuple[FileEntry, ...] = Field(max_length=MAX_FILES)
    models: tuple[ModelPin, ...] = Field((), max_length=MAX_LAYERS)
    capabilities: Capabilities = Capabilities()
    interfaces: Interfaces = Interfaces()
    requirements: Requirements = Requirements()
    state: State | None = None
    changelog: Text | None = None
    allowed_secrets: tuple[AllowedSecret, ...] = Field((), max_length=MAX_ITEMS)

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Parse `raw`, at most MAX_CONFIG_BYTES of RFC 8785 JSON. Raises BundleRefused, code `config-…`."""
        try:
            parse_object(raw, limit=MAX_CONFIG_BYTES, what="the config blob")
        except JsonInvalid as error:
            found = error.reasons[0].found
            raise BundleRefused(error.message, code="config-not-json", found=found, step="B2") from error
        try:
            config = cls.model_validate_json(raw, strict=True, by_alias=True, by_name=False)
        except ValidationError as error:
            reasons = [reason for mistake in error.errors(include_url=False) for reason in _reasons(mistake)]
            raise BundleRefused.because("the config blob is not of its schema", reasons[:MAX_REASONS]) from error
        if config.canonical() != raw:
            raise BundleRefused(
                "the config blob is not in its one canonical form",
                code="config-not-canonical",
                expected="RFC 8785 JSON with defaults left out",
                hint="build it with tidegate build",
                step="B2",
            )
        return config

    def canonical(self) -> bytes:
        """Give the bytes of the config blob: RFC 8785, members that equal their default left out."""
        # file by file: one tree of the whole would take several times the bytes it makes
        members = self._as_json(exclude={"files"})
        raw = bytearray()
        for name in sorted([*members, "files"]):
            raw += b'%s"%s":' % (b"," if raw else b"{", name.encode())
            if name != "files":
                raw += canonical_bytes(members[name])
                continue
            for index, entry in enumerate(self.files):
                raw += b"," if index else b"["
                raw += entry.canonical()
            raw += b"]" if self.files else b"[]"
        raw += b"}"
        return bytes(raw)

    def computed_behaviour(self) -> Digest:
        """Compute the behavioural version: sha256(JCS({kind: digest})). Source: docs/spec/bundle.md."""
        digests: JsonObject = {"agent": _jcs_digest(self._as_json(include=set(DECLARED)))}
        modes = {entry.path: entry.mode for entry in self.files}
        by_kind: defaultdict[Kind, list[Component]] = defaultdict(list)
        for component in self.components:
            by_kind[component.kind].append(component)
        for kind, components in by_kind.items():
            if kind.behavioural:
                digests[kind] = _kind_digest(kind, components, modes)
        return _jcs_digest(digests)

    @property
    def unpinned(self) -> tuple[ModelPin, ...]:
        """The models whose ids can float."""
        return tuple(model for model in self.models if model.floats)

    def _as_json(self, *, include: set[str] | None = None, exclude: set[str] | None = None) -> JsonObject:
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=include, exclude=exclude)


def tar_content_digest(files: Iterable[FileEntry]) -> Digest:
    """Digest the content of a tar: sha256(JCS([[path, mode, sha256], …])), sorted by path."""
    hasher = Hasher()
    hasher.update(b"[")
    for index, entry in enumerate(files):
        row = canonical_bytes([entry.path, entry.mode, str(entry.sha256)])
        hasher.update(b"," + row if index else row)
    hasher.update(b"]")
    return hasher.digest


def json_content_digest(document: JsonValue) -> Digest:
    """Digest the content of a JSON file: sha256(JCS(document)), so that white space does not count."""
    return _jcs_digest(document)


def pins_document(models: Iterable[ModelPin]) -> bytes:
    """Give the layer that holds the model pins of `agent.yaml`. Reasons are words, not behaviour: they stay outside."""
    dumped = [_dump(model) for model in models]
    return canonical_bytes({"models": [{**pin, **({"unpinned": True} if "unpinned" in pin else {})} for pin in dumped]})


def _reasons(mistake: ErrorDetails) -> Iterator[Reason]:
    """Name what is wrong with a path by its own codes; anything else by where it is."""
    *_, member = mistake["loc"] or ("",)
    value = mistake["input"]
    paths = check_path(value) if member in _PATH_MEMBERS and isinstance(value, str) else ()
    yield from (replace(reason, step="B2") for reason in paths)
    if not paths:
        where = ".".join(map(str, mistake["loc"]))
        yield Reason("config-invalid", f"config: {where}: {mistake['msg']}", step="B2")


def _kind_digest(kind: Kind, components: list[Component], modes: Mapping[str, str]) -> str:
    if kind.packing == "tar":
        return str(components[0].content_digest)
    rows: list[JsonValue] = [
        [component.path or "", modes.get(component.path or "", "-"), str(component.content_digest)]
        for component in components
    ]
    return str(_jcs_digest(rows))


def _dump(model: Closed) -> JsonObject:
    return model.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def _jcs_digest(value: JsonValue) -> Digest:
    return Digest.of(canonical_bytes(value))
