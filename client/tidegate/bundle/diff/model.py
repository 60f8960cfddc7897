"""What a comparison of two bundles comes to, as plain values. Source: docs/spec/diff.md, which describes the JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import BinaryIO

from tidegate.bundle.diff.schema import SchemaChange
from tidegate.bundle.diff.step import Step, VersionStep
from tidegate.digest import Digest
from tidegate.formats.config import AgentConfig
from tidegate.formats.jcs import JsonObject
from tidegate.formats.manifest import Manifest

OpenBlob = Callable[[Digest], BinaryIO]


@dataclass(frozen=True, slots=True)
class Side:
    """One of two bundles. `config`: None for an opaque one. `version`: None when nothing says which it is.

    `open_blob` gives the bytes of a layer; what it gives is hashed while it is read, and nothing else is believed.
    """

    manifest: Manifest
    config: AgentConfig | None
    open_blob: OpenBlob
    agent: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one comparison reads and tells."""

    layer_bytes: int = 64 << 20  # of a layer that is read for its texts
    json_bytes: int = 8 << 20  # of a tool schema; larger ones are in no bundle (MAX_JSON_LAYER_BYTES)
    text_bytes: int = 256 << 10  # of a file whose lines are compared
    lines: int = 400  # told of one file
    all_lines: int = 4000  # told of all files together
    changes: int = 1000
    files: int = 1000
    edits: int = 2_000_000  # steps of comparing lines, over all files: some two seconds


DEFAULT_BOUNDS = Bounds()


class Part(StrEnum):
    """The parts of a bundle that changes are about, in the order in which they are told."""

    BUNDLE = "bundle"
    PROMPTS = "prompts"
    SKILLS = "skills"
    TOOLS = "tools"
    MODELS = "models"
    CAPABILITIES = "capabilities"
    INTERFACES = "interfaces"
    STATE = "state"
    RUNTIME = "runtime"
    REQUIREMENTS = "requirements"
    SECRETS = "allowed-secrets"
    CODE = "code"
    CONFIG = "config"
    MEMORY = "memory"
    WEIGHTS = "weights"
    EVALS = "evals"
    DOCS = "docs"


class Sign(StrEnum):
    """Whether something came, went or is another."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One change and the least version step that it demands.

    `kind`: stable, kebab-case, listed in docs/spec/diff.md. `subject`: what it is about, such as a tool's name.
    `schema`: for tools and interfaces, what changed in their JSON Schemas.
    """

    part: Part
    kind: str
    sign: Sign
    subject: str
    step: Step
    message: str
    schema: tuple[SchemaChange, ...] = ()

    def __str__(self) -> str:
        return f"{self.part}: {self.subject} {self.message}" if self.subject else f"{self.part}: {self.message}"

    def as_json(self) -> JsonObject:
        """Give all of it."""
        return {
            "part": self.part,
            "kind": self.kind,
            "sign": self.sign,
            "subject": self.subject,
            "step": self.step,
            "message": self.message,
            "schema": [{"path": each.path, "effect": each.effect, "message": each.message} for each in self.schema],
        }


@dataclass(frozen=True, slots=True)
class TextDiff:
    """How a text file changed. `lines`: as `diff -u` writes them, without the two lines that name the file.

    `left_out`: why there are no lines, or not all of them.
    """

    path: str
    component: str
    sign: Sign
    lines: tuple[str, ...]
    left_out: str | None = None

    def as_json(self) -> JsonObject:
        """Give all of it."""
        return {
            "path": self.path,
            "component": self.component,
            "sign": self.sign,
            "lines": list(self.lines),
            "leftOut": self.left_out,
        }


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that came, went, has other bytes or another mode. `was`: the component it was in, where that is another.

    Sizes are in bytes, modes `x` or `-`; None on the side where it is not.
    """

    path: str
    component: str
    was: str | None
    sign: Sign
    before_size: int | None
    after_size: int | None
    before_mode: str | None
    after_mode: str | None
    same_bytes: bool

    def as_json(self) -> JsonObject:
        """Give all of it."""
        return {
            "path": self.path,
            "component": self.component,
            "was": self.was,
            "sign": self.sign,
            "before": None if self.before_size is None else {"size": self.before_size, "mode": self.before_mode},
            "after": None if self.after_size is None else {"size": self.after_size, "mode": self.after_mode},
            "sameBytes": self.same_bytes,
        }


@dataclass(frozen=True, slots=True)
class ComponentSize:
    """A layer on both sides, in bytes; None where it is not. `same`: its content is the same."""

    component: str
    path: str | None
    before: int | None
    after: int | None
    same: bool

    def as_json(self) -> JsonObject:
        """Give all of it."""
        return {
            "component": self.component,
            "path": self.path,
            "before": self.before,
            "after": self.after,
            "same": self.same,
        }


@dataclass(frozen=True, slots=True)
class Named:
    """Which bundle a side is. `behaviour`: its behavioural version, None for an opaque one."""

    agent: str | None
    version: str | None
    digest: Digest
    behaviour: Digest | None
    size: int

    def as_json(self) -> JsonObject:
        """Give all of it."""
        return {
            "agent": self.agent,
            "version": self.version,
            "digest": str(self.digest),
            "behaviour": None if self.behaviour is None else str(self.behaviour),
            "size": self.size,
        }


@dataclass(frozen=True, slots=True)
class BundleDiff:
    """What changed from `before` to `after`.

    `changes`: the greatest steps first within each part, `omitted_changes` more were left out. `step`: the step that
    the versions take; None when one of them has no version, or the two are different agents. `changelog`: what the
    newer bundle says of itself. `notes`: what was not looked at, and why.
    """

    before: Named
    after: Named
    changes: tuple[Change, ...]
    omitted_changes: int
    demanded: Step
    step: VersionStep | None
    texts: tuple[TextDiff, ...]
    files: tuple[FileChange, ...]
    omitted_files: int
    sizes: tuple[ComponentSize, ...]
    changelog: str | None
    notes: tuple[str, ...] = field(default=())

    @property
    def identical(self) -> bool:
        """Whether both are the very same manifest."""
        return self.before.digest == self.after.digest

    @property
    def behaviour(self) -> str:
        """`same`, `other`, or `unknown` where one of the two is opaque."""
        if self.before.behaviour is None or self.after.behaviour is None:
            return "same" if self.identical else "unknown"
        return "same" if self.before.behaviour == self.after.behaviour else "other"

    def of(self, part: Part) -> tuple[Change, ...]:
        """Give the changes of one part."""
        return tuple(change for change in self.changes if change.part is part)

    def as_json(self) -> JsonObject:
        """Give what `--json` and the registry write."""
        return {
            "before": self.before.as_json(),
            "after": self.after.as_json(),
            "identical": self.identical,
            "behaviour": self.behaviour,
            "demanded": self.demanded,
            "step": None if self.step is None else self.step.as_json(),
            "changes": [change.as_json() for change in self.changes],
            "omittedChanges": self.omitted_changes,
            "texts": [text.as_json() for text in self.texts],
            "files": [file.as_json() for file in self.files],
            "omittedFiles": self.omitted_files,
            "sizes": [size.as_json() for size in self.sizes],
            "changelog": self.changelog,
            "notes": list(self.notes),
        }


def by_part(changes: Sequence[Change]) -> list[Change]:
    """Sort: parts in their order, in each the greatest steps first, else as they were found."""
    order = {part: index for index, part in enumerate(Part)}
    return sorted(changes, key=lambda change: (order[change.part], -change.step.rank))
