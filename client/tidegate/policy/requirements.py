"""What a transition can require, as people write it in a policy. Spec page: docs/spec/policy.md."""

from __future__ import annotations

import re
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from tidegate.errors import StatementInvalid
from tidegate.formats.charter import MAX_APPROVALS, MAX_LEVEL, ChannelText, Name
from tidegate.formats.document import Closed
from tidegate.formats.predicates.types import PREDICATE_EVALUATION, RESERVED_TYPES, predicate_type

MAX_EXPRESSION = 2_000  # characters: longer than any condition that a person can review
MAX_NAMED = 100
MAX_DURATION = timedelta(days=3650)
_DURATION = re.compile(r"([1-9][0-9]{0,6})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def parse_duration(text: object) -> timedelta:
    """Read a duration such as `30m`, `24h` or `7d`. Raises ValueError."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError("is no duration; write a number and s, m, h or d, such as 30m, 24h or 7d")
    found = timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    if found > MAX_DURATION:
        raise ValueError("is longer than ten years")
    return found


def show_duration(span: timedelta) -> str:
    """Write a duration as `parse_duration` reads it, in the greatest unit that is exact; parts of a second are cut."""
    seconds = int(span.total_seconds())
    unit = next((unit for unit in ("d", "h", "m") if seconds and seconds % _SECONDS[unit] == 0), "s")
    return f"{seconds // _SECONDS[unit]}{unit}"


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    PlainSerializer(show_duration, return_type=str),
]
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Expression = Annotated[str, Field(min_length=1, max_length=MAX_EXPRESSION)]


class Change(StrEnum):
    """Something that differs between a release and the one it would replace."""

    CAPABILITY_RAISED = "capability-raised"
    MODEL_MOVED = "model-moved"
    PROMPT_CHANGED = "prompt-changed"
    INTERFACE_BROKEN = "interface-broken"
    SIGNER_CLASS_CHANGED = "signer-class-changed"


class Severity(StrEnum):
    """How bad a vulnerability is, least first."""

    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class AttestationWanted(Closed):
    """Evidence of a type, by a signer of this policy; the latest one counts."""

    type: str = Field(description="A predicate type: a short name or a URI.")
    signer: Name = Field(description="One of `signers`.")
    suite: Text | None = Field(
        default=None, description="Of evaluations: only of this suite; else the latest of any counts."
    )
    max_age: Duration | None = Field(default=None, description="How long ago it may have been signed.")

    @field_validator("type")
    @classmethod
    def _resolve(cls, name: str) -> str:
        try:
            found = predicate_type(name)
        except StatementInvalid as error:
            raise ValueError(f"{error}: {error.reasons[0].found}; {error.reasons[0].expected}") from error
        if found in RESERVED_TYPES:
            raise ValueError("approvals are required by `approvals`")
        return found

    @model_validator(mode="after")
    def _has_suites(self) -> AttestationWanted:
        if self.suite is not None and self.type != PREDICATE_EVALUATION:
            raise ValueError("`suite` goes with evaluations only")
        return self


class ApprovalsWanted(Closed):
    """Signed approvals by distinct persons."""

    count: int = Field(ge=1, le=MAX_APPROVALS, description="How many persons.")
    role: Name = Field(description="The role that each must have, also at the moment of the promotion.")
    not_author: bool = Field(default=True, description="Whether the author's own does not count.")
    not_requester: bool = Field(default=True, description="Whether that of who asks for the promotion does not count.")
    max_age: Duration | None = Field(default=None, description="How long ago they may have been signed.")


class ReviewWanted(Closed):
    """A signed review, needed when cases of an evaluation that the current release passed fail now, or the reverse."""

    evaluation: Name = Field(description="One of `signers`: whose evaluations are compared.")
    role: Name = Field(description="The role that the reviewer must have.")
    suite: Text | None = Field(default=None, description="Compare this suite; else that of the latest evaluation.")
    allow_flips: int = Field(default=0, ge=0, description="Cases that may flip, either way, without a review.")
    not_author: bool = Field(default=True, description="Whether the author's own review does not count.")


class SoakWanted(Closed):
    """Time and work as the current release of the channel it comes from."""

    min: Duration = Field(description="The longest continuous time there must be at least this.")
    min_tasks: int = Field(default=0, ge=0, description="Tasks it must have served there.")


class UpstreamWanted(Closed):
    """The release is, or was, current in other channels."""

    channels: tuple[ChannelText, ...] = Field(min_length=1, max_length=MAX_NAMED, description="Which channels.")
    match: Literal["all", "any"] = Field(default="all", description="In all of them, or in one.")
    min: Duration | None = Field(default=None, description="For how long without a break.")


class SbomWanted(Closed):
    """A signed bill of materials."""

    formats: tuple[Literal["cyclonedx", "spdx"], ...] = Field(
        default=("cyclonedx", "spdx"), min_length=1, description="Which forms will do."
    )
    signer: Name | None = Field(default=None, description="One of `signers`; else whoever the charter lets sign it.")


class VulnerabilitiesWanted(Closed):
    """A scan that found nothing worse than what is tolerated."""

    signer: Name = Field(description="One of `signers`: whose scan.")
    at_most: Severity = Field(description="The worst severity that is tolerated.")
    max_age: Duration | None = Field(default=None, description="How long ago the scan may have finished.")
    ignore: tuple[Text, ...] = Field(default=(), max_length=1000, description="Identifiers that are tolerated.")


class ProvenanceWanted(Closed):
    """How well its build is proven."""

    level: int = Field(default=0, ge=0, le=MAX_LEVEL, description="SLSA build level, by the charter's `builders`.")
    builders: tuple[Text, ...] = Field(
        default=(), max_length=MAX_NAMED, description="Build Signer URIs that will do, exact; none given: every one."
    )


class TestResultWanted(Closed):
    """An in-toto test result that passed."""

    signer: Name = Field(description="One of `signers`: whose tests.")
    max_age: Duration | None = Field(default=None, description="How long ago it may have been signed.")


KINDS = (
    "attestation",
    "approvals",
    "review",
    "soak",
    "upstream",
    "sbom",
    "vulnerabilities",
    "provenance",
    "test_result",
)
_ONE_OF = {
    "oneOf": [{"required": [key]} for key in (*KINDS[:-1], "testResult")],
}


class Requirement(Closed, json_schema_extra=_ONE_OF):
    """One thing that must be met, and how it is told to people when it is not. Exactly one kind."""

    id: Name = Field(description="How decisions, exceptions and people call it.")
    attestation: AttestationWanted | None = Field(default=None, description="Evidence of a type by a signer.")
    approvals: ApprovalsWanted | None = Field(default=None, description="Signed approvals by distinct persons.")
    review: ReviewWanted | None = Field(default=None, description="A review, when evaluation cases flipped.")
    soak: SoakWanted | None = Field(default=None, description="Time and tasks in the channel it comes from.")
    upstream: UpstreamWanted | None = Field(default=None, description="Having been current in other channels.")
    sbom: SbomWanted | None = Field(default=None, description="A bill of materials.")
    vulnerabilities: VulnerabilitiesWanted | None = Field(default=None, description="A scan without bad findings.")
    provenance: ProvenanceWanted | None = Field(default=None, description="Build level and builder.")
    test_result: TestResultWanted | None = Field(default=None, description="Tests that passed.")
    when: Expression | None = Field(
        default=None, description="A CEL condition over `predicate` (and `baseline`); only with `attestation`."
    )
    baseline: Literal["current"] | None = Field(
        default=None, description="`current`: compare with the same evidence about what the target channel serves now."
    )
    on_missing_baseline: Literal["pass", "fail"] = Field(
        default="fail", description="What holds when the target channel serves nothing yet."
    )
    if_changed: tuple[Change, ...] = Field(
        default=(), description="Applies only if one of these changed against what the target channel serves now."
    )
    message: Text | None = Field(default=None, description="What people are told when it is not met.")
    warn_until: date | None = Field(
        default=None, description="Before this day (UTC) it only warns: time to get ready for a new rule."
    )

    @model_validator(mode="after")
    def _one_kind(self) -> Requirement:
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            names = ", ".join(name.replace("test_result", "testResult") for name in KINDS)
            raise ValueError(f"needs exactly one of {names}; it has {', '.join(given) or 'none'}")
        if self.attestation is None and (self.when is not None or self.baseline is not None):
            raise ValueError("`when` and `baseline` go with `attestation` only")
        if self.baseline is not None and self.when is None:
            raise ValueError("`baseline` needs a `when` that compares with it")
        return self

    @cached_property
    def kind(self) -> str:
        """Which of KINDS it is."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)
