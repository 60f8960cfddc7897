"""The policy document, as people write it: who may do what, and what a release needs to move on.

Closed and typed: an unknown key is an error. A company-wide document, and overlays for namespaces that only add to it.
What cannot be seen in one place (names that point nowhere, conditions that do not compile) is checked by `load`.
Spec page: docs/spec/policy.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, BeforeValidator, Field, field_validator, model_validator

from tidegate.formats.charter import MAX_APPROVALS, ChannelText, IdentityRule, Name, Url
from tidegate.formats.document import Closed
from tidegate.formats.reference import MAX_NAME
from tidegate.policy.requirements import Duration, Requirement, Text

MAX_PERSONS = 5_000
MAX_ENTRIES = 200
MAX_TRANSITIONS = 200
MAX_REQUIREMENTS = 50
MAX_STEPS = 20
COMPANY = "_company"  # no namespace begins so: the name of the company-wide document among policies
WHOLE_PERCENT = 100
EVERY_AGENT = ("*/*",)

_AGENTS = re.compile(r"(\*|[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)/(\*|[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)")
_NAMESPACE = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"  # the first part of an agent's name
# as the database spells its names; `localtime` is another place on each machine
_ZONE = r"^[A-Z][A-Za-z0-9_+-]*(/[A-Z][A-Za-z0-9_+-]*){0,2}$"
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")

AgentPattern = Annotated[
    str, Field(pattern=f"^{_AGENTS.pattern}$", description="`namespace/agent`; either part may be `*`.")
]
Namespace = Annotated[str, Field(pattern=f"^{_NAMESPACE}$", max_length=MAX_NAME)]
ClaimName = Annotated[str, Field(min_length=1, max_length=128)]


class Glob(Closed):
    """A pattern for one claim: `*` stands for any characters. Without this spelling a `*` is an asterisk."""

    glob: Text


class RoleBinding(Closed):
    """Who has a role: tokens of `issuer` whose claims all match."""

    issuer: Url = Field(description="The OIDC issuer, exact.")
    claims: Mapping[ClaimName, Text | Glob] = Field(
        min_length=1,
        max_length=20,
        description="Every one must match one of the claim's values. `identity` is the e-mail address or the workflow.",
    )


class PersonIdentity(Closed):
    """One of a human's identities: as a certificate names them, or by a claim such as the forge's `actor`."""

    issuer: Url = Field(description="The OIDC issuer, exact.")
    identity: Text | None = Field(default=None, description="The certificate's subject, exact.")
    claims: Mapping[ClaimName, Text] = Field(
        default_factory=dict, max_length=5, description="Or claims of the token, exact, such as `actor`."
    )

    @model_validator(mode="after")
    def _says_who(self) -> Self:
        if (self.identity is None) == (not self.claims):
            raise ValueError("needs exactly one of `identity` and `claims`")
        return self


class PublishersOf(Closed):
    """Which of the charter's publishers may publish these agents; it never adds one."""

    agents: tuple[AgentPattern, ...] = Field(min_length=1, max_length=MAX_ENTRIES, description="Which agents.")
    signers: tuple[Name, ...] = Field(min_length=1, max_length=MAX_ENTRIES, description="Of `signers`.")


