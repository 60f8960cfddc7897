"""Whether an approval, a review or a break-glass statement counts for this request at all, and if not, why.

Each clause is one thing that a statement must say or be; a statement that fails one counts for nothing, and the
sentences go to whoever waits for it. Numbers: docs/spec/decision.md, part P.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tidegate.formats.jcs import JsonObject
from tidegate.formats.moment import moment_text, parse_moment
from tidegate.formats.predicates.approval import LIFE_SLACK, MAX_APPROVAL_LIFE
from tidegate.formats.predicates.types import PREDICATE_APPROVAL, PREDICATE_BREAK_GLASS, PREDICATE_REVIEW
from tidegate.policy.inputs import Approval
from tidegate.policy.judge.humans import rules_of
from tidegate.policy.judge.matter import MAX_SKEW, Matter
from tidegate.policy.requirements import show_duration

_MOVES: Final = frozenset({PREDICATE_APPROVAL, PREDICATE_BREAK_GLASS})  # what is about one request
_ALL: Final = _MOVES | {PREDICATE_REVIEW}


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition on a statement. `check` says in words why it does not count; nothing when it does."""

    number: str
    check: Callable[[Matter, Approval], tuple[str, ...]]
    types: frozenset[str] = _ALL


def objections(matter: Matter, approval: Approval) -> tuple[str, ...]:
    """Say why a statement does not count for this request; empty when it does."""
    known = matter.known_objections.get(id(approval))  # the inputs hold it, so its id is not given anew
    if known is None:
        found = list[str]()
        for clause in CLAUSES:
            if approval.attested.predicate_type in clause.types:
                found += clause.check(matter, approval)
        known = matter.known_objections[id(approval)] = tuple(found)
    return known


def to_tell(matter: Matter, approval: Approval, reasons: Sequence[str]) -> Sequence[str]:
    """Give those of `reasons` that say something to whoever waits for this request.

    Nothing of a statement about another move; of one for an earlier request just that.
    """
    if approval.attested.predicate_type not in _MOVES:
        return reasons
    elsewhere = (_is_about_this_release, _is_about_this_channel, _is_about_this_action)
    if any(check(matter, approval) for check in elsewhere):
        return ()
    return _is_about_this_request(matter, approval) or reasons


def _is_about_this_release(matter: Matter, approval: Approval) -> tuple[str, ...]:
    """P1: agent, version and digest are the request's."""
    view, release = _view(approval), matter.inputs.release
    wanted = (matter.request.agent, release.version, release.digest)
    said = (view.get("agent"), view.get("version"), view.get("digest"))
    return () if said == wanted else (f"it is for {said[0]}:{said[1]} ({str(said[2])[:19]}…)",)


def _is_about_this_channel(matter: Matter, approval: Approval) -> tuple[str, ...]:
    """P2: so is the channel."""
    said = _view(approval).get("channel")
    return () if said == matter.request.channel else (f"it is for channel {said}",)


def _is_about_this_request(matter: Matter, approval: Approval) -> tuple[str, ...]:
    """P3: so is the promotion sequence: what was signed for one request says nothing of the next."""
    said = _view(approval).get("sequence")
    same = type(said) is int and said == matter.request.sequence
    return () if same else (f"it is for request number {said} of the channel, and this is {matter.request.sequence}",)


def _is_about_this_action(matter: Matter, approval: Approval) -> tuple[str, ...]:
    """P4: so is the action."""
    said = _view(approval).get("action")
    return () if said == matter.request.action.value else (f"it is for a {said}",)


def _is_about_this_rule(matter: Matter, approval: Approval) -> tuple[str, ...]:
    """P5: the transition rule is still the one that was signed."""
    wanted = None if matter.rule is None else matter.rule.digest
    said = _view(approval).get("rule")
    return (
        () if said == wanted is not None else ("it was given under another rule of this transition, which has changed",)
    )


def _has_not_expired(matter: Matter, approval: Approval) -> tuple[str, ...]:
    """P6: its time is not over, and was not longer than a statement may count without being given again."""
    ends = moment_in(_view(approval), "expiresAt")
    if ends is None:
        return ("it does not say when it expires",)
    if ends > approval.attested.signed_at + MAX_APPROVAL_LIFE + LIFE_SLACK:
        return (f"it would count until {moment_text(ends)}, and may for {show_duration(MAX_APPROVAL_LIFE)}",)
    return () if matter.now < ends else (f"it expired at {moment_text(ends)}",)


def _is_not_from_the_future(matter: Matter, approval: Approval) -> tuple[str, ...]:
    """P7: it was not signed later than now; MAX_SKEW for clocks that differ."""
    signed = approval.attested.signed_at
    return () if signed <= matter.now + MAX_SKEW else (f"it was signed at {moment_text(signed)}, which is yet to come",)


def _signer_is_of_the_charter(matter: Matter, approval: Approval) -> tuple[str, ...]:
    """P8: an identity of the charter signed it, of the list for such statements, for this channel."""
    charter, attested = matter.inputs.charter, approval.attested
    glass = attested.predicate_type == PREDICATE_BREAK_GLASS
    listed = () if charter is None else (charter.break_glass if glass else charter.approvers)
    rules = rules_of(listed, attested)
    if not rules:
        return (f"{attested.identity} is not among the charter's {'breakGlass' if glass else 'approvers'}",)
    if any(rule.is_for(matter.request.channel) for rule in rules):
        return ()
    return (f"the charter lets {attested.identity} sign for other channels only",)


def _filed_by_its_signer(matter: Matter, approval: Approval) -> tuple[str, ...]:
    """P9: who filed it with a token is who signed it, and is still known as the same person."""
    if approval.filed_by is None or approval.known_as is None:
        return ("nobody filed it with a token",)
    signer = matter.humans.signer(approval)
    if signer in matter.humans.of(approval.filed_by) and signer in matter.humans.of(approval.known_as):
        return ()
    return (f"it was filed with the token of {approval.filed_by.identity}, who did not sign it",)


def moment_in(view: JsonObject, member: str) -> datetime | None:
    """Read a time; None when it is not there or cannot be read."""
    text = view.get(member)
    try:
        return parse_moment(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _view(approval: Approval) -> JsonObject:
    return approval.attested.view or {}


CLAUSES: Final = (
    Clause("P1", _is_about_this_release),
    Clause("P2", _is_about_this_channel, _MOVES),
    Clause("P3", _is_about_this_request, _MOVES),
    Clause("P4", _is_about_this_action, _MOVES),
    Clause("P5", _is_about_this_rule, frozenset({PREDICATE_APPROVAL})),
    Clause("P6", _has_not_expired, _MOVES),
    Clause("P7", _is_not_from_the_future),
    Clause("P8", _signer_is_of_the_charter),
    Clause("P9", _filed_by_its_signer),
)
