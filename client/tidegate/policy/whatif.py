"""What another text of a policy would have done: which decisions flip and why, who gains or loses which right.

Pure. A decision of the past is made again from its record, once under the policy in force and once under the other
text, at its own time; what a channel serves is judged as if it were asked for now. An approval that counted under the
rule of its day is taken as one under the rule that would be in its place: people would be asked to sign that one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal

from tidegate.digest import Digest
from tidegate.errors import Reason
from tidegate.formats.predicates.types import PREDICATE_APPROVAL
from tidegate.policy.decide import decide, rule_for
from tidegate.policy.editing import Known, able_editors, judge_lockout
from tidegate.policy.inputs import Approval, Caller, Inputs
from tidegate.policy.load import LoadedPolicy
from tidegate.policy.rights import rights_of
from tidegate.policy.verdict import Allowed, Finding, Refused

PolicyFor = Callable[[str], LoadedPolicy | None]
"""The policy for an agent or a namespace."""

MAX_WHY: Final = 5  # findings that a flip is told with; the first ones are what a person reads


@dataclass(frozen=True, slots=True)
class Case:
    """Something to judge again: a recorded decision at its own time, or what a channel serves, now.

    `id`: of the decision whose record this is. `rule`: digest of the rule that it was judged under.
    """

    kind: Literal["decision", "serving"]
    id: str
    inputs: Inputs
    rule: Digest | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Flip:
    """A verdict that would be another one. `why`: the first findings that differ, as the other text makes them."""

    case: Case
    allowed_before: bool
    why: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Rights:
    """What somebody would gain and lose. `who`: the person, or an identity that is nobody's."""

    who: str
    gains: tuple[str, ...]
    loses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What the other text would change. `locked_out`: who could no longer change the policy; `lockout`: if too many."""

    decisions: int
    serving: int
    flips: tuple[Flip, ...]
    rights: tuple[Rights, ...]
    locked_out: tuple[str, ...]
    lockout: tuple[Reason, ...]


def what_if(
    before: PolicyFor, after: PolicyFor, cases: Sequence[Case], known: Known, *, names: Sequence[str]
) -> WhatIf:
    """Compare the policies in force with those that would be. `names`: `_company` and namespaces, to look at rights.

    Order of the flips: that of `cases`.
    """
    flips = [flip for case in cases if (flip := _judge(case, before, after)) is not None]
    old, new = before(names[0]), after(names[0])
    could = set(able_editors(old, known)) if old is not None else set()
    can = set(able_editors(new, known)) if new is not None else set()
    return WhatIf(
        decisions=sum(case.kind == "decision" for case in cases),
        serving=sum(case.kind == "serving" for case in cases),
        flips=tuple(flips),
        rights=_rights_changed(before, after, known.callers, names),
        locked_out=tuple(sorted(could - can)),
        lockout=_lockout(old, new, known),
    )


def _lockout(old: LoadedPolicy | None, new: LoadedPolicy | None, known: Known) -> tuple[Reason, ...]:
    """Say why too few could change it afterwards, where that is the new text's doing.

    In a registry where few have acted yet, the policy in force looks no better: that alone is no fault of the text.
    """
    if new is None or old is None or not (reasons := judge_lockout(new, known)):
        return ()
    asks_no_more = new.document.editors.approvals <= old.document.editors.approvals
    as_before = set(able_editors(new, known)) >= set(able_editors(old, known))
    return () if judge_lockout(old, known) and asks_no_more and as_before else reasons


def _judge(case: Case, before: PolicyFor, after: PolicyFor) -> Flip | None:
    agent = case.inputs.request.agent
    old, new = _decide(before(agent), case), _decide(after(agent), case)
    if isinstance(old, Allowed) == isinstance(new, Allowed):
        return None
    states = {(finding.id, finding.kind): finding.state for finding in old.findings}
    differs = [finding for finding in new.findings if states.get((finding.id, finding.kind)) is not finding.state]
    if isinstance(new, Refused):
        differs = [finding for finding in differs if not finding.state.passes]
    else:
        still = {(finding.id, finding.kind) for finding in new.findings}
        missed = old.missing if isinstance(old, Refused) else ()
        gone = [finding for finding in missed if (finding.id, finding.kind) not in still]
        differs = [*(finding for finding in differs if finding.state.passes), *gone]
    return Flip(case, isinstance(old, Allowed), tuple(differs[:MAX_WHY]))


def _decide(policy: LoadedPolicy | None, case: Case) -> Allowed | Refused:
    if policy is None:
        return Refused(())
    request = case.inputs.request
    rule = rule_for(policy, request.action, request.agent, request.source, request.channel)
    approvals = tuple(_under(approval, case.rule, rule.digest if rule else None) for approval in case.inputs.approvals)
    return decide(policy, replace(case.inputs, approvals=approvals), case.at)


def _under(approval: Approval, old: Digest | None, new: Digest | None) -> Approval:
    """Give an approval of the rule of its day as one of the rule in its place."""
    attested, view = approval.attested, approval.attested.view
    if attested.predicate_type != PREDICATE_APPROVAL or view is None or None in (old, new) or old == new:
        return approval
    if view.get("rule") != str(old):
        return approval
    return replace(approval, attested=replace(attested, view={**view, "rule": str(new)}))


def _rights_changed(
    before: PolicyFor, after: PolicyFor, known: Iterable[Caller], names: Sequence[str]
) -> tuple[Rights, ...]:
    gains: dict[str, dict[str, None]] = {}
    loses: dict[str, dict[str, None]] = {}
    for name in names:
        old, new = before(name), after(name)
        if old is None or new is None or old is new:
            continue
        had, has = dict[str, set[str]](), dict[str, set[str]]()
        for caller in known:
            who = new.people.of(caller) or old.people.of(caller) or caller.identity
            had.setdefault(who, set()).update(rights_of(old, caller))
            has.setdefault(who, set()).update(rights_of(new, caller))
        for who in sorted(has):
            gains.setdefault(who, {}).update(dict.fromkeys(sorted(has[who] - had[who])))
            loses.setdefault(who, {}).update(dict.fromkeys(sorted(had[who] - has[who])))
    return tuple(Rights(who, tuple(gains[who]), tuple(loses[who])) for who in sorted(gains) if gains[who] or loses[who])
