"""`NAME.cases.yaml` as people write it. Whatever a case does not say is as it is on a quiet day.

That is: the release is what the channel before serves, its publisher signed it, nobody revoked, froze or held anything,
who asks may ask, and the charter leaves approvals to the policy. So a case says only what it is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, JsonValue, field_validator, model_validator

from tidegate.errors import StatementInvalid
from tidegate.formats.charter import MAX_APPROVALS, MAX_LEVEL, BuilderUri, ChannelText, Name, Url
from tidegate.formats.declarations import AgentName, Version
from tidegate.formats.document import Closed
from tidegate.formats.predicates.approval import Action
from tidegate.formats.predicates.types import predicate_type
from tidegate.policy.model import ClaimName
from tidegate.policy.requirements import Change, Duration, Text
from tidegate.policy.verdict import State

MAX_CASES = 1_000
MAX_PEOPLE = 200
MAX_ITEMS = 200
MAX_SPEAKERS = 50
A_QUIET_WEDNESDAY = datetime(2026, 1, 7, 12, tzinfo=UTC)

Builder = Annotated[BuilderUri, Field(description="The Build Signer URI of its provenance.")]


class CasePerson(Closed):
    """Somebody in the cases: roles, and where it matters the very token. Who `persons` names keeps their identity."""

    roles: tuple[Name, ...] = Field(
        default=(), max_length=MAX_ITEMS, description="Roles of the policy; the token gets what they are bound to."
    )
    issuer: Url | None = Field(default=None, description="The token's issuer; else that of the person or the role.")
    identity: Text | None = Field(default=None, description="The certificate's subject; else that of the person.")
    claims: Mapping[ClaimName, tuple[Text, ...]] = Field(
        default_factory=dict, max_length=20, description="Further claims of the token, such as groups."
    )

    @field_validator("identity")
    @classmethod
    def _is_exact(cls, identity: str | None) -> str | None:
        if identity is not None and "*" in identity:
            raise ValueError("is one identity, in which `*` has no meaning")
        return identity


class CaseEvidence(Closed):
    """One attestation. `view`: the members that conditions and requirements read, not the whole predicate."""

    type: str = Field(description="Predicate type, by short name or URI.")
    signer: Name | None = Field(default=None, description="One of the policy's `signers`; else the publisher.")
    view: Mapping[str, JsonValue] | None = Field(
        default_factory=dict, description="What policies read of it; null: too large to be read."
    )
    age: Duration = Field(default=timedelta(hours=1), description="How long ago it was signed.")

    @field_validator("type")
    @classmethod
    def _resolve(cls, name: str) -> str:
        try:
            return predicate_type(name)
        except StatementInvalid as error:
            raise ValueError(f"{error}: {error.reasons[0].found}; {error.reasons[0].expected}") from error


class CaseServing(Closed):
    """What the target channel serves."""

    version: Version = "1.0.0"
    evidence: tuple[Name, ...] = Field(default=(), max_length=MAX_ITEMS, description="Of `evidence`: what is about it.")


class CaseBuild(Closed):
    """How the release was built."""

    level: int = Field(default=1, ge=0, le=MAX_LEVEL, description="SLSA build level, as the charter's table has it.")
    builder: Builder = "https://builder.example/build.yml@refs/tags/v1"


class Situation(Closed):
    """What a case is about: a request, the release, the channel, and who did what."""

    agent: AgentName = "example/agent"
    version: Version = "1.1.0"
    action: Action = Action.PROMOTE
    from_: ChannelText | None = Field(
        default=None, alias="from", description="Else where the first transition into `to` begins."
    )
    to: ChannelText | None = Field(default=None, description="The target channel; needed, here or in `default`.")
    by: Name | None = Field(default=None, description="Who asks; else somebody who may.")
    author: Name | None = Field(
        default="author", description="Whose publish token it was; else nobody else's. null: that was not kept."
    )
    now: AwareDatetime = A_QUIET_WEDNESDAY
    evidence: tuple[Name, ...] = Field(
        default=(), max_length=MAX_ITEMS, description="Of `evidence`: what is attached to the release."
    )
    approvals: Mapping[Name, Duration] = Field(
        default_factory=dict, max_length=MAX_SPEAKERS, description="Who approved, and how long ago."
    )
    reviews: Mapping[Name, tuple[Text, ...]] = Field(
        default_factory=dict, max_length=MAX_SPEAKERS, description="Who accepted which flipped evaluation cases."
    )
    served: Mapping[ChannelText, Duration] | None = Field(
        default=None, description="Which channels serve it, for how long; else that before, for an hour."
    )
    tasks: int | None = Field(default=None, ge=0, description="Tasks it served there; null: nobody reports.")
    changed: tuple[Change, ...] | None = Field(
        default=(), description="What differs from what the channel serves; null: that cannot be told."
    )
    serving: CaseServing | None = Field(default=CaseServing(), description="null: the channel serves nothing yet.")
    build: CaseBuild = CaseBuild()
    published_by: Name | None = Field(default=None, description="One of `signers`; else one whom the policy allows.")
    charter_approvals: int = Field(default=0, ge=0, le=MAX_APPROVALS, description="How many the charter itself asks.")
    revoked: Text | None = Field(default=None, description="Why it was revoked.")
    hold: Text | None = Field(default=None, description="Why the channel is held.")
    debts: tuple[Text, ...] = Field(default=(), max_length=MAX_ITEMS, description="Break-glass reviews that are owed.")
    break_glass: Name | None = Field(default=None, description="Who broke the glass for it.")


class CaseExpect(Closed):
    """What should come out."""

    verdict: Literal["allowed", "refused"]
    missing: tuple[Text, ...] | None = Field(
        default=None, description="The ids of exactly the findings that hold it up; not given: any."
    )
    states: Mapping[Text, State] = Field(default_factory=dict, description="How findings stand, by id.")
    found: Mapping[Text, Text] = Field(default_factory=dict, description="Text that a finding must say, by id.")

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.verdict == "allowed" and self.missing:
            raise ValueError("what is allowed lacks nothing: leave `missing` out")
        return self


class Case(Situation):
    """One situation and what should come out of it."""

    name: Text = Field(description="A sentence.")
    expect: CaseExpect


class CasesDocument(Closed):
    """A file of cases."""

    format: Literal["tidegate/policy-cases/v1"] = Field(description="The form of this document.")
    description: Text | None = None
    people: Mapping[Name, CasePerson] = Field(
        default_factory=dict, max_length=MAX_PEOPLE, description="Who plays in the cases, besides `persons`."
    )
    evidence: Mapping[Name, CaseEvidence] = Field(
        default_factory=dict, max_length=MAX_ITEMS, description="Attestations by a name for this file."
    )
    default: Situation = Field(default=Situation(), description="What holds in every case that says nothing else.")
    cases: tuple[Case, ...] = Field(min_length=1, max_length=MAX_CASES)

    def situation(self, case: Case) -> Situation:
        """Give a case with the file's defaults filled in."""
        given = {name: getattr(case, name) for name in case.model_fields_set if name in Situation.model_fields}
        return self.default.model_copy(update=given)
