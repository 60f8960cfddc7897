"""What an agent declares about itself: the parts of `agent.yaml` that go into the config blob as they were written.

The descriptions are what an editor shows from docs/spec/agent.schema.json. Source: docs/spec/agent-yaml.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, JsonValue, model_validator

from tidegate.digest import Digest
from tidegate.errors import ReferenceInvalid
from tidegate.formats.document import Closed
from tidegate.formats.paths import check_path
from tidegate.formats.pins import pinned_by
from tidegate.formats.reference import MAX_NAME, parse_agent_name, parse_version

MAX_TEXT = 64 << 10  # a changelog of one version; longer ones belong into a file of component docs
MAX_LINE = 1000
MAX_ITEMS = 1000  # tools, domains, secrets of one agent: far above any seen

# Source: RFC 1123 section 2.1, with a leading wildcard label and a port
_HOST = r"(?:\*\.)?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*(?::[0-9]{1,5})?"
_COMPARISON = re.compile(r"\s*(?:>=|<=|==|!=|~=|>|<)\s*[0-9]+(?:\.[0-9]+)*(?:\.\*)?\s*")  # PEP 440, without local parts


def _acceptable_path(path: str) -> str:
    if reasons := check_path(path):
        raise ValueError("; ".join(reason.message for reason in reasons))
    return path


def _agent_name(text: str) -> str:
    return _reworded(parse_agent_name, text)


def _version(text: str) -> str:
    return _reworded(parse_version, text)


def _reworded(parse: Callable[[str], str], text: str) -> str:
    try:
        return parse(text)
    except ReferenceInvalid as error:
        hint = f"; {error.hint}" if error.hint else ""
        raise ValueError(f"{error.message}: expected {error.reasons[0].expected}{hint}") from error


def _comparisons(text: str) -> str:
    if not all(_COMPARISON.fullmatch(part) for part in text.split(",")):
        raise ValueError("write version comparisons such as >=3.11 or >=3.11,<3.14")
    return text


Line = Annotated[str, Field(min_length=1, max_length=MAX_LINE, pattern=r"^[^\x00-\x1f\x7f]*$")]
AgentName = Annotated[str, Field(max_length=MAX_NAME, examples=["acme/support-agent"]), AfterValidator(_agent_name)]
Version = Annotated[str, Field(max_length=128, examples=["1.2.0"]), AfterValidator(_version)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
Url = Annotated[str, Field(max_length=MAX_LINE, pattern=r"^https?://[^\x00-\x20\x7f]+$")]
AbsolutePath = Annotated[str, Field(max_length=MAX_LINE, pattern=r"^/[^\x00-\x1f\x7f]*$")]
BundlePath = Annotated[str, Field(min_length=1, max_length=1024), AfterValidator(_acceptable_path)]
PythonVersions = Annotated[str, Field(max_length=100, examples=[">=3.11"]), AfterValidator(_comparisons)]
Argv = Annotated[tuple[Line, ...], Field(min_length=1, max_length=MAX_ITEMS)]
Lines = Annotated[tuple[Line, ...], Field(max_length=MAX_ITEMS)]
HostPattern = Annotated[str, Field(max_length=260, pattern=rf"^{_HOST}$", examples=["api.openai.com", "*.zendesk.com"])]
SecretName = Annotated[str, Field(max_length=200, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$", examples=["OPENAI_API_KEY"])]


class ModelPin(Closed):
    """A model the agent calls. Its id must not float unless `unpinned` says why (formats/pins.py has the rule)."""

    id: Line = Field(description="The id as sent to the provider.", examples=["claude-sonnet-4-20250514"])
    provider: Line | None = Field(None, description="Who serves it.", examples=["anthropic", "openai", "self-hosted"])
    digest: Digest | None = Field(None, description="sha256 of the weights, for a model served by digest.")
    revision: str | None = Field(
        None, pattern=r"^[0-9a-f]{40}(?:[0-9a-f]{24})?$", description="Commit of the model's repository, in full."
    )
    file: BundlePath | None = Field(None, description="A weights file of this bundle.")
    unpinned: Line | None = Field(
        None, description="Why this id may float. Recorded, shown by inspect, and judged by policy."
    )

    @property
    def pinned_by(self) -> str | None:
        """What pins it, such as `date 2024-08-06`; None when it can float."""
        return pinned_by(self.id, digest=self.digest, revision=self.revision, file=self.file)

    @property
    def floats(self) -> bool:
        """Whether its id can mean another model tomorrow, by the rule or by the author's own word."""
        return self.unpinned is not None or self.pinned_by is None


