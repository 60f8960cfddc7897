"""What a policy lets a caller do, in words: for what-if, which tells who would gain and who would lose. Pure.

As far as roles say it: the charter and the conditions of each request have their own say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidegate.policy.editing import log_roles
from tidegate.policy.inputs import Caller
from tidegate.policy.load import LoadedPolicy
from tidegate.policy.people import roles_of
from tidegate.policy.requirements import Requirement

Held = frozenset[str]


def rights_of(policy: LoadedPolicy, caller: Caller) -> frozenset[str]:
    """Say in words what the roles of `caller` let them do under `policy`."""
    held = roles_of(caller, policy)
    return frozenset((*_transitions(policy, held), *_editing(policy, held), *_glass(policy, held), *_log(policy, held)))


def _transitions(policy: LoadedPolicy, held: Held) -> Iterator[str]:
    for transition in policy.document.transitions:
        agents = "" if transition.agents == ("*/*",) else f" of {', '.join(transition.agents)}"
        if held.intersection(transition.allow):
            yield f"ask for {transition.edge}{agents}"
        yield from _required(transition.require, f"{transition.edge}{agents}", held)
    if policy.overlay is None:
        return
    for added in policy.overlay.transitions:
        agents = ", ".join(added.agents or (f"{policy.overlay.namespace}/*",))
        edge = f"{added.from_} → {added.to} of {agents}" if added.from_ else f"→ {added.to} of {agents}"
        if added.allow is not None and held.intersection(added.allow):
            yield f"ask for {edge}, which fewer may"
        yield from _required(added.require, edge, held)


def _required(require: Sequence[Requirement], edge: str, held: Held) -> Iterator[str]:
    for requirement in require:
        if requirement.approvals is not None and requirement.approvals.role in held:
            yield f"approve {edge} as {requirement.approvals.role}"
        if requirement.review is not None and requirement.review.role in held:
            yield f"review {edge} as {requirement.review.role}"


def _editing(policy: LoadedPolicy, held: Held) -> Iterator[str]:
    if held.intersection(policy.document.editors.allow):
        yield "change the policy"
    for namespace, editors in policy.document.overlay_editors.items():
        if held.intersection(editors.allow):
            yield f"change the overlay of {namespace}"


def _log(policy: LoadedPolicy, held: Held) -> Iterator[str]:
    if held & log_roles(policy):
        yield "read the audit log"


def _glass(policy: LoadedPolicy, held: Held) -> Iterator[str]:
    glass = policy.document.break_glass
    if glass is None:
        return
    if held.intersection(glass.allow):
        yield f"break the glass for {', '.join(glass.channels)}"
    if held.intersection(glass.review.allow):
        yield "review a use of break-glass"
