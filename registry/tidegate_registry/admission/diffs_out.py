"""The comparison of two releases as it is answered: the document of docs/spec/diff.md."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from tidegate.bundle.diff.model import Part, Sign
from tidegate.bundle.diff.schema import Effect
from tidegate.bundle.diff.step import Step
from tidegate_registry.api import Out


class ComparedOut(Out):
    """One of the two bundles."""

    agent: str | None = Field(examples=["acme/support-agent"])
    version: str | None = Field(examples=["1.2.0"])
    digest: str
    behaviour: str | None = Field(description="Its behavioural version; null for an opaque bundle")
    size: int = Field(description="Bytes of all blobs that it names")


class VersionStepOut(Out):
    """The version step between the two, and the one that what changed demands."""

    base: str
    version: str
    taken: Step | None = Field(description="Null where steps do not count: backwards, and between pre-releases")
    demanded: Step
    needed: Step = Field(description="The least step that does; before 1.0.0 less than demanded")
    proposed: str = Field(description="The least version after `base` that does", examples=["1.3.0"])
    enough: bool
    lines: list[str] = Field(description="The changes that demand it")
    omitted: int = Field(description="How many more there are")


class SchemaChangeOut(Out):
    """A change of a JSON Schema."""

    path: str = Field(examples=["order.lines[].amount"])
    effect: Effect
    message: str


class ChangeOut(Out):
    """One change and the least version step that it demands."""

    part: Part
    kind: str = Field(examples=["capability-raised"], description="Stable; docs/spec/diff.md lists them all")
    sign: Sign
    subject: str = Field(examples=["egress api.example.com"])
    step: Step
    message: str
    schema_: list[SchemaChangeOut] = Field(alias="schema")


class TextDiffOut(Out):
    """How a text file changed. `lines`: as `diff -u` writes them."""

    path: str
    component: str
    sign: Sign
    lines: list[str]
    left_out: str | None = Field(description="Why lines are missing, if any are")


class FileOut(Out):
    """A file on one side."""

    size: int
    mode: Literal["x", "-"]


class FileChangeOut(Out):
    """A file that came, went, or has other bytes, another mode or another component."""

    path: str
    component: str
    was: str | None = Field(description="The component it was in, if that is another")
    sign: Sign
    before: FileOut | None
    after: FileOut | None
    same_bytes: bool


class LayerSizeOut(Out):
    """A layer on both sides, in bytes."""

    component: str
    path: str | None
    before: int | None
    after: int | None
    same: bool = Field(description="Whether its content is the same")


EXAMPLE: dict[str, JsonValue] = {
    "before": {
        "agent": "acme/support-agent",
        "version": "1.2.0",
        "digest": "sha256:09859dd4808085bd4ad157114676b0cabf2c2f5c4fefba1eadacdf8f03507e7e",
        "behaviour": "sha256:287b5c5eccda1d6f4e1f6a3a3d5a0e6b1c9d8e7f60718293a4b5c6d7e8f90a1b",
        "size": 73932,
    },
    "after": {
        "agent": "acme/support-agent",
        "version": "1.2.1",
        "digest": "sha256:cf2965f4d73d60772f539a347718c320337fff0b339402472655375d12ec4ff5",
        "behaviour": "sha256:5f0c1b2a39485766574839201a2b3c4d5e6f708192a3b4c5d6e7f8091a2b3c4d",
        "size": 73949,
    },
    "identical": False,
    "behaviour": "other",
    "demanded": "minor",
    "step": {
        "base": "1.2.0",
        "version": "1.2.1",
        "taken": "patch",
        "demanded": "minor",
        "needed": "minor",
        "proposed": "1.3.0",
        "enough": False,
        "lines": ["capabilities: egress api.example.com asked for now"],
        "omitted": 0,
    },
    "changes": [
        {
            "part": "prompts",
            "kind": "prompt-changed",
            "sign": "changed",
            "subject": "prompts/system.md",
            "step": "patch",
            "message": "changed",
            "schema": [],
        },
        {
            "part": "capabilities",
            "kind": "capability-raised",
            "sign": "added",
            "subject": "egress api.example.com",
            "step": "minor",
            "message": "asked for now",
            "schema": [],
        },
    ],
    "omittedChanges": 0,
    "texts": [
        {
            "path": "prompts/system.md",
            "component": "prompts",
            "sign": "changed",
            "lines": ["@@ -1 +1,2 @@", " Be brief.", "+Be kind."],
            "leftOut": None,
        }
    ],
    "files": [
        {
            "path": "prompts/system.md",
            "component": "prompts",
            "was": None,
            "sign": "changed",
            "before": {"size": 10, "mode": "-"},
            "after": {"size": 19, "mode": "-"},
            "sameBytes": False,
        }
    ],
    "omittedFiles": 0,
    "sizes": [{"component": "prompts", "path": None, "before": 2048, "after": 2048, "same": False}],
    "changelog": None,
    "notes": [],
}


class DiffOut(Out, json_schema_extra={"examples": [EXAMPLE]}):
    """What changed between two bundles. Members are added in later versions; none changes its meaning."""

    before: ComparedOut
    after: ComparedOut
    identical: bool = Field(description="Whether both are the same manifest")
    behaviour: Literal["same", "other", "unknown"] = Field(description="`unknown` where one of them is opaque")
    demanded: Step = Field(description="The version step that the changes demand")
    step: VersionStepOut | None
    changes: list[ChangeOut]
    omitted_changes: int
    texts: list[TextDiffOut]
    files: list[FileChangeOut]
    omitted_files: int
    sizes: list[LayerSizeOut]
    changelog: str | None = Field(description="What the newer one says of itself")
    notes: list[str] = Field(description="What was not looked at")
