"""trust.yaml: which trusted roots a host or registry believes, by name, and the charters.

Spec pages: docs/spec/trust-file.md, docs/spec/charter.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AwareDatetime, Discriminator, Field, Tag, model_validator

from tidegate.errors import TrustFileInvalid
from tidegate.formats.charter import Charter, Name
from tidegate.formats.document import Closed, mistake_at, read_document, refusal
from tidegate.formats.yamldoc import PathInside, YamlDocument, parse_yaml

MAX_TRUST_FILE_BYTES = 1 << 20
MAX_CHARTER_BYTES = 256 << 10
MAX_ROOTS = 20
MAX_CHARTERS = 10_000
MAX_WITNESSES = 32
MAX_VSA_KEYS = 32
MAX_KEY_BYTES = 16 << 10

FilePath = Annotated[str, Field(min_length=1, max_length=4096)]
VerifierKeyText = Annotated[
    str,
    Field(
        pattern=r"^[^\s+]+\+[0-9a-f]{8}\+[A-Za-z0-9+/]+={0,2}$",
        max_length=4096,  # ML-DSA-44 keys have 1,312 bytes
        description="A C2SP signed-note verifier key: NAME+ID+KEY, as `tidegate-registry keys` prints it.",
    ),
]


class RootEntry(Closed):
    """Where a trusted root is, and whether it is a sandbox's."""

    file: FilePath = Field(
        description="A Sigstore trusted root, or a client trust config (its trusted root is taken); relative to this."
    )
    sandbox: bool = Field(default=False, description="Whether anybody may sign as anybody under this root.")


class CharterFile(Closed):
    """A charter in a file of its own."""

    file: FilePath = Field(description="A YAML or JSON file with one charter; relative to this one.")


def _kind_of_charter(value: object) -> str:
    in_file = isinstance(value, CharterFile) or (isinstance(value, dict) and "file" in value)
    return "CharterFile" if in_file else "Charter"


CharterEntry = Annotated[
    Annotated[CharterFile, Tag("CharterFile")] | Annotated[Charter, Tag("Charter")], Discriminator(_kind_of_charter)
]


class WitnessQuorum(Closed):
    """How many witnesses must have cosigned a checkpoint."""

    need: int = Field(ge=1, le=MAX_WITNESSES, description="So many of them at least must have signed.")
    of: tuple[VerifierKeyText, ...] = Field(
        min_length=1, max_length=MAX_WITNESSES, description="The cosignature keys of the witnesses."
    )

    @model_validator(mode="after")
    def _can_be_met(self) -> WitnessQuorum:
        if self.need > len(set(self.of)):
            raise ValueError(f"asks for {self.need} of {len(set(self.of))} witnesses, which nobody can meet")
        return self


class LogKeys(Closed):
    """How the audit log is known."""

    key: VerifierKeyText = Field(
        description="The key that signs the log's checkpoints, NAME+ID+KEY; its name is the log's origin."
    )
    witnesses: WitnessQuorum | None = Field(
        default=None, description="Witnesses that must have cosigned; none need have if this is left out."
    )


class PublicKeyFile(Closed):
    """A public key in a file."""

    file: FilePath = Field(description="A public key in PEM, ECDSA P-256 or Ed25519; relative to this.")


class VsaKeyEntry(Closed):
    """A key that signs summaries of what one registry decided."""

    name: Name = Field(description="What `tidegate verify --vsa` calls it.")
    verifier: str = Field(
        pattern=r"^https?://[A-Za-z0-9.:\[\]-]{1,300}$",
        description="The URL of the registry whose decisions count under this key, without a path.",
    )
    key: PublicKeyFile = Field(description="Its public key, as `tidegate-registry keys show` prints it.")
    not_before: AwareDatetime | None = Field(default=None, description="Decisions before that do not count.")
    not_after: AwareDatetime | None = Field(default=None, description="Decisions after that do not count.")


class TrustFile(Closed):
    """What a trust.yaml says."""

    format: Literal["tidegate/trust/v1"] = Field(
        default="tidegate/trust/v1", description="The form of this document; a reader refuses one it does not know."
    )
    roots: Mapping[Name, RootEntry] = Field(
        min_length=1, max_length=MAX_ROOTS, description="Sigstore trusted roots by the name that charters use."
    )
    charters: tuple[CharterEntry, ...] = Field(
        default=(), max_length=MAX_CHARTERS, description="Charters, written here or in files of their own."
    )
    log: LogKeys | None = Field(default=None, description="How the registry's audit log is known, for auditors.")
    vsa: tuple[VsaKeyEntry, ...] = Field(
        default=(), max_length=MAX_VSA_KEYS, description="Keys that sign summaries of decisions (SLSA VSA)."
    )


def parse_trust_file(raw: bytes, *, name: str) -> tuple[TrustFile, YamlDocument]:
    """Parse a trust.yaml. `name`: the file, for messages. Raises TrustFileInvalid with every mistake and its line."""
    document = parse_yaml(raw, limit=MAX_TRUST_FILE_BYTES, name=name, error=TrustFileInvalid)
    trust_file = read_document(document, TrustFile, error=TrustFileInvalid)
    for index, entry in enumerate(trust_file.charters):
        if isinstance(entry, Charter):
            check_roots(entry, trust_file.roots, document, ("charters", index))
    return trust_file, document


def parse_charter(raw: bytes, *, name: str, roots: Mapping[str, object] | None = None) -> Charter:
    """Parse a file that holds one charter. `roots`: the names its rules may use; None leaves that to the caller.

    Raises TrustFileInvalid with every mistake and its line.
    """
    document = parse_yaml(raw, limit=MAX_CHARTER_BYTES, name=name, error=TrustFileInvalid)
    charter = read_document(document, Charter, error=TrustFileInvalid)
    if roots is not None:
        check_roots(charter, roots, document, ())
    return charter


def check_roots(charter: Charter, roots: Mapping[str, object], document: YamlDocument, inside: PathInside) -> None:
    """Check that every rule names a root that there is. Raises TrustFileInvalid."""
    lists = (
        ("publishers", charter.publishers),
        ("attesters", charter.attesters),
        ("approvers", charter.approvers),
        ("breakGlass", charter.break_glass),
    )
    unknown = [
        mistake_at(
            document,
            (*inside, name, index, "root"),
            "no such root",
            code=TrustFileInvalid.code,
            found=rule.root,
            expected=f"one of {', '.join(sorted(roots))}",
        )
        for name, rules in lists
        for index, rule in enumerate(rules)
        if rule.root not in roots
    ]
    if unknown:
        raise refusal(TrustFileInvalid, unknown)
