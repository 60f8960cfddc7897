"""The edge itself: is there such a way, may the requester go it, and is the release where it begins."""

from __future__ import annotations

from typing import Final

from tidegate.formats.predicates.types import SIGNATURE_TYPES
from tidegate.policy.judge.evidence import Wanted, latest
from tidegate.policy.judge.matter import RULE, About, Matter, either
from tidegate.policy.people import holders, roles_of
from tidegate.policy.verdict import Finding

TRANSITION: Final = About("transition", RULE)
SOURCE: Final = About("source", RULE)
REQUESTER: Final = About("requester", RULE)
CHARTER: Final = About("charter", RULE)
PUBLISHER: Final = About("publisher", RULE)

LEFT_TO_CHARTER: Final = (PUBLISHER.not_applicable("the policy leaves it to the charter who publishes"),)


def judge_transition(matter: Matter) -> tuple[Finding, ...]:
    """D2: the policy has such a transition for this agent."""
    request = matter.request
    if matter.rule is not None:
        return (TRANSITION.met(f"the policy has the transition {edge(matter.rule.source, matter.rule.channel)}"),)
    ways = matter.policy.rules_to(request.agent, request.channel)
    wanted = f"into {request.channel}" if matter.is_rollback else edge(request.source, request.channel)
    return (
        TRANSITION.unmet(
            f"the policy has no transition {wanted} for {request.agent}",
            found=wanted,
            expected=either(edge(rule.source, rule.channel) for rule in ways) if ways else "a transition of the policy",
            hint="promote it along a transition that there is" if ways else "let the policy's editors add one",
        ),
    )


def judge_source(matter: Matter) -> tuple[Finding, ...]:
    """D3: the release is what the source channel serves."""
    source = matter.request.source
    if matter.is_rollback or source is None:
        return (SOURCE.not_applicable("it need not be in another channel first"),)
    for tenure in matter.inputs.tenures:
        if tenure.channel == source and tenure.until is None and tenure.since <= matter.now:
            return (SOURCE.met(f"{source} serves it"),)
    been = any(tenure.channel == source for tenure in matter.inputs.tenures)
    release = matter.inputs.release
    return (
        SOURCE.unmet(
            f"{source} does not serve {matter.request.agent}:{release.version}" + (" any more" if been else ""),
            expected=f"{release.version} as the current release of {source}",
            hint=f"promote it to {source} first",
        ),
    )


def judge_requester(matter: Matter) -> tuple[Finding, ...]:
    """D4: who asks has a role that may."""
    request = matter.request
    rules = matter.policy.rules_to(request.agent, request.channel) if matter.is_rollback else ()
    rules = rules or ((matter.rule,) if matter.rule is not None else ())
    allowed = tuple(dict.fromkeys(role for rule in rules for role in rule.allow))
    able = [role for role in allowed if matter.has_role(request.requester, role)]
    if able:
        return (REQUESTER.met(f"{request.requester.identity} may ask for it", found=", ".join(able)),)
    has = roles_of(request.requester, matter.policy)
    noun = "rollback" if matter.is_rollback else "promotion"
    return (
        REQUESTER.unmet(
            f"{request.requester.identity} may not ask for this {noun}",
            found=f"roles {', '.join(sorted(has))}" if has else "no role in this policy",
            expected=either(allowed) if allowed else "a role that the transition allows",
            hint="let somebody ask who has one of these roles",
            who_can=tuple(dict.fromkeys(who for role in allowed for who in holders(role, matter.policy))),
        ),
    )


def judge_charter(matter: Matter) -> tuple[Finding, ...]:
    """D5: there is a charter for the agent, and it has the channel."""
    charter, request = matter.inputs.charter, matter.request
    if charter is None or not charter.covers(request.agent):
        return (CHARTER.unmet(f"there is no charter for {request.agent}", hint="let the operator add one"),)
    if request.channel in charter.approvals:
        return (CHARTER.met(f"the charter of {charter.agent} has the channel", found=f"version {charter.version}"),)
    return (
        CHARTER.unmet(
            f"the charter of {charter.agent} does not have the channel {request.channel}",
            found=", ".join(sorted(charter.approvals)) or "no channels",
            expected=f"{request.channel} under `approvals`",
            hint="let the charter's owner add it: nothing is promoted to a channel that the charter does not name",
        ),
    )


def judge_publisher(matter: Matter) -> tuple[Finding, ...]:
    """D6: a publisher whom the policy, too, lets publish this agent signed the release."""
    wanted = matter.policy.publishers(matter.request.agent)
    if matter.is_rollback:
        return (PUBLISHER.not_applicable("a rollback leads to what was let in before"),)
    if not wanted:
        return LEFT_TO_CHARTER
    lacking = [names for names in wanted if not any(_signed(matter, name) for name in names)]
    if not lacking:
        return (PUBLISHER.met("a publisher whom the policy names signed it"),)
    return (
        PUBLISHER.unmet(
            "nobody whom the policy lets publish this agent signed the release",
            found=either(sorted(_signers(matter)), "and"),
            expected=either(sorted(lacking[0])),
            hint="publish it by one of these signers",
            who_can=tuple(f"{name} ({matter.policy.signers[name].subject})" for name in sorted(lacking[0])),
        ),
    )


def edge(source: str | None, channel: str) -> str:
    """Write a transition as people say it."""
    return f"{source} → {channel}" if source else f"→ {channel}"


def _signed(matter: Matter, signer: str) -> bool:
    return any(latest(matter, Wanted(kind, signer)) is not None for kind in SIGNATURE_TYPES)


def _signers(matter: Matter) -> set[str]:
    return {attested.identity for kind in SIGNATURE_TYPES for attested in matter.attestations.get(kind, ())}
