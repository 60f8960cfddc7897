"""What the policies in force let somebody ask for, and where: pure, for whoami. Each request is judged by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from tidegate.policy.editing import editing_roles, log_roles
from tidegate.policy.inputs import Caller
from tidegate.policy.load import LoadedPolicy
from tidegate.policy.model import COMPANY, Transition
from tidegate.policy.overlay import narrowed
from tidegate.policy.people import roles_of

EVERYWHERE = "*/*"


class Action(StrEnum):
    """What may be asked for."""

    PROMOTE = "promote"
    BREAK_GLASS = "break-glass"
    REVIEW_BREAK_GLASS = "review-break-glass"
    EDIT_POLICY = "edit-policy"
    READ_LOG = "read-log"


@dataclass(frozen=True, slots=True)
class PolicyRight:
    """One thing that roles allow. `agents`: of which; `unless`: but not of these, by the overlay of their namespace.

    `source` and `channels`: from where to where; both empty where no channel is meant. `policy`: the document that may
    be edited.
    """

    action: Action
    roles: tuple[str, ...]
    agents: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    source: str | None = None
    channels: tuple[str, ...] = ()
    policy: str | None = None


@dataclass(frozen=True, slots=True)
class PolicyStanding:
    """Who somebody is to the policies in force."""

    person: str | None = None
    roles: tuple[str, ...] = ()
    rights: tuple[PolicyRight, ...] = ()


def describe_standing(caller: Caller, policies: Mapping[str, LoadedPolicy]) -> PolicyStanding:
    """List person, roles and rights. `policies`: the company-wide one under COMPANY, each overlay's by namespace."""
    company = policies.get(COMPANY)
    if company is None:
        return PolicyStanding()
    roles = {role for policy in policies.values() for role in roles_of(caller, policy)}
    rights = (
        *_promotions(caller, company, policies),
        *_glass(caller, company),
        *_edits(caller, company, policies),
        *_log(caller, company),
    )
    return PolicyStanding(company.people.of(caller), tuple(sorted(roles)), rights)


def _promotions(caller: Caller, company: LoadedPolicy, policies: Mapping[str, LoadedPolicy]) -> Iterator[PolicyRight]:
    held = roles_of(caller, company)
    for transition in company.document.transitions:
        allowed = held.intersection(transition.allow)
        if allowed:
            yield PolicyRight(
                Action.PROMOTE,
                tuple(sorted(allowed)),
                transition.agents,
                tuple(_unless(transition, held, policies)),
                transition.from_,
                (transition.to,),
            )


def _unless(transition: Transition, held: frozenset[str], policies: Mapping[str, LoadedPolicy]) -> Iterator[str]:
    for namespace, policy in sorted(policies.items()):
        for added in policy.overlay.transitions if policy.overlay else ():
            edge = (added.from_, added.to)
            if edge == (transition.from_, transition.to) and not held.intersection(narrowed(transition.allow, [added])):
                yield from added.agents or (f"{namespace}/*",)


def _glass(caller: Caller, company: LoadedPolicy) -> Iterator[PolicyRight]:
    glass, held = company.document.break_glass, roles_of(caller, company)
    if glass is None:
        return
    for action, allow in ((Action.BREAK_GLASS, glass.allow), (Action.REVIEW_BREAK_GLASS, glass.review.allow)):
        if allowed := held.intersection(allow):
            yield PolicyRight(action, tuple(sorted(allowed)), (EVERYWHERE,), channels=glass.channels)


def _edits(caller: Caller, company: LoadedPolicy, policies: Mapping[str, LoadedPolicy]) -> Iterator[PolicyRight]:
    held = roles_of(caller, company)
    for name in dict.fromkeys((COMPANY, *sorted(policies), *sorted(company.document.overlay_editors))):
        if allowed := held & editing_roles(company, name):
            yield PolicyRight(Action.EDIT_POLICY, tuple(sorted(allowed)), policy=name)


def _log(caller: Caller, company: LoadedPolicy) -> Iterator[PolicyRight]:
    if allowed := roles_of(caller, company) & log_roles(company):
        yield PolicyRight(Action.READ_LOG, tuple(sorted(allowed)))
