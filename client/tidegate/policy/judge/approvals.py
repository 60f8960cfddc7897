"""Approvals: by how many distinct persons of the charter, and of a role, that are neither author nor requester."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tidegate.formats.predicates.types import PREDICATE_APPROVAL
from tidegate.policy.inputs import Approval
from tidegate.policy.judge.humans import Node
from tidegate.policy.judge.matter import RULE, About, Matter, ago
from tidegate.policy.judge.tally import Tally, tally
from tidegate.policy.load import LoadedRequirement
from tidegate.policy.people import holders
from tidegate.policy.requirements import ApprovalsWanted, show_duration
from tidegate.policy.verdict import Finding, State

ABOUT: Final = About("approvals", RULE)


@dataclass(frozen=True, slots=True)
class Further:
    """A condition that a requirement adds to what every approval must be. Numbers: docs/spec/decision.md, part P."""

    number: str
    check: Callable[[Matter, Approval, ApprovalsWanted], tuple[str, ...]]


def judge_charter(matter: Matter) -> tuple[Finding, ...]:
    """D7: as many persons as the charter asks have signed for exactly this; or the release statement lists it."""
    charter, channel = matter.inputs.charter, matter.request.channel
    if charter is None or channel not in charter.approvals:
        return (
            ABOUT.unmet(f"nobody can approve for {channel}, as no charter lists it", expected="a charter that does"),
        )
    count = charter.approvals[channel]
    if matter.is_rollback and within_window(matter):
        return (ABOUT.not_applicable("within the charter's rollback window a rollback needs no new approvals"),)
    if matter.is_rollback or matter.inputs.release.digest in matter.inputs.channel.left:
        # a release statement is older than the channel's leaving the release: it says nothing new
        count = max(count, 1)
    if count == 0:
        return (_listed(matter),)
    counted = tally(matter, PREDICATE_APPROVAL, lambda _: ())

    def able() -> frozenset[Node]:
        return frozenset(matter.humans.human(rule.human) for rule in charter.approvers if rule.is_for(channel))

    return (_judge_count(matter, ABOUT, counted, count=count, whose="of the charter's approvers", able=able),)


def judge_approvals(matter: Matter, loaded: LoadedRequirement, about: About) -> tuple[Finding, ...]:
    """D17: as many persons of a role have, who are neither author nor requester, where the requirement says so."""
    wanted = loaded.requirement.approvals
    if wanted is None:
        return ()

    def further(approval: Approval) -> tuple[str, ...]:
        found = list[str]()
        for clause in FURTHER:
            found += clause.check(matter, approval, wanted)
        return tuple(found)

    counted = tally(matter, PREDICATE_APPROVAL, further)

    def able() -> frozenset[Node]:
        without = matter.humans.of(matter.inputs.release.author) if wanted.not_author else frozenset()
        without |= matter.humans.of(matter.request.requester) if wanted.not_requester else frozenset()
        return able_to_sign(matter, wanted.role) - without

    finding = _judge_count(matter, about, counted, count=wanted.count, whose=f"of {wanted.role}", able=able)
    if finding.state is State.UNMET and not finding.who_can:
        finding = replace(finding, who_can=holders(wanted.role, matter.policy))
    unknown = _unknown(matter, wanted)
    if unknown is None:
        return (finding,)
    # whoever that is may be one of those who approved, or the only one who is left
    if finding.state is State.MET:
        message, state = f"{finding.message}, but {unknown}", State.INCONCLUSIVE
    else:
        message, state = f"{finding.message}; and {unknown}", finding.state
    hint = "let the policy's editors say under `persons` who that is"
    return (replace(finding, state=state, message=message, hint=f"{finding.hint}; {hint}" if finding.hint else hint),)


def able_to_sign(matter: Matter, role: str) -> frozenset[Node]:
    """Give the humans whom the charter lets approve for the channel, but for those of whom it is known that they lack
    the role.
    """
    charter = matter.inputs.charter
    rules = () if charter is None else (rule for rule in charter.approvers if rule.is_for(matter.request.channel))
    lacking = {
        matter.humans.signer(approval)
        for approval in matter.approvals
        if approval.known_as is not None and not matter.has_role(approval.known_as, role)
    }
    return frozenset(matter.humans.human(rule.human) for rule in rules) - lacking


def within_window(matter: Matter) -> bool:
    """Whether the charter lets a rollback go there without anybody's signature."""
    charter, channel, digest = matter.inputs.charter, matter.inputs.channel, matter.inputs.release.digest
    if charter is None or digest in channel.left:
        return False
    serving = None if channel.serving is None else channel.serving.digest
    before = [other for other in channel.window if other != serving]
    return digest in before[: charter.rollback_window]


