"""Charters: whose signatures count for an agent. Spec page: docs/spec/charter.md.

The one form in which publishers and attesters are ever written. Here a charter is an unsigned local file that its
reader owns; who distributes and signs it is another matter and changes nothing in its meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from tidegate.digest import Digest
from tidegate.errors import ReferenceInvalid, StatementInvalid, TrustFileInvalid
from tidegate.formats.classes import RefClass, RunnerClass
from tidegate.formats.document import Closed
from tidegate.formats.identity import CertificateIdentity, ClaimName, workflow_of
from tidegate.formats.jcs import canonical_bytes
from tidegate.formats.predicates.types import (
    APPROVER_TYPES,
    BREAK_GLASS_TYPES,
    PUBLISHER_TYPES,
    RESERVED_TYPES,
    predicate_type,
)
from tidegate.formats.reference import parse_agent_name, parse_channel

MAX_RULES = 200
MAX_PATTERNS = 100
MAX_BUILDERS = 200
MAX_APPROVALS = 20  # persons; a channel that needs more is not operated by people
MAX_WINDOW = 100  # promotions
MAX_LEVEL = 3  # SLSA v1.1, build track
MAX_LEVEL_IN_JOB = 2  # provenance written by the build job itself can be forged by that job: SLSA build L3, "Isolated"

_NAMESPACE = re.compile(r"([a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)/\*")


def _checked_channel(text: str) -> str:
    try:
        return parse_channel(text)
    except ReferenceInvalid as error:
        raise ValueError("is no name of a channel: a tag that does not look like a version, such as stable") from error


Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]
ChannelText = Annotated[str, AfterValidator(_checked_channel), Field(max_length=128)]
Url = Annotated[str, Field(pattern=r"^https?://[^\s*]+$", max_length=2048)]
Text = Annotated[str, Field(min_length=1, max_length=2048)]
RefPattern = Annotated[
    str,
    Field(
        pattern=r"^refs/[^\s?\[\]]+$",
        max_length=512,
        description="A full git ref. `*` stands for one or more characters other than `/`; nothing else is special.",
    ),
]
BuilderUri = Annotated[
    str,
    Field(
        pattern=r"^https?://[^\s?\[\]]+$",
        max_length=2048,
        description="A certificate's Build Signer URI, exact; in the part after `@` a `*` may stand as in a ref.",
    ),
]


class Role(StrEnum):
    """In which of a charter's lists a rule stands."""

    PUBLISHER = "publisher"
    ATTESTER = "attester"
    APPROVER = "approver"
    BREAK_GLASS = "break-glass"


_ONE_OF = {"oneOf": [{"required": ["identity"]}, {"required": ["workflow", "refs"]}]}  # for editors; checked below