class Day(StrEnum):
    """A day of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


def _parse_clock(text: object) -> object:
    if not isinstance(text, str):
        return text
    if _CLOCK.fullmatch(text) is None:
        raise ValueError('is no time of day; write it as "16:00", in quotes')
    return text


Clock = Annotated[str, BeforeValidator(_parse_clock, json_schema_input_type=str)]
MIDNIGHT = "24:00"


class Weekly(Closed):
    """A window on some days of each week, by the wall clock of a place."""

    days: tuple[Day, ...] = Field(min_length=1, max_length=7, description="On which days it begins.")
    from_: Clock = Field(default="00:00", alias="from", description="When it begins on each of them.")
    to: Clock = Field(default=MIDNIGHT, description="When it ends; a time before `from` is on the next day.")
    tz: str = Field(max_length=64, pattern=_ZONE, description="The time zone by its IANA name, such as Europe/Berlin.")

    @field_validator("from_")
    @classmethod
    def _begins_on_its_day(cls, clock: str) -> str:
        if clock == MIDNIGHT:
            raise ValueError('is the end of a day; write "00:00" and the next day')
        return clock

    @field_validator("tz")
    @classmethod
    def _is_known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(
                "is no time zone that is known here; write its IANA name, such as Europe/Berlin or UTC"
            ) from error
        return name


class Freeze(Closed):
    """A time in which nothing is promoted to some channels. It never holds up a rollback."""

    name: Name
    channels: tuple[ChannelText, ...] = Field(min_length=1, max_length=MAX_ENTRIES, description="To which channels.")
    agents: tuple[AgentPattern, ...] = Field(default=EVERY_AGENT, min_length=1, description="Of which agents.")
    start: AwareDatetime | None = Field(default=None, description="From this moment, with its offset from UTC.")
    end: AwareDatetime | None = Field(default=None, description="Until before this moment.")
    weekly: Weekly | None = Field(default=None, description="Or every week.")
    reason: Text | None = None

    @model_validator(mode="after")
    def _says_when(self) -> Self:
        absolute = self.start is not None and self.end is not None
        if absolute == (self.weekly is not None) or (self.start is None) != (self.end is None):
            raise ValueError("needs either `start` and `end`, or `weekly`")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise ValueError("`end` is not after `start`")
        return self


class RollbackOn(Closed):
    """A sign of harm. Stored with the rule and judged by rollouts."""

    metric: Name
    worse_than: Literal["stable"] | None = None
    tolerance: float = Field(default=1.0, ge=1, le=100)
    alpha: float = Field(default=0.01, gt=0, lt=0.5)
    above: float | None = None
    min_tasks: int = Field(default=0, ge=0)


class RolloutStep(Closed):
    """How many get the candidate, for how long."""

    percent: float | None = Field(default=None, ge=0, le=WHOLE_PERCENT)
    labels: Mapping[ClaimName, Text] = Field(default_factory=dict, description="Only hosts or tasks with these labels.")
    hold: Duration | None = Field(default=None, description="At least this long before the next step.")
    min_tasks: int = Field(default=0, ge=0, description="And at least so many tasks.")


class Rollout(Closed):
    """How a promotion reaches its channel, in steps. Part of the rule that approvers sign."""

    unit: Literal["session", "host"] = "session"
    steps: tuple[RolloutStep, ...] = Field(min_length=1, max_length=MAX_STEPS)
    rollback_on: tuple[RollbackOn, ...] = Field(default=(), max_length=MAX_STEPS)

    @model_validator(mode="after")
    def _grows(self) -> Self:
        shares = [step.percent for step in self.steps if step.percent is not None]
        if shares != sorted(shares) or self.steps[-1].percent not in (None, WHOLE_PERCENT):
            raise ValueError("`percent` must not fall from step to step, and ends with 100")
        return self


class Transition(Closed):
    """One edge of the channel graph: who may ask to go along it, and what that takes."""

    from_: ChannelText | None = Field(
        default=None, alias="from", description="The channel it must be current in; none: every release may enter."
    )
    to: ChannelText
    agents: tuple[AgentPattern, ...] = Field(default=EVERY_AGENT, min_length=1, max_length=MAX_ENTRIES)
    allow: tuple[Name, ...] = Field(min_length=1, max_length=MAX_ENTRIES, description="Roles that may ask.")
    require: tuple[Requirement, ...] = Field(default=(), max_length=MAX_REQUIREMENTS)
    rollout: Rollout | None = None

    @property
    def edge(self) -> str:
        """The transition as people say it."""
        return self.edge_of(self.from_, self.to)

    @staticmethod
    def edge_of(source: str | None, channel: str) -> str:
        """Say an edge of the channel graph."""
        return f"{source} → {channel}" if source else f"→ {channel}"


class Waiver(Closed):
    """A requirement that is not demanded of some agents until a day: somebody answers for it, by name."""

    requirement: Name = Field(description="The requirement's id.")
    agents: tuple[AgentPattern, ...] = Field(min_length=1, max_length=MAX_ENTRIES)
    channels: tuple[ChannelText, ...] = Field(min_length=1, max_length=MAX_ENTRIES)
    until: AwareDatetime = Field(description="It ends at this moment.")
    owner: Text = Field(description="Who answers for it.")
    reason: Text


class GlassReview(Closed):
    """The look that a second person takes afterwards."""

    within: Duration = Field(description="How soon; later it blocks the agent's next promotion.")
    allow: tuple[Name, ...] = Field(min_length=1, max_length=MAX_ENTRIES, description="Roles that may review.")


class BreakGlass(Closed):
    """What the charter's break-glass identities may do past the requirements. It never adds one of them."""

    allow: tuple[Name, ...] = Field(min_length=1, max_length=MAX_ENTRIES, description="Roles that may.")
    channels: tuple[ChannelText, ...] = Field(min_length=1, max_length=MAX_ENTRIES)
    actions: tuple[Literal["promote", "rollback"], ...] = Field(default=("promote", "rollback"), min_length=1)
    expires_after: Duration = Field(description="How long a statement may be used at most.")
    review: GlassReview


