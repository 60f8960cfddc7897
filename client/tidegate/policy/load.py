"""A policy as decisions use it: read, cross-checked, conditions compiled, overlay joined. Immutable.

Pure. Spec page: docs/spec/policy.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from pydantic import BaseModel

from tidegate.digest import Digest
from tidegate.errors import PolicyInvalid, Reason, WhenInvalid
from tidegate.formats.charter import IdentityRule
from tidegate.formats.document import MAX_MISTAKES, mistake_at, read_document, refusal
from tidegate.formats.jcs import JsonObject, JsonValue, canonical_bytes
from tidegate.formats.yamldoc import PathInside, YamlDocument, parse_yaml, path_text
from tidegate.policy.agents import covers
from tidegate.policy.cel.program import Program, compile_when
from tidegate.policy.crosscheck import check_document, roles_named, signers_named
from tidegate.policy.model import (
    Freeze,
    PersonIdentity,
    PolicyDocument,
    PolicyOverlay,
    PublishersOf,
    RoleBinding,
    Rollout,
)
from tidegate.policy.overlay import additions_for, check_overlay, freezes_of, narrowed
from tidegate.policy.people import People
from tidegate.policy.requirements import Requirement

MAX_POLICY_BYTES = 1 << 20  # 5,000 persons with three identities each

Origin = Literal["policy", "overlay"]


@dataclass(frozen=True, slots=True)
class LoadedRequirement:
    """A requirement with its condition compiled. `path`: where it stands in its document.

    `program` is None without a `when`.
    """

    requirement: Requirement
    origin: Origin
    path: str
    program: Program | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What holds for an agent along one edge: the transition with all that an overlay adds.

    `digest` is what approvals sign: it changes if and only if what the rule asks changes. Words for people, the order
    of the requirements and which document they stand in are not part of it; who has the roles it names is.
    """

    source: str | None
    channel: str
    allow: tuple[str, ...]
    require: tuple[LoadedRequirement, ...]
    rollout: Rollout | None
    digest: Digest


@dataclass(frozen=True, eq=False)
class LoadedPolicy:
    """A policy that has no mistakes. May be shared by threads.

    `digest`: of the canonical form of the document and its overlay. `source`, `overlay_source`: the files as they were
    read, for messages with lines.
    """

    document: PolicyDocument
    overlay: PolicyOverlay | None
    source: YamlDocument
    overlay_source: YamlDocument | None
    _base: tuple[tuple[LoadedRequirement, ...], ...] = field(repr=False)
    _added: tuple[tuple[LoadedRequirement, ...], ...] = field(repr=False)
    _rules: dict[tuple[int, tuple[int, ...]], Rule] = field(default_factory=dict, repr=False)

    @property
    def requirements(self) -> tuple[tuple[tuple[LoadedRequirement, ...], ...], ...]:
        """The requirements as they stand in the document and then in its overlay, transition by transition."""
        return self._base, self._added

    @cached_property
    def digest(self) -> Digest:
        """See the class."""
        overlay = None if self.overlay is None else _plain(self.overlay)
        return Digest.of(canonical_bytes({"policy": _plain(self.document), "overlay": overlay}))

    @cached_property
    def roles(self) -> Mapping[str, tuple[RoleBinding, ...]]:
        """Every role by name; an overlay's have names of their own."""
        return {**self.document.roles, **(self.overlay.roles if self.overlay else {})}

    @cached_property
    def signers(self) -> Mapping[str, IdentityRule]:
        """Every signer by name."""
        return {**self.document.signers, **(self.overlay.signers if self.overlay else {})}

    @property
    def persons(self) -> Mapping[str, tuple[PersonIdentity, ...]]:
        """Humans by name, each with all identities."""
        return self.document.persons

    @cached_property
    def people(self) -> People:
        """Finds the person behind an identity."""
        return People(self.persons)

    @cached_property
    def freezes(self) -> tuple[Freeze, ...]:
        """Every freeze, the company's first."""
        return (*self.document.freezes, *(freezes_of(self.overlay) if self.overlay else ()))

    def publishers(self, agent: str) -> tuple[frozenset[str], ...]:
        """Name the signers that may publish `agent`: each set must hold the publisher. Empty: whoever the charter says.

        In each document the first entry about the agent counts.
        """
        documents: tuple[tuple[PublishersOf, ...], ...] = (
            self.document.publishers,
            self.overlay.publishers if self.overlay else (),
        )
        first = (next((entry for entry in entries if covers(entry.agents, agent)), None) for entries in documents)
        return tuple(frozenset(entry.signers) for entry in first if entry is not None)

    def rule(self, agent: str, source: str | None, channel: str) -> Rule | None:
        """Give what holds for `agent` from `source` (None: from nowhere) to `channel`: the first transition counts."""
        for index, transition in enumerate(self.document.transitions):
            edge = (transition.from_, transition.to)
            if edge == (source, channel) and covers(transition.agents, agent):
                added = additions_for(self.overlay, agent, source, channel) if self.overlay else ()
                known = self._rules.get((index, added))
                # two threads may both make it: equal values, and one of them stays
                return known or self._rules.setdefault((index, added), self._joined(index, added))
        return None

    def rules_to(self, agent: str, channel: str) -> tuple[Rule, ...]:
        """Give every rule by which `agent` may come to `channel`, in the order of the document."""
        sources = dict.fromkeys(
            transition.from_
            for transition in self.document.transitions
            if transition.to == channel and covers(transition.agents, agent)
        )
        found = (self.rule(agent, source, channel) for source in sources)
        return tuple(rule for rule in found if rule is not None)

    def _joined(self, index: int, added: tuple[int, ...]) -> Rule:
        transition = self.document.transitions[index]
        additions = [self.overlay.transitions[number] for number in added] if self.overlay else []
        require = (*self._base[index], *(one for number in added for one in self._added[number]))
        allow = narrowed(transition.allow, additions)
        names = {*allow, *(role for one in require for role in roles_named(one.requirement))}
        signers = {signer for one in require for signer in signers_named(one.requirement)}
        meaning: JsonObject = {
            "from": transition.from_,
            "to": transition.to,
            "allow": _sorted([*allow]),
            "require": _sorted([_meaning(one.requirement) for one in require]),
            "rollout": None if transition.rollout is None else _plain(transition.rollout),
            "roles": {name: _sorted([_plain(binding) for binding in self.roles[name]]) for name in names},
            "signers": {name: _plain(self.signers[name]) for name in signers},
        }
        digest = Digest.of(canonical_bytes(meaning))
        return Rule(transition.from_, transition.to, allow, require, transition.rollout, digest)