class IdentityRule(Closed, json_schema_extra=_ONE_OF):
    """Whose signature is meant: every member that is set must match, exactly."""

    root: Name = Field(description="The one trusted root, by its name in trust.yaml, that may vouch for this signer.")
    issuer: Url = Field(description="The OIDC issuer in the certificate, exact.")
    identity: Text | None = Field(default=None, description="The certificate's subject (e-mail address or URI), exact.")
    workflow: Url | None = Field(
        default=None,
        description="Instead of `identity`: a workflow's URI without its ref. The subject must be this, `@`, and the "
        "certificate's own source ref, which `refs` must allow.",
    )
    refs: tuple[RefPattern, ...] = Field(
        default=(), max_length=MAX_PATTERNS, description="Source refs allowed; none given allows every one."
    )
    claims: Mapping[ClaimName, Text] = Field(
        default_factory=dict, description="Further certificate claims, each exact."
    )

    @model_validator(mode="after")
    def _names_somebody(self) -> Self:
        if (self.identity is None) == (self.workflow is None):
            raise ValueError("needs exactly one of `identity` and `workflow`")
        if self.identity is not None and "*" in self.identity:
            raise ValueError("`identity` is compared exactly, `*` has no meaning; use `workflow` and `refs`")
        if self.workflow is not None and not self.refs:
            raise ValueError("`workflow` needs `refs`, for instance [refs/tags/v*]")
        if self.workflow is not None and "@" in self.workflow:
            raise ValueError("`workflow` is given without its @ref; put the ref into `refs`")
        return self

    def matches(self, identity: CertificateIdentity) -> bool:
        """Whether this rule is about `identity`. Says nothing of which root vouches for it, nor of predicate types."""
        return not self.differences(identity)

    def differences(self, identity: CertificateIdentity) -> tuple[str, ...]:
        """Say what of `identity` this rule does not match; empty when it matches."""
        ref = identity.claim(ClaimName.SOURCE_REPOSITORY_REF)
        expected_san = self.identity if self.identity is not None else f"{self.workflow}@{ref}"
        found = []
        if identity.issuer != self.issuer:
            found.append(f"issuer {identity.issuer} is not {self.issuer}")
        if identity.san != expected_san:
            found.append(f"identity {identity.san} is not {self.identity or f'{self.workflow}@<source ref>'}")
        if self.refs and (ref is None or not any(matches_ref(pattern, ref) for pattern in self.refs)):
            found.append(f"source ref {ref or 'none'} is not among {', '.join(self.refs)}")
        found.extend(
            f"{name} {identity.claim(name) or 'none'} is not {value}"
            for name, value in self.claims.items()
            if identity.claim(name) != value
        )
        return tuple(found)

    @property
    def subject(self) -> str:
        """The workflow or identity that this rule names, without a ref: what the trust floor compares."""
        return self.workflow if self.workflow is not None else workflow_of(self.identity or "")