class Editors(Closed):
    """Who may change a policy, and with how many others."""

    allow: tuple[Name, ...] = Field(min_length=1, max_length=MAX_ENTRIES, description="Roles that may.")
    approvals: int = Field(
        default=0, ge=0, le=MAX_APPROVALS, description="How many further persons of these roles must agree."
    )


Named = Annotated[Mapping[Name, tuple[RoleBinding, ...]], Field(max_length=MAX_ENTRIES)]


class PolicyDocument(Closed):
    """The company-wide policy."""

    format: Literal["tidegate/policy/v1"] = Field(description="The form of this document.")
    description: Text | None = None
    persons: Mapping[Name, Annotated[tuple[PersonIdentity, ...], Field(min_length=1)]] = Field(
        default_factory=dict, max_length=MAX_PERSONS, description="Humans, each with all their identities."
    )
    roles: Named = Field(default_factory=dict, description="Roles by name: who has each.")
    signers: Mapping[Name, IdentityRule] = Field(
        default_factory=dict,
        max_length=MAX_ENTRIES,
        description="Whose evidence requirements mean; the charter must allow it too.",
    )
    publishers: tuple[PublishersOf, ...] = Field(default=(), max_length=MAX_ENTRIES)
    channels: tuple[ChannelText, ...] = Field(min_length=1, max_length=50, description="All channels, first to last.")
    freezes: tuple[Freeze, ...] = Field(default=(), max_length=MAX_ENTRIES)
    transitions: tuple[Transition, ...] = Field(min_length=1, max_length=MAX_TRANSITIONS)
    exceptions: tuple[Waiver, ...] = Field(default=(), max_length=MAX_ENTRIES)
    break_glass: BreakGlass | None = None
    editors: Editors = Field(description="Who may change this document.")
    overlay_editors: Mapping[Namespace, Editors] = Field(
        default_factory=dict,
        max_length=MAX_ENTRIES,
        description="Who may change the overlay of a namespace, besides `editors`.",
    )
    auditors: tuple[Name, ...] = Field(
        default=(), max_length=MAX_ENTRIES, description="Roles that may read the audit log, besides `editors`."
    )


class AddedTransition(Closed):
    """What an overlay adds to a transition that the company-wide policy has."""

    from_: ChannelText | None = Field(default=None, alias="from")
    to: ChannelText
    agents: tuple[AgentPattern, ...] | None = Field(
        default=None, description="Of the namespace's agents; none given: all of them."
    )
    allow: tuple[Name, ...] | None = Field(default=None, description="Fewer of the roles that may ask.")
    require: tuple[Requirement, ...] = Field(default=(), max_length=MAX_REQUIREMENTS)


class PolicyOverlay(Closed):
    """What one namespace asks beyond the company-wide policy. It can only add."""

    format: Literal["tidegate/policy-overlay/v1"] = Field(description="The form of this document.")
    namespace: Namespace = Field(description="Whose agents it is about.")
    description: Text | None = None
    roles: Named = Field(default_factory=dict, description="Further roles, under names of their own.")
    signers: Mapping[Name, IdentityRule] = Field(default_factory=dict, max_length=MAX_ENTRIES)
    publishers: tuple[PublishersOf, ...] = Field(default=(), max_length=MAX_ENTRIES)
    freezes: tuple[Freeze, ...] = Field(default=(), max_length=MAX_ENTRIES)
    transitions: tuple[AddedTransition, ...] = Field(default=(), max_length=MAX_TRANSITIONS)
