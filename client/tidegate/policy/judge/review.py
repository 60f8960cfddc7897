"""Reviews: somebody has looked at the cases that came out otherwise than with what the channel serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from tidegate.formats.jcs import JsonObject
from tidegate.formats.predicates.types import PREDICATE_EVALUATION, PREDICATE_REVIEW
from tidegate.policy.inputs import Approval, Attested
from tidegate.policy.judge.approvals import able_to_sign
from tidegate.policy.judge.evidence import Wanted, counting, missing, who_can_sign
from tidegate.policy.judge.matter import About, Matter, either
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
    wanted = Wanted(PREDICATE_EVALUATION, asked.evaluation)
    new = _of_suite(counting(matter, wanted), asked.suite)
    if new is None:
        return (missing(about, matter, wanted),)
    before = _outcomes(_of_suite(counting(matter, wanted, serving=True), asked.suite))
    after = _outcomes(new)
    if before is None or after is None:
        whose = f"what {matter.request.channel} serves" if before is None else "this release"
        return (
            about.unmet(
                f"there is no evaluation of {whose} that tells its cases one by one",
                expected="an evaluation with its outcomes on both sides",
                hint="attach an evaluation that carries the outcomes, not only their digest",
                who_can=who_can_sign(matter, wanted),
                state=State.INCONCLUSIVE,
            ),
        )
    flipped = sorted(case for case in before.keys() & after.keys() if before[case] != after[case])
    told = ", ".join(flipped[:MAX_CASES_TOLD]) + (", …" if len(flipped) > MAX_CASES_TOLD else "")
    if len(flipped) <= asked.allow_flips:
        return (about.met(f"{len(flipped)} cases flipped", found=told or None, measured={"flipped": [*flipped]}),)
    return (_judge_reviewed(matter, asked, about, flipped, told),)


def _judge_reviewed(matter: Matter, asked: ReviewWanted, about: About, flipped: list[str], told: str) -> Finding:
    def further(approval: Approval) -> tuple[str, ...]:
        return _against(matter, asked, flipped, approval.attested.view or {}, approval)

    counted = tally(matter, PREDICATE_REVIEW, further)
    measured: JsonObject = {"flipped": [*flipped], **counted.measured}
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
        found="; ".join((told, *counted.passed_over)),
        expected=f"a review by {asked.role} that accepts them"
        + (f", or ≤ {asked.allow_flips} flips" if asked.allow_flips else ""),
        hint=f"look at them and attach a review of {matter.request.agent}:{matter.inputs.release.version}",
        who_can=tuple(able) or holders(asked.role, matter.policy),
        measured=measured,
    )


def _against(
    matter: Matter, asked: ReviewWanted, flipped: list[str], view: JsonObject, approval: Approval
) -> tuple[str, ...]:
    """Say what is held against one review."""
    reasons = []
    if view.get("verdict") != ACCEPTED:
        reasons.append("the review rejects them")
    flips, serving = view.get("flips"), matter.inputs.channel.serving
    seen = flips if isinstance(flips, dict) else {}
    cases = seen.get("cases")
    if serving is None or seen.get("baseline") != serving.digest:
        reasons.append("it compares with another release")
    left = [case for case in flipped if not isinstance(cases, list) or case not in cases]
    if left:
        reasons.append(f"it does not speak of {', '.join(left[:MAX_CASES_TOLD])}")
    if not matter.has_role(approval.known_as, asked.role):
        reasons.append(f"does not have the role {asked.role}")
    if asked.not_author and matter.humans.signer(approval) in matter.humans.of(matter.inputs.release.author):
        reasons.append("is the author")
    return tuple(reasons)


def _of_suite(counted: Iterator[Attested], suite: str | None) -> Attested | None:
    """Give the latest evaluation, of the one suite if it is named."""
    of_suite = (each for each in counted if suite is None or (each.view or {}).get("suite") == suite)
    return next(of_suite, None)


def _outcomes(attested: Attested | None) -> Mapping[str, bool] | None:
    """Give for each case whether all its runs passed; None when the evaluation does not tell its cases."""
    view = {} if attested is None or attested.view is None else attested.view
    outcomes = view.get("outcomes")
    if not isinstance(outcomes, list):
        return None
    cases = [outcome for outcome in outcomes if isinstance(outcome, dict)]
    return {str(outcome.get("id")): outcome.get("passes") == outcome.get("of") for outcome in cases}
