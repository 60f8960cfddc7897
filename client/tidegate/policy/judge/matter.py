"""The matter that is judged: policy, inputs and the clock together, and what every judge asks of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Final

from tidegate.formats.jcs import JsonObject, JsonValue
from tidegate.formats.predicates.approval import Action
from tidegate.policy.inputs import Approval, Attested, Caller, Inputs, Request
from tidegate.policy.judge.humans import Humans
from tidegate.policy.load import LoadedPolicy, Rule
from tidegate.policy.people import has_role
from tidegate.policy.verdict import Finding, State

MAX_SKEW: Final = timedelta(seconds=60)  # as for tokens: docs/spec/registry-tokens.md
_MET, _NOT_APPLICABLE = State.MET, State.NOT_APPLICABLE  # an enum's members are slow to get
RULE: Final = "rule"  # the kind of findings about what the policy itself demands


@dataclass(frozen=True, slots=True)
class Step:
    """One check of the decision. `check` gives its findings, or nothing to say.

    Number and name: docs/spec/decision.md.
    """

    number: str
    name: str
    check: Callable[[Matter], tuple[Finding, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Matter:
    """What is judged. `rule`: the transition that the request goes along; None: there is none.

    `attestations`, `serving_evidence`: about the release and about what the channel serves, by predicate type, the
    latest first. `approvals`: and reviews, in the order in which they were signed. `humans`: who is the same as whom.
    `release`: what conditions may read of it.
    """

    policy: LoadedPolicy
    inputs: Inputs
    now: datetime
    rule: Rule | None
    request: Request
    is_rollback: bool
    humans: Humans
    attestations: Mapping[str, tuple[Attested, ...]]
    serving_evidence: Mapping[str, tuple[Attested, ...]]
    approvals: tuple[Approval, ...]
    release: JsonObject
    # what was found once: several requirements ask the same. By id, as the inputs hold what is asked about
    known_objections: dict[int, tuple[str, ...]] = field(default_factory=dict, repr=False)
    known_latest: dict[tuple[str, str | None, str | None, bool], Attested | None] = field(
        default_factory=dict, repr=False
    )

    @classmethod
    def of(cls, policy: LoadedPolicy, inputs: Inputs, now: datetime, rule: Rule | None) -> Matter:
        """Sort the inputs, so that their order means nothing."""
        approvals = sorted(inputs.approvals, key=lambda approval: _place(approval.attested))
        if len({_same(approval.attested) for approval in approvals}) < len(approvals):  # filed twice, with other tokens
            approvals.sort(key=lambda approval: (_place(approval.attested), repr(approval)))
        glass = (inputs.request.glass,) if inputs.request.glass is not None else ()
        return cls(
            policy=policy,
            inputs=inputs,
            now=now,
            rule=rule,
            request=inputs.request,
            is_rollback=inputs.request.action is Action.ROLLBACK,
            humans=Humans(policy, inputs.charter, (*inputs.approvals, *glass)),
            attestations=by_type(inputs.attestations),
            serving_evidence=by_type(inputs.channel.serving_evidence),
            approvals=tuple(approvals),
            release=_release(inputs),
        )

    def has_role(self, caller: Caller | None, role: str) -> bool:
        """Whether a caller has a role under the policy now; nobody has none."""
        return caller is not None and has_role(caller, role, self.policy)


@dataclass(frozen=True, slots=True)
class About:
    """What a finding is about, so that each judge only says how it stands."""

    id: str
    kind: str

    def met(
        self, message: str, *, found: str | None = None, measured: Mapping[str, JsonValue] | None = None
    ) -> Finding:
        """Say that it is met."""
        return Finding(self.id, self.kind, _MET, message, found, measured=measured or {})

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
        return Finding(self.id, self.kind, _NOT_APPLICABLE, message)


def _release(inputs: Inputs) -> JsonObject:
    """Give what conditions may read of the release; the source is absent where there is none."""
    request, release = inputs.request, inputs.release
    known: JsonObject = {
        "agent": request.agent,
        "version": release.version,
        "namespace": request.agent.partition("/")[0],
        "channel": request.channel,
        "opaque": release.opaque,
    }
    return known if request.source is None else {**known, "source": request.source}


def by_type(attestations: Iterable[Attested]) -> dict[str, tuple[Attested, ...]]:
    """Sort attestations by predicate type, the latest first."""
    found: dict[str, list[Attested]] = {}
    for attested in attestations:
        found.setdefault(attested.predicate_type, []).append(attested)
    return {kind: tuple(sorted(several, key=_place, reverse=True)) for kind, several in found.items()}


def is_repeated(several: Sequence[Attested]) -> bool:
    """Whether a statement is there twice."""
    return len(several) > 1 and len(set(map(_same, several))) < len(several)


def at_first(several: Iterable[Attested]) -> Iterable[Attested]:
    """Give each statement as it was first signed: signed anew it is no younger, or an old result could be made young.

    `several`: those that count, the latest first, and so is what comes out. What does not count must not be among
    them: a first signature that is worth nothing would hide a later one that is.
    """
    first = {_same(attested): attested for attested in several}
    return sorted(first.values(), key=_place, reverse=True)


# what makes two bundles one statement: what it says and who says it; two persons may say the same
_same = attrgetter("payload_digest", "root", "issuer", "identity")
# sorts as statements were signed, and leaves nothing to the order of the inputs
_place = attrgetter(
    "signed_at", "log_index", "payload_digest", "root", "issuer", "identity", "bundle_digest", "signers"
)


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
    """Write a measured value: the same whether it came from a predicate or back from a record, where 1.0 is 1."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)
