"""Break-glass: whether a signed statement lets this request past the policy, and what it can never pass."""

from __future__ import annotations

from typing import Final

from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.types import PREDICATE_BREAK_GLASS
from tidegate.policy.inputs import Approval
from tidegate.policy.judge.matter import RULE, About, Matter, either
from tidegate.policy.judge.statements import objections
from tidegate.policy.model import BreakGlass
from tidegate.policy.requirements import show_duration
from tidegate.policy.verdict import Finding

GLASS: Final = About("break-glass", RULE)
NOT_BROKEN: Final = (GLASS.not_applicable("nobody broke the glass"),)
NEVER_PASSED: Final = frozenset(
    {"break-glass", "charter", "publisher", "revoked", "forward", "back", "newest", "debt", "floor"}
)
"""What of the rule itself a break-glass statement does not lift."""


def judge_glass(matter: Matter) -> tuple[Finding, ...]:
    """D1: a break-glass statement is for exactly this, by somebody who may, and its time is not over."""
    glass, allowed = matter.request.glass, matter.policy.document.break_glass
    if glass is None:
        return NOT_BROKEN
    if allowed is None:
        return (GLASS.unmet("the policy has no break-glass", hint="leave the statement out"),)
    reasons = (*objections(matter, glass), *_against_policy(matter, glass, allowed))
    if glass.attested.predicate_type != PREDICATE_BREAK_GLASS:
        reasons = ("it is no break-glass statement", *reasons)
    who = matter.humans.name(matter.humans.signer(glass))
    why = (glass.attested.view or {}).get("reason")
    if not reasons:
        return (GLASS.met(f"{who} broke the glass", found=str(why), measured={"person": who, "reason": why}),)
    return (
        GLASS.unmet(
            f"the break-glass statement of {who} does not count: {'; '.join(reasons)}",
            found=f"signed at {moment_text(glass.attested.signed_at)}",
            expected=f"one for {either(allowed.channels)}, {either(allowed.actions)}, by {either(allowed.allow)}",
            hint="sign one for this request",
            who_can=allowed.allow,
        ),
    )


def _against_policy(matter: Matter, glass: Approval, allowed: BreakGlass) -> tuple[str, ...]:
    """Say what the policy's own limits have against it."""
    request = matter.request
    reasons = []
    if request.channel not in allowed.channels:
        reasons.append(f"the policy lets nobody break the glass of {request.channel}")
    if request.action.value not in allowed.actions:
        reasons.append(f"the policy lets nobody break the glass for a {request.action.value}")
    if not any(matter.has_role(glass.known_as, role) for role in allowed.allow):
        reasons.append(f"its signer does not have the role {either(allowed.allow)}")
    if matter.now >= glass.attested.signed_at + allowed.expires_after:
        reasons.append(f"it was signed more than {show_duration(allowed.expires_after)} ago")
    return tuple(reasons)