class AllowedSecret(Closed):
    """A file that may hold what looks like a secret. Recorded in the bundle, and shown by inspect."""

    path: BundlePath = Field(description="The file, as a path of the bundle.", examples=["tests/key.pem"])
    reason: Line = Field(description="Why it is no secret, or may be read by whoever may pull the bundle.")


class McpServer(Closed):
    """A Model Context Protocol server the agent connects to: by URL, or started by a command."""

    name: Line = Field(description="The name under which the agent knows it.")
    url: Url | None = Field(None, description="Where it listens.")
    command: Argv | None = Field(None, description="How it is started, as a list of arguments.")

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.url is None) == (self.command is None):
            raise ValueError("give either url or command")
        return self


class FileScope(Closed):
    """Files outside the bundle that the agent reads or writes."""

    path: AbsolutePath = Field(description="Absolute path of a file or folder on the host.")
    access: Literal["read", "write"] = Field(description="`write` includes reading.")


class Capabilities(Closed):
    """What the agent asks for. A host that does not grant all of it refuses the bundle."""

    tools: Lines = Field((), description="Names of the tools it may call.")
    mcp_servers: Annotated[tuple[McpServer, ...], Field(max_length=MAX_ITEMS)] = Field(
        (), description="MCP servers it connects to."
    )
    egress: Annotated[tuple[HostPattern, ...], Field(max_length=MAX_ITEMS)] = Field(
        (), description="Domains it connects to, with optional `*.` in front and port behind."
    )
    secrets: Annotated[tuple[SecretName, ...], Field(max_length=MAX_ITEMS)] = Field(
        (), description="Names of the secrets it needs, as it reads them from its environment."
    )
    files: Annotated[tuple[FileScope, ...], Field(max_length=MAX_ITEMS)] = Field(
        (), description="Files and folders outside the bundle."
    )


class Interface(Closed):
    """A contract with other agents, as JSON Schemas of what goes in and comes out."""

    name: Line = Field(description="The name both sides use.")
    version: Line | None = Field(None, description="Version of the contract.", examples=["1"])
    input: dict[str, JsonValue] | None = Field(None, description="JSON Schema of a request.")
    output: dict[str, JsonValue] | None = Field(None, description="JSON Schema of an answer.")


class Interfaces(Closed):
    """Interfaces provided to other agents and consumed from them."""

    provides: Annotated[tuple[Interface, ...], Field(max_length=MAX_ITEMS)] = ()
    consumes: Annotated[tuple[Interface, ...], Field(max_length=MAX_ITEMS)] = ()


class Requirements(Closed):
    """What the host must have. A host that lacks any of it refuses the bundle."""

    platforms: Annotated[tuple[Annotated[str, Field(pattern=r"^[a-z0-9]+/[a-z0-9_]+$")], ...], Field(max_length=50)] = (
        Field(
            (),
            description="System and architecture, as OCI writes them; any when empty.",
            examples=[["linux/amd64"]],
        )
    )
    programs: Lines = Field((), description="Programs that must be on PATH.", examples=[["git"]])
    memory_mib: int | None = Field(None, ge=1, description="Main memory, MiB.", alias="memoryMiB")
    disk_mib: int | None = Field(None, ge=1, description="Free disk space, MiB.", alias="diskMiB")
    gpu_memory_mib: int | None = Field(None, ge=1, description="Memory of one GPU, MiB.", alias="gpuMemoryMiB")


class State(Closed):
    """How the agent's memory survives an update and a rollback."""

    schema_: int = Field(ge=1, alias="schema", description="Number of the state schema this version writes.")
    reads: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(max_length=MAX_ITEMS)] = Field(
        (), description="State schemas it can read; its own is one of them."
    )
    migrate: Argv | None = Field(None, description="Command that brings older state to `schema`.")
    on_rollback: Literal["finish", "migrate", "terminate"] = Field(
        "finish", description="What running tasks do when the host goes back to an older release."
    )

    @model_validator(mode="after")
    def _reads_itself(self) -> Self:
        if self.reads and self.schema_ not in self.reads:
            raise ValueError(f"reads must hold the schema it writes, {self.schema_}")
        return self


class Runtime(Closed):
    """How dependencies come: all inside the bundle (`vendored`), or installed from a hash-locked requirements file."""

    kind: Literal["vendored", "python"]
    python: PythonVersions | None = Field(None, description="Python versions it runs on.")
    requirements: BundlePath | None = Field(None, description="Requirements file, every line with --hash.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "python" and self.requirements is None:
            raise ValueError("runtime python needs a hash-locked requirements file")
        if self.kind == "vendored" and self.requirements is not None:
            raise ValueError("a vendored runtime installs nothing: leave requirements out")
        return self
