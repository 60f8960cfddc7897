"""`agent.yaml`: what the author writes, closed and typed. Source: docs/spec/agent-yaml.md and agent.schema.json."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, JsonValue, WithJsonSchema

from tidegate.errors import AgentFileInvalid, Reason
from tidegate.formats.config import Kind
from tidegate.formats.declarations import (
    MAX_ITEMS,
    AgentName,
    AllowedSecret,
    Argv,
    BundlePath,
    Capabilities,
    Line,
    ModelPin,
    Requirements,
    Runtime,
    State,
    Text,
    Version,
)
from tidegate.formats.document import Closed, mistake_at, read_document, refusal
from tidegate.formats.yamldoc import PathInside, YamlDocument, parse_yaml

FILE_NAME = "agent.yaml"
MAX_AGENT_FILE_BYTES = 1 << 20  # interfaces may be written inline; the largest seen is some 40 KiB
SCHEMA_ID = "https://tidegate.dev/schema/agent-v1.json"


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _command(value: object) -> object:
    if isinstance(value, str):
        raise ValueError(f"write the command as a list, so that no shell is needed: {shlex.split(value, posix=False)}")  # noqa: TRY004 - pydantic wants ValueError
    return tuple(value) if isinstance(value, list) else value


def _runtime(value: object) -> object:
    if isinstance(value, str):
        return {"kind": value}
    return {"kind": "python", **value} if isinstance(value, dict) and "kind" not in value else value


_GLOBS_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "string", "minLength": 1}, {"type": "array", "items": {"type": "string", "minLength": 1}}]
}
_RUNTIME_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"const": "vendored", "description": "Everything the agent needs is in the bundle."},
        {
            "type": "object",
            "additionalProperties": False,
            "required": ["requirements"],
            "properties": {
                "python": {"type": "string", "description": "Python versions it runs on.", "examples": [">=3.11"]},
                "requirements": {"type": "string", "description": "Requirements file, every line with --hash."},
            },
        },
    ]
}
_ARGV_SCHEMA: dict[str, Any] = {
    "type": "array",
    "items": {"type": "string", "minLength": 1},
    "minItems": 1,
    "examples": [["python", "-m", "agent"]],
}
Globs = Annotated[
    tuple[Line, ...], BeforeValidator(_listed), Field(max_length=MAX_ITEMS), WithJsonSchema(_GLOBS_SCHEMA)
]


class Components(Closed):
    """Which files are what, as globs relative to the folder of agent.yaml. What no glob matches is `code`."""

    prompts: Globs = Field((), description="Text that is put in front of a model, in any format.")
    skills: Globs = Field((), description="Skills, each a folder with its instructions.")
    tools: Globs = Field((), description="Tool schemas: JSON files.")
    models: Globs = Field((), description="Model settings: JSON files. Pins belong under `models` below.")
    config: Globs = Field((), description="Run-time configuration: JSON files. Other formats stay in code.")
    memory: Globs = Field((), description="Knowledge and initial memory.")
    weights: Globs = Field((), description="Weights of self-hosted models; each file becomes a layer of its own.")
    evals: Globs = Field((), description="Evaluation sets. Not part of the behavioural version.")
    docs: Globs = Field((), description="Documentation the agent does not read. Not part of the behavioural version.")

    def globs(self) -> dict[Kind, tuple[str, ...]]:
        """Give the globs by kind, of those kinds that have any."""
        pairs = ((kind, getattr(self, kind)) for kind in Kind if kind is not Kind.CODE)
        return {kind: globs for kind, globs in pairs if globs}


class InterfaceSpec(Closed):
    """A contract with other agents. A schema is written here, or named as a JSON file of the bundle."""

    name: Line = Field(description="The name both sides use.")
    version: Line | None = Field(None, description="Version of the contract.", examples=["1"])
    input: BundlePath | dict[str, JsonValue] | None = Field(None, description="JSON Schema of a request, or its file.")
    output: BundlePath | dict[str, JsonValue] | None = Field(None, description="JSON Schema of an answer, or its file.")


class InterfacesSpec(Closed):
    """Interfaces provided to other agents and consumed from them."""

    provides: tuple[InterfaceSpec, ...] = Field((), max_length=MAX_ITEMS)
    consumes: tuple[InterfaceSpec, ...] = Field((), max_length=MAX_ITEMS)


class AgentSpec(Closed):
    """An agent, as its author describes it."""

    name: AgentName = Field(description="`namespace/agent`, the repository it is published to.")
    version: Version = Field(description="Semantic version of the release; `tidegate build --version` overrides it.")
    description: Text | None = Field(None, description="One paragraph for people.")
    entrypoint: Annotated[Argv, BeforeValidator(_command), WithJsonSchema(_ARGV_SCHEMA)] = Field(
        description="The command that starts it in the unpacked folder, as a list of arguments."
    )
    runtime: Annotated[Runtime, BeforeValidator(_runtime), WithJsonSchema(_RUNTIME_SCHEMA)] = Field(
        description="`vendored`, or a Python version and a hash-locked requirements file."
    )
    components: Components = Field(Components(), description="Which files are what; the rest is code.")
    models: tuple[ModelPin, ...] = Field((), max_length=MAX_ITEMS, description="Every model the agent calls.")
    capabilities: Capabilities = Field(Capabilities(), description="What the agent asks the host for.")
    interfaces: InterfacesSpec = Field(InterfacesSpec(), description="Contracts with other agents.")
    requirements: Requirements = Field(Requirements(), description="What the host must have.")
    state: State | None = Field(None, description="For an agent that keeps memory between tasks.")
    changelog: Text | None = Field(None, description="What changed in this version, for people.")
    allowed_secrets: tuple[AllowedSecret, ...] = Field(
        (), max_length=MAX_ITEMS, description="Files that may hold what looks like a secret, each with the reason."
    )
    ignore: Globs = Field((), description="Files that are not part of the agent, as in .tidegateignore.")


@dataclass(frozen=True, slots=True)
class AgentFile:
    """A checked `agent.yaml` and the lines of its values, for mistakes that only the files of the folder show."""

    spec: AgentSpec
    document: YamlDocument

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `folder/agent.yaml`. Raises AgentFileInvalid with every mistake."""
        path = folder / FILE_NAME
        try:
            raw = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise AgentFileInvalid(
                "there is no agent.yaml to read",
                code="agent-file-missing",
                found=path,
                hint=f"run `tidegate init {folder}`",
            ) from error
        except OSError as error:
            raise AgentFileInvalid(
                f"{path}: cannot be read or written: {error.strerror or error}", code="file-not-usable"
            ) from error
        return cls.parse(raw)

    @classmethod
    def parse(cls, raw: bytes, name: str = FILE_NAME) -> Self:
        """Parse `raw`. `name`: for messages. Raises AgentFileInvalid with every mistake."""
        document = parse_yaml(raw, limit=MAX_AGENT_FILE_BYTES, name=name, error=AgentFileInvalid)
        if not isinstance(document.value, dict):
            raise AgentFileInvalid(f"{name}:1: not a mapping", expected="name, version, entrypoint and runtime")
        file = cls(read_document(document, AgentSpec, error=AgentFileInvalid), document)
        if reasons := file._floating():
            raise refusal(AgentFileInvalid, reasons)
        return file

    def mistake(self, path: PathInside, message: str, *, code: str, hint: str | None = None, **facts: str) -> Reason:
        """Describe a mistake at `path` inside the file."""
        return replace(mistake_at(self.document, path, message, code=code, **facts), hint=hint)

    def refusal(self, reasons: Sequence[Reason]) -> AgentFileInvalid:
        """Make the error that carries `reasons`."""
        error = refusal(AgentFileInvalid, reasons)
        assert isinstance(error, AgentFileInvalid)  # noqa: S101 - narrows the type that was just passed in
        return error

    def _floating(self) -> list[Reason]:
        return [
            self.mistake(
                ("models", index, "id"),
                "this id can float: tomorrow it may be another model",
                code="model-unpinned",
                found=model.id,
                expected="a dated id, a digest, a revision, or a weights file of the bundle",
                hint="write the dated id, or add `unpinned: <why it may float>` beside it",
            )
            for index, model in enumerate(self.spec.models)
            if model.floats and model.unpinned is None
        ]
