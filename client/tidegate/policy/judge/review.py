"""Reviews: somebody has looked at the cases that came out otherwise than with what the channel serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.types import PREDICATE_EVALUATION, PREDICATE_REVIEW
from tidegate.policy.inputs import Approval, Attested
from tidegate.policy.judge.approvals import able_to_sign
from tidegate.policy.judge.evidence import Wanted, latest, missing, suite_of, who_can_sign
from tidegate.policy.judge.humans import Node
from tidegate.policy.judge.matter import About, Matter, either
from tidegate.policy.judge.statements import objections
from tidegate.policy.judge.tally import tally
from tidegate.policy.load import LoadedRequirement
from tidegate.policy.people import holders
from tidegate.policy.requirements import ReviewWanted
from tidegate.policy.verdict import Finding, State

MAX_CASES_TOLD: Final = 10
ACCEPTED: Final = "accepted"  # docs/spec/review.md, `verdict`


def judge_review(matter: Matter, loaded: LoadedRequirement, about: About) -> tuple[Finding, ...]:
    """D18: no more cases flipped than may, or somebody of the role accepted all that did."""
    asked, serving = loaded.requirement.review, matter.inputs.channel.serving
    if asked is None:
        return ()
    if serving is None:
        return (about.met(f"{matter.request.channel} serves nothing yet that cases could flip against"),)
    wanted = Wanted(PREDICATE_EVALUATION, asked.evaluation, asked.suite)
    new = latest(matter, wanted)
    if new is None:
        return (missing(about, matter, wanted),)
    wanted = replace(wanted, suite=suite_of(new))  # cases of another suite are other cases, whatever they are called
    before, after = _outcomes(latest(matter, wanted, serving=True)), _outcomes(new)
    if before is None or after is None:
        whose = f"what {matter.request.channel} serves" if before is None else "this release"
        return (
            about.unmet(
                f"there is no evaluation{wanted.words} of {whose} that tells its cases one by one",
                expected="an evaluation with its outcomes on both sides",
                hint="attach an evaluation that carries the outcomes, not only their digest",
                who_can=who_can_sign(matter, wanted),
                state=State.INCONCLUSIVE,
            ),
        )
    # a case that passed and is left out now does not pass any more: leaving it out spares nobody the look
    flipped = sorted(case for case, passed in before.items() if passed != after.get(case, False))
    told = ", ".join(flipped[:MAX_CASES_TOLD]) + (", …" if len(flipped) > MAX_CASES_TOLD else "")
    if len(flipped) <= asked.allow_flips:
        return (about.met(f"{len(flipped)} cases flipped", found=told or None, measured={"flipped": [*flipped]}),)
    return (_judge_reviewed(matter, asked, about, _Flipped(wanted.suite, flipped, told)),)


@dataclass(frozen=True, slots=True)
class _Flipped:
    """The cases that flipped, of one suite, and the first of them in words."""

    suite: str | None
    cases: list[str]
    told: str


def _judge_reviewed(matter: Matter, asked: ReviewWanted, about: About, flips: _Flipped) -> Finding:
    flipped, told = flips.cases, flips.told
    rejected = _rejected(matter)

    def further(approval: Approval) -> tuple[str, ...]:
        since = rejected.get(matter.humans.signer(approval))
        changed = since is not None and since > approval.attested.order
        return (
            *_against(matter, asked, flips, approval.attested.view or {}, approval),
            *(("has rejected them since",) if changed else ()),
        )

    counted = tally(matter, PREDICATE_REVIEW, further)
    measured: JsonObject = {"flipped": [*flipped], "suite": flips.suite, **counted.measured}
    if counted.persons and (not asked.not_author or matter.humans.is_known(matter.inputs.release.author)):
        return about.met(f"{either(counted.names, 'and')} reviewed the flipped cases", found=told, measured=measured)
    if counted.persons:
        return about.unmet(
            f"{either(counted.names, 'and')} reviewed the flipped cases, but it is not known who the author is",
            found=told,
            hint="let the policy's editors say who published it under `persons`",
            measured=measured,
            state=State.INCONCLUSIVE,
        )
    author = matter.humans.of(matter.inputs.release.author) if asked.not_author else frozenset()
    able = sorted(matter.humans.name(node) for node in able_to_sign(matter, asked.role) - author)
    return about.unmet(
        f"{len(flipped)} cases flipped against what {matter.request.channel} serves, and nobody reviewed them",
        found="; ".join((told, *counted.told)),
        expected=f"a review by {asked.role} that accepts them"
        + (f", or ≤ {asked.allow_flips} flips" if asked.allow_flips else ""),
        hint=f"look at them, and say what you think of it with `tidegate review {matter.request.id}`",
        who_can=tuple(able) or holders(asked.role, matter.policy),
        measured=measured,
    )


def _rejected(matter: Matter) -> Mapping[Node, tuple[datetime, int, str]]:
    """Say who rejected this release, and when last: of what one person says, the latest counts."""
    found: dict[Node, tuple[datetime, int, str]] = {}
    for approval in matter.approvals:  # in the order in which they were signed
        attested = approval.attested
        rejects = attested.predicate_type == PREDICATE_REVIEW and (attested.view or {}).get("verdict") != ACCEPTED
        if rejects and not objections(matter, approval):
            found[matter.humans.signer(approval)] = attested.order
    return found


def _against(
    matter: Matter, asked: ReviewWanted, flipped: _Flipped, view: JsonObject, approval: Approval
) -> tuple[str, ...]:
    """Say what is held against one review."""
    reasons = []
    if view.get("verdict") != ACCEPTED:
        reasons.append("the review rejects them")
    flips, serving = view.get("flips"), matter.inputs.channel.serving
    seen = flips if isinstance(flips, dict) else {}
    listed = seen.get("cases")
    cases = {case for case in listed if isinstance(case, str)} if isinstance(listed, list) else set()
    if serving is None or seen.get("baseline") != serving.digest:
        reasons.append("it compares with another release")
    if seen.get("suite") != flipped.suite:
        reasons.append(f"it is about suite {seen.get('suite')}")
    left = [case for case in flipped.cases if case not in cases]
    if left:
        reasons.append(f"it does not speak of {', '.join(left[:MAX_CASES_TOLD])}")
    if not matter.has_role(approval.known_as, asked.role):
        reasons.append(f"does not have the role {asked.role}")
    if asked.not_author and matter.humans.signer(approval) in matter.humans.of(matter.inputs.release.author):
        reasons.append("is the author")
    return tuple(reasons)


def _outcomes(attested: Attested | None) -> Mapping[str, bool] | None:
    """Give for each case whether all its runs passed; None when the evaluation does not tell its cases."""
    view = {} if attested is None or attested.view is None else attested.view
    outcomes = view.get("outcomes")
    if not isinstance(outcomes, list):
        return None
    cases = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    return {str(outcome.get("id")): outcome.get("passes") == outcome.get("of") for outcome in cases}
