"""The matter that is judged: policy, inputs and the clock together, and what every judge asks of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from tidegate.formats.jcs import JsonValue, canonical_bytes
from tidegate.formats.predicates.approval import Action
from tidegate.policy.inputs import Approval, Attested, Caller, Inputs, Request
from tidegate.policy.judge.humans import Humans
from tidegate.policy.load import LoadedPolicy, Rule
from tidegate.policy.people import roles_of
from tidegate.policy.verdict import Finding, State

MAX_SKEW: Final = timedelta(seconds=60)  # as for tokens: docs/spec/registry-tokens.md
RULE: Final = "rule"  # the kind of findings about what the policy itself demands


@dataclass(frozen=True, slots=True)
class Step:
    """One check of the decision. `check` gives its findings, or nothing to say.

    Number and name: docs/spec/decision.md.
    """

    number: str
    name: str
    check: Callable[[Matter], tuple[Finding, ...]]


@dataclass(frozen=True)
class Matter:
    """What is judged. `rule`: the transition that the request goes along; None: there is none."""

    policy: LoadedPolicy
    inputs: Inputs
    now: datetime
    rule: Rule | None
    roles_by_caller: dict[int, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)
    objections: dict[int, tuple[str, ...]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def request(self) -> Request:
        """What is asked for."""
        return self.inputs.request

    @property
    def is_rollback(self) -> bool:
        """Whether it goes back to what the channel served before."""
        return self.inputs.request.action is Action.ROLLBACK

    @cached_property
    def humans(self) -> Humans:
        """Who is the same human as whom."""
        return Humans(self.policy, self.inputs)

    @cached_property
    def attestations(self) -> Mapping[str, tuple[Attested, ...]]:
        """The release's attestations by predicate type, the latest first."""
        return by_type(self.inputs.attestations)

    @cached_property
    def serving_evidence(self) -> Mapping[str, tuple[Attested, ...]]:
        """The same about what the channel serves."""
        return by_type(self.inputs.channel.serving_evidence)

    @cached_property
    def approvals(self) -> tuple[Approval, ...]:
        """The approvals and reviews, each statement once, in the order in which they were signed."""
        once = {_same(approval.attested): approval for approval in self.inputs.approvals}
        return tuple(sorted(once.values(), key=lambda approval: (approval.attested.order, _same(approval.attested))))

    def roles(self, caller: Caller | None) -> frozenset[str]:
        """Give the roles that a caller has under the policy now; nobody has none."""
        if caller is None:
            return frozenset()
        known = self.roles_by_caller.get(id(caller))  # the inputs hold the caller, so its id is not given anew
        if known is None:
            known = self.roles_by_caller[id(caller)] = roles_of(caller, self.policy)
        return known


@dataclass(frozen=True, slots=True)
class About:
    """What a finding is about, so that each judge only says how it stands."""

    id: str
    kind: str

    def met(
        self, message: str, *, found: str | None = None, measured: Mapping[str, JsonValue] | None = None
    ) -> Finding:
        """Say that it is met."""
        return Finding(self.id, self.kind, State.MET, message, found, measured=measured or {})

    def unmet(
        self,
        message: str,
        *,
        found: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
        who_can: tuple[str, ...] = (),
        measured: Mapping[str, JsonValue] | None = None,
        state: State = State.UNMET,
    ) -> Finding:
        """Say that it is not met, and what would do."""
        return Finding(self.id, self.kind, state, message, found, expected, hint, who_can, measured or {})

    def not_applicable(self, message: str) -> Finding:
        """Say that it is not about this request."""
        return Finding(self.id, self.kind, State.NOT_APPLICABLE, message)


def by_type(attestations: Iterable[Attested]) -> dict[str, tuple[Attested, ...]]:
    """Sort attestations by predicate type, the latest first; a statement that is there twice counts once."""
    found: dict[str, dict[tuple[str, ...], Attested]] = {}
    for attested in attestations:
        known = found.setdefault(attested.predicate_type, {})
        other = known.get(_same(attested))
        # the same statement signed anew is as old as its first signature, or an old result could be made young
        if other is None or attested.order < other.order:
            known[_same(attested)] = attested
    return {
        kind: tuple(sorted(known.values(), key=lambda each: (each.order, _same(each)), reverse=True))
        for kind, known in found.items()
    }


def _same(attested: Attested) -> tuple[str, ...]:
    """Give what makes two bundles one statement: what it says and who says it; two persons may say the same."""
    return attested.payload_digest, attested.root, attested.issuer, attested.identity


def ago(span: timedelta) -> str:
    """Say how long ago something was, in the unit that people would use."""
    seconds = int(span.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size}{unit} ago"
    return f"{max(seconds, 0)}s ago"


def either(names: Iterable[str], word: str = "or") -> str:
    """Write a list as people do: `a, b or c`."""
    *first, last = tuple(names) or ("nobody",)
    return f"{', '.join(first)} {word} {last}" if first else last


def shown(value: JsonValue) -> str:
    """Write a measured value: the same whether it came from a predicate or back from a record."""
    return value if isinstance(value, str) else canonical_bytes(value).decode()