class SignerRule(IdentityRule):
    """Who may sign what."""

    name: Name = Field(description="How messages and policies call this signer.")
    types: tuple[str, ...] = Field(
        default=(),
        max_length=MAX_PATTERNS,
        description="Predicate types (URIs or short names) that this signer may attest.",
    )

    @field_validator("types")
    @classmethod
    def _resolve_types(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        try:
            resolved = tuple(dict.fromkeys(predicate_type(name) for name in types))
        except StatementInvalid as error:
            raise ValueError(f"{error}: {error.reasons[0].found}; {error.reasons[0].expected}") from error
        if reserved := RESERVED_TYPES.intersection(resolved):
            raise ValueError(f"{', '.join(sorted(reserved))} is for `approvers` and `breakGlass` alone")
        return resolved


class ApproverRule(IdentityRule):
    """Who may approve a promotion, or break the glass: a person, or a pipeline."""

    name: Name = Field(description="How messages call this identity.")
    person: Name | None = Field(
        default=None, description="The one human behind several identities; approvals count persons. Default: the name."
    )
    channels: tuple[ChannelText, ...] = Field(
        default=(), max_length=MAX_PATTERNS, description="For which channels it counts; none given means every one."
    )

    @property
    def human(self) -> str:
        """The person that this identity is one of."""
        return self.person or self.name

    def is_for(self, channel: str) -> bool:
        """Whether it counts for `channel`."""
        return not self.channels or channel in self.channels


class Floor(Closed):
    """The least that any release must have, whatever the one before it had."""

    ref: Literal["other", "protected-branch", "protected-tag"] = Field(
        default="other", description="The least class of git ref that a release may be built from."
    )
    runner: Literal["self-hosted", "hosted"] = Field(
        default="self-hosted", description="The least class of machine that a release may be built on."
    )
    builder_level: int = Field(
        default=0, ge=0, le=MAX_LEVEL, description="The least SLSA build level, by the `builders` table."
    )

    @property
    def ref_class(self) -> RefClass:
        """`ref` as something that can be compared."""
        return RefClass.labelled(self.ref)

    @property
    def runner_class(self) -> RunnerClass:
        """`runner` as something that can be compared."""
        return RunnerClass.labelled(self.runner)


class Charter(Closed):
    """Whose signatures count for one agent, or for all agents of a namespace that have no charter of their own."""

    format: Literal["tidegate/charter/v1"] = Field(
        default="tidegate/charter/v1", description="The form of this document; a reader refuses one it does not know."
    )
    agent: str = Field(description="`namespace/agent`, or `namespace/*` for every agent there without its own charter.")
    version: int = Field(default=1, ge=1, description="This charter's own number; a later one is greater.")
    publishers: tuple[SignerRule, ...] = Field(
        min_length=1, max_length=MAX_RULES, description="Who may sign releases, their provenance and their SBOMs."
    )
    attesters: tuple[SignerRule, ...] = Field(
        default=(), max_length=MAX_RULES, description="Who may attest other things; each lists its predicate `types`."
    )
    approvers: tuple[ApproverRule, ...] = Field(
        default=(), max_length=MAX_RULES, description="Who may sign approvals of promotions."
    )
    approvals: Mapping[ChannelText, Annotated[int, Field(ge=0, le=MAX_APPROVALS)]] = Field(
        default_factory=dict,
        max_length=MAX_PATTERNS,
        description="How many persons must approve a promotion, by channel. To a channel that is not here nothing is "
        "promoted; with 0 the publisher's release statement must list the channel itself.",
    )
    break_glass: tuple[ApproverRule, ...] = Field(
        default=(), max_length=MAX_RULES, description="Who may promote in an emergency, past the policy."
    )
    rollback_window: int = Field(
        default=3,
        ge=0,
        le=MAX_WINDOW,
        description="How many promotions back a channel may go without new signatures.",
    )
    builders: Mapping[BuilderUri, Annotated[int, Field(ge=0, le=MAX_LEVEL)]] = Field(
        default_factory=dict,
        max_length=MAX_BUILDERS,
        description="SLSA build level by Build Signer URI; a builder that is not here is level 1.",
    )
    protected_refs: tuple[RefPattern, ...] = Field(
        default=(), max_length=MAX_PATTERNS, description="The tags and branches that the forge protects."
    )
    floor: Floor = Field(default=Floor(), description="The least that any release must have.")
    unpinned: Literal["allow", "refuse"] = Field(
        default="allow", description="Whether a release may name a model that can change under it."
    )
    small_step: Literal["allow", "warn", "refuse"] = Field(
        default="warn",
        description="What becomes of a release whose version step is smaller than its changes demand, measured by the "
        "greatest released version below it.",
    )

    admission: Literal["immediate", "deferred"] = Field(
        default="immediate",
        description="What becomes of a version tag that comes before its signature: it is refused, or it waits for it, "
        "for tools that tag first.",
    )

    @field_validator("agent")
    @classmethod
    def _covers_something(cls, agent: str) -> str:
        if _NAMESPACE.fullmatch(agent) is None:
            try:
                parse_agent_name(agent)
            except ReferenceInvalid as error:
                raise ValueError("is neither `namespace/agent` nor `namespace/*`") from error
        return agent

    @model_validator(mode="after")
    def _rules_are_complete(self) -> Charter:
        for rules in (self.publishers, self.attesters, self.approvers, self.break_glass):
            names = [rule.name for rule in rules]
            repeated = sorted({name for name in names if names.count(name) > 1})
            if repeated:
                raise ValueError(f"two rules are called {', '.join(repeated)}")
        silent = [rule.name for rule in self.attesters if not rule.types]
        if silent:
            raise ValueError(f"attester {', '.join(silent)} lists no `types`")
        for channel, count in self.approvals.items():
            persons = {rule.human for rule in self.approvers if rule.is_for(channel)}
            if len(persons) < count:
                raise ValueError(f"`approvals` asks {count} persons for {channel}, and `approvers` has {len(persons)}")
        return self

    @property
    def canonical(self) -> bytes:
        """The charter's canonical form, whatever file it was written in."""
        return canonical_bytes(self.model_dump(mode="json", by_alias=True))

    @cached_property
    def digest(self) -> Digest:
        """The sha256 of the charter's canonical form: what decisions record."""
        return Digest.of(self.canonical)

    def __copy__(self) -> Self:
        """Copy without what is computed from fields: `model_copy` changes fields of the copy."""
        copied = super().__copy__()
        for computed in ("digest", "rules"):
            copied.__dict__.pop(computed, None)
        return copied

    @cached_property
    def rules(self) -> tuple[tuple[Role, SignerRule | ApproverRule], ...]:
        """Every rule with its role, publishers first."""
        return (
            *((Role.PUBLISHER, rule) for rule in self.publishers),
            *((Role.ATTESTER, rule) for rule in self.attesters),
            *((Role.APPROVER, rule) for rule in self.approvers),
            *((Role.BREAK_GLASS, rule) for rule in self.break_glass),
        )

    @property
    def roots(self) -> tuple[str, ...]:
        """The names of the trusted roots that rules name, each once, in order."""
        return tuple(dict.fromkeys(rule.root for _, rule in self.rules))

    def covers(self, agent: str) -> bool:
        """Whether this charter is about `agent`."""
        return self.agent in (agent, f"{agent.partition('/')[0]}/*")

    def rules_for(self, root: str, identity: CertificateIdentity) -> tuple[tuple[Role, SignerRule | ApproverRule], ...]:
        """Give the rules that name `root` and match `identity`."""
        return tuple((role, rule) for role, rule in self.rules if rule.root == root and rule.matches(identity))

    def ref_class(self, ref: str | None) -> RefClass:
        """Classify a git ref by `protectedRefs`."""
        if ref is None or not any(matches_ref(pattern, ref) for pattern in self.protected_refs):
            return RefClass.OTHER
        if ref.startswith("refs/tags/"):
            return RefClass.PROTECTED_TAG
        return RefClass.PROTECTED_BRANCH if ref.startswith("refs/heads/") else RefClass.OTHER

    def builder_level(self, build_signer_uri: str | None, source_repository_uri: str | None) -> int:
        """Give the SLSA build level that this charter grants a builder: 0 without one, 1 when it is not in the table.

        A builder that is a workflow of the source repository itself runs the build and writes the provenance in one
        place, so it is at most MAX_LEVEL_IN_JOB whatever the table says.
        """
        if build_signer_uri is None:
            return 0
        level = max(
            (level for pattern, level in self.builders.items() if _matches_builder(pattern, build_signer_uri)),
            default=1,
        )
        in_job = source_repository_uri is None or build_signer_uri.startswith(f"{source_repository_uri}/")
        return min(level, MAX_LEVEL_IN_JOB) if in_job else level


def may_attest(role: Role, rule: SignerRule | ApproverRule, predicate: str) -> bool:
    """Whether a rule allows a predicate type.

    Those that a signer lists, or for a publisher that lists none, PUBLISHER_TYPES; for approvers and break-glass
    identities the types of their role, which nobody else may sign.
    """
    if isinstance(rule, ApproverRule):
        return predicate in (APPROVER_TYPES if role is Role.APPROVER else BREAK_GLASS_TYPES)
    return predicate in (rule.types or (PUBLISHER_TYPES if role is Role.PUBLISHER else ()))


@lru_cache(maxsize=4096)  # the same few patterns and refs, at each decision
def matches_ref(pattern: str, ref: str) -> bool:
    """Whether `ref` is `pattern`, where each `*` stands for one or more characters other than `/`."""
    return re.fullmatch("[^/]+".join(re.escape(part) for part in pattern.split("*")), ref) is not None


def _matches_builder(pattern: str, uri: str) -> bool:
    workflow, at, ref = pattern.rpartition("@")
    if not at or "*" not in ref:
        return pattern == uri
    return uri.startswith(f"{workflow}@") and matches_ref(ref, uri.removeprefix(f"{workflow}@"))


class CharterSet:
    """Charters by what they cover; at most one for each."""

    def __init__(self, charters: Iterable[Charter]) -> None:
        self._charters: dict[str, Charter] = {}
        for charter in charters:
            if charter.agent in self._charters:
                raise TrustFileInvalid("two charters cover the same", found=charter.agent)
            self._charters[charter.agent] = charter

    def for_agent(self, name: str) -> Charter | None:
        """Give the charter for an agent: its own, else its namespace's, else None."""
        return self._charters.get(name) or self._charters.get(f"{name.partition('/')[0]}/*")

    def __iter__(self) -> Iterator[Charter]:
        return iter(self._charters.values())

    def __len__(self) -> int:
        return len(self._charters)
