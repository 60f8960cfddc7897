"""The decision: may this release move along this edge of the channel graph, now.

Pure: policy, inputs and the clock in; every finding out, none left out because another has already said no. The same
answer for the same inputs in any order, at any time, on any machine. Spec page: docs/spec/decision.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from tidegate.formats.moment import moment_text
from tidegate.formats.predicates.approval import Action
from tidegate.policy.agents import covers
from tidegate.policy.inputs import Inputs
from tidegate.policy.judge import approvals, attestation, contents, edge, glass, review, standing, time_there
from tidegate.policy.judge.matter import RULE, About, Matter, Step
from tidegate.policy.load import LoadedPolicy, LoadedRequirement, Rule
from tidegate.policy.verdict import Allowed, Finding, Refused, State, verdict

ENGINE: Final = "tidegate/decide/v1"
"""Goes up whenever the same inputs could be judged otherwise; decision records name it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of requirement is judged. `kind`: as `Requirement.kind` has it; `key`: as documents write it."""

    number: str
    kind: str
    key: str
    check: Callable[[Matter, LoadedRequirement, About], tuple[Finding, ...]]


STEPS: Final = (
    Step("D1", "break-glass", glass.judge_glass),
    Step("D2", "transition", edge.judge_transition),
    Step("D3", "source", edge.judge_source),
    Step("D4", "requester", edge.judge_requester),
    Step("D5", "charter", edge.judge_charter),
    Step("D6", "publisher", edge.judge_publisher),
    Step("D7", "approvals", approvals.judge_charter),
    Step("D8", "freeze", standing.judge_freeze),
    Step("D9", "revoked", standing.judge_revoked),
    Step("D10", "forward", standing.judge_forward),
    Step("D11", "back", standing.judge_back),
    Step("D12", "newest", standing.judge_newest),
    Step("D13", "debt", standing.judge_debt),
    Step("D14", "hold", standing.judge_hold),
    Step("D15", "floor", standing.judge_floor),
)
"""What the rule itself demands, in the order in which it is told."""

KINDS: Final = (
    Kind("D16", "attestation", "attestation", attestation.judge_attestation),
    Kind("D17", "approvals", "approvals", approvals.judge_approvals),
    Kind("D18", "review", "review", review.judge_review),
    Kind("D19", "soak", "soak", time_there.judge_soak),
    Kind("D20", "upstream", "upstream", time_there.judge_upstream),
    Kind("D21", "sbom", "sbom", contents.judge_sbom),
    Kind("D22", "vulnerabilities", "vulnerabilities", contents.judge_vulnerabilities),
    Kind("D23", "provenance", "provenance", contents.judge_provenance),
    Kind("D24", "test_result", "testResult", attestation.judge_test_result),
)
"""What a policy can require besides."""
_PLACES: Final = {kind.kind: place for place, kind in enumerate(KINDS)}


def decide(policy: LoadedPolicy, inputs: Inputs, now: datetime) -> Allowed | Refused:
    """Decide whether the request may be carried out at `now` (aware).

    Findings: those of STEPS, then one for each requirement of the transition in the order of the policy. All are
    evaluated. Allowed only if each passes; unmet and inconclusive do not. Raises ValueError when `now` is naive.
    """
    if now.tzinfo is None:
        raise ValueError("now must be aware")
    request = inputs.request
    rule = rule_for(policy, request.action, request.agent, request.source, request.channel)
    matter = Matter.of(policy, inputs, now.astimezone(UTC), rule)
    findings = [finding for step in STEPS for finding in step.check(matter)]
    # what the glass does not lift is judged by its id among the rule's own findings, never by a requirement's name
    broken = request.glass is not None and all(one.state.passes for one in findings if one.id == glass.GLASS.id)
    findings += [finding for loaded in (rule.require if rule else ()) for finding in _judge(matter, loaded)]
    return verdict(_passed_over(matter, finding) if broken else finding for finding in findings)


def rule_for(policy: LoadedPolicy, action: Action, agent: str, source: str | None, channel: str) -> Rule | None:
    """Give the rule that a request is under, whose digest its approvals sign.

    That of the transition; for a rollback, which comes from nowhere, that of the first transition into the channel.
    """
    if action is Action.PROMOTE or source is not None:
        return policy.rule(agent, source, channel)
    return next(iter(policy.rules_to(agent, channel)), None)


def _judge(matter: Matter, loaded: LoadedRequirement) -> tuple[Finding, ...]:
    kind = KINDS[_PLACES[loaded.requirement.kind]]
    about = About(loaded.requirement.id, kind.key)
    if matter.is_rollback:
        return (about.not_applicable("a rollback does not wait for requirements"),)
    if (unchanged := _unchanged(matter, loaded)) is not None:
        return (about.not_applicable(unchanged),)
    findings = kind.check(matter, loaded, about)
    return tuple([one if one.state.passes else _softened(matter, loaded, one) for one in findings])


def _softened(matter: Matter, loaded: LoadedRequirement, finding: Finding) -> Finding:
    """Say it in the policy's words, and let pass what is excepted or only warned of yet."""
    words = loaded.requirement.message
    if words is not None:
        found = finding.message if finding.found is None else f"{finding.message}: {finding.found}"
        finding = replace(finding, message=words, found=found)
    return _excepted(matter, finding) or _warned(matter, loaded, finding) or finding


def _unchanged(matter: Matter, loaded: LoadedRequirement) -> str | None:
    """Say that a requirement is about changes that there are not; None when it applies.

    What cannot be compared counts as changed, and so does everything where there is nothing to compare with.
    """
    wanted, difference = loaded.requirement.if_changed, matter.inputs.difference
    if not wanted or matter.inputs.channel.serving is None or difference is None or difference.unknown is not None:
        return None
    if difference.changes.intersection(wanted):
        return None
    return f"it applies to {', '.join(change.value for change in wanted)}, and that did not change"


def _excepted(matter: Matter, finding: Finding) -> Finding | None:
    for waiver in matter.policy.document.exceptions:
        if (
            waiver.requirement == finding.id
            and matter.request.channel in waiver.channels
            and covers(waiver.agents, matter.request.agent)
            and matter.now < waiver.until
        ):
            words = f"excepted until {moment_text(waiver.until)} ({waiver.owner}: {waiver.reason})"
            return replace(finding, state=State.EXCEPTED, message=f"{words}: {finding.message}")
    return None


def _warned(matter: Matter, loaded: LoadedRequirement, finding: Finding) -> Finding | None:
    until = loaded.requirement.warn_until
    if until is None or matter.now.date() >= until:
        return None
    return replace(finding, state=State.WARNED, message=f"from {until.isoformat()} this is required: {finding.message}")


def _passed_over(matter: Matter, finding: Finding) -> Finding:
    if finding.state.passes or (finding.kind == RULE and finding.id in glass.NEVER_PASSED):
        return finding
    broken = matter.request.glass
    who = "somebody" if broken is None else matter.humans.name(matter.humans.signer(broken))
    return replace(
        finding,
        state=State.EXCEPTED,
        message=f"passed over, as {who} broke the glass: {finding.message}",
        measured={**finding.measured, "passedOver": finding.state.value},
    )
