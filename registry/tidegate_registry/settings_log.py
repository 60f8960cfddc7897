"""The settings of the audit log and of the summaries, whose keys the worker alone uses. Part of settings.py."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from tidegate.errors import LogKeyInvalid
from tidegate.tlog.note import VerifierKey
from tidegate_registry.settings_unit import Unit

KeyUri = Annotated[str, Field(pattern=r"^(file|hv|hsm|awskms|gcpkms|azurekms):", max_length=1024)]


class WitnessFailure(StrEnum):
    """What becomes of a checkpoint that too few witnesses cosigned: published all the same, or not at all."""

    OPEN = "open"
    CLOSED = "closed"


class WitnessSettings(BaseModel, frozen=True, extra="forbid"):
    """A witness of the log (C2SP tlog-witness)."""

    url: Annotated[
        str,
        Field(description="Its submission prefix; `/add-checkpoint` comes behind it", pattern=r"^https?://[!-~]+$"),
    ]
    key: Annotated[str, Field(description="Its cosignature key, `NAME+ID+KEY`")]

    @field_validator("key")
    @classmethod
    def _cosigns(cls, text: str) -> str:
        try:
            key = VerifierKey.parse(text)
        except LogKeyInvalid as error:
            raise ValueError(error.message) from error
        if not key.algorithm.is_cosignature:
            raise ValueError("that key signs logs, not what witnesses say of them")
        return text


class LogSettings(BaseModel, frozen=True, extra="forbid"):
    """The audit log as static files. The worker alone uses the key."""

    origin: Annotated[
        str | None,
        Field(
            description="The log's name, in its checkpoints and its key; for ever the same. None: `host[:port]` of "
            "`public_url`, and `/log`",
            pattern=r"^[!-*,-~]{1,255}$",  # C2SP signed-note: a key's name has no plus sign and no spaces
        ),
    ] = None
    key: Annotated[
        KeyUri | None,
        Field(description="Key that signs checkpoints, Ed25519: `file:PATH`, or `hv:NAME/VERSION` in a Vault"),
    ] = None
    public_key_file: Annotated[
        Path | None, Field(description="Public key (PEM) of a `key` that is no file; checked at each signature")
    ] = None
    checkpoint_seconds: Annotated[
        float, Unit("seconds"), Field(description="Entries are in the log at the latest after", ge=0.05, le=60)
    ] = 1
    batch: Annotated[int, Field(description="Entries that are put into the log at once", ge=1, le=100_000)] = 500
    resign_seconds: Annotated[
        int, Unit("seconds"), Field(description="A checkpoint is signed again when nothing came for", ge=10, le=86_400)
    ] = 600
    witnesses: Annotated[
        tuple[WitnessSettings, ...], Field(description="Who is asked to cosign each checkpoint", max_length=16)
    ] = ()
    witness_quorum: Annotated[int | None, Field(description="How many of them must have; None: all", ge=1, le=16)] = (
        None
    )
    witness_failure: Annotated[
        WitnessFailure,
        Field(description="When fewer have: `closed` publishes nothing, `open` publishes what there is"),
    ] = WitnessFailure.CLOSED
    public_entries: Annotated[
        bool, Field(description="Whether entries, too, may be read without a credential; checkpoint and hashes always")
    ] = False

    @model_validator(mode="after")
    def _quorum_can_be_met(self) -> Self:
        if self.witness_quorum is not None and self.witness_quorum > len(self.witnesses):
            raise ValueError("`witness_quorum` is more than there are `witnesses`")
        return self

    @model_validator(mode="after")
    def _each_witness_once(self) -> Self:
        keys = {VerifierKey.parse(each.key).public for each in self.witnesses}
        if len(keys) != len(self.witnesses):
            raise ValueError("two of `witnesses` have the same key: one cosignature would count twice")
        return self


class VsaSettings(BaseModel, frozen=True, extra="forbid"):
    """Signed summaries of decisions (SLSA VSA). The worker alone uses the key."""

    key: Annotated[
        KeyUri | None,
        Field(
            description="Key that signs summaries, ECDSA P-256 or Ed25519: `file:PATH`, or one that is kept elsewhere: "
            "`hv:`, `hsm:`, `awskms:`, `gcpkms:`, `azurekms:`"
        ),
    ] = None
    public_key_file: Annotated[
        Path | None, Field(description="Public key (PEM) of a `key` that is no file; checked at each signature")
    ] = None
    pin_file: Annotated[Path | None, Field(description="File that holds the PIN of an HSM")] = None