def load_policy(
    base: bytes, overlay: bytes | None = None, *, name: str = "policy.yaml", overlay_name: str = "overlay.yaml"
) -> LoadedPolicy:
    """Read a company-wide policy, and a namespace's overlay to it; YAML or JSON.

    `name`, `overlay_name`: the files, for messages. Raises PolicyInvalid with every mistake, each beginning
    `file:line: path:`.
    """
    source = parse_yaml(base, limit=MAX_POLICY_BYTES, name=name, error=PolicyInvalid)
    document = read_document(source, PolicyDocument, error=PolicyInvalid)
    mistakes = check_document(document, source)
    over, over_source = None, None
    if overlay is not None:
        over_source = parse_yaml(overlay, limit=MAX_POLICY_BYTES, name=overlay_name, error=PolicyInvalid)
        over = read_document(over_source, PolicyOverlay, error=PolicyInvalid)
        # against a policy that is wrong itself every other complaint would be noise
        mistakes = mistakes or check_overlay(document, over, over_source)
    required, wrong = _loaded([transition.require for transition in document.transitions], "policy", source)
    mistakes = (*mistakes, *wrong)
    added: tuple[tuple[LoadedRequirement, ...], ...] = ()
    if over is not None and over_source is not None:
        added, wrong = _loaded([transition.require for transition in over.transitions], "overlay", over_source)
        mistakes = (*mistakes, *wrong)
    if mistakes:
        raise refusal(PolicyInvalid, mistakes[:MAX_MISTAKES])
    return LoadedPolicy(document, over, source, over_source, required, added)


def _loaded(
    required: Iterable[Iterable[Requirement]], origin: Origin, source: YamlDocument
) -> tuple[tuple[tuple[LoadedRequirement, ...], ...], tuple[Reason, ...]]:
    """Compile the conditions of a document's requirements, transition by transition; and say which cannot be."""
    mistakes: list[Reason] = []

    def load(one: Requirement, path: PathInside) -> LoadedRequirement:
        try:
            return LoadedRequirement(one, origin, path_text(path), _condition(one))
        except WhenInvalid as error:
            mistakes.extend(
                mistake_at(
                    source,
                    (*path, "when"),
                    reason.message,
                    code=reason.code,
                    found=reason.found,
                    expected=reason.expected,
                    hint=reason.hint,
                )
                for reason in error.reasons
            )
            return LoadedRequirement(one, origin, path_text(path))

    loaded = tuple(
        tuple(load(one, ("transitions", index, "require", number)) for number, one in enumerate(require))
        for index, require in enumerate(required)
    )
    return loaded, tuple(mistakes)


def _condition(requirement: Requirement) -> Program | None:
    """Give the program of a requirement's `when`, if it has one. Raises WhenInvalid."""
    if requirement.when is None or requirement.attestation is None:
        return None
    return compile_when(requirement.when, requirement.attestation.type, with_baseline=requirement.baseline is not None)


def _plain(model: BaseModel) -> JsonObject:
    """Give a model without what is as it is by default: a key that a later version adds changes no digest."""
    plain: JsonObject = model.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    return plain


def _meaning(requirement: Requirement) -> JsonObject:
    """Give a requirement without the words for people; its lists are sets, so their order is none of its meaning."""
    return {key: _ordered(value) for key, value in _plain(requirement).items() if key != "message"}


def _ordered(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        return {key: _ordered(item) for key, item in value.items()}
    return _sorted(value) if isinstance(value, list) else value


def _sorted(values: list[JsonValue]) -> list[JsonValue]:
    return sorted(values, key=canonical_bytes)