def _listed(matter: Matter) -> Finding:
    channel, release = matter.request.channel, matter.inputs.release
    if channel in release.channels:
        return ABOUT.met(f"the publisher's release statement lists {channel}, and the charter asks nobody else")
    return ABOUT.unmet(
        f"the charter asks no approvals for {channel}, and the publisher's release statement does not list it",
        found=f"release statement for {', '.join(release.channels) or 'no channel'}",
        expected=f"one that lists {channel}",
        hint=f"publish a version whose release statement names {channel}",
        who_can=("the publisher",),
    )


def _judge_count(
    matter: Matter, about: About, counted: Tally, *, count: int, whose: str, able: Callable[[], frozenset[Node]]
) -> Finding:
    who = f": {' and '.join(counted.names)} approved" if counted.names else ""
    lacking = count - len(counted.persons)
    if lacking <= 0:
        return about.met(f"{len(counted.persons)} of {count}{who}", found=counted.found, measured=counted.measured)
    left = sorted(matter.humans.name(node) for node in able() - counted.persons.keys())
    names = f" ({', '.join(left)})" if left else ""
    return about.unmet(
        f"{len(counted.persons)} of {count}{who}; needs {lacking} more {whose}{names}",
        found=counted.found,
        expected=f"{'an approval by one person' if count == 1 else f'approvals by {count} distinct persons'} {whose}",
        hint=f"approve it with `tidegate approve {matter.request.id}`",
        who_can=tuple(left),
        measured=counted.measured,
    )


def _unknown(matter: Matter, wanted: ApprovalsWanted) -> str | None:
    """Say whom one would have to know to leave their own approval out."""
    author, requester = matter.inputs.release.author, matter.request.requester
    if wanted.not_author and not matter.humans.is_known(author):
        if author is None:
            return "who published it was not kept"
        return f"it is not known who the author {author.identity} is"
    if wanted.not_requester and not matter.humans.is_known(requester):
        return f"it is not known who the requester {requester.identity} is"
    return None


def _not_the_author(matter: Matter, approval: Approval, wanted: ApprovalsWanted) -> tuple[str, ...]:
    """P10: whoever published it does not count."""
    own = matter.humans.signer(approval) in matter.humans.of(matter.inputs.release.author)
    return ("is the author",) if wanted.not_author and own else ()


def _not_the_requester(matter: Matter, approval: Approval, wanted: ApprovalsWanted) -> tuple[str, ...]:
    """P11: nor does whoever asks for it."""
    own = matter.humans.signer(approval) in matter.humans.of(matter.request.requester)
    return ("asked for the promotion",) if wanted.not_requester and own else ()


def _has_the_role(matter: Matter, approval: Approval, wanted: ApprovalsWanted) -> tuple[str, ...]:
    """P12: by their latest token, under the policy as it is now, they have the role."""
    if matter.has_role(approval.known_as, wanted.role):
        return ()
    lost = matter.has_role(approval.filed_by, wanted.role)
    return (f"has lost the role {wanted.role} since",) if lost else (f"does not have the role {wanted.role}",)


def _is_recent(matter: Matter, approval: Approval, wanted: ApprovalsWanted) -> tuple[str, ...]:
    """P13: it is not older than the requirement says."""
    age = matter.now - approval.attested.signed_at
    if wanted.max_age is None or age <= wanted.max_age:
        return ()
    return (f"it was signed {ago(age)}, and may be {show_duration(wanted.max_age)} old",)


FURTHER: Final = (
    Further("P10", _not_the_author),
    Further("P11", _not_the_requester),
    Further("P12", _has_the_role),
    Further("P13", _is_recent),
)
